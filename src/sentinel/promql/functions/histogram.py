"""histogram_quantile over classic histograms: buckets as series with the label `le`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from sentinel.model.batch import Floats
from sentinel.model.labels import METRIC_NAME
from sentinel.promql.frame import Context, Frame, Index, Memo, Node, check_unique, duplicates, scalar, vector
from sentinel.series.index.table import LabelTable, identify

BUCKET: Final = "le"
_TOLERANCE: Final = 1e-12
"""Relative fall of a cumulative count that is rounding, not a broken histogram (smallDeltaTolerance upstream)."""


@dataclass(frozen=True, slots=True, eq=False)
class Buckets:
    """Rows of buckets, ordered by histogram and bound."""

    rows: Index
    histograms: Index
    """Of each of those rows."""
    bounds: Floats
    table: LabelTable
    """One row a histogram, without the metric name."""
    duplicates: Index | None
    """Ids of equal rows of that table if there are any: histograms of different names."""


def buckets(table: LabelTable) -> Buckets:
    codes = table.column(BUCKET)
    distinct, inverse = np.unique(codes, return_inverse=True)
    limits = np.array([bound(table.symbols.text(code)) for code in distinct.tolist()])
    bounds = limits[inverse] if len(codes) else np.empty(0)
    rows = np.flatnonzero(~np.isnan(bounds))
    keys = table.without((BUCKET,)).take(rows)
    ids, _, first = identify(keys.codes)
    order = np.lexsort((bounds[rows], ids))
    names = keys.take(first).without((METRIC_NAME,))
    return Buckets(rows[order], ids[order], bounds[rows][order], names, duplicates(names))


def bound(text: str) -> float:
    try:
        return float(text.replace("Inf", "inf"))
    except ValueError:
        return math.nan


Look = Callable[[LabelTable, int, Floats, Floats], None]
"""Takes the table of the buckets, the row of a histogram's first one, its upper bounds and its counts."""


class OfHistograms:
    """One number from the buckets of each histogram."""

    def __init__(self, argument: Node) -> None:
        self.argument = argument
        self._buckets: Memo[Buckets] = Memo(buckets)

    def evaluate(
        self, context: Context, function: Callable[[Floats, Floats], float], look: Look | None = None
    ) -> Frame:
        """
        Args:
            function: of ascending upper bounds and cumulative counts.
            look: has a look at them too.
        Raises:
            EvaluationError: two histograms differ by nothing but their names.
        """
        frame = vector(self.argument.evaluate(context))
        plan = self._buckets(frame.table)
        present = frame.present[plan.rows]
        histograms, bounds = plan.histograms[present], plan.bounds[present]
        rows = plan.rows[present]
        counts = frame.values[rows]
        context.budget.charge(4 * len(counts))
        values = np.full(len(plan.table), np.nan)
        held = np.zeros(len(plan.table), np.bool_)
        edges = np.flatnonzero(np.diff(histograms, prepend=-1, append=-1)) if len(histograms) else histograms
        for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            histogram = int(histograms[start])
            held[histogram] = True
            values[histogram] = function(bounds[start:end], counts[start:end])
            if look is not None:
                look(frame.table, int(rows[start]), bounds[start:end], counts[start:end])
        check_unique(plan.duplicates, held)
        return Frame(plan.table, values, held)


class HistogramQuantile:
    def __init__(self, parameter: Node, argument: Node) -> None:
        self.parameter = parameter
        self.histograms = OfHistograms(argument)

    def evaluate(self, context: Context, look: Look | None = None) -> Frame:
        q = scalar(self.parameter.evaluate(context))
        return self.histograms.evaluate(context, partial(bucket_quantile, q), look)


class HistogramFraction:
    def __init__(self, lower: Node, upper: Node, argument: Node) -> None:
        self.lower = lower
        self.upper = upper
        self.histograms = OfHistograms(argument)

    def evaluate(self, context: Context) -> Frame:
        lower, upper = scalar(self.lower.evaluate(context)), scalar(self.upper.evaluate(context))
        return self.histograms.evaluate(
            context, lambda bounds, counts: bucket_fraction(lower, upper, bounds, counts)
        )


