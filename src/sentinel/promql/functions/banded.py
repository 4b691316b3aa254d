"""Functions over a window of series that have all their samples: see series/columns/band.py.

What they yield is what `over_time` yields for the same samples, without moving or masking the bulk of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import numpy as np

from sentinel.model.batch import Floats
from sentinel.promql.frame import Index, Mask
from sentinel.promql.functions.sums import compensated_sum, is_doubtful, to_millisecond
from sentinel.series.columns.band import Band

Parameters = Sequence[float]
OverBand = Callable[[Band, Parameters], Floats | None]
"""None: these samples need the slow way."""

_BLOCK: Final = 1 << 16
"""Cells that are worked on at once, so that they stay in the processor's cache."""


def _sum(band: Band, _parameters: Parameters) -> Floats | None:
    outer = band.outer(0.0)
    total: Floats = band.inner.sum(axis=0) + outer.sum(axis=0)
    size = np.abs(band.inner).sum(axis=0) + np.abs(outer).sum(axis=0)
    doubtful = np.flatnonzero(is_doubtful(total, size) & ~band.gaps)
    for series in doubtful.tolist():
        total[series] = compensated_sum(band.own(series))
    return total


def _average(band: Band, parameters: Parameters) -> Floats | None:
    total = _sum(band, parameters)
    if total is None or np.isinf(total[~band.gaps]).any():
        return None
    average: Floats = total / band.count
    return average


def _count(band: Band, _parameters: Parameters) -> Floats:
    return band.count.astype(np.float64)


def _present(band: Band, _parameters: Parameters) -> Floats:
    return np.ones(len(band.slots))


def _minimum(band: Band, _parameters: Parameters) -> Floats:
    outer = np.fmin.reduce(band.outer(np.nan), axis=0, initial=np.nan)
    least: Floats = np.fmin(np.fmin.reduce(band.inner, axis=0), outer)
    return least


def _maximum(band: Band, _parameters: Parameters) -> Floats:
    outer = np.fmax.reduce(band.outer(np.nan), axis=0, initial=np.nan)
    greatest: Floats = np.fmax(np.fmax.reduce(band.inner, axis=0), outer)
    return greatest


def _last(band: Band, _parameters: Parameters) -> Floats:
    return band.picked(np.maximum(band.last, 0))


def _first(band: Band, _parameters: Parameters) -> Floats:
    return band.picked(band.first)


def _happened(band: Band, happened: Mask) -> Floats:
    """How often it did.

    Args:
        happened: [ticks − 1, series] from one row to the next.
    """
    for rows in (slice(0, band.begin), slice(max(band.end - 1, 0), None)):
        pairs = band.inside[1:][rows] & band.inside[:-1][rows]
        happened[rows] &= pairs[:, band.slots]
    number: Floats = np.count_nonzero(happened, axis=0).astype(np.float64)
    return number


def _changes(band: Band, _parameters: Parameters) -> Floats:
    values = band.values
    changed = values[1:] != values[:-1]
    nan = np.isnan(values)
    if nan.any():
        changed &= ~(nan[1:] & nan[:-1])
    return _happened(band, changed)


def _resets(band: Band, _parameters: Parameters) -> Floats:
    return _happened(band, band.values[1:] < band.values[:-1])


def _blocks(band: Band) -> Iterator[slice]:
    """Of the series."""
    size = max(_BLOCK // max(len(band.values), 1), 64)
    for first in range(0, len(band.slots), size):
        yield slice(first, first + size)


def _regression(band: Band, since: float) -> tuple[Floats, Floats]:
    """Least squares: slope a second, and value at `since` (Unix seconds).

    The times decide the weights, and series of one source share them: what is left for each series is one
    weighted sum over its samples. Values and times are taken relative to the first, so that nothing large cancels.
    """
    used, slots = _used(band.slots)
    firsts, count = band.firsts[used], (band.lasts - band.firsts + 1)[used]
    times = band.times[:, used]
    start = times[firsts, np.arange(len(firsts))]
    edges = (slice(0, band.begin), slice(band.end, None))
    foreign = [~band.inside[rows, used] for rows in edges]
    # Milliseconds: differences of instants without what these, as floats of 17 digits, have lost of them.
    weights = times - start
    weights *= 1000.0
    np.rint(weights, out=weights)
    _clear(weights, edges, foreign)
    middle = weights.sum(axis=0) / count
    weights -= middle
    _clear(weights, edges, foreign)
    size = np.einsum("ts,ts->s", weights, weights) / 1000.0
    ahead = to_millisecond(since - start) - middle / 1000.0
    first = band.picked(band.first)
    slope, total = np.empty(len(first)), np.empty(len(first))
    for part in _blocks(band):
        chosen = slots[part]
        rises = band.values[:, part] - first[part]
        _clear(rises, edges, [outside[:, chosen] for outside in foreign])
        total[part] = rises.sum(axis=0)
        slope[part] = np.einsum("ts,ts->s", rises, weights.take(chosen, axis=1))
    slope /= size[slots]
    slope[~np.isfinite(total)] = np.nan
    return slope, first + total / count[slots] + slope * ahead[slots]


def _clear(cells: Floats, edges: Iterable[slice], foreign: Iterable[Mask]) -> None:
    """Nothing where these rows are not the series' own."""
    for rows, outside in zip(edges, foreign, strict=True):
        cells[rows][outside] = 0.0


def _used(slots: Index) -> tuple[slice | Index, Index]:
    """The slots that occur, and which of these each series has."""
    used = np.flatnonzero(np.bincount(slots))
    place = np.zeros(int(used[-1]) + 1, np.intp)
    place[used] = np.arange(len(used))
    is_run = int(used[-1]) - int(used[0]) + 1 == len(used)
    return slice(int(used[0]), int(used[-1]) + 1) if is_run else used, place[slots]


def _derivative(band: Band, _parameters: Parameters) -> Floats:
    return _regression(band, 0.0)[0]


def _forecast(band: Band, parameters: Parameters) -> Floats:
    seconds, now = parameters
    return _regression(band, now + seconds)[1]


BANDED: Final[dict[str, OverBand]] = {
    "avg_over_time": _average,
    "sum_over_time": _sum,
    "count_over_time": _count,
    "min_over_time": _minimum,
    "max_over_time": _maximum,
    "last_over_time": _last,
    "first_over_time": _first,
    "present_over_time": _present,
    "changes": _changes,
    "resets": _resets,
    "deriv": _derivative,
    "predict_linear": _forecast,
}
"""By the function's name."""
