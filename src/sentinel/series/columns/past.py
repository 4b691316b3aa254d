"""Polls of the past, put into a pool all at once instead of one by one: how a restart fills the head again."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sentinel.model.batch import ABSENT_BITS, Floats
from sentinel.series.columns.cells import Ticks
from sentinel.series.columns.pool import Index, Pool, is_sample

_BYTES: Final = 24 << 20
"""Of plain samples held at a time while they are being packed."""


@dataclass(frozen=True, slots=True, eq=False)
class PastPolls:
    """One source's polls."""

    slot: int
    ticks: Ticks
    """[poll] strictly ascending"""
    times: Floats
    """[poll] Unix seconds"""
    columns: Index
    series: Index
    """Which of the source's series those columns are for."""
    cells: Callable[[int, int], Floats]
    """The samples of polls first … last − 1: [poll, series]."""


def fill_pool(pool: Pool[Any], parts: Sequence[PastPolls]) -> None:
    """Put polls into a pool that has columns and slots but no samples yet.

    Raises:
        OSError: the samples cannot be read.
    """
    parts = [part for part in parts if len(part.ticks)]
    if not parts:
        return
    oldest = pool.resume(max(int(part.ticks[-1]) for part in parts))
    for part in parts:
        kept = part.ticks >= oldest
        pool.resume_slot(part.slot, part.ticks[kept], part.times[kept])
    notes = [_Notes(part) for part in parts]
    for start, stop in _spans(pool, oldest):
        cells = np.empty((stop - start, len(pool.slot_of)))
        cells.view(np.uint64)[...] = ABSENT_BITS
        for part, note in zip(parts, notes, strict=True):
            low, high = part.ticks.searchsorted([max(start, oldest), stop]).tolist()
            if high > low:
                values = part.cells(low, high)
                if len(part.series) < values.shape[1]:
                    values = values[:, part.series]
                cells[(part.ticks[low:high] - start)[:, None], part.columns] = values
                note.take(values, part.times[low:high])
        pool.load(start, cells)
    for part, note in zip(parts, notes, strict=True):
        pool.reset_at[part.columns] = note.reset_at
        pool.gap_at[part.columns] = note.gap_at


def _spans(pool: Pool[Any], oldest: int) -> list[tuple[int, int]]:
    """Ticks that are loaded together: whole stretches, then those that stay plain."""
    size = pool.cells.stretch
    spans = []
    if size:
        stretches = max(_BYTES // (8 * size * max(len(pool.slot_of), 1)), 1)
        step, first = stretches * size, oldest // size * size
        spans = [(start, min(start + step, pool.floor)) for start in range(first, pool.floor, step)]
    return [*spans, (max(oldest, pool.floor), pool.tick + 1)]


class _Notes:
    """The newest reset and gap of each column, noted as by storing the polls one by one."""

    def __init__(self, part: PastPolls) -> None:
        self.reset_at = np.full(len(part.columns), -math.inf)
        self.gap_at = np.full(len(part.columns), -math.inf)
        self._before: Floats | None = None

    def take(self, values: Floats, times: Floats) -> None:
        if self._before is not None:
            self._note(values[:1] < self._before, times[:1], self.reset_at)
        self._note(values[1:] < values[:-1], times[1:], self.reset_at)
        held = is_sample(values)
        if not held.all():
            self._note(~held, times, self.gap_at)
        self._before = values[-1:].copy()

    @staticmethod
    def _note(seen: NDArray[np.bool_], times: Floats, into: Floats) -> None:
        columns = np.flatnonzero(seen.any(axis=0))
        if len(columns):
            newest = len(seen) - 1 - seen[::-1, columns].argmax(axis=0)
            into[columns] = times[newest]
