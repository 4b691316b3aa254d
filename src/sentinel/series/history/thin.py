"""Only the samples that a range query looks at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sentinel.model.batch import ABSENT_BITS, Floats
from sentinel.series.history.encoding import Stamps
from sentinel.series.history.shape import Index
from sentinel.series.reading.archive import Panes


@dataclass(frozen=True, slots=True, eq=False)
class Thinned:
    """Which polls are left."""

    rows: Index
    """[poll, source], ascending; beyond a source's count they mean nothing."""
    lowest: Index
    """[poll, source] the oldest poll for which that one stands: if it is the newest of its window, the first."""
    counts: Index
    """[source]"""


def thin(stamps: Stamps, counts: Index, panes: Panes | None) -> Thinned | None:
    """
    Args:
        stamps: [poll, source] milliseconds, ascending.
        counts: polls of each.
    Returns:
        None: all are wanted.
    """
    if panes is None or not len(stamps):
        return None
    polls = np.arange(len(stamps))[:, None]
    # How long after a poll the next window ends.
    ahead = (panes.first - stamps) % panes.step
    kept = (ahead < panes.width) & (polls < counts)
    lowest = np.broadcast_to(polls, stamps.shape)
    if panes.is_newest:
        ends = stamps + ahead
        together = (ends[1:] == ends[:-1]) & kept[1:] & kept[:-1]
        begins = np.ones(stamps.shape, np.bool_)
        begins[1:] = ~together
        lowest = np.maximum.accumulate(np.where(begins, polls, 0), axis=0)
        kept[:-1] &= ~together
    fewer = kept.sum(axis=0)
    if (fewer == counts).all():
        return None
    rows = np.argsort(~kept, axis=0, kind="stable")[: int(fewer.max(initial=0))]
    return Thinned(rows, np.take_along_axis(lowest, rows, 0), fewer)


def picked(values: Floats, rows: Index, lowest: Index) -> Floats:
    """The cells of these rows, [row, column]; where there is none, the newest one since the lowest.

    What ended in between has left a staleness marker and then nothing: the marker is what counts.
    """
    columns = np.arange(values.shape[1])
    found: Floats = values[rows, columns]
    absent = values.view(np.uint64) == ABSENT_BITS
    if len(rows) and absent.any():
        last = np.where(absent, -1, np.arange(len(values))[:, None])
        newest = np.maximum.accumulate(last, axis=0)[rows, columns]
        found = np.where(newest >= lowest, values[np.maximum(newest, 0), columns], found)
    return found
