"""Rule files in Prometheus' format.

Source of the format: Prometheus documentation, "Defining recording rules" and "Alerting rules".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, Field, NonNegativeInt

from sentinel.config.document import Document, Written, validated
from sentinel.config.document import Path as Place
from sentinel.config.files import read_text
from sentinel.config.types import Duration
from sentinel.config.yaml import parse_yaml
from sentinel.model.labels import METRIC_NAME
from sentinel.model.problem import Problem, UnusableError
from sentinel.promql.errors import ExpressionError
from sentinel.rules.rule import VARIABLES, AlertingRule, RecordingRule, Rule, RuleGroup, Templates
from sentinel.rules.seams import Expression, Expressions
from sentinel.rules.template import Template, TemplateSyntaxError, parse_template

_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")


class WrittenRule(Written):
    record: str | None = None
    alert: str | None = None
    expr: str
    for_: Duration | None = Field(None, alias="for")
    keep_firing_for: Duration | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


class WrittenGroup(Written):
    name: str
    interval: Duration | None = None
    query_offset: Duration | None = None
    limit: NonNegativeInt = 0
    labels: dict[str, str] = Field(default_factory=dict)
    rules: list[Any] = Field(default_factory=list)


class WrittenFile(Written):
    groups: list[Any] = Field(default_factory=list)


def load_rules(
    files: Sequence[Path], expressions: Expressions, *, default_interval: float
) -> tuple[RuleGroup, ...]:
    """The groups of all files, in order; a file that is named twice counts once.

    Args:
        default_interval: seconds, for groups that name none.
    Raises:
        UnusableError: everything that is wrong or not supported, in all files.
    """
    groups: list[RuleGroup] = []
    problems: list[Problem] = []
    for file in dict.fromkeys(files):
        try:
            groups += parse_rules(read_text(file), str(file), expressions, default_interval=default_interval)
        except UnusableError as error:
            problems += error.problems
    if problems:
        raise UnusableError(problems)
    return tuple(groups)


def parse_rules(
    text: str, file: str, expressions: Expressions, *, default_interval: float
) -> tuple[RuleGroup, ...]:
    """The groups of one file's text; as `load_rules`."""
    return _Reader(parse_yaml(text, file), expressions, default_interval).groups()


