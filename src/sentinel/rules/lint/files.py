"""Reads rule files for what bites operators later. The files are in order: mistakes are told by `load_rules`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import promql_parser

from sentinel.config.document import Document
from sentinel.config.document import Path as Place
from sentinel.config.files import read_text
from sentinel.config.yaml import parse_yaml
from sentinel.model.problem import did_you_mean
from sentinel.promql.text.source import Parsed, parse
from sentinel.rules.lint.expressions import remarks
from sentinel.rules.lint.finding import CHECKS, Finding
from sentinel.rules.lint.known import Known
from sentinel.rules.lint.labels import labels_of
from sentinel.rules.lint.templates import labels_in, reads_value
from sentinel.rules.lint.trees import name_of, parts

_SWITCH: Final = re.compile(r"#\s*sentinel:\s*(ignore|ignore-file)\s+([\w, -]+)")


@dataclass(slots=True)
class _Seen:
    """What stands in the files read so far."""

    rules: dict[tuple[str, ...], str] = field(default_factory=dict)
    """Where a rule of this kind, name, labels and expression stands."""
    windowed: set[str] = field(default_factory=set)
    """Recorded metrics that look over a time themselves."""


def lint_rules(files: Sequence[Path], known: Known) -> list[Finding]:
    """Everything that the files' comments do not switch off, in order.

    Args:
        known: recorded metrics of the files themselves need not be among them.
    """
    documents = [(read_text(file), file) for file in dict.fromkeys(files)]
    parsed = [(text, parse_yaml(text, str(file))) for text, file in documents]
    recorded = {
        str(rule["record"]): ""
        for _, document in parsed
        for _, _, rule in _rules(document)
        if "record" in rule
    }
    if known.metrics:
        known = Known({**recorded, **known.metrics}, known.interval)
    seen = _Seen()
    for _, document in parsed:
        for _, _, rule in _rules(document):
            if "record" in rule and _looks_over_time(parse(str(rule["expr"])).tree, seen):
                seen.windowed.add(str(rule["record"]))
    return [finding for text, document in parsed for finding in sorted(_of_file(text, document, known, seen))]


def _rules(document: Document) -> Iterator[tuple[Place, Mapping[str, Any], Mapping[str, Any]]]:
    for group, written in enumerate((document.data or {}).get("groups") or ()):
        for rule, one in enumerate(written.get("rules") or ()):
            yield ("groups", group, "rules", rule), written, one


def _of_file(text: str, document: Document, known: Known, seen: _Seen) -> Iterator[Finding]:
    places = [at for at, _, _ in _rules(document)]
    lines = text.splitlines()
    starts = [document.place(at).line for at in places]
    off = _switched(lines, "ignore-file")
    for number, (at, group, rule) in enumerate(_rules(document)):
        end = starts[number + 1] - 1 if number + 1 < len(starts) else len(lines)
        start = starts[number]
        while start > 1 and lines[start - 2].lstrip().startswith("#"):
            start -= 1
        while end > starts[number] and lines[end - 1].lstrip().startswith("#"):
            end -= 1
        quiet = off | _switched(lines[start - 1 : end], "ignore")
        for finding in _Rule(document, at, group, rule, known).findings(seen):
            if finding.check not in quiet:
                yield finding


def _switched(lines: Iterable[str], word: str) -> set[str]:
    found: set[str] = set()
    for line in lines:
        match = _SWITCH.search(line)
        if match and match[1] == word:
            found.update(name.strip() for name in match[2].split(",") for name in name.split())
    return found & CHECKS.keys()


class _Rule:
    """One rule of a file that is in order."""

    def __init__(
        self, document: Document, at: Place, group: Mapping[str, Any], rule: Mapping[str, Any], known: Known
    ) -> None:
        self._document, self._at, self._known = document, at, known
        self._rule = rule
        self._expression = str(rule["expr"])
        self._parsed: Parsed = parse(self._expression)
        self._labels = {**(group.get("labels") or {}), **(rule.get("labels") or {})}

    def findings(self, seen: _Seen) -> Iterator[Finding]:
        for check, offset, text in remarks(self._parsed, self._known):
            at = (*self._at, "expr")
            yield Finding(self._document.problem_in(at, self._expression, offset, text), check)
        yield from self._twice(seen)
        if "alert" in self._rule:
            yield from self._alert(seen)
        elif ":" not in str(self._rule["record"]):
            text = "name it level:metric:operations, such as instance:cpu_used:ratio"
            yield Finding(self._document.problem((*self._at, "record"), text, value=True), "record-name")

    def _twice(self, seen: _Seen) -> Iterator[Finding]:
        kind = "alert" if "alert" in self._rule else "record"
        labels = [f"{name}={value}" for name, value in sorted(self._labels.items())]
        expression = "".join(token.text for token in self._parsed.tokens) if kind == "alert" else ""
        key = (kind, str(self._rule[kind]), expression, *labels)
        line = f"{self._document.file}:{self._document.place(self._at).line}"
        before = seen.rules.setdefault(key, line)
        if before != line:
            what = "the same alert" if kind == "alert" else "this metric is recorded with the same labels"
            yield Finding(
                self._document.problem((*self._at, kind), f"{what} in {before}", value=True), "duplicate-rule"
            )

    def _alert(self, seen: _Seen) -> Iterator[Finding]:
        if not self._rule.get("for") and not _looks_over_time(self._parsed.tree, seen):
            text = "add `for`, so that a single poll does not fire it"
            yield Finding(self._document.problem((*self._at, "alert"), text), "missing-for")
        if not self._labels.get("severity"):
            text = "add the label `severity`: critical, warning or info"
            yield Finding(self._document.problem((*self._at, "alert"), text), "missing-severity")
        for name, template in (self._rule.get("labels") or {}).items():
            if reads_value(str(template)):
                text = f"'{name}' changes with the value: every new value is a new alert; say it in an annotation"
                yield Finding(self._document.problem((*self._at, "labels", name), text), "flapping-label")
        for key in ("labels", "annotations"):
            for name, template in (self._rule.get(key) or {}).items():
                yield from self._dropped((*self._at, key, name), str(template))

    def _dropped(self, at: Place, template: str) -> Iterator[Finding]:
        result = labels_of(self._parsed.tree)
        for name, offset in labels_in(template):
            if not result.may_have(name):
                hint = did_you_mean(name, result.only) if result.only else ""
                text = f"the expression's result never has the label '{name}'{hint}"
                yield Finding(self._document.problem_in(at, template, offset, text), "dropped-label")


def _looks_over_time(tree: Any, seen: _Seen) -> bool:
    """By a window, directly or through what is recorded, or because it asks how old something is."""
    for part in parts(tree):
        match part:
            case promql_parser.MatrixSelector() | promql_parser.SubqueryExpr():
                return True
            case promql_parser.Call() if part.func.name == "time":
                return True
            case promql_parser.VectorSelector() if name_of(part) in seen.windowed:
                return True
    return False
