"""Puts the samples of many windows together: one matrix for sources that are polled at one interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sentinel.model.batch import ABSENT_BITS, Floats
from sentinel.model.labels import Labels
from sentinel.series.history.encoding import Stamps
from sentinel.series.history.shape import Index
from sentinel.series.index.selection import Samples
from sentinel.series.reading.archive import Archived

_NEVER: Final = -(1 << 62)

GiverKey = tuple[str, str, float]


class Assembly:
    """Windows are put in the order in which they were written; a slot is a source."""

    def __init__(self, labels: Sequence[Labels], slots: Index, count: int, rows: int) -> None:
        """
        Args:
            labels: of the columns.
            slots: of the columns.
            count: how many slots.
            rows: polls of a source to make room for.
        """
        self._labels = labels
        self._slots = slots
        self._values = np.empty((rows, len(slots)))
        self._stamps = np.zeros((rows, count), np.int64)
        self._used = np.zeros(count, np.intp)
        """[slot] rows that have a poll."""
        self._first = np.zeros(count, np.intp)
        self._polls = np.zeros(count, np.intp)
        """[slot] the rows of the window that is being put."""
        self._newest = np.full(count, _NEVER, np.int64)
        self._is_back = np.zeros(count, np.bool_)
        """[slot] the clock was set back in between."""
        self._has_holes = np.zeros(len(slots), np.bool_)
        self._covered = np.zeros(len(slots), np.bool_)
        self._placed = np.zeros(count, np.bool_)

    def begin(self) -> None:
        """A window begins."""
        self._polls[:] = 0
        self._covered[:] = False
        self._placed[:] = False

    def place(self, slots: Index, stamps: Stamps, counts: Index) -> None:
        """When sources were polled in this window; what is known of a source already stays.

        Args:
            slots: each once.
            stamps: [poll, slot] milliseconds, ascending.
            counts: polls of each.
        """
        new = ~self._placed[slots]
        if not new.all():
            slots, stamps, counts = slots[new], stamps[:, new], counts[new]
        if not len(slots):
            return
        self._placed[slots] = True
        self._first[slots], self._polls[slots] = self._used[slots], counts
        self._used[slots] += counts
        self._grow(int(self._used[slots].max()))
        for first, count, same in _alike(self._first[slots], counts):
            self._stamps[first : first + count, slots[same]] = stamps[:count, same]
        some = counts > 0
        slots, stamps, counts = slots[some], stamps[:, some], counts[some]
        if len(slots):
            self._is_back[slots] |= stamps[0] <= self._newest[slots]
            self._newest[slots] = stamps[counts - 1, np.arange(len(slots))]

    def put(self, columns: Index, values: Floats, skip: Index, *, has_holes: bool) -> None:
        """Samples of some columns, whose sources have been placed.

        Args:
            values: [poll, column]
            skip: rows of the values to leave out at the start of each column.
        """
        slots = self._slots[columns]
        self._covered[columns] = True
        for key, same in _groups(self._first[slots], self._polls[slots], skip):
            first, count, left = key
            part = values[left : left + count]
            part = part if len(same) == values.shape[1] else part[:, same]
            self._copy(first, count, columns[same], part)
        if has_holes:
            self._has_holes[columns] |= (values.view(np.uint64) == ABSENT_BITS).any(axis=0)

    def end(self) -> None:
        """The window is done: series without samples in it have none although their sources were polled."""
        missing = np.flatnonzero(~self._covered & (self._polls[self._slots] > 0))
        if not len(missing):
            return
        self._has_holes[missing] = True
        slots = self._slots[missing]
        for first, count, same in _alike(self._first[slots], self._polls[slots]):
            cells = np.empty((count, len(same)))
            cells.view(np.uint64)[...] = ABSENT_BITS
            self._copy(first, count, missing[same], cells)

    def result(self) -> Archived | None:
        """What has been put; None: nothing."""
        rows = int(self._used.max(initial=0))
        if not rows or not len(self._slots):
            return None
        values, stamps = self._values[:rows], self._stamps[:rows] / 1000
        slots, count = self._slots, self._used[self._slots]
        odd = np.flatnonzero(self._has_holes | self._is_back[slots])
        if len(odd):
            values, stamps, slots, count = self._compressed(values, stamps, odd)
        samples = Samples(values, count, stamps, slots)
        if len(set(self._labels)) < len(self._labels):
            return _merged(self._labels, samples)
        return Archived(self._labels, samples)

    def _copy(self, first: int, count: int, columns: Index, values: Floats) -> None:
        run = int(columns[-1]) - int(columns[0]) + 1
        if run == len(columns) and (np.diff(columns) == 1).all():
            self._values[first : first + count, columns[0] : columns[0] + run] = values
        else:
            self._values[first : first + count, columns] = values

    def _grow(self, rows: int) -> None:
        if rows > len(self._values):
            more = rows + rows // 2 - len(self._values)
            self._values = np.concatenate([self._values, np.empty((more, self._values.shape[1]))])
            self._stamps = np.concatenate([self._stamps, np.zeros((more, self._stamps.shape[1]), np.int64)])

    def _compressed(self, values: Floats, stamps: Floats, odd: Index) -> tuple[Floats, Floats, Index, Index]:
        """With the samples of some columns moved together; each of these gets instants of its own."""
        slots, count = self._slots.copy(), self._used[self._slots]
        cells, times = values[:, odd], stamps[:, slots[odd]]
        held = (np.arange(len(values))[:, None] < count[odd]) & (cells.view(np.uint64) != ABSENT_BITS)
        back = np.flatnonzero(self._is_back[slots[odd]])
        if len(back):
            held[:, back] &= _kept(times[:, back], held[:, back])
        order = np.argsort(~held, axis=0, kind="stable")
        values[:, odd] = np.take_along_axis(cells, order, 0)
        count[odd] = held.sum(axis=0)
        slots[odd] = stamps.shape[1] + np.arange(len(odd))
        return values, np.concatenate([stamps, np.take_along_axis(times, order, 0)], axis=1), slots, count


def _kept(times: Floats, held: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Samples older than all that were written after them: what was written last under an instant counts."""
    later = np.where(held, times, np.inf)
    later = np.minimum.accumulate(later[::-1], axis=0)[::-1]
    after = np.concatenate([later[1:], np.full((1, times.shape[1]), np.inf)])
    kept: NDArray[np.bool_] = times < after
    return kept


