"""Columns of the head as they were at one moment, for evaluation in another thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from threading import Lock
from typing import Any, Final

import numpy as np

from sentinel.model.batch import ABSENT_BITS, Floats
from sentinel.series.columns.cells import Ticks
from sentinel.series.columns.packed import Packed
from sentinel.series.columns.pool import Index, Mask, Pool
from sentinel.series.index.selection import Piece
from sentinel.series.reading.cut import Cut

_NEVER: Final = -np.inf

Unpack = Callable[[Packed], Floats]
"""Unpacks, or remembers having done so."""


class Unpacked:
    """What was unpacked last, for all threads: pages ask for the same hour again and again."""

    def __init__(self, cells: int) -> None:
        """
        Args:
            cells: how many are kept, 8 bytes each.
        """
        self._most = cells
        self._cells = 0
        self._kept: dict[int, tuple[Packed, Floats]] = {}
        self._lock = Lock()

    def __call__(self, packed: Packed) -> Floats:
        """Not to be written to."""
        with self._lock:
            found = self._kept.pop(id(packed), None)
            if found is not None:
                # Back at the end: the dictionary's order is that of last use.
                self._kept[id(packed)] = found
                return found[1]
        values = packed.unpack()
        with self._lock:
            if id(packed) not in self._kept:
                self._kept[id(packed)] = (packed, values)
                self._cells += values.size
            while self._cells > self._most:
                _, oldest = self._kept.pop(next(iter(self._kept)))
                self._cells -= oldest.size
        return values


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Columns first, …, last − 1 of the piece, which lie in one slab."""

    first: int
    last: int
    offsets: Index
    """Where in the slab."""
    plain_tick: int
    """Ticks from this one on are in `plain`, earlier ones are packed."""
    plain: Floats
    """[tick, column]"""
    packed: dict[int, Packed]
    """By stretch."""
    born: Ticks
    """[column] first tick of its own; what the cells hold of earlier ones is not its."""


