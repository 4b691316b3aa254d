"""Series picked by matchers, and the samples they hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sentinel.model.batch import Floats
from sentinel.series.columns.band import Band
from sentinel.series.columns.bounds import Bounds
from sentinel.series.columns.cells import Ticks
from sentinel.series.columns.pool import Index, Mask, Pool, is_sample, milliseconds
from sentinel.series.index.table import LabelTable

_BAND_CELLS: Final = 1 << 22
"""Cells of a window that is looked at in one piece, at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Samples of a number of series in a window, oldest first.

    `values[k, i]` and `times[k, i]` (Unix seconds) are the k-th sample of series i for k < count[i]; beyond that
    they mean nothing.
    """

    values: Floats
    count: Index
    stamps: Floats
    """Times, as [k, slot] where `slots` is given: series of one source share them."""
    slots: Index | None = None

    @classmethod
    def packed(cls, values: Floats, times: Floats, held: Mask) -> Samples:
        """From a matrix with holes."""
        count = held.sum(axis=0)
        if held.all():
            return cls(values, count, times)
        order = np.argsort(~held, axis=0, kind="stable")[: int(count.max(initial=0))]
        return cls(np.take_along_axis(values, order, 0), count, np.take_along_axis(times, order, 0))

    @property
    def times(self) -> Floats:
        return self.stamps if self.slots is None else self.stamps[:, self.slots]

    @property
    def is_full(self) -> bool:
        """Every cell means something."""
        return bool((self.count == len(self.values)).all())

    @property
    def held(self) -> Mask:
        """Which cells mean something."""
        held: Mask = np.arange(len(self.values))[:, None] < self.count
        return held

    def last(self) -> tuple[Floats, Floats]:
        """Value and time of each series' newest sample; series need at least one."""
        row, series = self.count - 1, np.arange(len(self.count))
        return self.values[row, series], self.stamps[row, series if self.slots is None else self.slots]

    def only(self, chosen: Mask) -> Samples:
        if self.slots is None:
            return Samples(self.values[:, chosen], self.count[chosen], self.stamps[:, chosen])
        return Samples(self.values[:, chosen], self.count[chosen], self.stamps, self.slots[chosen])


