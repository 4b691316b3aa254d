"""One rule and one group at work: evaluation, health, and what comes out."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from sentinel.model.alert import AlertChange
from sentinel.model.batch import Batch, Reading, Source
from sentinel.promql.errors import EvaluationError
from sentinel.promql.value import Value
from sentinel.rules.alerts import RuleAlerts
from sentinel.rules.metrics import RuleMetrics
from sentinel.rules.result import RuleError, vector_of
from sentinel.rules.rows import ALERT_METRICS, AlertRows, RecordedRows, rule_source
from sentinel.rules.rule import AlertingRule, Rule, RuleGroup
from sentinel.rules.seams import Expression
from sentinel.rules.status import GroupStatus, Health, RuleStatus
from sentinel.rules.surroundings import Surroundings

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Yield:
    """What one tick of a group gives."""

    changes: list[AlertChange] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    """Metric names in the batches, which later rules of the group may read."""
    samples: int = 0


class Lookup:
    """An evaluation that reads the history."""

    def __init__(self, expression: Expression, at: float) -> None:
        """Raises: EvaluationError."""
        self._evaluation = expression.over(at, at)
        self._value: Value | None = None
        self._error: Exception | None = None

    def prepare(self) -> Iterator[None]:
        """On the loop's thread: small steps between which other work may get its turn."""
        try:
            yield from self._evaluation.take()
        except EvaluationError as error:
            self._error = error

    def carry_out(self) -> None:
        """In any thread; never raises."""
        if self._error is None:
            try:
                self._value = self._evaluation.value()
            except Exception as error:  # noqa: BLE001 - told by `result`, where the rule's failure is handled
                self._error = error

    def result(self) -> Value:
        """
        Raises:
            EvaluationError: it failed; or whatever else went wrong.
        """
        if self._error is not None:
            raise self._error
        assert self._value is not None
        return self._value


class RuleRun:
    """One rule with its state."""

    def __init__(self, rule: Rule, group: RuleGroup, number: int, around: Surroundings) -> None:
        """
        Args:
            number: of the rule among those of its group with the same identity.
        """
        self.rule = rule
        digest = hashlib.blake2b(repr(rule.identity).encode("utf-8", "surrogatepass"), digest_size=8)
        self.source: Source = rule_source(group.identity, f"{digest.hexdigest()}.{number}", group.interval)
        self.alerts: RuleAlerts | None = None
        self.rows: AlertRows | RecordedRows
        if isinstance(rule, AlertingRule):
            self.alerts = RuleAlerts(rule, group.identity, around)
            self.rows = AlertRows()
        else:
            self.rows = RecordedRows(rule.name, rule.labels)
        self.names = ALERT_METRICS if self.alerts is not None else frozenset({rule.name})
        self.health: Health = "unknown"
        self.last_error = ""
        self.last_evaluation: float | None = None
        self.duration = 0.0

    def take_over(self, before: RuleRun, group: RuleGroup) -> None:
        """Go on where the rule of the same identity stood before a reload."""
        self.alerts = before.alerts
        if self.alerts is not None and isinstance(self.rule, AlertingRule):
            self.alerts.adopt(self.rule, group.identity)
        self.health, self.last_error = before.health, before.last_error
        self.last_evaluation, self.duration = before.last_evaluation, before.duration
        if before.source == self.source and before.source.interval == self.source.interval:
            self.rows = before.rows

    def take(self, result: Value, at: float, group: RuleGroup, out: Yield) -> None:
        """Make alerts or series of a result and add them to `out`.

        Raises:
            EvaluationError, RuleError: it cannot be used; the rule's alerts are as they were.
        """
        reading: Reading | None
        if self.alerts is not None:
            out.changes += self.alerts.update(result, at, group.limit)
            assert isinstance(self.rows, AlertRows)
            reading = self.rows.reading(self.alerts)
        else:
            assert isinstance(self.rows, RecordedRows)
            reading = self.rows.reading(vector_of(result), group.limit)
        if reading is not None:
            out.samples += len(reading.values)
            out.batches.append(Batch(self.source, at, reading, up=True, duration=0.0))
            out.names |= self.names

    def status(self) -> RuleStatus:
        alerts = tuple(self.alerts.active()) if self.alerts is not None else ()
        return RuleStatus(
            self.rule, self.health, self.last_error, self.last_evaluation, self.duration, alerts
        )


