"""What Prometheus says beside a result: warnings, and infos about what was perhaps not meant.

Wording and places as in Prometheus 3 (util/annotations); the place is line:column of the argument that it is about.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from sentinel.model.batch import Floats
from sentinel.model.labels import METRIC_NAME
from sentinel.promql.frame import Context, Frame, Memo, Node, Notes, Outcome, scalar, vector
from sentinel.promql.functions.histogram import BUCKET, HistogramQuantile, bound, is_levelled
from sentinel.promql.selectors import Range, RangeSelector, Selector, Subquery
from sentinel.promql.vectors.aggregate import format_value
from sentinel.series.index.selecting import exact_name
from sentinel.series.index.table import LabelTable

_COUNTERS: Final = ("_total", "_sum", "_count", "_bucket")
_LEVELLED: Final = (
    "input to histogram_quantile needed to be fixed for monotonicity "
    "(see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)"
)
_SHOWN: Final = 10
"""Of each kind; how many more there are is said."""


@dataclass(slots=True, eq=False)
class Collected:
    """Each text once, in the order of their appearance."""

    texts: dict[str, dict[str, None]] = field(default_factory=dict)

    def info(self, text: str, place: str) -> None:
        self._add("info", text, place)

    def warning(self, text: str, place: str) -> None:
        self._add("warning", text, place)

    def _add(self, kind: str, text: str, place: str) -> None:
        self.texts.setdefault(kind, {})[f"PromQL {kind}: {text} ({place})"] = None

    def of(self, kind: str) -> Sequence[str]:
        """The first of them."""
        found = list(self.texts.get(kind, ()))
        if len(found) <= _SHOWN:
            return found
        return [*found[:_SHOWN], f"{len(found) - _SHOWN} more {kind} annotations omitted"]


class Counting:
    """rate and increase: of something that is not called as a counter."""

    def __init__(self, node: Node, source: Range, place: str) -> None:
        self.node = node
        self._selector = _selector_of(source)
        self._place = place
        self._seen: set[str] = set()

    def evaluate(self, context: Context) -> Outcome:
        outcome = self.node.evaluate(context)
        if context.notes is not None and self._selector is not None and isinstance(outcome, Frame):
            self._judge(context, self._selector, outcome, context.notes)
        return outcome

    def _judge(self, context: Context, selector: Selector, frame: Frame, notes: Notes) -> None:
        if not frame.present.any():
            return
        exact = exact_name(selector.matchers)
        if exact is not None:
            names = {exact}
        else:
            table = selector.table(context)
            codes = np.unique(table.column(METRIC_NAME)[frame.present])
            names = {table.symbols.text(code) for code in codes.tolist()}
        for name in sorted(names - {""}):
            if not name.endswith(_COUNTERS):
                text = "metric might not be a counter, name does not end in _total/_sum/_count/_bucket"
                notes.info(f'{text}: "{name}"', self._place)


def _selector_of(source: Range) -> Selector | None:
    if isinstance(source, RangeSelector):
        return source.selector
    if isinstance(source, Subquery) and isinstance(source.node, Selector):
        return source.node if exact_name(source.node.matchers) is not None else None
    return None


class Share:
    """A quantile's parameter, which should lie between 0 and 1."""

    def __init__(self, node: Node, place: str) -> None:
        self.node = node
        self._place = place

    def evaluate(self, context: Context) -> float:
        value = scalar(self.node.evaluate(context))
        if context.notes is not None and not 0 <= value <= 1:
            text = f"quantile value should be between 0 and 1, got {format_value(value)}"
            context.notes.warning(text, self._place)
        return value


class Ratio:
    """The parameter of limit_ratio, which should lie between −1 and 1."""

    def __init__(self, node: Node, place: str) -> None:
        self.node = node
        self._place = place

    def evaluate(self, context: Context) -> float:
        value = scalar(self.node.evaluate(context))
        if context.notes is not None and not math.isnan(value) and not -1 <= value <= 1:
            capped = format_value(math.copysign(1.0, value))
            text = f"ratio value should be between -1 and 1, got {format_value(value)}, capping to {capped}"
            context.notes.warning(text, self._place)
        return value


class Levelled:
    """histogram_quantile over buckets, each of which should count at least what the one before it does."""

    def __init__(self, node: HistogramQuantile, place: str) -> None:
        self.node = node
        self._place = place

    def evaluate(self, context: Context) -> Frame:
        notes = context.notes
        if notes is None:
            return self.node.evaluate(context)

        def look(table: LabelTable, row: int, bounds: Floats, counts: Floats) -> None:
            if is_levelled(bounds, counts):
                name = table[row].get(METRIC_NAME, "")
                said = f'{_LEVELLED} for metric name "{name}"' if name else _LEVELLED
                notes.info(said, self._place)

        return self.node.evaluate(context, look)


class Ordered:
    """A function that sorts, of which nothing is left in a range query."""

    def __init__(self, node: Node, place: str) -> None:
        self.node = node
        self._place = place

    def evaluate(self, context: Context) -> Outcome:
        if context.notes is not None and context.grid is not None and len(context.grid.instants) > 1:
            text = "sort is ineffective for range queries since results are always ordered by labels"
            context.notes.warning(text, self._place)
        return self.node.evaluate(context)


class Bounded:
    """Buckets, each of which should have a number as its upper bound."""

    def __init__(self, node: Node, place: str) -> None:
        self.node = node
        self._place = place
        self._bad: Memo[list[tuple[int, str]]] = Memo(_without_bound)

    def evaluate(self, context: Context) -> Frame:
        frame = vector(self.node.evaluate(context))
        if context.notes is not None:
            for row, text in self._bad(frame.table):
                if frame.present[row]:
                    said = f'bucket label "{BUCKET}" is missing or has a malformed value of "{text}"'
                    context.notes.warning(said, self._place)
        return frame


def _without_bound(table: LabelTable) -> list[tuple[int, str]]:
    """Rows whose bound is none, with what stands there."""
    codes = table.column(BUCKET)
    texts = {code: table.symbols.text(code) for code in np.unique(codes).tolist()}
    bad = [code for code, text in texts.items() if math.isnan(bound(text))]
    return [(row, texts[int(codes[row])]) for row in np.flatnonzero(np.isin(codes, bad)).tolist()]
