"""Short ways to fill a head."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from sentinel.model.batch import Batch, Family, Layout, Reading, Source
from sentinel.model.labels import EMPTY, Labels
from sentinel.series.head import Head
from sentinel.series.index.matcher import Matcher, MatchOperator

START = 1_700_000_000.0


def source(target: str = "sw1", *, module: str = "if_mib", interval: float = 15.0, **labels: str) -> Source:
    return Source(target, module, Labels({"instance": target, "job": module, **labels}), interval)


def rule_source(name: str = "group", interval: float = 15.0) -> Source:
    return Source(name, "rule", EMPTY, interval)


def layout(*series: str | Mapping[str, str], families: Mapping[str, Family] | None = None) -> Layout:
    return Layout.of(
        [Labels(__name__=one) if isinstance(one, str) else Labels(one) for one in series], families
    )


def batch(
    where: Source, at: float, shape: Layout, values: Sequence[float], *, unread: Iterable[str] = ()
) -> Batch:
    reading = Reading(shape, np.array(values, np.float64), frozenset(unread))
    return Batch(where, at, reading, up=True, duration=0.1)


def down(where: Source, at: float) -> Batch:
    return Batch.down(where, at=at, duration=1.0, reason="timeout")


def fill(
    head: Head, where: Source, shape: Layout, rows: Iterable[Sequence[float]], *, start: float = START
) -> float:
    """One poll an interval.

    Returns:
        the instant of the last one.
    """
    at = start
    for number, values in enumerate(rows):
        at = start + number * where.interval
        head.append([batch(where, at, shape, values)])
    return at


def named(name: str, **equal: str) -> tuple[Matcher, ...]:
    return (
        Matcher("__name__", MatchOperator.EQUAL, name),
        *(Matcher(label, MatchOperator.EQUAL, value) for label, value in equal.items()),
    )


def newest(head: Head, at: float, name: str, **equal: str) -> dict[str, float]:
    """Live samples by label text."""
    chosen = head.select(named(name, **equal))
    values, present = chosen.instant(at, 300.0)
    return {str(chosen.table[i]): float(values[i]) for i in np.flatnonzero(present).tolist()}
