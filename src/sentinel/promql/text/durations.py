"""Arithmetic in durations: [5m * 2], offset (1h + step()), [max(step(), 1m)].

Source: Prometheus documentation, "Feature flags", PromQL duration expressions. They are worked out before the
parser sees the text, which reads plain durations only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sentinel.model.durations import parse_duration
from sentinel.promql.errors import ExpressionError
from sentinel.promql.text.tokens import Token

LONGEST: Final = 1 << 53
"""Milliseconds."""

_SUMS: Final = frozenset({"+", "-"})
_PRODUCTS: Final = frozenset({"*", "/", "%"})
_FACTS: Final = frozenset({"step", "range"})
_CHOICES: Final = frozenset({"min", "max", "min_of", "max_of"})


@dataclass(frozen=True, slots=True)
class Query:
    """What step() and range() mean; seconds."""

    step: float = 0.0
    range: float = 0.0


def is_plain(tokens: Sequence[Token]) -> bool:
    """A duration that the parser reads by itself."""
    return len(tokens) == 1 and tokens[0].kind == "number"


def follows_query(tokens: Sequence[Token]) -> bool:
    return any(token.kind == "word" and token.text.lower() in _FACTS for token in tokens)


def milliseconds_of(tokens: Sequence[Token], query: Query) -> int:
    """
    Raises:
        ExpressionError: not arithmetic of durations, or out of range.
    """
    reader = _Reader(tokens, query)
    seconds = reader.sum()
    if reader.position < len(tokens):
        raise ExpressionError(tokens[reader.position].offset, f"unexpected {tokens[reader.position].text!r}")
    if not math.isfinite(seconds) or abs(seconds) * 1000 >= LONGEST:
        raise ExpressionError(tokens[0].offset, "duration out of range")
    return round(seconds * 1000)


class _Reader:
    """A recursive descent; ^ binds tightest and to the right, then the sign, then * / %, then + and -."""

    def __init__(self, tokens: Sequence[Token], query: Query) -> None:
        self.tokens = tokens
        self.query = query
        self.position = 0

    def _next(self) -> str:
        return self.tokens[self.position].text if self.position < len(self.tokens) else ""

    def _take(self, text: str = "") -> Token:
        if self.position == len(self.tokens):
            last = self.tokens[-1]
            raise ExpressionError(last.offset + len(last.text), f"expected {text or 'a duration'}")
        token = self.tokens[self.position]
        if text and token.text != text:
            raise ExpressionError(token.offset, f"expected '{text}'")
        self.position += 1
        return token

    def sum(self) -> float:
        value = self._product()
        while self._next() in _SUMS:
            sign = self._take().text
            other = self._product()
            value = value + other if sign == "+" else value - other
        return value

    def _product(self) -> float:
        value = self._signed()
        while self._next() in _PRODUCTS:
            operator = self._take()
            other = self._signed()
            if operator.text == "*":
                value *= other
            elif other == 0:
                what = "division" if operator.text == "/" else "modulo"
                raise ExpressionError(operator.offset, f"{what} by zero")
            else:
                value = value / other if operator.text == "/" else math.fmod(value, other)
        return value

    def _signed(self) -> float:
        if self._next() in _SUMS:
            return self._signed() if self._take().text == "+" else -self._signed()
        return self._power()

    def _power(self) -> float:
        base = self._atom()
        if self._next() != "^":
            return base
        place = self._take().offset
        try:
            value = base ** self._signed()
        except (OverflowError, ZeroDivisionError):
            value = math.inf
        if isinstance(value, complex):
            raise ExpressionError(place, "not a real number")
        return float(value)

    def _atom(self) -> float:
        token = self._take()
        word = token.text.lower()
        if token.kind == "number":
            return seconds_of(token)
        if token.text == "(":
            value = self.sum()
            self._take(")")
            return value
        if token.kind == "word" and word in _FACTS:
            self._take("(")
            self._take(")")
            return self.query.step if word == "step" else self.query.range
        if token.kind == "word" and word in _CHOICES:
            self._take("(")
            left = self.sum()
            self._take(",")
            right = self.sum()
            self._take(")")
            return min(left, right) if word.startswith("min") else max(left, right)
        raise ExpressionError(token.offset, f"not a duration: {token.text!r}")


def seconds_of(token: Token) -> float:
    """A number (seconds) or a duration such as 1h30m.

    Raises:
        ExpressionError: out of range.
    """
    text = token.text.replace("_", "")
    try:
        if text[:2] in ("0x", "0X"):
            return float(int(text, 16))
        return parse_duration(text) if text[-1].isalpha() else float(text)
    except (ValueError, OverflowError):
        raise ExpressionError(token.offset, f"not a duration: {token.text}") from None