class HistogramQuantiles:
    """Several quantiles at once, told apart by a label."""

    def __init__(self, argument: Node, label: str, parameters: Sequence[Node]) -> None:
        self.label = label
        self.parameters = parameters
        self.histograms = OfHistograms(argument)
        self._table: Memo[LabelTable] = Memo(self._labelled)
        self._duplicates: Memo[Index | None] = Memo(duplicates)
        self._texts: tuple[str, ...] = ()

    def evaluate(self, context: Context) -> Frame:
        wanted = [scalar(node.evaluate(context)) for node in self.parameters]
        frames = [self.histograms.evaluate(context, partial(bucket_quantile, q)) for q in wanted]
        texts = tuple(_float_text(q) for q in wanted)
        self._texts = texts if texts != self._texts else self._texts
        table = self._table(frames[0].table, self._texts)
        present = np.concatenate([frame.present for frame in frames])
        check_unique(self._duplicates(table), present)
        return Frame(table, np.concatenate([frame.values for frame in frames]), present)

    def _labelled(self, table: LabelTable, texts: tuple[str, ...]) -> LabelTable:
        rows = np.tile(np.arange(len(table)), len(texts))
        codes = np.repeat(np.array([table.symbols.code(text) for text in texts], np.int32), len(table))
        return table.take(rows).replaced(self.label, codes)


def _float_text(value: float) -> str:
    """As OpenMetrics writes label values: 0.0, 0.25, NaN."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value)


def bucket_fraction(lower: float, upper: float, bounds: Floats, counts: Floats) -> float:
    """Share of the observations between two values. Source: BucketFraction in promql/quantile.go."""
    if not math.isinf(bounds[-1]):
        return math.nan
    bounds, counts = _coalesced(bounds, counts)
    counts = _monotonic(counts)
    total = float(counts[-1])
    if total == 0 or math.isnan(lower) or math.isnan(upper):
        return math.nan
    if lower >= upper:
        return 0.0
    return (_rank(upper, bounds, counts) - _rank(lower, bounds, counts)) / total


def _rank(value: float, bounds: Floats, counts: Floats) -> float:
    """How many observations are at most that value."""
    start = 0.0 if bounds[0] > 0 else -math.inf
    below = 0.0
    upper: float
    count: float
    for upper, count in zip(bounds.tolist(), counts.tolist(), strict=True):
        if start >= value:
            return below
        if upper > value:
            # Nothing can be interpolated in a bucket without an end.
            if math.isinf(upper):
                return below
            if math.isinf(start):
                return count
            share: float = (value - start) / (upper - start)
            return below + (count - below) * share
        below, start = count, upper
    return below


def bucket_quantile(q: float, bounds: Floats, counts: Floats) -> float:
    """Quantile of one histogram. Source: bucketQuantile in promql/quantile.go.

    Args:
        bounds: upper bounds, ascending.
        counts: cumulative counts.
    """
    if math.isnan(q):
        return math.nan
    if q < 0 or q > 1:
        return math.copysign(math.inf, q)
    if not math.isinf(bounds[-1]):
        return math.nan
    bounds, counts = _coalesced(bounds, counts)
    counts = _monotonic(counts)
    if len(bounds) < 2 or counts[-1] == 0 or math.isnan(counts[-1]):
        return math.nan
    rank = q * float(counts[-1])
    position = int(np.searchsorted(counts[:-1], rank, side="left"))
    if position == len(bounds) - 1:
        return float(bounds[-2])
    upper = float(bounds[position])
    if position == 0 and upper <= 0:
        return upper
    lower, below = 0.0, 0.0
    if position > 0:
        lower, below = float(bounds[position - 1]), float(counts[position - 1])
    inside = float(counts[position]) - below
    return lower + (upper - lower) * ((rank - below) / inside)


def is_levelled(bounds: Floats, counts: Floats) -> bool:
    """Whether counts fall from one bucket to the next by more than rounding, so that a quantile has to guess."""
    if not math.isinf(bounds[-1]):
        return False
    counts = _coalesced(bounds, counts)[1]
    before = float(counts[0])
    for count in counts[1:].tolist():
        if count < before and abs(count - before) >= _TOLERANCE * (abs(count) + abs(before)):
            return True
        before = max(before, count)
    return False


def _coalesced(bounds: Floats, counts: Floats) -> tuple[Floats, Floats]:
    """Buckets with the same bound (written differently) count as one."""
    first = np.flatnonzero(np.diff(bounds, prepend=-np.inf) != 0) if not np.isneginf(bounds[0]) else None
    if first is None or len(first) == len(bounds):
        return bounds, counts
    return bounds[first], np.add.reduceat(counts, first)


def _monotonic(counts: Floats) -> Floats:
    """Small differences are rounding and larger falls a scrape between two updates: both are levelled."""
    levelled = counts.copy()
    before = float(levelled[0])
    for position, count in enumerate(levelled[1:].tolist(), 1):
        if count < before or abs(count - before) < _TOLERANCE * (abs(count) + abs(before)):
            levelled[position] = before
        else:
            before = count
    return levelled
