"""promtool's unit tests for rules, run through the real head, query engine and rule engine.

Source of the format: Prometheus documentation, "Unit testing for rules". Two sample values are the same when they
differ by less than a billionth: sums may be added up in another order.
"""

from __future__ import annotations

import difflib
import math
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path

import numpy as np
from prometheus_client import CollectorRegistry
from pydantic import Field

from sentinel.config.document import Document, Written, validated
from sentinel.config.files import read_text
from sentinel.config.types import Duration
from sentinel.config.yaml import parse_yaml
from sentinel.model.alert import AlertChange, AlertState
from sentinel.model.batch import Batch, Layout, Reading, Source
from sentinel.model.durations import format_duration
from sentinel.model.labels import EMPTY, Labels
from sentinel.model.problem import Problem, UnusableError
from sentinel.promql.engine import Engine
from sentinel.promql.errors import EvaluationError, ExpressionError
from sentinel.rules.engine import RuleEngine
from sentinel.rules.files import load_rules
from sentinel.rules.notation import parse_series, parse_values
from sentinel.rules.result import RuleError, vector_of
from sentinel.rules.rule import RuleGroup
from sentinel.rules.windows import reach
from sentinel.runtime.clock import ManualClock
from sentinel.series.head import LOOKBACK, Head

MAX_STEPS = 1_000_000
"""Evaluations of one test."""


class WrittenSeries(Written):
    series: str
    values: str = ""


class WrittenAlert(Written):
    exp_labels: dict[str, str] = Field(default_factory=dict)
    exp_annotations: dict[str, str] = Field(default_factory=dict)


class WrittenAlertTest(Written):
    eval_time: Duration = 0.0
    alertname: str = ""
    exp_alerts: list[WrittenAlert] = Field(default_factory=list)


class WrittenSample(Written):
    labels: str = ""
    value: float


class WrittenExpressionTest(Written):
    expr: str
    eval_time: Duration = 0.0
    exp_samples: list[WrittenSample] = Field(default_factory=list)


class WrittenTest(Written):
    name: str = ""
    interval: Duration | None = None
    input_series: list[WrittenSeries] = Field(default_factory=list)
    alert_rule_test: list[WrittenAlertTest] = Field(default_factory=list)
    promql_expr_test: list[WrittenExpressionTest] = Field(default_factory=list)
    external_labels: dict[str, str] = Field(default_factory=dict)
    external_url: str = ""