class _Reader:
    """Reads one document, collecting problems instead of stopping at the first."""

    def __init__(self, document: Document, expressions: Expressions, default_interval: float) -> None:
        self._document = document
        self._expressions = expressions
        self._default_interval = default_interval
        self._problems: list[Problem] = []

    def groups(self) -> tuple[RuleGroup, ...]:
        self._part(WrittenFile, ())
        found: list[RuleGroup] = []
        names: dict[str, int] = {}
        for index in range(self._length((), "groups")):
            group = self._group(("groups", index), names)
            if group is not None:
                found.append(group)
        if self._problems:
            raise UnusableError(self._problems)
        return tuple(found)

    def _part(self, model: type[M], at: Place) -> M | None:
        return self._collected(lambda: validated(model, self._document, at=at))

    def _collected(self, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except UnusableError as error:
            self._problems += error.problems
            return None

    def _report(self, at: Place, text: str, *, value: bool = True) -> None:
        self._problems.append(self._document.problem(at, text, value=value))

    def _length(self, at: Place, key: str) -> int:
        """Items of a list, whatever else is wrong where it stands: one mistake must not hide others."""
        data = self._document.data
        for step in at:
            data = data[step]
        items = data.get(key) if isinstance(data, Mapping) else None
        return len(items) if isinstance(items, list) else 0

    def _is_mapping(self, at: Place, what: str) -> bool:
        data = self._document.data
        for step in at:
            data = data[step]
        if not isinstance(data, Mapping):
            self._report(at, f"a {what}", value=False)
        return isinstance(data, Mapping)

    def _group(self, at: Place, names: dict[str, int]) -> RuleGroup | None:
        if not self._is_mapping(at, "group is written as keys with values: name, rules"):
            return None
        written = self._part(WrittenGroup, at)
        if written is None:
            name = self._written(at, "name")
            for index in range(self._length(at, "rules")):
                self._placed_rule((*at, "rules", index), {}, name)
            return None
        if not written.name:
            self._report((*at, "name"), "a group needs a name")
        elif written.name in names:
            line = names[written.name]
            self._report((*at, "name"), f"group '{written.name}' is already in this file, on line {line}")
        names.setdefault(written.name, self._document.place((*at, "name")).line)
        self._check_labels(written.labels, (*at, "labels"))
        read = [
            self._placed_rule((*at, "rules", index), written.labels, written.name)
            for index in range(len(written.rules))
        ]
        return RuleGroup(
            self._document.file,
            written.name,
            written.interval or self._default_interval,
            tuple(rule for rule in read if rule is not None),
            written.limit,
            written.query_offset or 0.0,
        )

    def _placed_rule(self, at: Place, group_labels: Mapping[str, str], group: str) -> Rule | None:
        """A rule; its problems say which one it is."""
        before = len(self._problems)
        rule = self._rule(at, group_labels)
        name = self._written(at, "alert") or self._written(at, "record")
        where = ", ".join(f"{kind} '{one}'" for kind, one in (("group", group), ("rule", name)) if one)
        if where:
            self._problems[before:] = [
                replace(problem, text=f"{problem.text} ({where})") for problem in self._problems[before:]
            ]
        return rule

    def _written(self, at: Place, key: str) -> str:
        """A text that stands there, whatever else is wrong; empty where there is none."""
        data = self._document.data
        for step in at:
            data = data[step]
        found = data.get(key) if isinstance(data, Mapping) else None
        return found if isinstance(found, str) else ""

    def _rule(self, at: Place, group_labels: Mapping[str, str]) -> Rule | None:
        if not self._is_mapping(at, "rule is written as keys with values: alert or record, expr"):
            return None
        written = self._part(WrittenRule, at)
        if written is None:
            self._texts_of_broken_rule(at)
            return None
        before = len(self._problems)
        if bool(written.record) == bool(written.alert):
            count = "only one of" if written.record else "one of"
            self._report(at, f"a rule needs {count} 'record' and 'alert'", value=False)
        expression = self._expression(written.expr, (*at, "expr"))
        self._check_labels(written.labels, (*at, "labels"))
        labels = {**group_labels, **written.labels}
        if written.record:
            self._check_record(written, at)
        label_templates = self._templates(labels, (*at, "labels")) if written.alert else ()
        annotations = self._templates(written.annotations, (*at, "annotations"))
        if len(self._problems) > before or expression is None:
            return None
        origin = f"{self._document.file}:{self._document.place(at).line}"
        if written.record:
            return RecordingRule(written.record, expression, tuple(sorted(labels.items())), origin)
        return AlertingRule(
            written.alert or "",
            expression,
            written.for_ or 0.0,
            written.keep_firing_for or 0.0,
            label_templates,
            annotations,
            origin,
        )

    def _texts_of_broken_rule(self, at: Place) -> None:
        """So that a mistaken key does not hide what is wrong in the expression and the templates."""
        data = self._document.data
        for step in at:
            data = data[step]
        if not isinstance(data, Mapping):
            return
        if isinstance(data.get("expr"), str):
            self._expression(data["expr"], (*at, "expr"))
        for key in ("labels", "annotations"):
            texts = data.get(key)
            if isinstance(texts, Mapping) and all(isinstance(text, str) for text in texts.values()):
                self._templates(texts, (*at, key))

    def _expression(self, text: str, at: Place) -> Expression | None:
        if not text.strip():
            self._report(at, "'expr' is empty")
            return None
        try:
            return self._expressions.compile(text)
        except ExpressionError as error:
            self._problems.append(self._document.problem_in(at, text, error.offset, error.text))
            return None

    def _check_record(self, written: WrittenRule, at: Place) -> None:
        if not _METRIC.fullmatch(written.record or ""):
            self._report((*at, "record"), f"not a metric name: '{written.record}'")
        for key, value in (
            ("for", written.for_),
            ("keep_firing_for", written.keep_firing_for),
            ("annotations", written.annotations),
        ):
            if value:
                self._report((*at, key), f"'{key}' has no place in a recording rule", value=False)

    def _check_labels(self, labels: Mapping[str, str], at: Place) -> None:
        for name in labels:
            if not _LABEL.fullmatch(name) or name == METRIC_NAME:
                self._report((*at, name), f"not a label name: '{name}'", value=False)

    def _templates(self, texts: Mapping[str, str], at: Place) -> Templates:
        found: list[tuple[str, Template]] = []
        for name in sorted(texts):
            if at[-1] == "annotations" and not _LABEL.fullmatch(name):
                self._report((*at, name), f"not an annotation name: '{name}'", value=False)
            try:
                found.append((name, parse_template(texts[name], VARIABLES)))
            except TemplateSyntaxError as error:
                where, text = (*at, name), f"template of '{name}': {error.text}"
                self._problems.append(self._document.problem_in(where, texts[name], error.offset, text))
        return tuple(found)
