"""What an expression reads: its selectors, and how far around the query's own time they look."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sentinel.model.labels import METRIC_NAME
from sentinel.promql.selectors import Moment, RangeSelector, Selector, Subquery
from sentinel.series.index.matcher import MatchOperator
from sentinel.series.reading.snapshot import Wanted


@dataclass(frozen=True, slots=True)
class Leaf:
    """A selector, inside subqueries from the outermost to the innermost."""

    selector: Selector
    seconds: float
    """Of its window; 0 for an instant."""
    around: tuple[Subquery, ...] = ()

    def wanted(self, start: float, end: float, lookback: float) -> Wanted:
        """What it reads for instants from start to end; windows may look beyond their edges."""
        low, high = start, end
        for subquery in self.around:
            low, high = _moved(subquery.moment, low, high, start, end)
            low -= subquery.seconds
        low, high = _moved(self.selector.moment, low, high, start, end)
        return Wanted(self.selector.matchers, low - self.seconds - lookback - 0.001, high + lookback)


def leaves(part: object, around: tuple[Subquery, ...] = ()) -> Iterator[Leaf]:
    """All selectors under a node."""
    if isinstance(part, Selector):
        yield Leaf(part, 0.0, around)
    elif isinstance(part, RangeSelector):
        yield Leaf(part.selector, part.seconds, around)
    elif isinstance(part, Subquery):
        yield from leaves(part.node, (*around, part))
    elif hasattr(part, "__dict__") and type(part).__module__.startswith(__package__ or ""):
        for value in vars(part).values():
            for one in value if isinstance(value, list | tuple) else (value,):
                yield from leaves(one, around)


def _moved(moment: Moment, low: float, high: float, start: float, end: float) -> tuple[float, float]:
    if moment.anchor is None:
        return low - moment.offset, high - moment.offset
    fixed = {"start": start, "end": end}.get(str(moment.anchor), moment.anchor)
    return float(fixed) - moment.offset, float(fixed) - moment.offset


def names_of(selectors: Sequence[Selector]) -> frozenset[str]:
    """Metric names that the selectors ask for by equality."""
    return frozenset(
        matcher.value
        for selector in selectors
        for matcher in selector.matchers
        if matcher.name == METRIC_NAME and matcher.operator is MatchOperator.EQUAL
    )