class GroupRun:
    """One group with its rules' state and its place in time."""

    def __init__(self, group: RuleGroup, around: Surroundings, metrics: RuleMetrics) -> None:
        self.group = group
        self.rules: list[RuleRun] = []
        numbers: dict[tuple[object, ...], int] = {}
        for rule in group.rules:
            number = numbers[rule.identity] = numbers.get(rule.identity, -1) + 1
            self.rules.append(RuleRun(rule, group, number, around))
        self.turn = asyncio.Lock()
        """Held during an evaluation: ticks and evaluations that were asked for do not run into each other."""
        self.next_tick: float | None = None
        """On the monotonic clock."""
        self.last_evaluation: float | None = None
        self.duration = 0.0
        name = group.identity
        self.evaluations = metrics.evaluations.labels(name)
        self.failures = metrics.failures.labels(name)
        self.iterations = metrics.iterations.labels(name)
        self.missed = metrics.missed.labels(name)
        self._duration = metrics.duration.labels(name)
        self._evaluated_at = metrics.evaluated_at.labels(name)
        self._samples = metrics.samples.labels(name)
        metrics.interval.labels(name).set(group.interval)
        metrics.rules.labels(name).set(len(self.rules))

    def evaluate(
        self, at: float, out: Yield, store: Callable[[Sequence[Batch]], None], monotonic: Callable[[], float]
    ) -> Iterator[float | Lookup]:
        """Evaluates rule after rule; yields the monotonic time after each, where the caller may pause.

        A rule that reads the history yields a look-up first, which the caller has to carry out before it goes on.

        Args:
            at: Unix seconds of the tick.
            out: takes the results; batches are handed to `store` early when a later rule reads them.
        """
        begun = started = monotonic()
        for run in self.rules:
            if out.batches and _may_read(run.rule, out.names):
                store(out.batches)
                out.batches, out.names = [], set()
            yield from self._evaluate_rule(run, at, out)
            ended = monotonic()
            run.last_evaluation, run.duration = at, ended - started
            started = ended
            yield ended
            started = monotonic()
        if out.batches:
            store(out.batches)
            out.batches = []
        self.evaluations.inc(len(self.rules))
        self.iterations.inc()
        self.last_evaluation, self.duration = at, monotonic() - begun
        self._duration.set(self.duration)
        self._samples.set(out.samples)
        self._evaluated_at.set(at)

    def _evaluate_rule(self, run: RuleRun, at: float, out: Yield) -> Iterator[Lookup]:
        expression, moment = run.rule.expression, at - self.group.query_offset
        try:
            if expression.is_long:
                lookup = Lookup(expression, moment)
                yield lookup
                result = lookup.result()
            else:
                result = expression.instant(moment)
            run.take(result, at, self.group, out)
        except (EvaluationError, RuleError) as error:
            self._note_failure(run, str(error))
        except Exception as error:  # a bug in one rule's evaluation must not stop the others
            if run.health != "err":
                log.exception("rule bug", extra={"facts": self._facts(run)})
            self._note_failure(run, f"{type(error).__name__}; see the log")
        else:
            if run.health == "err":
                log.info("rule works again", extra={"facts": self._facts(run)})
            run.health, run.last_error = "ok", ""

    def _note_failure(self, run: RuleRun, error: str) -> None:
        self.failures.inc()
        if run.health != "err":
            log.warning("rule failed", extra={"facts": {**self._facts(run), "error": error}})
        run.health, run.last_error = "err", error

    def _facts(self, run: RuleRun) -> dict[str, str]:
        return {"group": self.group.identity, "rule": run.rule.name, "origin": run.rule.origin}

    def status(self) -> GroupStatus:
        rules = tuple(run.status() for run in self.rules)
        return GroupStatus(self.group, rules, self.last_evaluation, self.duration)


def _may_read(rule: Rule, names: set[str]) -> bool:
    read = rule.expression.names
    return not read or not read.isdisjoint(names)
