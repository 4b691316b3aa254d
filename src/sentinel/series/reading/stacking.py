"""Cuts put together: one after the other in time, or beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from sentinel.model.batch import ABSENT_BITS, Floats
from sentinel.series.columns.pool import Index, Mask
from sentinel.series.reading.cut import Cut

_NEVER: Final = -np.inf

Part = tuple[Cut, Index]
"""Samples, and the row of each of their series in the whole."""


def stacked(parts: Sequence[Part], series: int) -> Cut:
    """Cuts one after the other in time.

    Args:
        parts: the older first. Of a series that is in several, only what is newer than all of the earlier ones
            counts; cells without a sample do not.
    """
    parts = [(cut, rows) for cut, rows in parts if cut.polls.any()]
    ragged = np.unique(np.concatenate([np.empty(0, np.intp), *(rows[_ragged(cut)] for cut, rows in parts)]))
    if len(parts) == 1 and not len(ragged) and np.array_equal(parts[0][1], np.arange(series)):
        return parts[0][0]
    whole = _in_blocks(parts, series)
    if len(ragged):
        whole = _replaced(
            whole, ragged, _by_cells([_only(part, ragged, series) for part in parts], len(ragged))
        )
    return shared(whole)


def _ragged(cut: Cut) -> Index:
    """Series with polls that gave nothing."""
    with np.errstate(all="ignore"):
        doubtful = np.flatnonzero(np.isnan(cut.cells.sum(axis=0)))
    empty = cut.cells[:, doubtful].view(np.uint64) == ABSENT_BITS
    empty &= np.arange(len(cut.cells))[:, None] < cut.polls[cut.slots[doubtful]]
    found: Index = doubtful[empty.any(axis=0)]
    return found


# Whole blocks of cells: what a poll gave stays together


@dataclass(frozen=True, slots=True, eq=False)
class _Move:
    """Which polls of a part go where, for each group of series that share their polls in all parts."""

    skip: Index
    """Polls left out at the start."""
    count: Index
    into: Index
    """Row of the first."""


def _in_blocks(parts: Sequence[Part], series: int) -> Cut:
    groups = np.zeros(series, np.intp)
    slots = []
    for cut, rows in parts:
        mine = np.zeros(series, np.intp)
        mine[rows] = cut.slots + 1
        groups = np.unique(groups * (len(cut.polls) + 1) + mine, return_inverse=True)[1].ravel()
        slots.append(mine - 1)
    first = np.unique(groups, return_index=True)[1]
    used = np.zeros(len(first), np.intp)
    moves = _moves([(cut, mine[first]) for (cut, _), mine in zip(parts, slots, strict=True)], used)
    height = int(used.max(initial=0))
    cells, times = np.empty((height, series)), np.full((len(first), height), np.inf)
    for (cut, rows), mine, move in zip(parts, slots, moves, strict=True):
        some, slot = np.flatnonzero(move.count), mine[first]
        for (skip, count, into), same in _alike(move, some):
            times[same, into : into + count] = cut.times[slot[same], skip : skip + count]
            chosen = np.zeros(len(first), np.bool_)
            chosen[same] = True
            columns = np.flatnonzero(chosen[groups[rows]])
            source = cut.cells[skip : skip + count, _run(columns)]
            cells[into : into + count, _run(rows[columns])] = source
    for end in np.unique(used[used < height]).tolist():
        cells[end:, used[groups] == end] = np.nan
    return Cut(cells, times, used, groups)


def _moves(parts: Sequence[Part], used: Index) -> list[_Move]:
    """
    Args:
        parts: with the slot of each group; −1: it has none there.
        used: how many polls each group comes to have; filled in.
    """
    last = np.full(len(used), _NEVER)
    moves = []
    for cut, slot in parts:
        here = slot >= 0
        polls = np.where(here, cut.polls[slot], 0)
        times = cut.times[slot]
        skip = np.minimum((times <= last[:, None]).sum(axis=1), polls)
        count = polls - skip
        moves.append(_Move(skip, count, used.copy()))
        used += count
        last = np.where(count > 0, times[np.arange(len(used)), np.maximum(polls, 1) - 1], last)
    return moves


def _alike(move: _Move, some: Index) -> list[tuple[tuple[int, int, int], Index]]:
    """Groups that are moved alike: skip, count, into."""
    if not len(some):
        return []
    keys = np.stack([move.skip[some], move.count[some], move.into[some]], axis=1)
    distinct, which = np.unique(keys, axis=0, return_inverse=True)
    return [
        ((int(key[0]), int(key[1]), int(key[2])), some[which.ravel() == number])
        for number, key in enumerate(distinct)
    ]


def _run(columns: Index) -> slice | Index:
    """Neighbouring columns as a slice, which is cheaper to copy."""
    if len(columns) and columns[-1] - columns[0] + 1 == len(columns) and (np.diff(columns) == 1).all():
        return slice(int(columns[0]), int(columns[-1]) + 1)
    return columns


# Cell by cell: series that lack some of their polls


def _only(part: Part, chosen: Index, series: int) -> Part:
    cut, rows = part
    place = np.full(series, -1, np.intp)
    place[chosen] = np.arange(len(chosen))
    columns = np.flatnonzero(place[rows] >= 0)
    return Cut(cut.cells[:, columns], cut.times, cut.polls, cut.slots[columns]), place[rows[columns]]


def _by_cells(parts: Sequence[Part], series: int) -> Cut:
    valid: list[Mask] = []
    count, last = np.zeros(series, np.intp), np.full(series, _NEVER)
    for cut, rows in parts:
        times = cut.times[cut.slots].T
        kept = (np.arange(len(times))[:, None] < cut.polls[cut.slots]) & (times > last[rows])
        kept &= cut.cells.view(np.uint64) != ABSENT_BITS
        valid.append(kept)
        count[rows] += kept.sum(axis=0)
        last[rows] = np.maximum(last[rows], np.where(kept, times, _NEVER).max(axis=0, initial=_NEVER))
    height = int(count.max(initial=0))
    cells, stamps = np.full((height, series), np.nan), np.full((series, height), np.inf)
    filled = np.zeros(series, np.intp)
    for (cut, rows), kept in zip(parts, valid, strict=True):
        places = filled[rows] + np.cumsum(kept, axis=0) - 1
        k, column = np.nonzero(kept)
        into = places[k, column]
        cells[into, rows[column]] = cut.cells[k, column]
        stamps[rows[column], into] = cut.times[cut.slots[column], k]
        filled[rows] += kept.sum(axis=0)
    return Cut(cells, stamps, count, np.arange(series))


def _replaced(whole: Cut, chosen: Index, by: Cut) -> Cut:
    """With other samples of some series."""
    rows = max(len(whole.cells), len(by.cells))
    cells, slots = _taller(whole.cells, rows, np.nan), whole.slots.copy()
    cells[:, chosen] = _taller(by.cells, rows, np.nan)
    slots[chosen] = len(whole.polls) + by.slots
    times = np.concatenate([_taller(whole.times.T, rows, np.inf).T, _taller(by.times.T, rows, np.inf).T])
    return Cut(cells, times, np.concatenate([whole.polls, by.polls]), slots)


def _taller(matrix: Floats, rows: int, fill: float) -> Floats:
    if len(matrix) == rows:
        return matrix
    taller = np.full((rows, matrix.shape[1]), fill)
    taller[: len(matrix)] = matrix
    return taller


def shared(cut: Cut) -> Cut:
    """With one slot for all series that have the same times."""
    found: dict[bytes, int] = {}
    slots = np.array([found.setdefault(times.tobytes(), len(found)) for times in cut.times], np.intp)
    if len(found) == len(cut.times):
        return cut
    first = np.unique(slots, return_index=True)[1]
    return Cut(cut.cells, cut.times[first], cut.polls[first], slots[cut.slots])


def beside(cuts: Sequence[Cut]) -> Cut:
    """Different series in one cut."""
    if len(cuts) == 1:
        return cuts[0]
    rows = max((len(cut.cells) for cut in cuts), default=0)
    cells = np.full((rows, sum(cut.series for cut in cuts)), np.nan)
    times = np.full((sum(len(cut.times) for cut in cuts), rows), np.inf)
    slots: list[Index] = [np.empty(0, np.intp)]
    column = slot = 0
    for cut in cuts:
        cells[: len(cut.cells), column : column + cut.series] = cut.cells
        times[slot : slot + len(cut.times), : cut.times.shape[1]] = cut.times
        slots.append(cut.slots + slot)
        column, slot = column + cut.series, slot + len(cut.times)
    polls = np.concatenate([np.empty(0, np.intp), *(cut.polls for cut in cuts)])
    return Cut(cells, times, polls, np.concatenate(slots))
