"""The engine: compiles expressions and evaluates them over the head."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from sentinel.model.batch import Floats
from sentinel.model.labels import METRIC_NAME
from sentinel.promql.build import Builder
from sentinel.promql.errors import BeyondHeadError, EvaluationError, ExpressionError, LimitError
from sentinel.promql.evaluation import Evaluation, Sight, Track
from sentinel.promql.frame import Budget, Context, Frame, Limits, Node, Notes, Outcome
from sentinel.promql.leaves import names_of
from sentinel.promql.selectors import RangeSelector, Selector, Subquery
from sentinel.promql.text.durations import Query
from sentinel.promql.text.source import parse
from sentinel.promql.value import SeriesSet, Value, Vector
from sentinel.runtime.clock import SystemClock
from sentinel.series.head import LOOKBACK, Head
from sentinel.series.index.table import LabelTable
from sentinel.series.reading.archive import Archive
from sentinel.series.reading.frozen import Unpacked

_LAST_INSTANT: Final = 1e11

UNPACKED: Final = 1 << 22
"""Cells of the head kept unpacked for the next range query: 32 MiB."""

_STAND_IN: Final = Query(60.0, 3600.0)
"""To check an expression whose durations follow a query that is not known yet."""


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
        within_head: bool = True,
        is_long: bool = False,
    ) -> None:
        """
        Args:
            follows_query: durations in it stand for the step or range of a query that is not known yet.
            within_head: as in Engine.compile.
            is_long: see the property.
        """
        self.text = text
        self._engine = engine
        self._node = node
        self._selectors = selectors
        self._follows_query = follows_query
        self._within_head = within_head
        self.is_long = is_long
        """It reads samples older than the head's: evaluate it by `over`, as `instant` sees the head alone."""
        self._series: tuple[LabelTable, SeriesSet] | None = None

    @property
    def node(self) -> Node | RangeSelector | Subquery:
        return self._node

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

    def instant(self, at: float, *, notes: Notes | None = None) -> Value:
        """
        Args:
            at: Unix seconds.
            notes: takes warnings and infos.
        Raises:
            EvaluationError: no result on the samples present, or over the limits.
        """
        at = _checked(at)
        if self._follows_query:
            return self._settled(Query()).instant(at, notes=notes)
        with np.errstate(all="ignore"):
            outcome = self._evaluate(self._engine.context(at, at, at, notes=notes))
            if not isinstance(outcome, Frame):
                return outcome
            return self._vector(outcome)

    def range(self, start: float, end: float, step: float) -> list[Track]:
        """Evaluate at start, start + step, … up to end; all in seconds.

        Raises:
            EvaluationError: no result on the samples present, or over the limits.
        """
        if not step > 0:
            raise EvaluationError("zero or negative query resolution step widths are not accepted")
        if end < start:
            return []
        evaluation = self.over(start, end, step)
        for _ in evaluation.take():
            pass
        return evaluation.matrix().tracks()

    def over(
        self,
        start: float,
        end: float,
        step: float = 0.0,
        *,
        budget: Budget | None = None,
        lookback: float | None = None,
        notes: Notes | None = None,
    ) -> Evaluation:
        """The evaluation at start, start + step, … up to end, off the head's thread: see Evaluation.

        Args:
            step: seconds; 0: at one instant, `start`.
            lookback: seconds for which samples stand for their series; None: as always.
            notes: takes warnings and infos.
        Raises:
            EvaluationError: no such instants, or more than the limits allow.
        """
        start, end = _checked(start), _checked(end)
        if step < 0 or (not step and end > start):
            raise EvaluationError("zero or negative query resolution step widths are not accepted")
        node = self._settled(Query(step, end - start))._node if self._follows_query else self._node
        steps = int((end - start) / step + 1e-9) + 1 if step else 1
        limit = self._engine.limits.steps
        if steps - 1 > limit:
            raise LimitError(f"exceeded maximum resolution of {limit:,} points per timeseries")
        sight = self._engine.sight(lookback)
        instants: Floats = start + np.arange(steps, dtype=np.float64) * step
        budget = budget or self._engine.budget()
        return Evaluation(node, sight, instants, end=end, step=step, budget=budget, notes=notes)

    def _settled(self, query: Query) -> Expression:
        """
        Raises:
            EvaluationError: with this step and range a duration makes no sense.
        """
        try:
            return self._engine.compile(self.text, query=query, within_head=self._within_head)
        except ExpressionError as error:
            raise EvaluationError(error.text) from None

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


class Engine:
    """PromQL over one head."""

    def __init__(
        self,
        head: Head,
        archive: Archive | None = None,
        *,
        limits: Limits | None = None,
        lookback: float = LOOKBACK,
        step: float = 60.0,
        horizon: float = 0.0,
        monotonic: Callable[[], float] | None = None,
    ) -> None:
        """
        Args:
            horizon: seconds that the archive keeps samples, so that expressions within the head's bounds may look
                that far back all the same; 0: there is no archive.
            step: of subqueries that name none, in seconds (Prometheus: the global evaluation interval).
            monotonic: seconds on the monotonic clock, for the time limit.
        """
        self.head = head
        self.archive = archive
        self.unpacked = Unpacked(UNPACKED)
        self.limits = limits or Limits()
        self.lookback = lookback
        self.step = step
        self.horizon = horizon
        self._monotonic = monotonic or SystemClock().monotonic

    def compile(
        self,
        text: str,
        *,
        allow_range: bool = False,
        query: Query | None = None,
        within_head: bool = True,
    ) -> Expression:
        """
        Args:
            allow_range: the expression may be a range of samples, such as x[5m]: see Expression.matrix.
            within_head: refuse what reaches further back than samples are kept, where it would be judged on a
                part; what needs the archive for it is compiled as long.
            query: what step() and range() in durations stand for, where that is known already.
        Raises:
            ExpressionError: wrong, or not supported; nothing is ever evaluated differently from Prometheus instead.
        """
        parsed = parse(text, query or _STAND_IN)
        builder = Builder(parsed, self.limits, self.head.retention if within_head else None)
        is_long = False
        try:
            node = builder.build(allow_range=allow_range)
        except BeyondHeadError:
            if self.horizon <= self.head.retention:
                raise
            builder, is_long = Builder(parsed, self.limits, self.horizon), True
            node = builder.build(allow_range=allow_range)
        follows_query = parsed.follows_query and query is None
        return Expression(
            self,
            text,
            node,
            builder.selectors,
            follows_query=follows_query,
            within_head=within_head,
            is_long=is_long,
        )

    def sight(self, lookback: float | None = None) -> Sight:
        lookback = self.lookback if lookback is None else lookback
        return Sight(self.head, self.archive, self.unpacked, lookback, self.step)

    def budget(self) -> Budget:
        """For one query."""
        return Budget(self.limits, self._monotonic)

    def context(
        self,
        at: float,
        start: float,
        end: float,
        resolution: float = 0.0,
        *,
        notes: Notes | None = None,
    ) -> Context:
        return Context(
            self.head,
            at,
            start,
            end,
            self.budget(),
            self.lookback,
            self.step,
            resolution,
            notes=notes,
        )


__all__ = ["METRIC_NAME", "Engine", "Expression", "Track"]
