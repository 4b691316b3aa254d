"""Samples of some series over some time in one matrix, looked at from many instants at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from sentinel.model.batch import ABSENT_BITS, Floats
from sentinel.series.columns.pool import Index, Mask, is_sample
from sentinel.series.index.selection import Samples

_NEVER: Final = -np.inf
_EXACT: Final = 2.0**53
"""Whole numbers up to this add up exactly."""


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """Windows over the polls of each slot: polls first, …, end − 1, for each window a row."""

    first: Index
    """[window, slot]"""
    end: Index


class Cut:
    """`cells[k, series]` is what the k-th poll of the series' slot gave, k < polls[slot].

    Cells may hold staleness markers and nothing, which end a series for instant selectors; `clean` has none.
    """

    def __init__(self, cells: Floats, times: Floats, polls: Index, slots: Index) -> None:
        """
        Args:
            times: [slot, k], ascending, +Inf where k ≥ polls[slot].
        """
        self.cells = cells
        self.times = times
        self.polls = polls
        self.slots = slots

    @classmethod
    def of_polls(cls, cells: Floats, times: Floats, slots: Index) -> Cut:
        """
        Args:
            times: [k, slot], −Inf where the slot's source was not polled; ascending otherwise.
        """
        polled = times > _NEVER
        polls = polled.sum(axis=0)
        if polled.all():
            return cls(cells, np.ascontiguousarray(times.T), polls, slots)
        order = np.argsort(~polled, axis=0, kind="stable")[: int(polls.max(initial=0))]
        packed = np.take_along_axis(times, order, 0)
        packed[np.arange(len(order))[:, None] >= polls] = np.inf
        return cls(_moved(cells, order, slots), np.ascontiguousarray(packed.T), polls, slots)

    @classmethod
    def of_samples(cls, samples: Samples) -> Cut:
        """Packed samples; their slots, or one for each series."""
        slots = samples.slots if samples.slots is not None else np.arange(len(samples.count))
        polls = np.zeros(samples.stamps.shape[1], np.intp)
        polls[slots] = samples.count
        stamps = np.where(np.arange(len(samples.stamps))[:, None] < polls, samples.stamps, np.inf)
        return cls(samples.values, np.ascontiguousarray(stamps.T), polls, slots)

    @classmethod
    def of_grid(cls, values: Floats, present: Mask, times: Floats) -> Cut:
        """Values at times that all series share, where present."""
        cells = values.copy()
        cells.view(np.uint64)[~present] = ABSENT_BITS
        return cls.of_polls(cells, np.asarray(times)[:, None], np.zeros(values.shape[1], np.intp))

    @property
    def series(self) -> int:
        return len(self.slots)

    # Instants

    def newest(self, ats: Floats) -> Index:
        """[instant, slot]: the newest poll at or before the instant; −1: none."""
        return self._polls_until(ats) - 1

    def instant(self, ats: Floats, since: Floats) -> tuple[Floats, Mask, Index]:
        """The newest sample of each series in (since, at] for each instant, whether there is one that has not
        ended, and which poll of the slot it is.

        Returns:
            [instant, series], [instant, series], [instant, slot].
        """
        rows = self.newest(ats)
        if not len(self.cells):
            nothing = np.zeros((len(ats), self.series), np.bool_)
            return np.full(nothing.shape, np.nan), nothing, rows
        rows = np.maximum(rows, 0)
        stamps = self.slot_stamps(rows)
        fresh = (stamps > since[:, None]) & (stamps <= ats[:, None])
        values = self.at(rows)
        present = is_sample(values)
        if not fresh.all():
            present &= fresh[:, self.slots]
        return values, present, rows

    def at(self, rows: Index) -> Floats:
        """[window, series]: the cells of polls given as [window, slot]."""
        if not rows.shape[1]:
            return np.empty((len(rows), 0))
        first = rows[:, 0]
        if (rows == first[:, None]).all():
            whole: Floats = self.cells.take(first, axis=0)
            return whole
        places = rows[:, self.slots] * self.series + np.arange(self.series)
        cells: Floats = np.ascontiguousarray(self.cells).ravel().take(places)
        return cells

    def stamps(self, rows: Index) -> Floats:
        """[window, series]: the times of polls given as [window, slot]."""
        return self.slot_stamps(rows)[:, self.slots]

    def slot_stamps(self, rows: Index) -> Floats:
        """[window, slot]: the same of the slots themselves."""
        stamps: Floats = self.times[np.arange(len(self.polls)), rows]
        return stamps

    def _polls_until(self, ats: Floats) -> Index:
        """[instant, slot]: how many polls there were up to the instant."""
        if len(ats) == 1:
            once: Index = (self.times <= ats[0]).sum(axis=1)[None, :]
            return once
        found = np.empty((len(self.times), len(ats)), np.intp)
        for slot, times in enumerate(self.times):
            found[slot] = times.searchsorted(ats, side="right")
        return np.ascontiguousarray(found.T)

    # Windows

    @cached_property
    def clean(self) -> Cut:
        """Only the samples: without markers and empty cells."""
        within = np.arange(len(self.cells))[:, None] < self.polls
        held = is_sample(self.cells)
        if held.all():
            return self
        missing = ~held if within.all() else ~held & within[:, self.slots]
        marked = np.flatnonzero(missing.any(axis=0))
        if not len(marked):
            return self
        # Series with gaps get times of their own.
        kept = held[:, marked] & (within[:, self.slots[marked]])
        order = np.argsort(~kept, axis=0, kind="stable")
        polls = kept.sum(axis=0)
        cells, slots = self.cells.copy(), self.slots.copy()
        cells[:, marked] = np.take_along_axis(self.cells[:, marked], order, 0)
        times = np.take_along_axis(self.times[self.slots[marked]], order.T, 1)
        times[np.arange(times.shape[1]) >= polls[:, None]] = np.inf
        slots[marked] = len(self.times) + np.arange(len(marked))
        return Cut(cells, np.concatenate([self.times, times]), np.concatenate([self.polls, polls]), slots)

    def look(self, starts: Floats, ends: Floats) -> Look:
        """The polls in (start, end] of each window."""
        return Look(self._polls_until(starts), self._polls_until(ends))

    def count(self, look: Look) -> Index:
        """[window, series]: how many samples."""
        return (look.end - look.first)[:, self.slots]

    def window(self, look: Look, number: int) -> Samples:
        """The samples of one window; `clean` cuts only."""
        first, end = look.first[number], look.end[number]
        count = end - first
        occupied = count > 0
        low = int(first[occupied].min(initial=len(self.cells)))
        high = int(end[occupied].max(initial=low))
        cells, stamps = self.cells[low:high], self.times[:, low:high].T
        if not (first[occupied] == low).all():
            shifts = np.where(occupied, first - low, 0)
            rows = int(count.max(initial=0))
            cells = _shifted(cells, shifts[self.slots], rows)
            stamps = _shifted(stamps, shifts, rows)
        return Samples(cells, count[self.slots], stamps, self.slots)

    def windows(self, look: Look, numbers: Sequence[int]) -> Samples:
        """Several windows side by side: the series of the first, then those of the second, and so on."""
        parts = [self.window(look, number) for number in numbers]
        if len(parts) == 1:
            return parts[0]
        rows = max(len(part.values) for part in parts)
        values = np.full((rows, len(parts), self.series), np.nan)
        stamps = np.full((rows, len(parts), len(self.polls)), np.nan)
        for place, part in enumerate(parts):
            values[: len(part.values), place], stamps[: len(part.stamps), place] = part.values, part.stamps
        slots = (np.arange(len(parts))[:, None] * len(self.polls) + self.slots).ravel()
        count = np.concatenate([part.count for part in parts])
        return Samples(values.reshape(rows, -1), count, stamps.reshape(rows, -1), slots)

    @cached_property
    def falls(self) -> tuple[Index, Floats]:
        """Which series are counters that fell, and [k, those] what they stood at where they fell with sample k, 0
        elsewhere."""
        fell = self.cells[1:] < self.cells[:-1]
        falling = np.flatnonzero(fell.any(axis=0))
        fell, cells = fell[:, falling], self.cells[:, falling]
        fell &= np.arange(1, len(self.cells))[:, None] < self.polls[self.slots[falling]]
        falls = np.zeros(cells.shape)
        np.copyto(falls[1:], cells[:-1], where=fell)
        held = falls.any(axis=0)
        return (falling, falls) if held.all() else (falling[held], falls[:, held])

    def fallen(self, look: Look) -> tuple[Index, Floats]:
        """Which series are counters that started anew, and [window, those] what they lost by that inside the
        window."""
        falling, falls = self.falls
        lost = np.zeros((len(look.first), len(falling)))
        if not len(falling):
            return falling, lost
        sums = np.cumsum(falls, axis=0)
        # Differences of running sums are exact for whole numbers alone.
        whole = (falls == np.rint(falls)).all(axis=0) & (np.abs(sums[-1]) < _EXACT)
        slots = self.slots[falling]
        lost[:, whole] = self._by_sums(look, slots[whole], sums[:, whole])
        lost[:, ~whole] = self._one_by_one(look, slots[~whole], falls[:, ~whole])
        return falling, lost

    def _by_sums(self, look: Look, slots: Index, sums: Floats) -> Floats:
        columns = np.arange(len(slots))
        first = np.minimum(look.first[:, slots], len(sums) - 1)
        last = np.maximum(look.end[:, slots] - 1, first)
        lost: Floats = sums[last, columns] - sums[first, columns]
        return lost

    def _one_by_one(self, look: Look, slots: Index, falls: Floats) -> Floats:
        lost = np.zeros((len(look.first), len(slots)))
        if not len(slots):
            return lost
        for number, (first, end) in enumerate(zip(look.first[:, slots], look.end[:, slots], strict=True)):
            low, high = int(first.min()) + 1, int(end.max())
            if low < high:
                part, rows = falls[low:high], np.arange(low, high)[:, None]
                lost[number] = np.where((rows > first) & (rows < end), part, 0.0).sum(axis=0)
        return lost


def _moved(cells: Floats, order: Index, slots: Index) -> Floats:
    """The rows of each slot's columns in that order: [k, slot] → row."""
    moved = np.empty((len(order), cells.shape[1]))
    straight = np.flatnonzero((order == np.arange(len(order))[:, None]).all(axis=0)[slots])
    moved[:, straight] = cells[: len(order), straight]
    crooked = np.setdiff1d(np.arange(len(slots)), straight)
    if len(crooked):
        moved[:, crooked] = cells[order[:, slots[crooked]], crooked]
    return moved


def _shifted(cells: Floats, shifts: Index, count: int) -> Floats:
    """Each column moved up by its shift: whole rows are copied, which is cheaper than picking cells."""
    moved = np.full((count, cells.shape[1]), np.nan)
    different = np.unique(shifts).tolist()
    if len(different) > 8:
        rows = np.minimum(np.arange(count)[:, None] + shifts, len(cells) - 1)
        return np.ascontiguousarray(cells[rows, np.arange(cells.shape[1])])
    for shift in different:
        part = cells[shift : shift + count]
        np.copyto(moved[: len(part)], part, where=True if len(different) == 1 else shifts == shift)
    return moved
