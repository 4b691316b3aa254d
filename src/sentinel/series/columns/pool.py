"""Columns of the samples of all sources that are polled at one interval."""

from __future__ import annotations

import math
from typing import Any, Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from sentinel.model.batch import ABSENT_BITS, STALE_BITS, Floats
from sentinel.series.columns.bounds import Bounds, bounds_of, neighbouring
from sentinel.series.columns.cells import Cells, Ticks
from sentinel.series.columns.runs import SMALLEST, Columns
from sentinel.series.columns.window import Windows, Writes

Index = NDArray[np.intp]
Mask = NDArray[np.bool_]
Owner = TypeVar("Owner")

_K = TypeVar("_K")
_V = TypeVar("_V")

SPARE_ROWS: Final = 3
SLAB: Final = 1024
"""Columns that lie together in memory,"""
SLAB_CELLS: Final = 1 << 20
"""as long as they have no more cells than this."""
SINK: Final = 0
"""A column that takes what nobody wants any more."""

_WINDOW_BYTES: Final = 64 << 20
"""Of what is kept unpacked for the rules that look further back than the plain rows reach."""

_NEVER: Final = -math.inf
_NO_TICK: Final = -(1 << 62)


def milliseconds(at: float) -> float:
    """The instant to the millisecond, so that bounds computed from it compare exactly."""
    return round(at * 1000) / 1000


def is_sample(values: Floats) -> Mask:
    """Where the cells hold a value (NaN included), not a staleness marker or nothing."""
    held: Mask = (values.view(np.uint64) - np.uint64(STALE_BITS)) > np.uint64(ABSENT_BITS - STALE_BITS)
    return held


