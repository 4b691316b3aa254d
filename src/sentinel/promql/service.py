"""Queries of people and their tools: in threads of their own where they are large, a few at a time.

What a query needs of the head is copied on the event loop in slices of some milliseconds, and everything else
happens in a thread, so that polls, rules and pages go on. Small questions about the present are answered on the
loop at once.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from sentinel.promql.engine import Engine, Expression
from sentinel.promql.errors import EvaluationError, QueryTimeoutError
from sentinel.promql.evaluation import Evaluation, Matrix, Track
from sentinel.promql.frame import Budget, Limits
from sentinel.promql.leaves import leaves
from sentinel.promql.notes import Collected
from sentinel.promql.value import Value
from sentinel.runtime.clock import Clock

Result = TypeVar("Result")

SLICE: Final = 0.008
"""Seconds for which copying may hold the event loop."""
SMALL: Final = 100_000
"""Samples that an instant query may look at on the event loop."""
LIMITS: Final = Limits(samples=1_000_000_000, seconds=120.0, points=10_000_000)
WORKERS: Final = 2
WAITING: Final = 100
"""Queries that may wait for their turn."""


class BusyError(QueryTimeoutError):
    """Too many queries wait already."""


@dataclass(frozen=True, slots=True)
class Question:
    """An expression and when to evaluate it; Unix seconds."""

    text: str
    start: float
    end: float
    step: float = 0.0
    """Seconds; 0: at one instant."""
    timeout: float = LIMITS.seconds
    lookback: float | None = None
    """Seconds for which samples stand for their series; None: as always."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, and what should be said beside it."""

    answer: Answer
    warnings: Sequence[str] = ()
    infos: Sequence[str] = ()


Answer = Value | Matrix | list[Track]
"""Tracks: what x[5m] gives at one instant."""


class QueryService:
    """Answers questions; to be closed."""

    def __init__(self, engine: Engine, clock: Clock, *, limits: Limits = LIMITS) -> None:
        self._engine = engine
        self._clock = clock
        self._limits = limits
        self._executor = ThreadPoolExecutor(WORKERS, thread_name_prefix="query")
        self._turns = asyncio.Semaphore(WORKERS)
        self._waiting = 0
        self._closed = threading.Event()

    def close(self) -> None:
        """Queries under way end with an error."""
        self._closed.set()
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def ask(self, question: Question, gone: threading.Event) -> Reply:
        """
        Args:
            gone: set when nobody waits for the answer any more.
        Raises:
            ExpressionError: not an expression.
            EvaluationError: no result on the samples there are, over the limits, or nobody waits.
        """
        expression = self._engine.compile(question.text, allow_range=not question.step, within_head=False)
        seconds = min(question.timeout, self._limits.seconds)
        budget = Budget(
            replace(self._limits, seconds=seconds),
            self._clock.monotonic,
            is_abandoned=lambda: gone.is_set() or self._closed.is_set(),
        )
        notes = Collected()
        if not question.step and self._is_small(expression, question):
            answer: Answer = expression.instant(question.start, notes=notes)
        else:
            async with self._turn(seconds):
                evaluation = expression.over(
                    question.start,
                    question.end,
                    question.step,
                    budget=budget,
                    lookback=question.lookback,
                    notes=notes,
                )
                answer = await self._evaluated(expression, question, evaluation, gone)
        return Reply(answer, notes.of("warning"), notes.of("info"))

    async def work(self, function: Callable[[], Result]) -> Result:
        """Something long in one of the threads."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, function)

    async def _evaluated(
        self, expression: Expression, question: Question, evaluation: Evaluation, gone: threading.Event
    ) -> Answer:
        began = self._clock.monotonic()
        for _ in evaluation.take():
            if self._clock.monotonic() - began > SLICE:
                evaluation.check()
                await asyncio.sleep(0)
                began = self._clock.monotonic()
        try:
            return await self.work(lambda: _answer(expression, evaluation, question))
        except asyncio.CancelledError:
            gone.set()
            raise

    def _is_small(self, expression: Expression, question: Question) -> bool:
        """Whether the head alone can answer at once."""
        if expression.is_range or question.lookback is not None:
            return False
        at, lookback, head = question.start, self._engine.lookback, self._engine.head
        weight = 0
        try:
            for leaf in leaves(expression.node):
                wanted = leaf.wanted(at, at, lookback)
                if leaf.around or (self._engine.archive is not None and wanted.start < head.since):
                    return False
                weight += head.select(leaf.selector.matchers).weight(leaf.seconds)
        except ValueError as error:
            raise EvaluationError(str(error)) from error
        return weight <= SMALL

    @asynccontextmanager
    async def _turn(self, seconds: float) -> AsyncIterator[None]:
        if self._waiting >= WAITING:
            raise BusyError("too many queries are waiting")
        self._waiting += 1
        try:
            async with asyncio.timeout(seconds):
                await self._turns.acquire()
        except TimeoutError:
            raise BusyError("query timed out in query queue") from None
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._turns.release()


def _answer(expression: Expression, evaluation: Evaluation, question: Question) -> Answer:
    if question.step:
        return evaluation.matrix()
    return evaluation.ranges() if expression.is_range else evaluation.value()
