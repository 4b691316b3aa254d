"""Aggregations: sum by (…), topk, count_values, …"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from sentinel.model.batch import Floats
from sentinel.model.labels import METRIC_NAME
from sentinel.promql.errors import EvaluationError
from sentinel.promql.frame import Context, Frame, Index, Mask, Memo, Node, scalar, text, vector
from sentinel.promql.functions.sums import group_sums
from sentinel.series.index.table import LabelTable, identify


@dataclass(frozen=True, slots=True)
class Grouping:
    """by (labels), or without (labels)."""

    by: bool
    labels: tuple[str, ...]

    def of(self, table: LabelTable) -> LabelTable:
        """The labels that tell groups apart, for each row."""
        if self.by:
            return table.only(self.labels)
        return table.without((*self.labels, METRIC_NAME))


@dataclass(frozen=True, slots=True, eq=False)
class Grouped:
    groups: Index
    count: int
    table: LabelTable
    order: Index | None
    """Rows sorted by group; None: they are already."""
    starts: Index
    """Where each group begins in that order."""

    def sorted(self, values: Floats) -> Floats:
        return values if self.order is None else values[self.order]


def grouped(table: LabelTable, grouping: Grouping) -> Grouped:
    keys = grouping.of(table)
    groups, count, first = identify(keys.codes)
    order = None if (np.diff(groups) >= 0).all() else np.argsort(groups, kind="stable")
    starts = np.searchsorted(groups if order is None else groups[order], np.arange(count))
    names = LabelTable(keys.symbols, keys.names, keys.codes[first], unique=True)
    return Grouped(groups, count, names, order, starts)


Reduction = Callable[[Grouped, Floats, Mask, Index], Floats]


def _sum(plan: Grouped, values: Floats, present: Mask, _count: Index) -> Floats:
    return group_sums(values, present, plan.groups, plan.count)


def _average(plan: Grouped, values: Floats, present: Mask, count: Index) -> Floats:
    total = group_sums(values, present, plan.groups, plan.count)
    average: Floats = total / count
    overflown = np.isinf(total)
    if overflown.any():
        infinite = np.bincount(plan.groups, np.isinf(values) & present, plan.count) > 0
        shares = group_sums(values / np.maximum(count, 1)[plan.groups], present, plan.groups, plan.count)
        average = np.where(overflown & ~infinite, shares, average)
    return average


def _minimum(plan: Grouped, values: Floats, present: Mask, _count: Index) -> Floats:
    if not plan.count:
        return np.empty(0)
    cells = np.where(present, values, np.nan)
    least: Floats = np.fmin.reduceat(plan.sorted(cells), plan.starts)
    return least


def _maximum(plan: Grouped, values: Floats, present: Mask, _count: Index) -> Floats:
    if not plan.count:
        return np.empty(0)
    cells = np.where(present, values, np.nan)
    greatest: Floats = np.fmax.reduceat(plan.sorted(cells), plan.starts)
    return greatest


def _count(_plan: Grouped, _values: Floats, _present: Mask, count: Index) -> Floats:
    return count.astype(np.float64)


def _group(plan: Grouped, _values: Floats, _present: Mask, _count: Index) -> Floats:
    return np.ones(plan.count)


def _variance(plan: Grouped, values: Floats, present: Mask, count: Index) -> Floats:
    # Around the smallest value, so that equal values differ from their mean by nothing at all.
    shifted = values - _minimum(plan, values, present, count)[plan.groups]
    mean = _average(plan, shifted, present, count)
    squares = (shifted - mean[plan.groups]) ** 2
    variance: Floats = group_sums(squares, present, plan.groups, plan.count) / count
    return variance


def _deviation(plan: Grouped, values: Floats, present: Mask, count: Index) -> Floats:
    return np.sqrt(_variance(plan, values, present, count))


REDUCTIONS: Final[dict[str, Reduction]] = {
    "sum": _sum,
    "avg": _average,
    "min": _minimum,
    "max": _maximum,
    "count": _count,
    "group": _group,
    "stddev": _deviation,
    "stdvar": _variance,
}


class Aggregation:
    """One number a group."""

    def __init__(self, operator: str, grouping: Grouping, argument: Node) -> None:
        self.reduction = REDUCTIONS[operator]
        self.argument = argument
        self._plan: Memo[Grouped] = Memo(lambda table: grouped(table, grouping))

    def evaluate(self, context: Context) -> Frame:
        frame = vector(self.argument.evaluate(context))
        plan = self._plan(frame.table)
        count = np.bincount(plan.groups[frame.present], minlength=plan.count)
        values = self.reduction(plan, frame.values, frame.present, count)
        return Frame(plan.table, values, count > 0)


def ranked(plan: Grouped, values: Floats, present: Mask) -> tuple[Index, Index, Index]:
    """Present rows ordered by group, then ascending value with NaN first; group of each, rank within it."""
    rows = np.flatnonzero(present)
    keys = values[rows]
    groups = plan.groups[rows]
    order = np.lexsort((keys, ~np.isnan(keys), groups))
    groups = groups[order]
    starts = np.searchsorted(groups, np.arange(plan.count))
    return rows[order], groups, np.arange(len(groups)) - starts[groups]


class Quantile:
    def __init__(self, grouping: Grouping, parameter: Node, argument: Node) -> None:
        self.parameter = parameter
        self.argument = argument
        self._plan: Memo[Grouped] = Memo(lambda table: grouped(table, grouping))

    def evaluate(self, context: Context) -> Frame:
        q = scalar(self.parameter.evaluate(context))
        frame = vector(self.argument.evaluate(context))
        plan = self._plan(frame.table)
        count = np.bincount(plan.groups[frame.present], minlength=plan.count)
        return Frame(plan.table, self._values(q, plan, frame, count), count > 0)

    def _values(self, q: float, plan: Grouped, frame: Frame, count: Index) -> Floats:
        if math.isnan(q):
            return np.full(plan.count, np.nan)
        if q < 0 or q > 1:
            return np.full(plan.count, math.copysign(math.inf, q))
        rows, _, _ = ranked(plan, frame.values, frame.present)
        if not len(rows):
            return np.full(plan.count, np.nan)
        values = frame.values[rows]
        starts = np.cumsum(count) - count
        rank = q * (count - 1)
        lower = np.maximum(np.floor(rank), 0).astype(np.intp)
        upper = np.maximum(np.minimum(lower + 1, count - 1), 0)
        weight = rank - np.floor(rank)
        last = len(values) - 1
        low, high = values[np.minimum(starts + lower, last)], values[np.minimum(starts + upper, last)]
        result: Floats = low * (1 - weight) + high * weight
        return result


class Ranking:
    """topk and bottomk: some rows of each group, with all their labels."""

    def __init__(self, grouping: Grouping, parameter: Node, argument: Node, *, greatest: bool) -> None:
        self.parameter = parameter
        self.argument = argument
        self.greatest = greatest
        self._plan: Memo[Grouped] = Memo(lambda table: grouped(table, grouping))

    def evaluate(self, context: Context) -> Frame:
        limit = whole(scalar(self.parameter.evaluate(context)))
        frame = vector(self.argument.evaluate(context))
        plan = self._plan(frame.table)
        signed = -frame.values if self.greatest else frame.values
        # NaN counts as the worst on either end: sort it behind everything.
        rows = np.flatnonzero(frame.present)
        keys = signed[rows]
        order = np.lexsort((keys, np.isnan(keys), plan.groups[rows]))
        rows = rows[order]
        groups = plan.groups[rows]
        starts = np.searchsorted(groups, np.arange(plan.count))
        chosen = rows[np.arange(len(rows)) - starts[groups] < limit] if limit > 0 else rows[:0]
        present = np.zeros(len(frame), np.bool_)
        present[chosen] = True
        return Frame(frame.table, frame.values, present, chosen)


class Limit:
    """limitk: the first rows of each group."""

    def __init__(self, grouping: Grouping, parameter: Node, argument: Node) -> None:
        self.parameter = parameter
        self.argument = argument
        self._plan: Memo[Grouped] = Memo(lambda table: grouped(table, grouping))

    def evaluate(self, context: Context) -> Frame:
        limit = whole(scalar(self.parameter.evaluate(context)))
        frame = vector(self.argument.evaluate(context))
        plan = self._plan(frame.table)
        rows = np.flatnonzero(frame.present)
        rows = rows[np.argsort(plan.groups[rows], kind="stable")]
        groups = plan.groups[rows]
        starts = np.searchsorted(groups, np.arange(plan.count))
        present = np.zeros(len(frame), np.bool_)
        present[rows[np.arange(len(rows)) - starts[groups] < limit]] = True
        return Frame(frame.table, frame.values, present)


class LimitRatio:
    """limit_ratio: a share of the rows, always the same ones; a negative share is what its opposite leaves out.

    As in Prometheus a hash of a row's labels decides, but not the same hash: theirs differs between its builds.
    """

    def __init__(self, parameter: Node, argument: Node) -> None:
        self.parameter = parameter
        self.argument = argument
        self._places: Memo[Floats] = Memo(_places)

    def evaluate(self, context: Context) -> Frame:
        ratio = scalar(self.parameter.evaluate(context))
        if math.isnan(ratio):
            raise EvaluationError("Ratio value is NaN")
        frame = vector(self.argument.evaluate(context))
        places, ratio = self._places(frame.table), min(max(ratio, -1.0), 1.0)
        chosen = places < ratio if ratio >= 0 else places >= 1 + ratio
        return Frame(frame.table, frame.values, frame.present & chosen)


def _places(table: LabelTable) -> Floats:
    """A number from 0 to below 1 for each row, by its labels."""
    return np.array([int(labels.fingerprint(), 16) for labels in table], np.float64) / 2.0**64


class CountValues:
    """One series for each distinct value, with the value as a label."""

    def __init__(self, grouping: Grouping, parameter: Node, argument: Node) -> None:
        self.grouping = grouping
        self.parameter = parameter
        self.argument = argument
        self._keys: Memo[LabelTable] = Memo(grouping.of)
        self._last: tuple[LabelTable, Floats, LabelTable, Index] | None = None

    def evaluate(self, context: Context) -> Frame:
        label = text(self.parameter.evaluate(context))
        frame = vector(self.argument.evaluate(context))
        keys = self._keys(frame.table)
        rows = np.flatnonzero(frame.present)
        context.budget.charge(4 * len(rows))
        distinct, inverse = np.unique(frame.values[rows], return_inverse=True)
        symbols = keys.symbols
        codes = np.array([symbols.code(format_value(value)) for value in distinct.tolist()], np.int32)
        labelled = LabelTable(symbols, keys.names, keys.codes[rows]).replaced(label, codes[inverse])
        ids, count, first = identify(labelled.codes)
        counts = np.bincount(ids, minlength=count).astype(np.float64)
        table = LabelTable(symbols, labelled.names, labelled.codes[first], unique=True)
        return Frame(table, counts, np.ones(count, np.bool_))


def whole(value: float) -> int:
    """
    Raises:
        EvaluationError: not a number that counts rows.
    """
    if math.isnan(value):
        raise EvaluationError("Parameter value is NaN")
    if value <= -(2**63) or value >= 2**63:
        raise EvaluationError(f"Scalar value {value:g} {'under' if value < 0 else 'over'}flows int64")
    return int(value)


def format_value(value: float) -> str:
    """A number as Go's strconv.FormatFloat(value, 'f', -1, 64) writes it."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return np.format_float_positional(value, trim="-")