class Pool(Generic[Owner]):
    """V[tick, column] holds samples, TS[tick mod rows, slot] the instant at which that tick's source was polled.

    A tick is one interval of one source: each source counts its own polls, starting from the common origin, so a
    poll that is a little early or late does not collide with its neighbour. A cell counts only while its source's
    TS is set, so a skipped poll costs nothing but clearing that one instant.
    """

    def __init__(self, interval: float, retention: float, recent: float) -> None:
        """
        Args:
            interval: seconds between polls.
            retention: seconds for which samples are kept.
            recent: seconds for which they are kept as plain numbers, ready for writing and for most rules.
        """
        self.interval = interval
        self.rows = math.ceil(retention / interval) + SPARE_ROWS
        self.tick = 0
        """The newest tick of any source."""
        self.origin = 0.0
        self._recent = math.ceil(recent / interval) + SPARE_ROWS
        stretch = min(max(8, 1 << (self._recent.bit_length() - 1)), 64)
        plain = self._recent + stretch + max(2, stretch // 4)
        is_packing = plain < self.rows
        rows = plain if is_packing else self.rows
        slab = SLAB
        while slab * rows > SLAB_CELLS and slab > SMALLEST:
            slab //= 2
        self.cells = Cells(rows, stretch if is_packing else 0, slab)
        self.columns: Columns[Owner] = Columns(slab)
        self._floor = 0
        """All ticks before this one are packed or gone."""
        self._closed = 0
        """Nothing is written to ticks before this one any more."""
        self._to_pack: list[int] = []
        """Slabs of the stretch from the floor on that are yet to be packed."""
        self.times = np.full((self.rows, 0), _NEVER)
        self.slot_of = np.empty(0, np.int32)
        """[column] −1 where it belongs to no source."""
        self.reset_at = np.empty(0)
        """[column] Unix seconds of the newest fall of the value."""
        self.gap_at = np.empty(0)
        """[column] Unix seconds of the newest poll of its source in which the column had no value."""
        self._born = np.empty(0, np.int32)
        """[column] the tick, counted from the pool's first, at which it was given to its series; −1: never."""
        self._first_tick = 0
        self.last_tick = np.empty(0, np.int64)
        """[slot]"""
        self.last_at = np.empty(0)
        """[slot] Unix seconds of the newest poll."""
        self._free_slots: list[int] = []
        self._slots = 0
        self._bounds: dict[tuple[float, float], Bounds] = {}
        self._ticks_at: dict[tuple[float, float], tuple[Ticks, Mask]] = {}
        self._windows = Windows(_WINDOW_BYTES)
        self.writes = Writes(rows)

    @property
    def nbytes(self) -> int:
        arrays = (self.times, self.slot_of, self.reset_at, self.gap_at, self._born)
        return self.cells.nbytes + self._windows.nbytes + sum(array.nbytes for array in arrays)

    @property
    def floor(self) -> int:
        """All ticks before this one are packed or gone."""
        return self._floor

    def born(self, columns: Index) -> Ticks:
        """The first tick that is the columns' own: what is packed of earlier ones belonged to other series."""
        ticks: Ticks = self._born[columns].astype(np.int64) + self._first_tick
        return ticks

    # Room for sources and columns

    def open_slot(self) -> int:
        if self._free_slots:
            return self._free_slots.pop()
        slot = self._slots
        self._slots += 1
        if slot >= self.times.shape[1]:
            size = max(8, slot + slot // 2)
            times = np.full((self.rows, size), _NEVER)
            times[:, :slot] = self.times
            self.times = times
            self.last_tick = _grown(self.last_tick, size, _NO_TICK)
            self.last_at = _grown(self.last_at, size, _NEVER)
        return slot

    def close_slot(self, slot: int) -> None:
        self.times[:, slot] = _NEVER
        self.last_tick[slot] = _NO_TICK
        self.last_at[slot] = _NEVER
        self._free_slots.append(slot)
        self.forget_bounds()

    def reserve(self, wanted: int, owner: Owner, first: int) -> tuple[int, int]:
        """Neighbouring columns: see Columns.reserve."""
        if not self.columns.width:
            self._widen(self.columns.slab)
            self.columns.reserve(1, owner, SINK)  # nobody's
        start, size = self.columns.reserve(wanted, owner, first)
        self._widen(self.columns.width)
        return start, size

    def open_columns(self, columns: Index, slot: int | Index, tick: int, before: float) -> None:
        """Make columns ready for new series of that source.

        Args:
            tick: the first one that they have samples of.
            before: Unix seconds of the source's last poll without them.
        """
        used = self._born[columns] >= 0
        if used.any():
            self.cells.clear(columns[used])
        self.slot_of[columns] = slot
        self.reset_at[columns] = _NEVER
        self.gap_at[columns] = before
        self._born[columns] = max(tick - self._first_tick, 0)

    def close_columns(self, columns: Index) -> None:
        """Their series are given up."""
        self.slot_of[columns] = -1

    def are_live(self, columns: Index) -> Mask:
        """Whether the newest poll gave a sample."""
        ticks, slots = np.maximum(self.last_tick, self._floor), self.slot_of[columns].astype(np.intp)
        values = self.cells.each(ticks, slots, columns, self._floor)
        return (self.last_tick[slots] >= self._floor) & is_sample(values)

    def _widen(self, width: int) -> None:
        self.cells.extend(width)
        if width > len(self.slot_of):
            size = max(width, len(self.slot_of) * 17 // 16)
            self.slot_of = _grown(self.slot_of, size, -1)
            self.reset_at = _grown(self.reset_at, size, _NEVER)
            self.gap_at = _grown(self.gap_at, size, _NEVER)
            self._born = _grown(self._born, size, -1)

    # Writing

    def tick_at(self, at: float) -> int:
        return math.floor((at - self.origin) / self.interval)

    def begin(self, slot: int, tick: int, at: float) -> bool:
        """Open one tick of one source.

        Returns:
            False if the tick is too old to be written to.
        """
        if self.tick == self._floor == 0:
            self._start(tick)
        if tick < self._closed or tick <= self.tick - self.cells.rows:
            return False
        if tick > self.tick:
            self._advance(tick)
        self._pack_some()
        self.times[tick % self.rows, slot] = at
        self.last_tick[slot] = tick
        self.last_at[slot] = at
        self.forget_bounds()
        return True

    def store(self, tick: int, before: int | None, at: float, columns: Index, values: Floats) -> None:
        """One scatter; notes the resets and gaps that it sees.

        Args:
            before: the tick of the source's poll before this one; None: this is the first.
        """
        is_near = before is not None and before >= self._floor
        last = self.cells.put(tick, columns, values, before if is_near else None)
        if last is not None:
            fell = values < last
            if fell.any():
                self.reset_at[columns[fell]] = at
        elif before is not None:
            self.reset_at[columns] = at  # long ago: look at all samples
        self.writes.note(tick)
        held = is_sample(values)
        if not held.all():
            self.gap_at[columns[~held]] = at

    def shift(self, seconds: float) -> None:
        self.origin += seconds
        for array in (self.times, self.last_at, self.reset_at, self.gap_at):
            array += seconds
        self.forget_bounds()

    def _start(self, tick: int) -> None:
        self.tick = self._first_tick = tick
        oldest = tick - self.cells.rows
        if self.cells.stretch:
            oldest = (tick - self._recent) // self.cells.stretch * self.cells.stretch
        self._floor = self._closed = oldest
        self._first_tick = oldest

    def _advance(self, tick: int) -> None:
        passed = min(tick - self.tick, self.rows)
        self.times[np.arange(tick - passed + 1, tick + 1) % self.rows] = _NEVER
        stretch, rows = self.cells.stretch, self.cells.rows
        if not stretch:
            self._floor = max(self._floor, tick - rows + 1)
        while stretch and tick - rows >= self._floor:
            # The ring comes round: what is not packed now is lost.
            self._close_stretch()
            self._pack(len(self._to_pack))
            if self._floor > self.tick:
                self._floor = self._closed = (tick - self._recent) // stretch * stretch
        self.tick = tick
        if stretch and not self._to_pack and tick >= self._floor + stretch + self._recent:
            self._close_stretch()

    # Filling again, see past.py

    def resume(self, tick: int) -> int:
        """Begin with that one as the newest tick.

        Returns:
            the oldest tick there is room for.
        """
        self._start(tick)
        oldest = tick - self.rows + 1
        self._first_tick = min(oldest, self._floor)
        return oldest

    def resume_slot(self, slot: int, ticks: Ticks, times: Floats) -> None:
        """These were a source's polls."""
        if len(ticks):
            self.times[ticks % self.rows, slot] = times
            self.last_tick[slot], self.last_at[slot] = ticks[-1], times[-1]
        self.forget_bounds()

    def load(self, tick: int, cells: Floats) -> None:
        """[ticks from that one on, columns]: what was stored; either whole stretches, or plain ticks."""
        self.cells.load(tick, cells, self._floor)

    # Packing

    def _close_stretch(self) -> None:
        if self._closed == self._floor:
            self._closed = self._floor + self.cells.stretch
            self._to_pack = list(range(self.cells.slabs))
            if not self._to_pack:
                self._floor = self._closed

    def _pack_some(self) -> None:
        """A little of what is due, so that no poll waits for all of it."""
        if self._to_pack:
            polls = max(self._slots - len(self._free_slots), 1)
            self._pack(math.ceil(self.cells.slabs / polls))

    def _pack(self, count: int) -> None:
        stretch = self.cells.stretch
        for slab in self._to_pack[:count]:
            ticks = np.arange(self._floor, self._floor + stretch)
            columns = slice(slab * self.columns.slab, (slab + 1) * self.columns.slab)
            slots = self.slot_of[columns]
            polled = (self.times[ticks % self.rows] > _NEVER)[:, slots] & (slots >= 0)
            self.cells.pack(self._floor // stretch, slab, None if polled.all() else ~polled)
        del self._to_pack[:count]
        if not self._to_pack:
            self._floor = self._closed
            self.cells.drop((self.tick - self.rows) // stretch)

    def forget_bounds(self) -> None:
        """To be called after the times were changed from outside."""
        if self._bounds or self._ticks_at:
            self._bounds.clear()
            self._ticks_at.clear()

    # Reading

    def each(self, ticks: Ticks, slots: Index, columns: Index) -> Floats:
        """One cell a column, each at its source's tick: `ticks[slots]`."""
        cells = self.cells.each(ticks, slots, columns, self._floor)
        if len(ticks) and ticks.min() < self._floor:
            foreign = (ticks - self._first_tick)[slots] < self._born[columns]
            if foreign.any():
                cells.view(np.uint64)[foreign] = ABSENT_BITS
        return cells

    def matrix(self, ticks: Ticks, columns: Index) -> Floats:
        """[ticks, columns]: all cells of ascending ticks."""
        cells = self.cells.matrix(ticks, columns, self._floor)
        old = int(np.searchsorted(ticks, self._floor))
        if old:
            foreign = (ticks[:old] - self._first_tick)[:, None] < self._born[columns]
            if foreign.any():
                cells[:old].view(np.uint64)[foreign] = ABSENT_BITS
        return cells

    def neighbours(self, owner: object, low: int, high: int, columns: Index) -> Floats:
        """[ticks low … high, columns]: not to be written to, and good until the owner asks again.

        Args:
            owner: who asks for these columns again and again; what had to be unpacked is kept for it.
        """
        if low >= self._floor:
            return self.matrix(np.arange(low, high + 1), columns)
        window = self._windows.of(owner)
        return window.cells(low, high, len(columns), self, lambda ticks: self.matrix(ticks, columns))

    def ticks_at(self, at: float, lookback: float) -> tuple[Ticks, Mask]:
        """For each slot the tick of its newest poll in (at − lookback, at], and whether there is one."""
        key = (at, lookback)
        found = self._ticks_at.get(key)
        if found is None:
            ticks, last = self.last_tick, self.last_at
            late = last > at
            if late.any():
                ticks, last = ticks.copy(), last.copy()
                earlier = np.where(self.times[:, late] <= at, self.times[:, late], _NEVER)
                ticks[late] = self.ticks_of(earlier.argmax(axis=0))
                last[late] = earlier.max(axis=0)
            fresh = last > milliseconds(at - lookback)
            found = (np.where(fresh, ticks, self.tick), fresh)
            _remember(self._ticks_at, key, found)
        return found

    def bounds(self, start: float, end: float) -> Bounds:
        """The polls in (start, end]."""
        key = (start, end)
        found = self._bounds.get(key)
        if found is None:
            # A poll's tick is at most this far from where its instant lies: see Feed.begin.
            high = max(min(self.tick_at(end) + 3, self.tick), self.tick - self.rows + 1)
            low = min(max(self.tick_at(start) - 1, self.tick - self.rows + 1), high)
            found = bounds_of(
                neighbouring(self.times[:, : self._slots], low, high), low, self.tick, start, end
            )
            _remember(self._bounds, key, found)
        return found

    def ticks_of(self, rows: Index) -> Ticks:
        """The ticks that these rows of the times stand for."""
        ticks: Ticks = self.tick - (self.tick - rows) % self.rows
        return ticks


def _remember(cache: dict[_K, _V], key: _K, value: _V) -> None:
    if len(cache) >= 64:
        cache.clear()
    cache[key] = value


def _grown(array: NDArray[Any], size: int, fill: float) -> NDArray[Any]:
    grown = np.full(size, fill, array.dtype)
    grown[: len(array)] = array
    return grown