def _alike(first: Index, count: Index) -> list[tuple[int, int, Index]]:
    return [(key[0], key[1], same) for key, same in _groups(first, count, np.zeros_like(first))]


def _groups(one: Index, two: Index, three: Index) -> list[tuple[tuple[int, int, int], Index]]:
    """Which places have the same three numbers."""
    if not len(one):
        return []
    everything = np.arange(len(one))
    if (one == one[0]).all() and (two == two[0]).all() and (three == three[0]).all():
        return [((int(one[0]), int(two[0]), int(three[0])), everything)]
    keys = np.stack([one, two, three], axis=1)
    distinct, which = np.unique(keys, axis=0, return_inverse=True)
    return [
        ((int(key[0]), int(key[1]), int(key[2])), everything[which.ravel() == number])
        for number, key in enumerate(distinct)
    ]


def _merged(labels: Sequence[Labels], samples: Samples) -> Archived:
    """Series that moved from one source to another become one."""
    columns: dict[Labels, list[int]] = {}
    for column, one in enumerate(labels):
        columns.setdefault(one, []).append(column)
    times, count = samples.times, samples.count
    parts = []
    for same in columns.values():
        at = np.concatenate([times[: count[column], column] for column in same])
        values = np.concatenate([samples.values[: count[column], column] for column in same])
        if len(same) > 1:
            order = np.argsort(at, kind="stable")
            at, values = at[order], values[order]
            last = np.append(np.diff(at) > 0, True)
            at, values = at[last], values[last]
        parts.append((at, values))
    rows = max(len(at) for at, _ in parts)
    cells, stamps = np.zeros((rows, len(parts))), np.zeros((rows, len(parts)))
    for column, (at, values) in enumerate(parts):
        stamps[: len(at), column], cells[: len(at), column] = at, values
    counts = np.array([len(at) for at, _ in parts], np.intp)
    return Archived(list(columns), Samples(cells, counts, stamps))