@dataclass(frozen=True, slots=True, eq=False)
class Ends:
    """First and last sample of each series in a window, where every poll in between gave one."""

    count: Index
    first: Floats
    last: Floats
    first_at: Floats
    last_at: Floats
    is_exact: Mask
    """False where the series has gaps or resets in the window: look at all of its samples."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Piece:
    """Columns of one pool."""

    pool: Pool[Any]
    columns: Index
    slots: Index

    @classmethod
    def of(cls, pool: Pool[Any], columns: Index) -> Piece:
        return cls(pool, columns, pool.slot_of[columns].astype(np.intp))

    def instant(self, at: float, lookback: float) -> tuple[Floats, Mask]:
        ticks, fresh = self.pool.ticks_at(at, lookback)
        values = self.pool.each(ticks, self.slots, self.columns)
        return values, fresh[self.slots] & is_sample(values)

    def instants(self, at: float, lookback: float) -> Floats:
        ticks, _ = self.pool.ticks_at(at, lookback)
        return self.pool.times[ticks % self.pool.rows, np.arange(len(ticks))][self.slots]

    def ends(self, start: float, end: float) -> Ends:
        bounds = self.pool.bounds(start, end)
        slots = self.slots
        gap_at, reset_at = self.pool.gap_at[self.columns], self.pool.reset_at[self.columns]
        return Ends(
            bounds.count[slots],
            self.pool.each(bounds.first_tick, slots, self.columns),
            self.pool.each(bounds.last_tick, slots, self.columns),
            bounds.first[slots],
            bounds.last[slots],
            (gap_at <= start) & (reset_at <= start),
        )

    def band(self, start: float, end: float) -> Band | None:
        """The window (start, end] as it lies in the pool; None where too much of it would have to be moved."""
        bounds = self.pool.bounds(start, end)
        if not 0 < len(bounds.ticks) * len(self.columns) <= _BAND_CELLS:
            return None
        is_polled = bounds.count > 0
        low = bounds.ticks[0]
        firsts = np.where(is_polled, bounds.first_tick - low, 0)
        lasts = np.where(is_polled, bounds.last_tick - low, -1)
        first, last, polled = firsts[self.slots], lasts[self.slots], is_polled[self.slots]
        if not polled.any() or not (bounds.is_whole | ~is_polled)[self.slots].all():
            return None
        begin, stop = int(first.max()), int(last[polled].min()) + 1
        gaps = (self.pool.gap_at[self.columns] > start) | ~polled
        if (
            stop <= begin
            or 4 * (stop - begin) < 3 * len(bounds.ticks) - 8
            or 2 * np.count_nonzero(gaps) > len(gaps)
        ):
            return None
        values = self.pool.neighbours(self, int(low), int(bounds.ticks[-1]), self.columns)
        return Band(values, bounds.times, bounds.inside, self.slots, firsts, lasts, begin, stop, gaps)

    def samples(self, start: float, end: float) -> Samples:
        """All samples in (start, end]."""
        bounds = self.pool.bounds(start, end)
        rows = np.flatnonzero(bounds.inside.any(axis=1))
        inside, ticks, times = bounds.inside[rows], bounds.ticks[rows], bounds.times[rows]
        cells = self.pool.matrix(ticks, self.columns)
        count = bounds.count[self.slots]
        if not inside[:, bounds.count > 0].all():
            # Sources with different polls in the window: pack by source, which are few, not by series.
            order = np.argsort(~inside, axis=0, kind="stable")[: int(bounds.count.max(initial=0))]
            shifts = _shifts(bounds, ticks)
            if shifts is None:
                cells = cells[order[:, self.slots], np.arange(len(self.columns))]
            else:
                cells = _shifted(cells, shifts[self.slots], len(order))
            times = np.take_along_axis(times, order, 0)
        samples = Samples(cells, count, times, self.slots)
        gaps = self.pool.gap_at[self.columns] > start
        if gaps.any() and len(cells):
            return _without_gaps(samples, gaps)
        return samples

    def only(self, chosen: Mask) -> Piece:
        return Piece(self.pool, self.columns[chosen], self.slots[chosen])


def _shifts(bounds: Bounds, ticks: Ticks) -> Ticks | None:
    """How many ticks after the window's first one each source's polls start; None where one missed some between."""
    polled = bounds.count > 0
    if len(ticks) != ticks[-1] - ticks[0] + 1 or not bounds.is_whole[polled].all():
        return None
    return np.where(polled, bounds.first_tick - ticks[0], 0)


def _shifted(cells: Floats, shifts: Ticks, count: int) -> Floats:
    """Each column moved up by its shift: whole rows are copied, which is cheaper than picking cells."""
    lowest, highest = int(shifts.min(initial=0)), int(shifts.max(initial=0))
    moved = np.empty((count, cells.shape[1]))
    for shift in range(lowest, highest + 1):
        part = cells[shift : shift + count]
        np.copyto(moved[: len(part)], part, where=True if shift == lowest else shifts == shift)
    return moved


def _without_gaps(samples: Samples, gaps: Mask) -> Samples:
    """With the samples of series that have gaps moved together."""
    part = np.flatnonzero(gaps)
    values, times, count = samples.values, samples.times.copy(), samples.count.copy()
    cells = np.ascontiguousarray(values[:, part])
    held = (np.arange(len(values))[:, None] < count[part]) & is_sample(cells)
    order = np.argsort(~held, axis=0, kind="stable")
    values[:, part] = np.take_along_axis(cells, order, 0)
    times[:, part] = np.take_along_axis(times[:, part], order, 0)
    count[part] = held.sum(axis=0)
    return Samples(values, count, times)


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """The series that a selector picks; valid while the head's version stays."""

    version: tuple[int, ...]
    table: LabelTable
    pieces: tuple[Piece, ...]
    is_single: bool
    """All from one metric name."""
    _empty: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    def __len__(self) -> int:
        return len(self.table)

    def instant(self, at: float, lookback: float) -> tuple[Floats, Mask]:
        """Newest sample of each series in (at − lookback, at], and whether it has one that is not stale."""
        at = milliseconds(at)
        parts = [piece.instant(at, lookback) for piece in self.pieces]
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return self._empty, np.empty(0, np.bool_)
        return np.concatenate([values for values, _ in parts]), np.concatenate([held for _, held in parts])

    def instants(self, at: float, lookback: float) -> Floats:
        """When those samples were polled; meaningless where there is none."""
        at = milliseconds(at)
        return np.concatenate([self._empty, *(piece.instants(at, lookback) for piece in self.pieces)])

    def weight(self, seconds: float) -> int:
        """Samples that a window of that length may hold, at most."""
        return sum(
            len(piece.columns) * min(piece.pool.rows, int(seconds / piece.pool.interval) + 2)
            for piece in self.pieces
        )