class Frozen:
    """A piece's cells and times of some time.

    Older samples are shared with the head, packed as they are; the recent ones, which the head goes on writing to,
    are copied, a slab at a time: `steps` does that, and may be left between two steps while the head goes on.
    """

    def __init__(self, piece: Piece, start: float, end: float) -> None:
        """
        Args:
            start, end: Unix seconds; everything in (start, end] is kept.
        """
        pool = piece.pool
        self.interval = pool.interval
        self._piece = piece
        self._stretch = pool.cells.stretch
        used, slots = np.unique(piece.slots, return_inverse=True)
        self.slots: Index = slots.astype(np.intp).ravel()
        self._used = used
        self._of_column = pool.slot_of[piece.columns]
        self._born = pool.born(piece.columns)
        self.first, last = _ticks(pool, start, end)
        rows = np.arange(self.first, last + 1) % pool.rows
        self.times: Floats = pool.times[rows][:, used]
        """[tick, slot], −Inf where the source was not polled"""
        self._parts: list[_Part] = []

    def __len__(self) -> int:
        return len(self.slots)

    @property
    def rows(self) -> int:
        return len(self.times)

    @property
    def oldest(self) -> Floats:
        """[slot] of the oldest poll held; +Inf where there is none."""
        polled = np.where(self.times > _NEVER, self.times, np.inf)
        oldest: Floats = polled.min(axis=0, initial=np.inf)
        return oldest

    def steps(self) -> Iterator[None]:
        """Copies one slab's columns with each step."""
        piece = self._piece
        if not self.rows:
            return
        pool: Pool[Any] = piece.pool
        shift = pool.columns.slab.bit_length() - 1
        slabs = piece.columns >> shift
        edges = [0, *(np.flatnonzero(np.diff(slabs)) + 1).tolist(), len(slabs)]
        for first, last in pairwise(edges):
            self._parts.append(self._part(first, last, int(slabs[first]), shift))
            yield
        # What the head has dropped meanwhile may be missing from the parts that came last.
        kept = pool.tick - pool.rows + 1 - self.first
        if kept > 0:
            self.times[: min(kept, self.rows)] = _NEVER

    def _part(self, first: int, last: int, slab: int, shift: int) -> _Part:
        pool, columns = self._piece.pool, self._piece.columns[first:last]
        cells = pool.cells
        end = self.first + self.rows
        plain_tick = min(max(self.first, pool.floor), end)
        offsets = columns - (slab << shift)
        source, ring = cells.plain(slab), np.arange(plain_tick, end) % cells.rows
        plain = source[ring][:, offsets] if len(offsets) > cells.slab // 8 else source[np.ix_(ring, offsets)]
        packed: dict[int, Packed] = {}
        if cells.stretch and plain_tick > self.first:
            for stretch in range(self.first // cells.stretch, (plain_tick - 1) // cells.stretch + 1):
                found = cells.packed.get((stretch, slab))
                if found is not None:
                    packed[stretch] = found
        born = pool.born(columns)
        # A column that has been given to another series meanwhile has nothing that is its own.
        foreign = (pool.slot_of[columns] != self._of_column[first:last]) | (born != self._born[first:last])
        born[foreign] = end
        return _Part(first, last, offsets, plain_tick, plain, packed, born)

    # In another thread

    def blocks(self, cells: int, rows: int) -> Iterator[tuple[int, int]]:
        """The columns in portions of about so many cells, as first and last + 1; whole slabs where they fit."""
        first = 0
        if not self._parts:
            yield 0, len(self)
        for position, part in enumerate(self._parts):
            following = self._parts[position + 1] if position + 1 < len(self._parts) else None
            if following is None or (following.last - first) * rows > cells:
                size = (
                    max(cells // max(rows, 1), 1) if (part.last - first) * rows > cells else part.last - first
                )
                for begin in range(first, part.last, size):
                    yield begin, min(begin + size, part.last)
                first = part.last

    def near(self, starts: Floats, ends: Floats) -> Index:
        """Rows with a poll in one of the windows (start, end], which are in ascending order."""
        if not self.rows:
            return np.empty(0, np.intp)
        earliest = np.where(self.times > _NEVER, self.times, np.inf).min(axis=1, initial=np.inf)
        latest = self.times.max(axis=1, initial=_NEVER)
        window = np.searchsorted(ends, earliest, side="left")
        near = (window < len(ends)) & (starts[np.minimum(window, len(ends) - 1)] < latest)
        return np.flatnonzero(near)

    def cut(self, rows: Index, first: int, last: int, unpack: Unpack) -> Cut:
        """Those rows of columns first, …, last − 1."""
        used, slots = np.unique(self.slots[first:last], return_inverse=True)
        times = self.times[rows][:, used]
        return Cut.of_polls(self._matrix(rows, first, last, unpack), times, slots.ravel())

    def _matrix(self, rows: Index, first: int, last: int, unpack: Unpack) -> Floats:
        whole = np.empty((len(rows), last - first))
        ticks = rows + self.first
        for part in self._parts:
            low, high = max(first, part.first), min(last, part.last)
            if low < high:
                into = whole[:, low - first : high - first]
                self._fill(part, ticks, slice(low - part.first, high - part.first), into, unpack)
        return whole

    def _fill(self, part: _Part, ticks: Ticks, chosen: slice, into: Floats, unpack: Unpack) -> None:
        old = int(np.searchsorted(ticks, part.plain_tick))
        if old:
            offsets, stretches = part.offsets[chosen], ticks[:old] // self._stretch
            edges = [0, *(np.flatnonzero(np.diff(stretches)) + 1).tolist(), old]
            for begin, end in pairwise(edges):
                stretch = int(stretches[begin])
                packed = part.packed.get(stretch)
                if packed is None:
                    into[begin:end].view(np.uint64)[...] = ABSENT_BITS
                else:
                    _copy(
                        unpack(packed), ticks[begin:end] - stretch * self._stretch, offsets, into[begin:end]
                    )
        if old < len(ticks):
            _copy(part.plain[:, chosen], ticks[old:] - part.plain_tick, None, into[old:])
        foreign: Mask = ticks[:, None] < part.born[chosen]
        if foreign.any():
            into.view(np.uint64)[foreign] = ABSENT_BITS


def _ticks(pool: Pool[Any], start: float, end: float) -> tuple[int, int]:
    """The first and the last tick with a poll in (start, end]; the last before the first: there is none."""
    inside = ((pool.times > start) & (pool.times <= end)).any(axis=1)
    ticks = pool.ticks_of(np.flatnonzero(inside))
    return (int(ticks.min()), int(ticks.max())) if len(ticks) else (0, -1)


def _copy(source: Floats, rows: Ticks, offsets: Index | None, into: Floats) -> None:
    first, last = int(rows[0]), int(rows[-1])
    picked = source[first : last + 1] if last - first == len(rows) - 1 else source[rows]
    if offsets is None:
        into[...] = picked
    elif len(offsets) == int(offsets[-1]) - int(offsets[0]) + 1 and (np.diff(offsets) == 1).all():
        into[...] = picked[:, int(offsets[0]) : int(offsets[-1]) + 1]
    else:
        into[...] = picked[:, offsets]
