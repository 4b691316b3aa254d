"""Fewer samples where those that lie some time apart are enough: the newest one of each interval."""

from __future__ import annotations

import numpy as np

from sentinel.model.batch import ABSENT_BITS, Floats
from sentinel.series.history.encoding import Stamps
from sentinel.series.history.shape import Index


def thin(stamps: Stamps, counts: Index, first: int, step: int) -> tuple[Index, Index] | None:
    """The newest poll of each source in each of the intervals (first + k · step, first + (k + 1) · step].

    Intervals begin where the query's samples do, so that for a query whose step is a multiple of this one each of
    its instants is the end of an interval, and finds the very sample that it would have found among all.

    Args:
        stamps: [poll, source] milliseconds, ascending.
        counts: polls of each.
    Returns:
        which polls, [poll, source], and how many of each; None: no interval has more than one.
    """
    if not step or len(stamps) < 2:
        return None
    polls = np.arange(len(stamps))[:, None]
    interval = (stamps - first - 1) // step
    kept = polls == counts - 1
    kept[:-1] |= (interval[1:] != interval[:-1]) & (polls[:-1] < counts - 1)
    fewer = kept.sum(axis=0)
    if (fewer == counts).all():
        return None
    rows = np.argsort(~kept, axis=0, kind="stable")[: int(fewer.max(initial=0))]
    return rows, fewer


def picked(values: Floats, rows: Index, *, has_holes: bool) -> Floats:
    """The cells of these rows, [row, column]; where there is none, the newest one since the row before.

    What ended between two rows has left a staleness marker and then nothing: the marker is what counts.
    """
    columns = np.arange(values.shape[1])
    found: Floats = values[rows, columns]
    if not has_holes or not len(rows):
        return found
    absent = values.view(np.uint64) == ABSENT_BITS
    if absent.any():
        last = np.where(absent, -1, np.arange(len(values))[:, None])
        newest = np.maximum.accumulate(last, axis=0)[rows, columns]
        before = np.concatenate([np.full((1, len(columns)), -1), rows[:-1]])
        cells = values[np.maximum(newest, 0), columns]
        found = np.where(newest > before, cells, found)
        found.view(np.uint64)[newest <= before] = ABSENT_BITS
    return found
