"""What a poll yields: a layout kept between polls, and one array of values aligned with it."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sentinel.model.labels import METRIC_NAME, Labels

Floats = NDArray[np.float64]
MetricType = Literal["counter", "gauge", "histogram", "summary", "unknown"]

STALE_BITS = 0x7FF0000000000002
"""Prometheus' staleness marker: a NaN with this payload ends a series at once."""

ABSENT_BITS = 0x7FF0000000000003
"""A cell of the head that never held a sample."""

STALE: float = struct.unpack("<d", struct.pack("<Q", STALE_BITS))[0]


def is_stale(values: Floats) -> NDArray[np.bool_]:
    """Where the values are staleness markers; an ordinary NaN is a value and is not."""
    stale: NDArray[np.bool_] = values.view(np.uint64) == STALE_BITS
    return stale


@dataclass(frozen=True, slots=True)
class Family:
    """What a metric means: shown as # TYPE and # HELP."""

    type: MetricType = "unknown"
    help: str = ""
    unit: str = ""


Row = tuple[str, ...]
"""Labels without the metric's name: name, value, name, value and so on, sorted by name."""


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Series as a metric name and a row of labels each: many series share a row, as the metrics of a port do."""

    names: tuple[str, ...]
    rows: tuple[Row, ...]
    name_of: NDArray[np.unsignedinteger[Any]]
    """[series] index of its name"""
    row_of: NDArray[np.unsignedinteger[Any]]
    """[series] index of its row"""

    @classmethod
    def of(cls, series: Iterable[Labels]) -> Grid:
        names: dict[str, int] = {}
        rows: dict[Row, int] = {}
        places = []
        for labels in series:
            row = tuple(text for pair in labels.pairs if pair[0] != METRIC_NAME for text in pair)
            places.append((names.setdefault(labels.name, len(names)), rows.setdefault(row, len(rows))))
        numbers = np.array(places, np.uint32).reshape(len(places), 2)
        return cls(tuple(names), tuple(rows), numbers[:, 0], numbers[:, 1])


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """The series of a source, in the order of its value arrays.

    Compared by identity: a collector hands out the same object for as long as the device keeps its rows,
    and everything downstream (columns, plans, rendered labels) is remembered by it. The labels include
    the metric name and leave out the source's own labels (instance, job and the target's labels).
    """

    series: tuple[Labels, ...]
    families: Mapping[str, Family] = field(default_factory=dict)

    @classmethod
    def of(cls, series: Iterable[Labels], families: Mapping[str, Family] | None = None) -> Layout:
        return cls(tuple(series), families or {})

    def __len__(self) -> int:
        return len(self.series)

    @property
    def grid(self) -> Grid:
        """The same series; made anew each time."""
        return Grid.of(self.series)


EMPTY_LAYOUT = Layout(())


@dataclass(frozen=True, slots=True)
class Source:
    """One target read through one module: what a poll loop polls.

    Two sources are the same when target and module are.
    """

    target: str
    module: str
    labels: Labels = field(compare=False)
    """instance, job, and the target's own labels: added to every series of the source."""
    interval: float = field(compare=False)
    """Seconds between polls."""
    is_received: bool = field(default=False, compare=False)
    """Sent by somebody who polls it himself, at instants of his own: `up` and the like come from there.

    Cells of its batches may be absent (ABSENT_BITS), for series that have ended.
    """

    @property
    def name(self) -> str:
        return f"{self.target}/{self.module}"


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What a collector could read in one poll."""

    layout: Layout
    values: Floats
    """float64, aligned with the layout's series."""
    unread: frozenset[str] = frozenset()
    """Metric names that this poll should have given and could not: a stuck section, a table past its deadline."""
    reasons: tuple[str, ...] = ()
    """Why parts are unread, or a probe found fault: bounded words for metrics and logs."""
    detail: str = ""
    """The same for a person, one line."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """One poll of one source, ready for the head."""

    source: Source
    at: float
    """Unix seconds at which the poll started."""
    reading: Reading
    up: bool
    duration: float
    """Seconds from start to end, on the monotonic clock."""
    reason: str = ""
    """Why the source is down: a bounded word (timeout, refused, auth, …); empty when up."""
    detail: str = ""
    """The same for a person, one line; never a metric label."""

    @classmethod
    def down(cls, source: Source, *, at: float, duration: float, reason: str, detail: str = "") -> Batch:
        return cls(source, at, EMPTY_READING, up=False, duration=duration, reason=reason, detail=detail)


EMPTY_READING = Reading(EMPTY_LAYOUT, np.empty(0))
