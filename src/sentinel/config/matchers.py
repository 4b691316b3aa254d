"""Label matchers in Alertmanager's syntax: severity="critical", job=~"if_.*", {a="b",c!="d"}.

Source: Alertmanager pkg/labels/parse.go and matcher.go: a value is bare, with anything in it but a double quote,
or in double quotes, where a backslash stands for itself unless n, a double quote or a backslash follows; a missing
label equals the empty text; regular expressions match the whole value, and a dot no end of line. Names in double
quotes are of its newer parser (matcher/parse), whose escapes are Go's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import AfterValidator

from sentinel.model.pattern import Pattern

Operator = Literal["=", "!=", "=~", "!~"]

_MATCHER = re.compile(
    r"""[\t\n\f\r ]*(?:"(?P<quoted>(?:[^"\\\n]|\\.)+)"|(?P<bare>[^\s{}!=~,\\"'`]+))
        [\t\n\f\r ]*(?P<operator>=~|=|!=|!~)[\t\n\f\r ]*(?P<value>.*?)[\t\n\f\r ]*""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", '"': '"', "\\": "\\"}
_MORE_ESCAPES = _ESCAPES | {"t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


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
        pattern = Pattern.of(value, dot_is_any=False) if operator in ("=~", "!~") else None
        return cls(name, operator, value, pattern)

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.name, "")
        if self._pattern is None:
            return (value == self.value) == (self.operator == "=")
        return self._pattern.matches(value) == (self.operator == "=~")

    def __str__(self) -> str:
        is_plain = re.fullmatch("[a-zA-Z_:][a-zA-Z0-9_:]*", self.name)
        name = self.name if is_plain else f'"{_escaped(self.name)}"'
        return f'{name}{self.operator}"{_escaped(self.value)}"'


def parse_matchers(text: str) -> tuple[Matcher, ...]:
    """One matcher, or several with commas between them, with or without braces around.

    Raises:
        ValueError: what is wrong.
    """
    inner = text.strip()
    if inner.startswith("{") != inner.endswith("}"):
        missing = "closing" if inner.startswith("{") else "opening"
        raise ValueError(
            f"matcher {text!r}: the {missing} brace is missing; a value with braces needs quotes"
        )
    is_braced = inner.startswith("{")
    parts = _parts(inner[1:-1] if is_braced else inner)
    if not parts and not is_braced:
        raise ValueError("an empty matcher")
    return tuple(_matcher(part, text) for part in parts)


def parse_matcher(text: str) -> Matcher:
    """A single matcher without braces; commas belong to its value.

    Raises:
        ValueError: what is wrong.
    """
    return _matcher(text, text)


def _is_matchers(written: str) -> str:
    parse_matchers(written)
    return written


MatcherText = Annotated[str, AfterValidator(_is_matchers)]
"""One matcher or several, as parse_matchers reads them."""


def _parts(text: str) -> list[str]:
    """Split at commas outside of quotes; a comma may also end the list."""
    parts, part, is_quoted, is_escaped = [], "", False, False
    for char in text:
        if char == "," and not is_quoted:
            parts.append(part)
            part = ""
            continue
        if char == '"' and not is_escaped:
            is_quoted = not is_quoted
        is_escaped = char == "\\" and not is_escaped
        part += char
    return [*parts, part] if part.strip() else parts


def _matcher(part: str, text: str) -> Matcher:
    match = _MATCHER.fullmatch(part)
    if match is None:
        raise ValueError(f'not a matcher: {text!r} (write name="value"; operators = != =~ !~)')
    escapes = _MORE_ESCAPES if match["quoted"] else _ESCAPES
    name = match["bare"] or _unescaped(match["quoted"], escapes)
    operator: Any = match["operator"]
    try:
        return Matcher.of(name, operator, _value(match["value"], escapes))
    except ValueError as error:
        raise ValueError(f"matcher {text!r}: {error}") from None


def _value(written: str, escapes: Mapping[str, str]) -> str:
    is_quoted = written.startswith('"')
    unquoted = written[1:] if is_quoted else written
    if is_quoted:
        if not _ESCAPED.sub("", unquoted).endswith('"'):
            raise ValueError("the closing quote is missing")
        unquoted = unquoted[:-1]
    if '"' in _ESCAPED.sub("", unquoted):
        raise ValueError('a double quote inside the value (put a comma between matchers, or write \\")')
    return _unescaped(unquoted, escapes)


def _unescaped(text: str, escapes: Mapping[str, str]) -> str:
    return _ESCAPED.sub(lambda match: escapes.get(match[1], match[0]), text)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