class WrittenTests(Written):
    rule_files: list[str] = Field(default_factory=list)
    evaluation_interval: Duration = 60.0
    group_eval_order: list[str] = Field(default_factory=list)
    fuzzy_compare: bool = False
    tests: list[WrittenTest] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one test, or of a file that could not be used."""

    file: str
    name: str
    """As written, or "test 3"; empty where the file itself is wrong."""
    differences: tuple[str, ...]
    """For people, each of one or more lines; empty: passed."""
    seconds: float = 0.0
    """How long the test took."""
    notes: tuple[str, ...] = ()
    """What is odd about the file without failing it."""

    @property
    def passed(self) -> bool:
        return not self.differences


def run_unit_tests(
    files: Sequence[Path], *, run: re.Pattern[str] | None = None, as_diff: bool = False
) -> list[Result]:
    """Run the tests of these files. Never raises for what the files hold.

    Args:
        run: only tests with a name that it is found in, as with promtool's --run.
        as_diff: show differences as lines with - (expected) and + (got).
    """
    return [result for file in files for result in _run_file(file, run, as_diff=as_diff)]


def _run_file(file: Path, run: re.Pattern[str] | None, *, as_diff: bool) -> list[Result]:
    try:
        document = parse_yaml(read_text(file), str(file))
        written = validated(WrittenTests, document)
        rules, notes = _rule_files(file, written, document)
    except UnusableError as error:
        return [Result(str(file), "", tuple(str(problem) for problem in error.problems))]
    results = []
    for number, test in enumerate(written.tests):
        if run is not None and not run.search(test.name):
            continue
        name = test.name or f"test {number + 1}"
        began = time.perf_counter()
        try:
            inputs = _inputs(test, document, number)
            differences = _Run(written, test, rules, inputs, as_diff=as_diff).differences()
        except UnusableError as error:
            differences = [str(problem) for problem in error.problems]
        results.append(Result(str(file), name, tuple(differences), time.perf_counter() - began, notes))
    return results


def _rule_files(file: Path, written: WrittenTests, document: Document) -> tuple[list[Path], tuple[str, ...]]:
    """The rule files, relative to the test file; with wildcards. And the patterns that match nothing, in words."""
    problems: list[Problem] = []
    order = written.group_eval_order
    for place, name in enumerate(order):
        if name in order[:place]:
            problems.append(document.problem(("group_eval_order", place), f"group '{name}' is given twice"))
    if problems:
        raise UnusableError(problems)
    found: list[Path] = []
    notes: list[str] = []
    for place, pattern in enumerate(written.rule_files):
        matches = sorted(glob(str(file.parent / pattern)))
        if not matches:
            notes.append(str(document.problem(("rule_files", place), f"no such file: {pattern}")))
        found += [Path(match) for match in matches]
    return found, tuple(notes)


Inputs = list[tuple[Labels, list[float | None]]]


def _inputs(test: WrittenTest, document: Document, number: int) -> Inputs:
    found: Inputs = []
    problems: list[Problem] = []
    for place, written in enumerate(test.input_series):
        at = ("tests", number, "input_series", place)
        key = "series"
        try:
            labels = parse_series(written.series)
            key = "values"
            found.append((labels, parse_values(written.values)))
        except ValueError as error:
            problems.append(document.problem((*at, key), str(error), value=True))
    for place, expected in enumerate(test.alert_rule_test):
        if not expected.alertname:
            at = ("tests", number, "alert_rule_test", place)
            problems.append(document.problem(at, "'alertname' is missing"))
    if problems:
        raise UnusableError(problems)
    return found


class _Sink:
    """Nobody is told, and everything can be read: a test shows what the rules alone do."""

    def submit(self, changes: Sequence[AlertChange]) -> None:
        pass

    def readability(self, labels: Labels, names: frozenset[str]) -> bool:
        return False


class _Run:
    """One test: a head of its own, filled tick by tick."""

    def __init__(
        self,
        written: WrittenTests,
        test: WrittenTest,
        rules: Sequence[Path],
        inputs: Inputs,
        *,
        as_diff: bool = False,
    ) -> None:
        self._test = test
        self._tell: Callable[[str, list[str], list[str]], list[str]] = _as_diff if as_diff else _as_lists
        self._step = written.evaluation_interval or 60.0
        self._interval = test.interval or self._step
        instants = [one.eval_time for one in test.alert_rule_test]
        instants += [one.eval_time for one in test.promql_expr_test]
        self._end = max(instants, default=0.0)
        if self._end / self._step > MAX_STEPS:
            raise UnusableError([Problem("", 0, 0, f"more than {MAX_STEPS} evaluations")])
        texts = [path.read_text("utf-8", "replace") for path in rules]
        texts += [one.expr for one in test.promql_expr_test]
        back = max((reach(text) for text in texts), default=0.0)
        self._head = Head(retention=self._end + back + LOOKBACK + 2 * max(self._step, self._interval))
        self._engine = Engine(self._head, step=self._step)
        order = {name: place for place, name in enumerate(written.group_eval_order)}
        groups = load_rules(rules, self._engine, default_interval=self._step)
        self._rules = self._rule_engine(sorted(groups, key=lambda group: order.get(group.name, 0)))
        self._series = [
            _Input(place, labels, values, self._interval) for place, (labels, values) in enumerate(inputs)
        ]

    def _rule_engine(self, groups: Iterable[RuleGroup]) -> RuleEngine:
        # Every group is evaluated at every step, whatever its own interval: as promtool does it.
        same = [
            RuleGroup(group.file, group.name, self._step, group.rules, group.limit, group.query_offset)
            for group in groups
        ]
        return RuleEngine(
            same,
            expressions=self._engine,
            readability=_Sink(),
            ledger=_Sink(),
            recorder=self._head,
            clock=ManualClock(0.0),
            registry=CollectorRegistry(),
            external_labels=Labels(self._test.external_labels),
            external_url=self._test.external_url,
        )

    def differences(self) -> list[str]:
        found: list[str] = []
        tests = sorted(self._test.alert_rule_test, key=lambda one: one.eval_time)
        for tick in range(math.floor(self._end / self._step + 1e-9) + 1):
            at = tick * self._step
            self._head.append([batch for one in self._series for batch in one.until(at)])
            self._rules.evaluate_once(at)
            failures = list(self._failures(at))
            if failures:
                return found + failures
            while tests and tests[0].eval_time < at + self._step - 1e-9:
                found += self._compare_alerts(tests.pop(0))
        for one in self._test.promql_expr_test:
            found += self._compare_samples(one)
        return found

    def _failures(self, at: float) -> Iterable[str]:
        for group in self._rules.groups:
            for rule in group.rules:
                if rule.health == "err":
                    yield f"{rule.rule.origin}: {rule.rule.name} at {format_duration(at)}: {rule.last_error}"

    def _compare_alerts(self, test: WrittenAlertTest) -> list[str]:
        expected = sorted(
            (Labels(one.exp_labels | {"alertname": test.alertname}), Labels.annotations(one.exp_annotations))
            for one in test.exp_alerts
        )
        got = sorted(
            (alert.labels, alert.annotations)
            for alert in self._rules.active()
            if alert.name == test.alertname and alert.state is AlertState.FIRING
        )
        head = f"alert {test.alertname} at {format_duration(test.eval_time)}"
        if expected == got:
            return []
        texts = [
            [f"{labels}\n  annotations {annotations}" for labels, annotations in some]
            for some in (expected, got)
        ]
        return self._tell(head, *texts)

    def _compare_samples(self, test: WrittenExpressionTest) -> list[str]:
        head = f"{test.expr} at {format_duration(test.eval_time)}"
        try:
            expected = sorted(
                ((_expected_labels(one.labels), one.value) for one in test.exp_samples),
                key=lambda one: one[0],
            )
            vector = vector_of(self._engine.compile(test.expr).instant(test.eval_time))
        except (ExpressionError, EvaluationError, RuleError, ValueError) as error:
            return [f"{head}: {error}"]
        got = sorted(vector.samples(), key=lambda one: one[0])
        if len(got) == len(expected) and all(
            mine[0] == theirs[0] and _is_close(mine[1], theirs[1])
            for mine, theirs in zip(got, expected, strict=True)
        ):
            return []
        texts = [[f"{labels} {value!r}" for labels, value in some] for some in (expected, got)]
        return self._tell(head, *texts)


def _expected_labels(text: str) -> Labels:
    return parse_series(text) if text.strip() else EMPTY


def _is_close(left: float, right: float) -> bool:
    return left == right or math.isclose(left, right, rel_tol=1e-9) or (left != left and right != right)  # noqa: PLR0124


def _as_lists(head: str, expected: list[str], got: list[str]) -> list[str]:
    """What is missing and what is too much, for people."""
    lines = [head]
    lines += [f"  expected, not there: {one}" for one in expected if one not in got]
    lines += [f"  there, not expected: {one}" for one in got if one not in expected]
    if len(lines) == 1:
        lines.append("  the same ones, but not as many times")
    return ["\n".join(lines)]


def _as_diff(head: str, expected: list[str], got: list[str]) -> list[str]:
    """All of both, with - before what is only expected and + before what is only there."""
    before, after = ("\n".join(some).splitlines() for some in (expected, got))
    lines = [line.rstrip() for line in difflib.ndiff(before, after) if not line.startswith("?")]
    return ["\n".join([head, *(f"  {line}" for line in lines)])]


class _Input:
    """One input series: a source of its own, so that a gap is a poll that did not happen."""

    def __init__(self, place: int, labels: Labels, values: list[float | None], interval: float) -> None:
        self._source = Source("unit test", f"series {place}", EMPTY, interval)
        self._layout = Layout((labels,))
        self._values = values
        self._interval = interval
        self._next = 0

    def until(self, at: float) -> Iterable[Batch]:
        """The samples up to that instant that have not been handed out yet."""
        while self._next < len(self._values) and self._next * self._interval <= at + 1e-9:
            value, when = self._values[self._next], self._next * self._interval
            self._next += 1
            if value is not None:
                cell = np.array([value])
                yield Batch(self._source, when, Reading(self._layout, cell), up=True, duration=0.0)
