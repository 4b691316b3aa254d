"""Functions over all samples of a window: avg_over_time, deriv, quantile_over_time, …"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from sentinel.model.batch import Floats
from sentinel.promql.across import Across
from sentinel.promql.frame import Context, Frame, Index, Mask, Nameless, Node, scalar
from sentinel.promql.functions.banded import OverBand
from sentinel.promql.functions.rates import joined
from sentinel.promql.functions.sums import column_sums, quantiles, to_millisecond
from sentinel.promql.selectors import Range, RangeSelector, Span, samples_of
from sentinel.series.index.selection import Piece, Samples
from sentinel.series.reading.cut import Cut

Parameters = Sequence[float]
Reduction = Callable[[Samples, Span, Parameters], Floats]


_TOGETHER: Final = 8192
"""Series of several windows that are reduced at once."""


class OverTime:
    """One number for each series with at least `least` samples in the window."""

    def __init__(
        self,
        reduction: Reduction,
        source: Range,
        parameters: Sequence[Node],
        *,
        least: int,
        keeps_name: bool,
        banded: OverBand | None = None,
    ) -> None:
        """`banded` does the same faster where no sample is missing."""
        self.reduction = reduction
        self.source = source
        self.parameters = parameters
        self.least = least
        self.keeps_name = keeps_name
        self.banded = banded
        self._nameless = Nameless()

    def evaluate(self, context: Context) -> Frame:
        if context.grid is not None:
            found = context.grid.keep(self, lambda: self._across(context)).at(context)
            if self.keeps_name:
                return found
            return self._nameless.checked(Frame(self._nameless(found.table), found.values, found.present))
        parameters = [scalar(node.evaluate(context)) for node in self.parameters]
        span = self.source.span(context)
        if isinstance(self.source, RangeSelector) and self.banded is not None:
            table, pieces = self.source.pieces_of(context, span)
            some = [part for piece in pieces for part in self._of_piece(piece, span, parameters, self.banded)]
        else:
            table, parts = self.source.parts(context)
            some = [self._of(samples, span, parameters) for samples in parts]
        values, present = joined(some)
        if self.keeps_name:
            return Frame(table, values, present)
        return self._nameless.checked(Frame(self._nameless(table), values, present))

    def _across(self, context: Context) -> Across:
        # Parameters may differ from instant to instant even where `@` fixes the window.
        each = bool(self.parameters)
        given = (
            [[scalar(node.evaluate(one)) for node in self.parameters] for one in context.each()]
            if each
            else []
        )

        def reduce(cut: Cut, starts: Floats, ends: Floats) -> tuple[Floats, Mask]:
            look = cut.look(starts, ends)
            count = cut.count(look)
            context.budget.charge(int(count.sum()))
            present = count >= self.least
            values = np.full(count.shape, np.nan)
            # Small ones together; with parameters, each by itself.
            together = 1 if each else max(_TOGETHER // max(cut.series, 1), 1)
            windows = np.flatnonzero(present.any(axis=1)).tolist()
            for first in range(0, len(windows), together):
                some = windows[first : first + together]
                span = Span(float(starts[some[0]]), float(ends[some[0]]))
                found = self.reduction(cut.windows(look, some), span, given[some[0]] if each else ())
                values[some] = found.reshape(len(some), -1)
            return values, present

        return self.source.windows(context, each=each).reduced(reduce)

    def _of_piece(
        self, piece: Piece, span: Span, parameters: Parameters, over: OverBand
    ) -> Iterator[tuple[Floats, Mask]]:
        band = piece.band(span.start, span.end)
        values = over(band, parameters) if band is not None else None
        if band is None or values is None:
            for samples in samples_of(piece, span):
                yield self._of(samples, span, parameters)
            return
        present = band.count >= self.least
        if band.gaps.any():
            some = piece.only(band.gaps).samples(span.start, span.end)
            values[band.gaps], present[band.gaps] = self._of(some, span, parameters)
        yield values, present

    def _of(self, samples: Samples, span: Span, parameters: Parameters) -> tuple[Floats, Mask]:
        present = samples.count >= self.least
        if not len(samples.values) or not present.any():
            return np.full(len(present), np.nan), present
        return self.reduction(samples, span, parameters), present


def _average(samples: Samples, _span: Span, _parameters: Parameters) -> Floats:
    total = column_sums(samples.values, None if samples.is_full else samples.held)
    average: Floats = total / samples.count
    overflown = np.isinf(total)
    if overflown.any():
        part = samples.only(overflown)
        shares = np.where(part.held, part.values / part.count, 0.0)
        average[overflown] = np.where(
            np.isinf(np.where(part.held, part.values, 0.0)).any(axis=0),
            average[overflown],
            shares.sum(axis=0),
        )
    return average


def _sum(samples: Samples, _span: Span, _parameters: Parameters) -> Floats:
    return column_sums(samples.values, None if samples.is_full else samples.held)


def _count(samples: Samples, _span: Span, _parameters: Parameters) -> Floats:
    return samples.count.astype(np.float64)


def _cells(samples: Samples) -> Floats:
    """NaN where there is no sample."""
    return samples.values if samples.is_full else np.where(samples.held, samples.values, np.nan)


def _minimum(samples: Samples, _span: Span, _parameters: Parameters) -> Floats:
    least: Floats = np.fmin.reduce(_cells(samples), axis=0)
    return least


def _maximum(samples: Samples, _span: Span, _parameters: Parameters) -> Floats:
    greatest: Floats = np.fmax.reduce(_cells(samples), axis=0)
    return greatest


def _extreme_time(samples: Samples, *, greatest: bool, is_last: bool = True) -> Floats:
    """When the extreme value was last seen; NaN gives way to any number."""
    extreme = (_maximum if greatest else _minimum)(samples, Span(0, 0), ())
    same = (samples.values == extreme) | (np.isnan(extreme) & np.isnan(samples.values))
    same &= samples.held
    rows = np.arange(len(samples.values))[:, None]
    row = np.where(same, rows, -1).max(axis=0)
    # All NaN: Prometheus keeps the first sample that it saw.
    row = np.where(np.isnan(extreme), 0, row)
    times: Floats = samples.times[row, np.arange(len(row))]
    return times


def _last(samples: Samples, _span: Span, _parameters: Parameters) -> Floats:
    return samples.last()[0]


def _last_time(samples: Samples, _span: Span, _parameters: Parameters) -> Floats:
    return samples.last()[1]


def _first(samples: Samples, _span: Span, _parameters: Parameters) -> Floats:
    first: Floats = samples.values[0]
    return first


def _first_time(samples: Samples, _span: Span, _parameters: Parameters) -> Floats:
    first: Floats = samples.times[0]
    return first


def _present(samples: Samples, _span: Span, _parameters: Parameters) -> Floats:
    return np.ones(len(samples.count))


def _variance(samples: Samples, _span: Span, _parameters: Parameters) -> Floats:
    # Around the first value, so that equal values differ from their mean by nothing at all.
    shifted = replace(samples, values=samples.values - samples.values[0])
    mean = _average(shifted, _span, ())
    squares = (shifted.values - mean) ** 2
    variance: Floats = column_sums(squares, None if samples.is_full else samples.held) / samples.count
    return variance


def _deviation(samples: Samples, span: Span, parameters: Parameters) -> Floats:
    return np.sqrt(_variance(samples, span, parameters))


def _quantile(samples: Samples, _span: Span, parameters: Parameters) -> Floats:
    return quantiles(parameters[0], samples.values, samples.held)


def _absolute_deviation(samples: Samples, _span: Span, _parameters: Parameters) -> Floats:
    """mad_over_time: median of the distances from the median."""
    median = quantiles(0.5, samples.values, samples.held)
    deviation = quantiles(0.5, np.abs(samples.values - median), samples.held)
    return np.where((np.isnan(samples.values) & samples.held).any(axis=0), np.nan, deviation)


def _changes(samples: Samples, _span: Span, _parameters: Parameters) -> Floats:
    changed = samples.values[1:] != samples.values[:-1]
    if not samples.is_full:
        changed &= samples.held[1:]
    nan = np.isnan(samples.values)
    if nan.any():
        changed &= ~(nan[1:] & nan[:-1])
    number: Floats = np.count_nonzero(changed, axis=0).astype(np.float64)
    return number


def _resets(samples: Samples, _span: Span, _parameters: Parameters) -> Floats:
    fell = samples.values[1:] < samples.values[:-1]
    if not samples.is_full:
        fell &= samples.held[1:]
    number: Floats = np.count_nonzero(fell, axis=0).astype(np.float64)
    return number


def _regression(samples: Samples, since: Floats | float) -> tuple[Floats, Floats]:
    """Least squares: slope a second, and value at `since` (Unix seconds).

    The times decide the weights, and series of one source share them: what is left for each series is one
    weighted sum over its samples. Values and times are taken relative to the first, so that nothing large cancels.
    """
    held = np.arange(len(samples.stamps))[:, None] < _count_of_stamps(samples)
    start = samples.stamps[0]
    x = np.where(held, to_millisecond(samples.stamps - start), 0.0)
    middle = x.sum(axis=0) / held.sum(axis=0)
    offsets = np.where(held, x - middle, 0.0)
    weights = offsets / (offsets * offsets).sum(axis=0)
    ahead = to_millisecond(since - start) - middle
    if samples.slots is not None:
        weights, ahead = weights.take(samples.slots, axis=1), ahead[samples.slots]
    first = samples.values[0]
    rises = samples.values - first
    if not samples.is_full:
        rises = np.where(samples.held, rises, 0.0)
    total = rises.sum(axis=0)
    rises *= weights
    slope = np.where(np.isfinite(total), rises.sum(axis=0), np.nan)
    value: Floats = first + total / samples.count + slope * ahead
    return slope, value


def _count_of_stamps(samples: Samples) -> Floats | Index:
    if samples.slots is None:
        return samples.count
    count = np.zeros(samples.stamps.shape[1], np.intp)
    count[samples.slots] = samples.count
    return count


def _derivative(samples: Samples, _span: Span, _parameters: Parameters) -> Floats:
    return _regression(samples, 0.0)[0]


def _forecast(samples: Samples, _span: Span, parameters: Parameters) -> Floats:
    seconds, now = parameters
    return _regression(samples, now + seconds)[1]


def _smoothed(samples: Samples, _span: Span, parameters: Parameters) -> Floats:
    """double_exponential_smoothing (Holt-Winters)."""
    smoothing, trend_factor = parameters
    values, held = samples.values, samples.held
    level: Floats = values[0]
    trend: Floats = values[1] - values[0]
    before = level
    for k in range(1, len(values)):
        if k > 1:
            trend = np.where(held[k], trend_factor * (level - before) + (1 - trend_factor) * trend, trend)
        before = level
        level = np.where(held[k], smoothing * values[k] + (1 - smoothing) * (level + trend), level)
    return level


REDUCTIONS: Final[dict[str, tuple[Reduction, int, bool]]] = {
    # name: (reduction, samples needed, keeps the metric name)
    "avg_over_time": (_average, 1, False),
    "sum_over_time": (_sum, 1, False),
    "count_over_time": (_count, 1, False),
    "min_over_time": (_minimum, 1, False),
    "max_over_time": (_maximum, 1, False),
    "last_over_time": (_last, 1, True),
    "first_over_time": (_first, 1, True),
    "present_over_time": (_present, 1, False),
    "stdvar_over_time": (_variance, 1, False),
    "stddev_over_time": (_deviation, 1, False),
    "quantile_over_time": (_quantile, 1, False),
    "mad_over_time": (_absolute_deviation, 1, False),
    "ts_of_min_over_time": (lambda s, _w, _p: _extreme_time(s, greatest=False), 1, False),
    "ts_of_max_over_time": (lambda s, _w, _p: _extreme_time(s, greatest=True), 1, False),
    "ts_of_first_over_time": (_first_time, 1, False),
    "ts_of_last_over_time": (_last_time, 1, False),
    "changes": (_changes, 1, False),
    "resets": (_resets, 1, False),
    "deriv": (_derivative, 2, False),
    "predict_linear": (_forecast, 2, False),
    "double_exponential_smoothing": (_smoothed, 2, False),
}
