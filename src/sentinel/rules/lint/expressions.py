"""What can be wrong with a sound expression."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import promql_parser

from sentinel.model.durations import format_duration
from sentinel.model.pattern import Pattern
from sentinel.promql.text.source import Parsed
from sentinel.promql.text.trees import is_scalar, unwrapped
from sentinel.rules.lint.known import Known
from sentinel.rules.lint.labels import labels_of, matching_of
from sentinel.rules.lint.trees import matchers_of, name_of, parts

Remark = tuple[str, int, str]
"""Check, offset in the expression's text, and what to say."""

_OF_COUNTERS: Final = frozenset({"rate", "irate", "increase"})
_OF_GAUGES: Final = frozenset({"deriv", "delta", "idelta", "predict_linear"})
_STATES: Final = {"ALERTS": ("alertstate", ("pending", "firing", "unknown"))}
"""Labels with a fixed set of values, by metric."""


def remarks(parsed: Parsed, known: Known) -> Iterator[Remark]:
    for part in parts(parsed.tree):
        match part:
            case promql_parser.VectorSelector():
                yield from _selector(parsed, part, known)
            case promql_parser.Call():
                yield from _call(parsed, part, known)
            case promql_parser.BinaryExpr():
                yield from _matching(parsed, part)


def _selector(parsed: Parsed, selector: Any, known: Known) -> Iterator[Remark]:
    name = name_of(selector)
    place = parsed.offset_of(name)
    meant = known.meant_by(name) if name else ""
    if meant:
        yield (
            "unknown-metric",
            place,
            f"no module gives and no rule records '{name}' (did you mean '{meant}'?)",
        )
    wanted: dict[str, str] = {}
    for matcher in matchers_of(selector):
        label, value, kind = str(matcher.name), str(matcher.value), str(matcher.op).rsplit(".", 1)[-1]
        if kind == "Equal" and wanted.setdefault(label, value) != value:
            text = f"{label} cannot be both '{wanted[label]}' and '{value}'"
            yield "impossible-match", parsed.offset_of(label), text
        states = _STATES.get(name)
        if states and label == states[0] and kind == "Equal" and value not in ("", *states[1]):
            yield (
                "impossible-match",
                parsed.offset_of(label),
                f"{label} is never '{value}', only {', '.join(states[1])}",
            )
    yield from _contradictions(parsed, selector, wanted)


def _contradictions(parsed: Parsed, selector: Any, wanted: dict[str, str]) -> Iterator[Remark]:
    for matcher in matchers_of(selector):
        label, value, kind = str(matcher.name), str(matcher.value), str(matcher.op).rsplit(".", 1)[-1]
        if label not in wanted or kind == "Equal":
            continue
        asked = wanted[label]
        try:
            holds = asked == value if kind == "NotEqual" else Pattern.of(value).matches(asked)
        except ValueError:
            continue
        if holds if kind.startswith("Not") else not holds:
            text = f"{label} is asked to be '{asked}' and not to be"
            yield "impossible-match", parsed.offset_of(label), text


def _call(parsed: Parsed, call: Any, known: Known) -> Iterator[Remark]:
    name, arguments = str(call.func.name), list(call.args)
    place = parsed.offset_of(name, "(")
    if name == "absent" and not labels_of(call).only:
        yield "absent-without-labels", place, 'name what is missing: absent(x{instance="…"}), or count() == 0'
    if name not in _OF_COUNTERS | _OF_GAUGES:
        return
    argument = unwrapped(arguments[0])
    if isinstance(argument, promql_parser.SubqueryExpr):
        if name in _OF_COUNTERS and isinstance(unwrapped(argument.expr), promql_parser.AggregateExpr):
            yield "rate-of-sum", place, f"aggregate the rates instead: sum({name}(x[5m]))"
        return
    if not isinstance(argument, promql_parser.MatrixSelector):
        return
    metric = name_of(argument.vector_selector)
    kind = known.type_of(metric)
    if name in _OF_COUNTERS and kind == "gauge":
        yield "rate-of-gauge", place, f"{metric} is a gauge: use deriv() or delta()"
    if name in _OF_GAUGES and kind == "counter":
        yield "counter-as-gauge", place, f"{metric} is a counter: use rate() or increase()"
    seconds = argument.range.total_seconds()
    if known.interval and metric in known.metrics and seconds < 2 * known.interval:
        held, apart = format_duration(seconds), format_duration(known.interval)
        least = format_duration(2 * known.interval)
        text = f"[{held}] holds fewer than two polls, which are {apart} apart: use [{least}] or more"
        yield "short-range", place, text


def _matching(parsed: Parsed, tree: Any) -> Iterator[Remark]:
    if is_scalar(tree.lhs) or is_scalar(tree.rhs):
        return
    on, names, _, _ = matching_of(tree)
    if not on:
        return
    left, right = labels_of(tree.lhs), labels_of(tree.rhs)
    for name in sorted(names):
        sides = [left.may_have(name), right.may_have(name)]
        if sides in ([True, False], [False, True]):
            side = "right" if sides[0] else "left"
            place = parsed.offset_of("on", "(")
            yield (
                "impossible-match",
                place,
                f"the {side} side never has the label '{name}' that is matched on",
            )
