"""Functions about labels, presence and order."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from sentinel.model.labels import METRIC_NAME, Labels
from sentinel.model.pattern import Pattern
from sentinel.promql.errors import EvaluationError
from sentinel.promql.frame import (
    Context,
    Frame,
    Index,
    Memo,
    Node,
    check_unique,
    duplicates,
    scalar,
    vector,
)
from sentinel.promql.selectors import Range, Selector
from sentinel.series.index.matcher import Matcher, MatchOperator
from sentinel.series.index.table import LabelTable


class Relabelled:
    """label_replace and label_join: a function of the table alone."""

    def __init__(self, argument: Node, relabel: Callable[[LabelTable], LabelTable]) -> None:
        self.argument = argument
        self._table: Memo[LabelTable] = Memo(relabel)
        self._duplicates: Memo[Index | None] = Memo(duplicates)

    def evaluate(self, context: Context) -> Frame:
        frame = vector(self.argument.evaluate(context))
        try:
            table = self._table(frame.table)
        except ValueError as error:
            raise EvaluationError(str(error)) from None
        check_unique(self._duplicates(table), frame.present)
        return Frame(table, frame.values, frame.present, frame.order)


def label_replace(
    target: str, replacement: str, source: str, pattern: Pattern
) -> Callable[[LabelTable], LabelTable]:
    def relabel(table: LabelTable) -> LabelTable:
        symbols, codes = table.symbols, table.column(source)
        distinct, inverse = np.unique(codes, return_inverse=True)
        texts = [pattern.expanded(symbols.text(code), replacement) for code in distinct.tolist()]
        matched = np.array([text is not None for text in texts], np.bool_)
        new = np.array([symbols.code(text) if text is not None else 0 for text in texts], np.int32)
        if not matched.any():
            return table
        return table.replaced(target, np.where(matched[inverse], new[inverse], table.column(target)))

    return relabel


def label_join(target: str, separator: str, sources: Sequence[str]) -> Callable[[LabelTable], LabelTable]:
    def relabel(table: LabelTable) -> LabelTable:
        symbols = table.symbols
        rows = table.matrix(sources).tolist()
        joined = [symbols.code(separator.join(symbols.text(code) for code in row)) for row in rows]
        return table.replaced(target, np.array(joined, np.int32))

    return relabel


class Absent:
    """absent and absent_over_time: one sample where the argument has none."""

    def __init__(self, argument: Node | Range, matchers: tuple[Matcher, ...]) -> None:
        self.argument = argument
        self.labels = absent_labels(matchers)
        self._table: Memo[LabelTable] = Memo(lambda symbols: LabelTable.of(symbols, [self.labels]))

    def evaluate(self, context: Context) -> Frame:
        if isinstance(self.argument, Selector) or hasattr(self.argument, "evaluate"):
            there = bool(vector(self.argument.evaluate(context)).present.any())
        else:
            _, parts = self.argument.parts(context)
            there = any(bool(samples.count.any()) for samples in parts)
        return Frame(self._table(context.symbols), np.ones(1), np.array([not there]))


def absent_labels(matchers: tuple[Matcher, ...]) -> Labels:
    """Labels that a selector fixes by exactly one equality matcher."""
    labels: dict[str, str] = {}
    refused: set[str] = set()
    for matcher in matchers:
        if matcher.name == METRIC_NAME:
            continue
        if (
            matcher.operator is MatchOperator.EQUAL
            and matcher.name not in labels
            and matcher.name not in refused
        ):
            labels[matcher.name] = matcher.value
        else:
            labels.pop(matcher.name, None)
            refused.add(matcher.name)
    return Labels(labels)


class Sorted:
    """sort and sort_desc; NaN comes last either way."""

    def __init__(self, argument: Node, *, descending: bool) -> None:
        self.argument = argument
        self.descending = descending

    def evaluate(self, context: Context) -> Frame:
        frame = vector(self.argument.evaluate(context))
        rows = np.flatnonzero(frame.present)
        keys = frame.values[rows]
        order = rows[np.lexsort((-keys if self.descending else keys, np.isnan(keys)))]
        return Frame(frame.table, frame.values, frame.present, order)


class SortedByLabel:
    def __init__(self, argument: Node, labels: Sequence[str], *, descending: bool) -> None:
        self.argument = argument
        self.labels = labels
        self.descending = descending

    def evaluate(self, context: Context) -> Frame:
        frame = vector(self.argument.evaluate(context))
        context.budget.charge(8 * len(frame))
        rows = np.flatnonzero(frame.present).tolist()
        table = frame.table

        def key(row: int) -> tuple[list[object], object]:
            labels = table[row]
            return [natural(labels.get(name, "")) for name in self.labels], labels.pairs

        rows.sort(key=key, reverse=self.descending)
        return Frame(table, frame.values, frame.present, np.array(rows, np.intp))


def natural(value: str) -> list[tuple[int, int, str]]:
    """Sort key by which m10 comes after m2."""
    parts = re.findall(r"\d+|\D+", value)
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts]


class ToScalar:
    """scalar(v): the value of the only sample, or NaN."""

    def __init__(self, argument: Node) -> None:
        self.argument = argument

    def evaluate(self, context: Context) -> float:
        frame = vector(self.argument.evaluate(context))
        rows = np.flatnonzero(frame.present)
        return float(frame.values[rows[0]]) if len(rows) == 1 else math.nan


class ToVector:
    """vector(s): one sample without labels."""

    def __init__(self, argument: Node) -> None:
        self.argument = argument
        self._table: Memo[LabelTable] = Memo(
            lambda symbols: LabelTable(symbols, (), np.zeros((1, 0), np.int32), unique=True)
        )

    def evaluate(self, context: Context) -> Frame:
        value = scalar(self.argument.evaluate(context))
        return Frame(self._table(context.symbols), np.array([value]), np.ones(1, np.bool_))


class Timestamp:
    """timestamp(v): when a selector's samples were taken; for anything else the evaluation's own time."""

    def __init__(self, argument: Node) -> None:
        self.argument = argument
        self._table: Memo[LabelTable] = Memo(lambda table: table.without((METRIC_NAME,)))
        self._duplicates: Memo[Index | None] = Memo(duplicates)

    def evaluate(self, context: Context) -> Frame:
        if isinstance(self.argument, Selector):
            frame = self.argument.instants(context)
            values = frame.values
        else:
            frame = vector(self.argument.evaluate(context))
            values = np.full(len(frame), context.at)
        table = self._table(frame.table)
        check_unique(self._duplicates(table), frame.present)
        return Frame(table, values, frame.present)


class OfQuery:
    """time(), start(), end(), range() and step(): facts of the query itself, in seconds."""

    def __init__(self, read: Callable[[Context], float]) -> None:
        self.read = read

    def evaluate(self, context: Context) -> float:
        return float(self.read(context))


FACTS: Final[dict[str, Callable[[Context], float]]] = {
    "time": lambda context: context.at,
    "start": lambda context: context.start,
    "end": lambda context: context.end,
    "range": lambda context: context.end - context.start,
    "step": lambda context: context.resolution,
}


class Extreme:
    """min_of and max_of: of two scalars, NaN if either is."""

    def __init__(self, left: Node, right: Node, *, greatest: bool) -> None:
        self.left = left
        self.right = right
        self.greatest = greatest

    def evaluate(self, context: Context) -> float:
        left, right = scalar(self.left.evaluate(context)), scalar(self.right.evaluate(context))
        if math.isnan(left) or math.isnan(right):
            return math.nan
        return max(left, right) if self.greatest else min(left, right)


class Constant:
    def __init__(self, value: float | str) -> None:
        self.value = value

    def evaluate(self, context: Context) -> float | str:
        return self.value
