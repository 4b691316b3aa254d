"""One segment of the journal, read: which series were written when, and where their values lie in the file."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sentinel.model.batch import Family, Floats, Source
from sentinel.model.labels import Labels
from sentinel.series.history.records import Frame, Kind, frames, json_of, samples_of, shift_of
from sentinel.series.history.shape import Index, Shape

_BLOCK: Final = 8 << 20
"""Bytes of values that are read together."""

Key = tuple[str, str]
"""Target and module."""


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """What a number in the samples stands for."""

    source: Source
    shape: Shape
    """Of everything the source gave, also where this is a part."""
    places: Index | None
    """Which of the shape's series; None: all."""

    def __len__(self) -> int:
        return len(self.shape) if self.places is None else len(self.places)


@dataclass(frozen=True, slots=True, eq=False)
class Writes:
    """Entry k: `sizes[k]` values of `series[rows[k]]` at `at[k]`, in the order in which they were written."""

    at: NDArray[np.int64]
    """Milliseconds since 1970; steps of the clock that came later are in them."""
    rows: NDArray[np.uint32]
    sizes: NDArray[np.uint32]
    flags: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    """Where in the file their values start, in units of eight bytes."""


class Blocks:
    """Values out of segments, in parts of 8 MiB; a few of them stay in memory."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: dict[tuple[int, int], Floats] = {}

    def get(self, segment: Segment, block: int, load: Callable[[], Floats]) -> Floats:
        key = (id(segment), block)
        values = self._kept.pop(key, None)
        if values is None:
            while len(self._kept) >= self._most:
                del self._kept[next(iter(self._kept))]
            values = load()
        # Back at the end: the dictionary's order is that of last use.
        self._kept[key] = values
        return values

    def drop(self, segment: Segment) -> None:
        for key in [key for key in self._kept if key[0] == id(segment)]:
            del self._kept[key]


class Segment:
    """Reads a file once for what is in it, and the values again when they are wanted.

    Not thread-safe. Close it.
    """

    def __init__(self, path: Path, blocks: Blocks) -> None:
        """
        Raises:
            OSError: the file cannot be read.
        """
        self.path = path
        self.series: dict[int, Series] = {}
        self.families: dict[str, Family] = {}
        self.forgotten: dict[Key, int] = {}
        """Sources that were gone, after how many writes."""
        self.unreadable = 0
        """Bytes that do not belong to a whole frame, before the last whole frame."""
        self.torn = 0
        """Bytes of what was being written when the writer ended."""
        self.bad = 0
        """Whole frames that make no sense."""
        self._blocks = blocks
        self._sources: dict[int, Source] = {}
        self._shapes: dict[int, Shape] = {}
        self._parts: list[tuple[NDArray[Any], ...]] = []
        self._count = 0
        self._shifts: list[tuple[int, int]] = []
        """After how many writes, and milliseconds."""
        self._file = FileIO(path)
        try:
            self._read()
        except BaseException:
            self._file.close()
            raise
        self.writes = self._joined()
        self._starts = self._split()

    def close(self) -> None:
        self._file.close()
        self._blocks.drop(self)

    def __enter__(self) -> Segment:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def is_damaged(self) -> bool:
        return bool(self.unreadable or self.bad)

    def gather(self, writes: Index, columns: Index | None, into: Floats) -> None:
        """Copy values.

        Args:
            writes: ascending, all of one length.
            columns: which values of each; None: all.
            into: [writes, columns]
        Raises:
            OSError: the file cannot be read.
        """
        count = int(self.writes.sizes[writes[0]]) if columns is None and len(writes) else 0
        wanted = np.arange(count) if columns is None else columns
        offsets = self.writes.offsets[writes]
        low, high = (
            self._starts.searchsorted(writes[[0, -1]], side="right").tolist() if len(writes) else (1, 0)
        )
        first = 0
        for block in range(low - 1, high):
            last = len(writes) if block == high - 1 else int(writes.searchsorted(self._starts[block + 1]))
            values, base = self._block(block)
            values.take((offsets[first:last] - base)[:, None] + wanted, out=into[first:last], mode="clip")
            first = last

    # Reading

    def _read(self) -> None:
        lost = 0
        for found in frames(self._file):
            if isinstance(found, int):
                lost += found
                continue
            self.unreadable += lost
            lost = 0
            try:
                self._take(found)
            except (ValueError, KeyError, TypeError, IndexError):
                self.bad += 1
        self.torn = lost

    def _take(self, found: Frame) -> None:
        if found.kind == Kind.SERIES:
            self._learn(json_of(found.content))
        elif found.kind == Kind.SAMPLES:
            writes, first = samples_of(found.content)
            ends = np.cumsum(writes.sizes, dtype=np.int64)
            offsets = ends - writes.sizes + (found.start + first) // 8
            self._parts.append((writes.at, writes.rows, writes.sizes, writes.flags, offsets))
            self._count += len(writes.at)
        elif found.kind == Kind.SHIFT:
            self._shifts.append((self._count, shift_of(found.content)))
        elif found.kind == Kind.FORGET:
            target, module = json_of(found.content)
            self.forgotten[str(target), str(module)] = self._count

    def _learn(self, said: dict[str, Any]) -> None:
        for number, target, module, labels, interval, *received in said["sources"]:
            self._sources[int(number)] = Source(
                str(target), str(module), Labels(labels), float(interval), is_received=any(received)
            )
        for number, *shape in said["shapes"]:
            self._shapes[int(number)] = Shape.of(shape)
        for number, source, shape in said["rows"]:
            self.series[int(number)] = Series(self._sources[source], self._shapes[shape], None)
        for number, base, places in said["parts"]:
            whole, part = self.series[base], np.array(places, np.intp)
            if len(part) and not 0 <= part.min() <= part.max() < len(whole):
                raise ValueError("a part of what is not there")
            self.series[int(number)] = Series(whole.source, whole.shape, part)
        for name, (kind, help_, unit) in said["families"].items():
            self.families[str(name)] = Family(kind, str(help_), str(unit))

    def _joined(self) -> Writes:
        if not self._parts:
            nothing = np.empty(0, np.int64)
            unsigned = nothing.astype(np.uint32)
            return Writes(nothing, unsigned, unsigned, nothing.astype(np.uint8), nothing)
        at, rows, sizes, flags, offsets = (np.concatenate(part) for part in zip(*self._parts, strict=True))
        self._parts = []
        for before, milliseconds in self._shifts:
            at[:before] += milliseconds
        # Samples of series that were named in a frame that cannot be read.
        lengths = np.zeros(int(rows.max(initial=0)) + 1, np.int64) - 1
        for number, series in self.series.items():
            if number < len(lengths):
                lengths[number] = len(series)
        known = lengths[rows] == sizes
        if not known.all():
            self.bad += 1
            kept = np.concatenate([[0], np.cumsum(known)])
            self.forgotten = {key: int(kept[place]) for key, place in self.forgotten.items()}
            at, rows, sizes, flags, offsets = (each[known] for each in (at, rows, sizes, flags, offsets))
        return Writes(at, rows, sizes, flags, offsets)

    def _split(self) -> Index:
        """The first write of each block."""
        starts, base = [0], 0
        offsets = self.writes.offsets
        while True:
            further = int(np.searchsorted(offsets, (offsets[base] if len(offsets) else 0) + _BLOCK // 8))
            if further >= len(offsets):
                return np.array(starts, np.intp)
            base = max(further, base + 1)
            starts.append(base)

    def _block(self, block: int) -> tuple[Floats, int]:
        starts = self._starts
        first = int(starts[block])
        base = int(self.writes.offsets[first])
        last = int(starts[block + 1]) - 1 if block + 1 < len(starts) else len(self.writes.at) - 1
        end = int(self.writes.offsets[last]) + int(self.writes.sizes[last])
        return self._blocks.get(self, block, lambda: self._load(base, end)), base

    def _load(self, base: int, end: int) -> Floats:
        values = np.empty(end - base, "<f8")
        view, place = values.view(np.uint8).data, 0
        while place < len(view):
            count = os.preadv(self._file.fileno(), [view[place:]], base * 8 + place)
            if not count:
                raise OSError(f"{self.path.name} has become shorter")
            place += count
        return values


def joined_families(segments: Sequence[Segment]) -> dict[str, Family]:
    return {name: family for segment in segments for name, family in segment.families.items()}
