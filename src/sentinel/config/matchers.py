"""Label matchers in Alertmanager's syntax: severity="critical", job=~"if_.*", {a="b",c!="d"}.

Source: Alertmanager's matcher grammar (pkg/labels, matcher/parse): names and values bare or in double
quotes; a missing label equals the empty text; regular expressions match the whole value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sentinel.model.pattern import Pattern

Operator = Literal["=", "!=", "=~", "!~"]

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<op>=~|!~|!=|=)
      | (?P<mark>[{},])
      | "(?P<quoted>(?:[^"\\\n]|\\.)*)"
      | (?P<bare>[^\s{}!=~,\\"'`]+)
    )""",
    re.VERBOSE,
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\", "'": "'"}


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on one label."""

    name: str
    operator: Operator
    value: str
    _pattern: Pattern | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls, name: str, operator: Operator, value: str) -> Matcher:
        """
        Raises:
            ValueError: the regular expression cannot be used.
        """
        pattern = Pattern.of(value) if operator in ("=~", "!~") else None
        return cls(name, operator, value, pattern)

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.name, "")
        if self._pattern is None:
            return (value == self.value) == (self.operator == "=")
        return self._pattern.matches(value) == (self.operator == "=~")

    def __str__(self) -> str:
        escaped = self.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'{self.name}{self.operator}"{escaped}"'


def parse_matchers(text: str) -> tuple[Matcher, ...]:
    """One matcher, or several with commas between them, with or without braces around.

    Raises:
        ValueError: what is wrong, and at which character.
    """
    tokens = _tokens(text)
    if tokens and tokens[0][1] == "{":
        if tokens[-1][1] != "}":
            raise ValueError(f"matcher {text!r}: the closing brace is missing")
        tokens = tokens[1:-1]
        if not tokens:
            return ()
    found = []
    while tokens:
        if len(tokens) < 3 or tokens[0][0] != "word" or tokens[1][0] != "op" or tokens[2][0] != "word":
            raise ValueError(f'not a matcher: {text!r} (write name="value"; operators = != =~ !~)')
        operator: Any = tokens[1][1]
        try:
            found.append(Matcher.of(tokens[0][1], operator, tokens[2][1]))
        except ValueError as error:
            raise ValueError(f"matcher {text!r}: {error}") from None
        tokens = tokens[3:]
        if tokens:
            if tokens[0][1] != "," or tokens[0][0] != "mark":
                raise ValueError(f"matcher {text!r}: put a comma between matchers")
            tokens = tokens[1:]  # a comma may also end the list
    if not found:
        raise ValueError("an empty matcher")
    return tuple(found)


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            raise ValueError(f"not a matcher: {text!r} cannot be read from character {position + 1} on")
        position = match.end()
        if match["op"]:
            tokens.append(("op", match["op"]))
        elif match["mark"]:
            tokens.append(("mark", match["mark"]))
        elif match["quoted"] is not None:
            tokens.append(("word", _unescaped(match["quoted"])))
        else:
            tokens.append(("word", match["bare"]))
    return tokens


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], "\\" + match[1]), text, flags=re.DOTALL)
