"""What the head stores, gathered on the event loop until the journal's thread takes it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from sentinel.model.batch import Family, Floats, Layout, Source
from sentinel.model.labels import Labels
from sentinel.series.history.records import PART, UP, Kind, Writes, json_frame, samples_frame, shift_frame
from sentinel.series.witness import Rows

MOST: Final = 8_000_000
"""Samples in memory; what comes while there are more is dropped and counted."""
_ROOM: Final = 1 << 14
_TOGETHER: Final = 5_000


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """What is to be written: series that come up for the first time, their samples, and what happened after."""

    series: list[tuple[int, Rows]]
    writes: Writes
    event: bytes = b""

    def frames(self, told: Told) -> list[bytes]:
        """The work of a thread."""
        made = [json_frame(Kind.SERIES, told.tell(part)) for part in _parts(self.series)]
        if len(self.writes.at):
            made.append(samples_frame(self.writes))
        return [*made, self.event] if self.event else made


def _parts(series: list[tuple[int, Rows]]) -> Iterator[list[tuple[int, Rows]]]:
    """A few thousand series at a time: no thread is to keep the others waiting."""
    part: list[tuple[int, Rows]] = []
    size = 0
    for one in series:
        part.append(one)
        size += len(one[1])
        if size > _TOGETHER:
            yield part
            part, size = [], 0
    if part:
        yield part


class Gather:
    """For the loop's thread alone."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._ids: dict[Rows, int] = {}
        """Rows that this segment of the journal knows, by number."""
        self._done: list[Gathered] = []
        self._held = 0
        """Samples in those."""
        self.dropped = 0
        """Samples dropped for want of memory."""
        self._series: list[tuple[int, Rows]] = []
        self._at: list[int] = []
        self._rows: list[int] = []
        self._sizes: list[int] = []
        self._flags: list[int] = []
        self._values: Floats = np.empty(_ROOM)
        self._size = 0

    def write(self, rows: Rows, at: float, values: Floats, *, up: bool, part: bool) -> None:
        size = len(values)
        if self._held + self._size + size > self._most:
            self.dropped += size
            return
        number = self._ids.get(rows)
        if number is None:
            number = self._define(rows)
        self._at.append(round(at * 1000))
        self._rows.append(number)
        self._sizes.append(size)
        self._flags.append((UP if up else 0) | (PART if part else 0))
        end = self._size + size
        if end > len(self._values):
            self._values = np.concatenate([self._values, np.empty(max(end, len(self._values)))])
        self._values[self._size : end] = values
        self._size = end

    def forget(self, source: Source) -> None:
        self._close(json_frame(Kind.FORGET, [source.target, source.module]))

    def shift(self, milliseconds: int) -> None:
        self._close(shift_frame(milliseconds))

    @property
    def samples(self) -> int:
        """How many wait."""
        return self._held + self._size

    def take(self) -> list[Gathered]:
        """What has been gathered, in its order; the next is gathered anew."""
        if self._at:
            self._close(b"")
        taken, self._done, self._held = self._done, [], 0
        return taken

    def begin(self) -> None:
        """A new segment begins: it has to be told of all series again."""
        self._ids.clear()

    def _define(self, rows: Rows) -> int:
        if rows.base is not None and rows.base not in self._ids:
            self._define(rows.base)
        number = self._ids[rows] = len(self._ids)
        self._series.append((number, rows))
        return number

    def _close(self, event: bytes) -> None:
        """What follows must not mingle with what was gathered so far."""
        writes = Writes(
            np.array(self._at, np.int64),
            np.array(self._rows, np.uint32),
            np.array(self._sizes, np.uint32),
            np.array(self._flags, np.uint8),
            self._values[: self._size],
        )
        self._done.append(Gathered(self._series, writes, event))
        self._held += self._size
        self._series, self._at, self._rows, self._sizes, self._flags = [], [], [], [], []
        # As many again are likely: what does not have to grow is not copied.
        self._values, self._size = np.empty(max(self._size + self._size // 8, _ROOM)), 0


@dataclass(slots=True, eq=False)
class Told:
    """What a segment has been told: the same source, shape or family is said once."""

    _numbers: dict[Rows, int] = field(default_factory=dict)
    _sources: dict[tuple[str, str, Labels, float, bool], int] = field(default_factory=dict)
    _shapes: dict[tuple[Layout, tuple[str, ...]], int] = field(default_factory=dict)
    _families: dict[str, Family] = field(default_factory=dict)
    _own_shapes: int = 0
    """Shapes that only one source has."""

    def tell(self, series: list[tuple[int, Rows]]) -> dict[str, Any]:
        """JSON of a SERIES frame; see Series.of."""
        said: dict[str, Any] = {"sources": [], "shapes": [], "rows": [], "parts": [], "families": {}}
        for number, rows in series:
            self._numbers[rows] = number
            if rows.base is not None and rows.places is not None:
                said["parts"].append([number, self._numbers[rows.base], rows.places.tolist()])
                continue
            source, shape = self._source(rows.source, said["sources"]), self._shape(rows, said["shapes"])
            said["rows"].append([number, source, shape])
            for name, family in rows.layout.families.items():
                if self._families.get(name) != family:
                    self._families[name] = family
                    said["families"][name] = [family.type, family.help, family.unit]
        return said

    def _source(self, source: Source, said: list[Any]) -> int:
        key = (source.target, source.module, source.labels, source.interval, source.is_received)
        number = self._sources.get(key)
        if number is None:
            number = self._sources[key] = len(self._sources)
            said.append([number, source.target, source.module, dict(source.labels), *key[3:]])
        return number

    def _shape(self, rows: Rows, said: list[Any]) -> int:
        if rows.kept is None:
            key = (rows.layout, rows.meta)
            number = self._shapes.get(key)
            if number is not None:
                return number
            number = self._shapes[key] = len(self._shapes) + self._own_shapes
        else:
            number = len(self._shapes) + self._own_shapes
            self._own_shapes += 1
        grid = rows.grid
        said.append(
            [
                number,
                grid.names,
                grid.rows,
                grid.name_of.tolist(),
                grid.row_of.tolist(),
                rows.own,
            ]
        )
        return number
