"""histogram_quantile over classic histograms: buckets as series with the label `le`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from sentinel.model.batch import Floats
from sentinel.model.labels import METRIC_NAME
from sentinel.promql.frame import Context, Frame, Index, Memo, Node, scalar, vector
from sentinel.series.table import LabelTable, identify

_BUCKET: Final = "le"
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
    """One row a histogram."""


def buckets(table: LabelTable) -> Buckets:
    codes = table.column(_BUCKET)
    distinct, inverse = np.unique(codes, return_inverse=True)
    limits = np.array([_bound(table.symbols.text(code)) for code in distinct.tolist()])
    bounds = limits[inverse] if len(codes) else np.empty(0)
    rows = np.flatnonzero(~np.isnan(bounds))
    keys = table.without((METRIC_NAME, _BUCKET))
    ids, count, first = identify(keys.codes[rows])
    order = np.lexsort((bounds[rows], ids))
    names = LabelTable(table.symbols, keys.names, keys.codes[rows][first], unique=True)
    assert len(names) == count
    return Buckets(rows[order], ids[order], bounds[rows][order], names)


def _bound(text: str) -> float:
    try:
        return float(text.replace("Inf", "inf"))
    except ValueError:
        return math.nan


class HistogramQuantile:
    def __init__(self, parameter: Node, argument: Node) -> None:
        self.parameter = parameter
        self.argument = argument
        self._buckets: Memo[Buckets] = Memo(buckets)

    def evaluate(self, context: Context) -> Frame:
        q = scalar(self.parameter.evaluate(context))
        frame = vector(self.argument.evaluate(context))
        plan = self._buckets(frame.table)
        present = frame.present[plan.rows]
        histograms, bounds = plan.histograms[present], plan.bounds[present]
        counts = frame.values[plan.rows[present]]
        context.budget.charge(4 * len(counts))
        values = np.full(len(plan.table), np.nan)
        held = np.zeros(len(plan.table), np.bool_)
        edges = np.flatnonzero(np.diff(histograms, prepend=-1, append=-1))
        for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            histogram = int(histograms[start])
            held[histogram] = True
            values[histogram] = bucket_quantile(q, bounds[start:end], counts[start:end])
        return Frame(plan.table, values, held)


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


def _coalesced(bounds: Floats, counts: Floats) -> tuple[Floats, Floats]:
    """Buckets with the same bound (written differently) count as one."""
    first = np.flatnonzero(np.diff(bounds, prepend=-np.inf) != 0) if not np.isneginf(bounds[0]) else None
    if first is None or len(first) == len(bounds):
        return bounds, counts
    return bounds[first], np.add.reduceat(counts, first)


def _monotonic(counts: Floats) -> Floats:
    """Small falls are rounding and larger ones a scrape between two updates: both are levelled."""
    levelled: Floats = np.maximum.accumulate(counts)
    return levelled
