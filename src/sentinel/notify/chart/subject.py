"""What is to be drawn of a rule's expression: its left side, and the number that it is compared with. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
import promql_parser

from sentinel.promql.errors import ExpressionError
from sentinel.promql.text.source import parse
from sentinel.promql.text.tokens import Token, tokens_of

_COMPARISONS: Final = frozenset(("==", "!=", "<", ">", "<=", ">="))
_SETS: Final = frozenset(("and", "or", "unless"))
_LISTS: Final = frozenset(("by", "without", "on", "ignoring", "group_left", "group_right"))
"""Words before lists of label names."""
_WORDS: Final = _SETS | _LISTS | {"bool", "offset", "atan2", "inf", "nan", "anchored", "smoothed"}
_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")
_TARGET: Final = "instance"


@dataclass(frozen=True, slots=True)
class Subject:
    expression: str
    threshold: float | None = None
    """The number that it is compared with."""


def subject_of(text: str) -> Subject:
    """The side of a comparison that changes, and its threshold; else the expression as it is."""
    text = text.strip()
    try:
        tokens = _unwrapped(tokens_of(text))
        first = _until(tokens, _SETS)
        place = _top(first, _COMPARISONS)
        if place is None:
            return Subject(text)
        left, right = first[:place], first[place + 1 :]
        if right and right[0].text == "bool":
            right = right[1:]
        if (limit := _number(right)) is not None:
            return Subject(_text(text, left), limit)
        if (limit := _number(left)) is not None:
            return Subject(_text(text, right), limit)
        return Subject(_text(text, left))
    except (ExpressionError, IndexError):
        return Subject(text)


def narrowed(text: str, target: str) -> str | None:
    """The expression about one target only; None: it reads others too, so that this would change its result.

    Args:
        target: name of the target (label instance).
    """
    try:
        if not _keeps_target(parse(text).tree):
            return None
        found = _with_matcher(text, f"{_TARGET}={orjson.dumps(target).decode()}")
        return found if _is_narrow(parse(found).tree) else None
    except ExpressionError:
        return None


def _until(tokens: Sequence[Token], words: frozenset[str]) -> Sequence[Token]:
    end = _top(tokens, words)
    return tokens if end is None else tokens[:end]


def _top(tokens: Sequence[Token], wanted: frozenset[str]) -> int | None:
    """Where one of these first stands outside of all parentheses."""
    depth = 0
    for index, token in enumerate(tokens):
        if token.kind == "sign":
            depth += (token.text in _OPENING) - (token.text in _CLOSING)
        if depth == 0 and token.text in wanted and token.kind in ("sign", "word"):
            return index
    return None


def _unwrapped(tokens: Sequence[Token]) -> Sequence[Token]:
    """Without parentheses around the whole."""
    while len(tokens) > 2 and tokens[0].text == "(" and _end(tokens, 0) == len(tokens) - 1:
        tokens = tokens[1:-1]
    return tokens


def _end(tokens: Sequence[Token], start: int) -> int:
    """Where what is opened at `start` is closed."""
    depth = 0
    for index in range(start, len(tokens)):
        if tokens[index].kind == "sign":
            depth += (tokens[index].text in _OPENING) - (tokens[index].text in _CLOSING)
        if depth == 0:
            return index
    return len(tokens)


def _text(text: str, tokens: Sequence[Token]) -> str:
    last = tokens[-1]
    return text[tokens[0].offset : last.offset + len(last.text)]


def _number(tokens: Sequence[Token]) -> float | None:
    """The value of a plain number, or of one as people write them in rules: 36 * 3600, -1, 10e6, 90 / 100."""
    if not tokens or any(token.kind not in ("number", "sign") for token in tokens):
        return None
    try:
        return _folded(parse(" ".join(token.text for token in tokens)).tree)
    except (ExpressionError, ArithmeticError):
        return None


def _folded(tree: Any) -> float | None:
    match tree:
        case promql_parser.NumberLiteral():
            return float(tree.val)
        case promql_parser.ParenExpr():
            return _folded(tree.expr)
        case promql_parser.UnaryExpr():
            inner = _folded(tree.expr)
            return None if inner is None else -inner
        case promql_parser.BinaryExpr():
            left, right = _folded(tree.lhs), _folded(tree.rhs)
            if left is None or right is None:
                return None
            return _combined(str(tree.op), left, right)
    return None


def _combined(operator: str, left: float, right: float) -> float | None:
    match operator:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/":
            return left / right
        case "^" if abs(right) <= 64:
            return float(left**right)
    return None


def _keeps_target(tree: Any) -> bool:
    """Each result comes from series of its own target alone, as far as the tree shows."""
    match tree:
        case promql_parser.NumberLiteral() | promql_parser.StringLiteral() | promql_parser.VectorSelector():
            return True
        case promql_parser.MatrixSelector():
            return True
        case promql_parser.ParenExpr() | promql_parser.UnaryExpr() | promql_parser.SubqueryExpr():
            return _keeps_target(tree.expr)
        case promql_parser.AggregateExpr():
            return _aggregates_by_target(tree) and _keeps_target(tree.expr)
        case promql_parser.BinaryExpr():
            matching = tree.modifier.matching if tree.modifier is not None else None
            if matching is not None:
                is_on = str(matching.type).endswith("Include")
                if (_TARGET in map(str, matching.labels)) is not is_on:
                    return False
            return _keeps_target(tree.lhs) and _keeps_target(tree.rhs)
        case promql_parser.Call():
            name = str(tree.func.name)
            others = ("scalar", "vector", "absent", "absent_over_time", "label_replace", "label_join", "info")
            return name not in others and all(_keeps_target(one) for one in tree.args)
    return False


def _aggregates_by_target(tree: Any) -> bool:
    if tree.modifier is None or str(tree.op) in ("count_values", "limitk", "limit_ratio"):
        return False
    is_by = str(tree.modifier.type).endswith("By")
    return (_TARGET in map(str, tree.modifier.labels)) is is_by


def _with_matcher(text: str, matcher: str) -> str:
    """With this matcher in every selector."""
    tokens = tokens_of(text)
    pieces, done, index = [], 0, 0
    while index < len(tokens):
        token = tokens[index]
        following = tokens[index + 1].text if index + 1 < len(tokens) else ""
        if token.kind == "word" and token.text.lower() in _LISTS and following == "(":
            index = _end(tokens, index + 1) + 1
            continue
        if token.kind == "sign" and token.text == "[":
            index = _end(tokens, index) + 1
            continue
        is_name = token.kind == "word" and following != "(" and token.text.lower() not in _WORDS
        if token.text == "{" and token.kind == "sign":
            at = token.offset + 1
            is_empty = following == "}"
            pieces += [text[done:at], matcher if is_empty else f"{matcher},"]
            done, index = at, _end(tokens, index) + 1
            continue
        if is_name and following != "{" and not _is_aggregation(tokens, index):
            at = token.offset + len(token.text)
            pieces += [text[done:at], f"{{{matcher}}}"]
            done = at
        index += 1
    return "".join((*pieces, text[done:]))


def _is_aggregation(tokens: Sequence[Token], index: int) -> bool:
    """sum by (…) (…): the word before a list."""
    return index + 1 < len(tokens) and tokens[index + 1].text.lower() in ("by", "without")


def _is_narrow(tree: Any) -> bool:
    """Every selector in it has a matcher of the target."""
    match tree:
        case promql_parser.VectorSelector():
            return any(one.name == _TARGET for one in tree.matchers.matchers)
        case promql_parser.MatrixSelector():
            return _is_narrow(tree.vector_selector)
        case promql_parser.BinaryExpr():
            return _is_narrow(tree.lhs) and _is_narrow(tree.rhs)
        case promql_parser.Call():
            return all(_is_narrow(one) for one in tree.args)
        case promql_parser.NumberLiteral() | promql_parser.StringLiteral():
            return True
    return _is_narrow(tree.expr)


def belongs(series: Mapping[str, str], alert: Mapping[str, str], own: frozenset[str]) -> bool:
    """Whether an alert with these labels came from a series with those.

    Args:
        own: names of labels that the rule sets itself.
    """
    return all(
        alert.get(name, value) == value
        for name, value in series.items()
        if name != "__name__" and name not in own
    )
