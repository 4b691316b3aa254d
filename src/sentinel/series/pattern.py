"""Regular expressions of matchers and label functions: Go's syntax, run by Python's engine within bounds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from re import _constants as constants  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

_POSIX = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "digit": "0-9",
    "lower": "a-z",
    "upper": "A-Z",
    "space": r"\t\n\v\f\r ",
    "blank": r"\t ",
    "punct": r"!-/:-@\[-`{-~",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
_MAX_LENGTH = 1024
_MAX_VALUE = 512
"""Longest label value that a pattern with several open repeats is tried on."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern that matches whole values."""

    text: str
    compiled: re.Pattern[str]
    repeats: int
    """Open-ended repeats in a row: the power with which the work grows with the value's length."""

    @classmethod
    def of(cls, text: str) -> Pattern:
        """
        Raises:
            ValueError: not understood, or its work could grow without bound.
        """
        return _pattern(text)

    def matches(self, value: str) -> bool:
        return self.search(value) is not None

    def search(self, value: str) -> re.Match[str] | None:
        """
        Raises:
            ValueError: the value is too long for this pattern.
        """
        if self.repeats > 2 and len(value) > _MAX_VALUE:
            raise ValueError(f"a value of {len(value)} characters is too long for the pattern {self.text!r}")
        return self.compiled.fullmatch(value)


@lru_cache(maxsize=4096)
def _pattern(text: str) -> Pattern:
    if len(text) > _MAX_LENGTH:
        raise ValueError(f"regular expression longer than {_MAX_LENGTH} characters")
    translated = _scoped_flags(text)
    translated = re.sub(r"\[:(\w+):\]", lambda m: _POSIX.get(m[1], m[0]), translated)
    translated = translated.replace(r"\z", r"\Z").replace("(?<", "(?P<")
    translated = re.sub(r"(?<!\\)((?:\\\\)*)\$", r"\1\\Z", translated) if "[" not in text else translated
    try:
        tree = parser.parse(translated, re.DOTALL | re.ASCII)
        repeats = _cost(tree)
        return Pattern(text, re.compile(translated, re.DOTALL | re.ASCII), repeats)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"regular expression {text!r} is not understood: {error}") from None


def _scoped_flags(text: str) -> str:
    """(?i) in the middle of a group holds to the group's end in Go; Python wants that written as (?i:…)."""
    if not re.search(r"\(\?-?[a-zA-Z]+(?:-[a-zA-Z]+)?\)", text):
        return text
    out: list[str] = []
    flags: list[list[str]] = [[]]
    for part in re.findall(r"\\.|\[\^?\]?(?:\\.|\[:\w+:\]|[^\]])*\]|\(\?[a-zA-Z-]+\)|.", text, re.DOTALL):
        if part.startswith("(?") and part.endswith(")"):
            flags[-1].append(part[:-1] + ":")
            out.append(flags[-1][-1])
        elif part == "|":
            out.append(")" * len(flags[-1]) + "|" + "".join(flags[-1]))
        elif part == "(":
            flags.append([])
            out.append(part)
        elif part == ")" and len(flags) > 1:
            out.append(")" * (len(flags.pop()) + 1))
        else:
            out.append(part)
    out.append(")" * len(flags[0]))
    return "".join(out)


def _cost(tree: Any) -> int:
    """Open repeats in a row.

    Raises:
        ValueError: an open repeat inside another, which can take exponential time.
    """
    total = 0
    for operation, argument in tree:
        if operation in (constants.MAX_REPEAT, constants.MIN_REPEAT):
            _, most, body = argument
            inner = _cost(body)
            if most > 16 and inner > 0 and not _is_separated(body):
                raise ValueError(
                    "a repeat inside a repeat can take exponential time; write it without nesting"
                )
            total += inner * min(most, 4) if most <= 16 else 1 + inner
        elif operation is constants.SUBPATTERN:
            total += _cost(argument[-1])
        elif operation is constants.BRANCH:
            total += max(_cost(branch) for branch in argument[1])
        elif operation in (constants.ASSERT, constants.ASSERT_NOT, constants.GROUPREF):
            raise ValueError("look-around and back references are not part of Prometheus' expressions")
    return total


def _is_separated(body: Any) -> bool:
    """The repeated part has a fixed character that its own open repeats cannot match, as in ([a-z]+[.])*."""
    items = _flatten(body)
    literals = [argument for operation, argument in items if operation is constants.LITERAL]
    repeats = [
        argument[2]
        for operation, argument in items
        if operation in (constants.MAX_REPEAT, constants.MIN_REPEAT)
    ]
    if any(operation is constants.BRANCH for operation, _ in items):
        return False
    return any(not any(_may_match(part, literal) for part in repeats) for literal in literals)


def _flatten(body: Any) -> list[tuple[Any, Any]]:
    items: list[tuple[Any, Any]] = []
    for operation, argument in body:
        if operation is constants.SUBPATTERN:
            items.extend(_flatten(argument[-1]))
        else:
            items.append((operation, argument))
    return items


def _may_match(body: Any, literal: int) -> bool:
    """Whether a repeat's body could take in that character; everything not recognised could."""
    for operation, argument in _flatten(body):
        if operation is constants.LITERAL and argument != literal:
            continue
        if operation is constants.IN and all(
            (kind is constants.LITERAL and part != literal)
            or (kind is constants.RANGE and not part[0] <= literal <= part[1])
            for kind, part in argument
        ):
            continue
        return True
    return False
