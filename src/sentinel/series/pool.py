"""Columns of the samples of all sources that are polled at one interval."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from sentinel.model.batch import ABSENT_BITS, STALE_BITS, Floats

Index = NDArray[np.intp]
Mask = NDArray[np.bool_]
Pairs = tuple[tuple[str, int], ...]
"""Label names with the codes of their values, sorted by name: the identity of a series within its metric."""

_K = TypeVar("_K")
_V = TypeVar("_V")

SPARE_ROWS: Final = 3
_NEVER: Final = -math.inf


def milliseconds(at: float) -> float:
    """The instant to the millisecond, so that bounds computed from it compare exactly."""
    return round(at * 1000) / 1000


def is_sample(values: Floats) -> Mask:
    """Where the cells hold a value (NaN included), not a staleness marker or nothing."""
    held: Mask = (values.view(np.uint64) - np.uint64(STALE_BITS)) > np.uint64(ABSENT_BITS - STALE_BITS)
    return held


@dataclass(frozen=True, slots=True)
class Bounds:
    """The polls of each source (one entry a slot) inside a window."""

    count: Index
    first_row: Index
    last_row: Index
    first: Floats
    last: Floats
    inside: Mask
    """[rows, slots]"""


class Pool:
    """V[row, column] holds samples, TS[row, slot] the instant at which that row's source was polled.

    Row = tick mod rows. A tick is one interval of one source: each source counts its own polls, starting from
    the common origin, so a poll that is a little early or late does not collide with its neighbour. A cell
    counts only while its source's TS is set, so a skipped poll costs nothing but clearing that one instant.
    """

    def __init__(self, interval: float, retention: float) -> None:
        """Both in seconds."""
        self.interval = interval
        self.rows = math.ceil(retention / interval) + SPARE_ROWS
        self.tick = 0
        """The newest tick of any source."""
        self.origin = 0.0
        self.width = 1
        """Columns handed out; column 0 takes what nobody wants any more."""
        self.column_of = np.zeros(0, np.intp)
        """[series id] its column; 0 once the series has been given up."""
        self.moves = 0
        """How often series have changed columns."""
        self.values = np.empty((self.rows, 0))
        self.times = np.full((self.rows, 0), _NEVER)
        self.slot_of = np.empty(0, np.int32)
        """[column]"""
        self.latest = np.empty(0)
        """[column] the newest value, for telling resets."""
        self.reset_at = np.empty(0)
        """[column] Unix seconds of the newest fall of the value."""
        self.gap_at = np.empty(0)
        """[column] Unix seconds of the newest poll of its source in which the column had no value."""
        self.last_row = np.empty(0, np.intp)
        """[slot]"""
        self.last_at = np.empty(0)
        """[slot] Unix seconds of the newest poll."""
        self._is_used = np.empty(0, np.bool_)
        """[column] has held samples since it was made."""
        self._free_slots: list[int] = []
        self._slots = 0
        self._bounds: dict[tuple[float, float], Bounds] = {}
        self._rows_at: dict[tuple[float, float], tuple[Index, Mask]] = {}
        self._holes: list[tuple[int, int]] = []
        self._series: list[tuple[str, Pairs] | None] = []
        self._free_ids: list[int] = []
        self._widen(16)

    @property
    def nbytes(self) -> int:
        arrays = (self.values, self.times, self.slot_of, self.latest, self.reset_at, self.gap_at)
        return sum(array.nbytes for array in arrays)

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
            self.last_row = _grown(self.last_row, size, -1)
            self.last_at = _grown(self.last_at, size, _NEVER)
        return slot

    def close_slot(self, slot: int) -> None:
        self.times[:, slot] = _NEVER
        self.last_row[slot] = -1
        self.last_at[slot] = _NEVER
        self._free_slots.append(slot)
        self._forget_bounds()

    def open_id(self, name: str, pairs: Pairs) -> int:
        """A number for a series that stays when its column moves."""
        if self._free_ids:
            series_id = self._free_ids.pop()
            self._series[series_id] = (name, pairs)
            return series_id
        self._series.append((name, pairs))
        return len(self._series) - 1

    def close_id(self, series_id: int) -> None:
        """The series has lost its column; whoever still writes to it writes to column 0."""
        self.column_of[series_id] = 0
        self._series[series_id] = None
        self.moves += 1

    def free_id(self, series_id: int) -> None:
        """Nobody writes to the series any more: its number may be used again."""
        self._free_ids.append(series_id)

    def series(self, series_id: int) -> tuple[str, Pairs] | None:
        return self._series[series_id]

    def place(self, ids: NDArray[np.int64] | int, columns: Index | int) -> None:
        if len(self._series) > len(self.column_of):
            self.column_of = _grown(self.column_of, max(64, len(self._series) * 3 // 2), 0)
        self.column_of[ids] = columns
        self.moves += 1

    def is_live(self, column: int) -> bool:
        """Its newest poll gave a sample."""
        row = self.last_row[self.slot_of[column]]
        return bool(row >= 0 and is_sample(self.values[row, column : column + 1])[0])

    def recode(self, translation: NDArray[np.int32]) -> None:
        """Take over new label codes: `translation[old] = new`."""
        numbers = translation.tolist()
        self._series = [
            (held[0], tuple((name, numbers[code]) for name, code in held[1])) if held is not None else None
            for held in self._series
        ]

    def reserve(self, size: int) -> int:
        """The first of that many neighbouring columns, all empty."""
        for position, (start, room) in enumerate(self._holes):
            if room >= size:
                if room == size:
                    del self._holes[position]
                else:
                    self._holes[position] = (start + size, room - size)
                return start
        start = self.width
        self.width += size
        if self.width > self.values.shape[1]:
            self._widen(max(self.width, self.values.shape[1] * 5 // 4, 64))
        return start

    def release(self, start: int, size: int) -> None:
        """Give neighbouring columns back."""
        holes: list[tuple[int, int]] = []
        for hole in sorted([*self._holes, (start, size)]):
            if holes and holes[-1][0] + holes[-1][1] == hole[0]:
                holes[-1] = (holes[-1][0], holes[-1][1] + hole[1])
            else:
                holes.append(hole)
        if holes[-1][0] + holes[-1][1] == self.width:
            self.width = holes.pop()[0]
        self._holes = holes

    def move(self, old: slice, new: slice) -> None:
        self.values[:, new] = self.values[:, old]
        for array in (self.slot_of, self.latest, self.reset_at, self.gap_at):
            array[new] = array[old]
        self._is_used[new] = True

    def clear(self, column: int, slot: int, before: float) -> None:
        """Make the column ready for a series of that source, whose last poll without it was at that instant."""
        if self._is_used[column]:
            self.values[:, column].view(np.uint64)[...] = ABSENT_BITS
        self._is_used[column] = True
        self.slot_of[column] = slot
        self.latest[column] = math.nan
        self.reset_at[column] = _NEVER
        self.gap_at[column] = before

    def _widen(self, size: int) -> None:
        values = np.empty((self.rows, size))
        old = self.values.shape[1]
        values[:, :old] = self.values
        values.view(np.uint64)[:, old:] = ABSENT_BITS
        self.values = values
        self._is_used = _grown(self._is_used, size, False)
        self.slot_of = _grown(self.slot_of, size, 0)
        self.latest = _grown(self.latest, size, math.nan)
        self.reset_at = _grown(self.reset_at, size, _NEVER)
        self.gap_at = _grown(self.gap_at, size, _NEVER)

    # Writing

    def tick_at(self, at: float) -> int:
        return math.floor((at - self.origin) / self.interval)

    def begin(self, slot: int, tick: int, at: float) -> int:
        """Open the row of one poll of one source.

        Returns:
            the row, or -1 if the tick has left the window already.
        """
        if tick <= self.tick - self.rows:
            return -1
        if tick > self.tick:
            passed = min(tick - self.tick, self.rows)
            self.times[np.arange(tick - passed + 1, tick + 1) % self.rows] = _NEVER
            self.tick = tick
        row = tick % self.rows
        self.times[row, slot] = at
        self.last_row[slot] = row
        self.last_at[slot] = at
        self._forget_bounds()
        return row

    def store(self, row: int, at: float, columns: Index, values: Floats) -> None:
        """One scatter; notes the resets and gaps that it sees."""
        self.values[row, columns] = values
        before = self.latest[columns]
        fell = values < before
        if fell.any():
            self.reset_at[columns[fell]] = at
        held = is_sample(values)
        if held.all():
            self.latest[columns] = values
        else:
            self.gap_at[columns[~held]] = at
            self.latest[columns] = np.where(held, values, before)

    def shift(self, seconds: float) -> None:
        self.origin += seconds
        for array in (self.times, self.last_at, self.reset_at, self.gap_at):
            array += seconds
        self._forget_bounds()

    def _forget_bounds(self) -> None:
        if self._bounds or self._rows_at:
            self._bounds.clear()
            self._rows_at.clear()

    # Reading

    def rows_at(self, at: float, lookback: float) -> tuple[Index, Mask]:
        """For each slot the row of its newest poll in (at − lookback, at], and whether there is one."""
        key = (at, lookback)
        found = self._rows_at.get(key)
        if found is None:
            rows, last = self.last_row, self.last_at
            late = last > at
            if late.any():
                rows, last = rows.copy(), last.copy()
                earlier = np.where(self.times[:, late] <= at, self.times[:, late], _NEVER)
                rows[late] = earlier.argmax(axis=0)
                last[late] = earlier.max(axis=0)
            found = (rows.copy(), last > milliseconds(at - lookback))
            _remember(self._rows_at, key, found)
        return found

    def bounds(self, start: float, end: float) -> Bounds:
        """The polls in (start, end]."""
        key = (start, end)
        found = self._bounds.get(key)
        if found is None:
            inside = (self.times > start) & (self.times <= end)
            first = np.where(inside, self.times, math.inf)
            last = np.where(inside, self.times, _NEVER)
            first_row, last_row = first.argmin(axis=0), last.argmax(axis=0)
            slots = np.arange(self.times.shape[1])
            found = Bounds(
                inside.sum(axis=0),
                first_row,
                last_row,
                first[first_row, slots],
                last[last_row, slots],
                inside,
            )
            _remember(self._bounds, key, found)
        return found

    def order(self, inside: Mask) -> Index:
        """Rows with a poll inside the window, oldest first."""
        rows = np.flatnonzero(inside.any(axis=1))
        return rows[np.argsort((rows - self.tick - 1) % self.rows)]


def _remember(cache: dict[_K, _V], key: _K, value: _V) -> None:
    if len(cache) >= 64:
        cache.clear()
    cache[key] = value


def _grown(array: NDArray[Any], size: int, fill: float) -> NDArray[Any]:
    grown = np.full(size, fill, array.dtype)
    grown[: len(array)] = array
    return grown
