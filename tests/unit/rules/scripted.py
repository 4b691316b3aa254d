"""In-memory twins of what rules need: expressions whose results a test sets, and sinks that remember."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from prometheus_client import CollectorRegistry

from sentinel.model.alert import AlertChange
from sentinel.model.batch import Batch, is_stale
from sentinel.model.labels import EMPTY, Labels
from sentinel.promql.errors import EvaluationError, ExpressionError
from sentinel.promql.value import SeriesSet, Value, Vector
from sentinel.rules.engine import RuleEngine
from sentinel.rules.files import parse_rules
from sentinel.runtime.clock import ManualClock

START = 1_700_000_000.0


class ScriptedExpression:
    def __init__(self, text: str, world: World) -> None:
        self.text = text
        self.names = frozenset(word for word in text.replace("[", " ").split() if word.isidentifier())
        self._world = world
        self.threads: list[int] = []
        """Those that evaluated it."""
        self.is_long = text in world.long

    def over(self, start: float, end: float) -> ScriptedEvaluation:
        assert start == end
        return ScriptedEvaluation(self, start)

    def instant(self, at: float) -> Value:
        return self._world.result(self.text, at)


class ScriptedEvaluation:
    def __init__(self, expression: ScriptedExpression, at: float) -> None:
        self._expression, self._at = expression, at

    def take(self) -> Iterator[None]:
        yield from (None, None)

    def value(self) -> Value:
        self._expression.threads.append(threading.get_ident())
        return self._expression.instant(self._at)


class World:
    """Everything around the rule engine."""

    def __init__(self) -> None:
        self.changes: list[AlertChange] = []
        self.submissions = 0
        self.batches: list[Batch] = []
        self.unreadable: set[str] = set()
        """Values of the label instance."""
        self.waiting: set[str] = set()
        """Targets that have yet to be polled for the first time."""
        self.long: set[str] = set()
        """Expressions that read the history."""
        self.asked_at: list[float] = []
        self._results: dict[str, Value] = {}
        self._failures: dict[str, Exception] = {}
        self._series: dict[tuple[str, tuple[Labels, ...]], SeriesSet] = {}

    def give(self, text: str, samples: Mapping[Labels, float]) -> None:
        """From now on the expression returns that; the series set stays the same object where labels do."""
        self._failures.pop(text, None)
        labels = tuple(samples)
        series = self._series.setdefault((text, labels), SeriesSet(labels))
        values = np.array(list(samples.values()), np.float64)
        self._results[text] = Vector(series, np.arange(len(labels)), values)

    def give_value(self, text: str, value: Value) -> None:
        self._results[text] = value

    def fail(self, text: str, error: Exception | None = None) -> None:
        self._failures[text] = error or EvaluationError("many-to-many matching")

    def result(self, text: str, at: float) -> Value:
        self.asked_at.append(at)
        if text in self._failures:
            raise self._failures[text]
        return self._results.get(text, Vector(SeriesSet(()), np.empty(0, np.intp), np.empty(0)))

    # The seams

    def compile(self, text: str) -> ScriptedExpression:
        if "!!" in text:
            raise ExpressionError(text.index("!!"), "unexpected '!!'")
        return ScriptedExpression(text, self)

    def readability(self, labels: Labels, names: frozenset[str]) -> bool:
        return labels.get("instance", "") in self.unreadable

    def is_waiting(self, labels: Labels) -> bool:
        return labels.get("instance", "") in self.waiting

    def submit(self, changes: Sequence[AlertChange]) -> None:
        self.submissions += 1
        self.changes.extend(changes)

    def append(self, batches: Sequence[Batch]) -> None:
        self.batches.extend(batches)

    # What tests look at

    def take_changes(self) -> list[tuple[str, str, str]]:
        """Before, after and reason of every change since the last call."""
        seen = [(str(change.before), str(change.alert.state), change.reason) for change in self.changes]
        self.changes.clear()
        return seen

    def recorded(self) -> dict[Labels, float | None]:
        """The newest value of every recorded series; None where it has ended."""
        found: dict[Labels, float | None] = {}
        for batch in self.batches:
            values = batch.reading.values
            for labels, value, stale in zip(
                batch.reading.layout.series, values, is_stale(values), strict=True
            ):
                found[labels] = None if stale else float(value)
        return found


def engine_of(
    text: str,
    world: World,
    *,
    clock: ManualClock | None = None,
    registry: CollectorRegistry | None = None,
    external_labels: Labels = EMPTY,
    grace: float = 60.0,
) -> RuleEngine:
    """An engine over a rule file's text."""
    return RuleEngine(
        parse_rules(text, "test.yml", world, default_interval=15.0),
        expressions=world,
        readability=world,
        ledger=world,
        recorder=world,
        clock=clock or ManualClock(START),
        registry=registry or CollectorRegistry(),
        external_labels=external_labels,
        grace=grace,
        is_waiting=world.is_waiting,
    )
