"""The engine: compiles expressions and evaluates them over the head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from sentinel.model.batch import Floats
from sentinel.model.labels import METRIC_NAME, Labels
from sentinel.promql.build import Builder, names_of
from sentinel.promql.durations import Query
from sentinel.promql.errors import EvaluationError, ExpressionError, LimitError
from sentinel.promql.frame import Budget, Context, Frame, Limits, Node, Outcome
from sentinel.promql.selectors import KEPT, RangeSelector, Selector, Subquery, merged, stacked, vector_of
from sentinel.promql.source import parse
from sentinel.promql.value import SeriesSet, Value, Vector
from sentinel.runtime.clock import SystemClock
from sentinel.series.head import LOOKBACK, Head
from sentinel.series.pool import milliseconds
from sentinel.series.table import LabelTable

_LAST_INSTANT: Final = 1e11

_STAND_IN: Final = Query(60.0, 3600.0)
"""To check an expression whose durations follow a query that is not known yet."""


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """One series of a range query."""

    labels: Labels
    times: Floats
    """Unix seconds."""
    values: Floats


class Expression:
    """A compiled expression; keeps its plan between evaluations."""

    def __init__(
        self,
        engine: Engine,
        text: str,
        node: Node | RangeSelector | Subquery,
        selectors: list[Selector],
        *,
        follows_query: bool = False,
    ) -> None:
        """
        Args:
            follows_query: durations in it stand for the step or range of a query that is not known yet.
        """
        self.text = text
        self._engine = engine
        self._node = node
        self._selectors = selectors
        self._follows_query = follows_query
        self._series: tuple[LabelTable, SeriesSet] | None = None

    @property
    def is_range(self) -> bool:
        """It gives a range of samples for each series (x[5m]) rather than one: see `matrix`."""
        return isinstance(self._node, RangeSelector | Subquery)

    def matrix(self, at: float) -> list[Track]:
        """The samples of a range expression.

        Raises:
            EvaluationError: over the limits.
        """
        if not isinstance(self._node, RangeSelector | Subquery):
            raise EvaluationError("not a range of samples")
        tracks = []
        with np.errstate(all="ignore"):
            table, parts = self._node.parts(self._engine.context(_checked(at), at, at))
            row = 0
            for samples in parts:
                for column, count in enumerate(samples.count.tolist()):
                    if count:
                        times, values = samples.times[:count, column], samples.values[:count, column]
                        tracks.append(Track(table[row], times, values))
                    row += 1
        return tracks

    @property
    def names(self) -> frozenset[str]:
        """Metric names that it reads; for a selector without an exact name, those that it matches now."""
        names = set(names_of(self._selectors))
        for selector in self._selectors:
            names.update(self._engine.head.names(selector.matchers))
        return frozenset(names)

    def instant(self, at: float) -> Value:
        """
        Args:
            at: Unix seconds.
        Raises:
            EvaluationError: no result on the samples present, or over the limits.
        """
        at = _checked(at)
        if self._follows_query:
            return self._settled(Query()).instant(at)
        with np.errstate(all="ignore"):
            outcome = self._evaluate(self._engine.context(at, at, at))
            if not isinstance(outcome, Frame):
                return outcome
            return self._vector(outcome)

    def range(self, start: float, end: float, step: float) -> list[Track]:
        """Evaluate at start, start + step, … up to end; all in seconds.

        Raises:
            EvaluationError: no result on the samples present, or over the limits.
        """
        start, end = _checked(start), _checked(end)
        if not step > 0:
            raise EvaluationError("zero or negative query resolution step widths are not accepted")
        if self._follows_query:
            return self._settled(Query(step, end - start)).range(start, end, step)
        steps = int((end - start) / step + 1e-9) + 1 if end >= start else 0
        limit = self._engine.limits.steps
        if steps > limit:
            raise LimitError(f"exceeded maximum resolution of {limit:,} points per timeseries")
        with np.errstate(all="ignore"):
            return self._tracks(start, end, step, [milliseconds(start + k * step) for k in range(steps)])

    def _settled(self, query: Query) -> Expression:
        """
        Raises:
            EvaluationError: with this step and range a duration makes no sense.
        """
        try:
            return self._engine.compile(self.text, query=query)
        except ExpressionError as error:
            raise EvaluationError(error.text) from None

    def _tracks(self, start: float, end: float, step: float, instants: list[float]) -> list[Track]:
        base = self._engine.context(start, start, end, step)
        frames = []
        for at in instants:
            frame = vector_of(_Guarded(self._evaluate), base.moved(at))
            base.budget.charge(KEPT * len(frame))
            frames.append(frame)
        table, values, present = merged(*stacked(base, frames))
        times = np.array(instants)
        tracks = []
        for row in np.flatnonzero(present.any(axis=0)).tolist():
            held = present[:, row]
            tracks.append(Track(table[row], times[held], values[held, row]))
        return tracks

    def _evaluate(self, context: Context) -> Outcome:
        if isinstance(self._node, RangeSelector | Subquery):
            raise EvaluationError("a range of samples has no single value")
        try:
            return self._node.evaluate(context)
        except ValueError as error:
            # A pattern that met a label value it may not be tried on.
            raise EvaluationError(str(error)) from error

    def _vector(self, frame: Frame) -> Vector:
        if self._series is None or self._series[0] is not frame.table:
            self._series = (frame.table, SeriesSet(frame.table))
        rows = frame.order if frame.order is not None else np.flatnonzero(frame.present)
        return Vector(self._series[1], rows, frame.values[rows])


def _checked(at: float) -> float:
    """
    Raises:
        EvaluationError: beyond every sample there can be.
    """
    if not abs(at) < _LAST_INSTANT:
        raise EvaluationError(f"not an instant in Unix seconds: {at}")
    return float(at)


class _Guarded:
    """A node out of an evaluation function."""

    def __init__(self, evaluate: Callable[[Context], Outcome]) -> None:
        self.evaluate = evaluate


class Engine:
    """PromQL over one head."""

    def __init__(
        self,
        head: Head,
        *,
        limits: Limits | None = None,
        lookback: float = LOOKBACK,
        step: float = 60.0,
        monotonic: Callable[[], float] | None = None,
    ) -> None:
        """
        Args:
            step: of subqueries that name none, in seconds (Prometheus: the global evaluation interval).
            monotonic: seconds on the monotonic clock, for the time limit.
        """
        self.head = head
        self.limits = limits or Limits()
        self.lookback = lookback
        self.step = step
        self._monotonic = monotonic or SystemClock().monotonic

    def compile(self, text: str, *, allow_range: bool = False, query: Query | None = None) -> Expression:
        """
        Args:
            allow_range: the expression may be a range of samples, such as x[5m]: see Expression.matrix.
            query: what step() and range() in durations stand for, where that is known already.
        Raises:
            ExpressionError: wrong, or not supported; nothing is ever evaluated differently from Prometheus instead.
        """
        parsed = parse(text, query or _STAND_IN)
        builder = Builder(parsed, self.limits, self.head.retention)
        node = builder.build(allow_range=allow_range)
        follows_query = parsed.follows_query and query is None
        return Expression(self, text, node, builder.selectors, follows_query=follows_query)

    def context(self, at: float, start: float, end: float, resolution: float = 0.0) -> Context:
        return Context(
            self.head,
            at,
            start,
            end,
            Budget(self.limits, self._monotonic),
            self.lookback,
            self.step,
            resolution,
        )


__all__ = ["METRIC_NAME", "Engine", "Expression", "Track"]
