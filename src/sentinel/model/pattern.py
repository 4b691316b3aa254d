"""Regular expressions as Prometheus and Alertmanager know them: RE2's syntax, in time linear in the text.

Rules, routes and queries are people's text and label values are devices' text: neither may make a match run long.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import re2

MAX_LENGTH = 4096
MAX_MEMORY = 8 * 1024 * 1024
"""Bytes that one compiled expression may take; longer ones are refused."""

_REFERENCE = re.compile(r"\$(?:(\$)|\{(\w+)\}|(\w+))", re.ASCII)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled expression."""

    text: str
    _compiled: Any

    @classmethod
    def of(cls, text: str, *, dot_is_any: bool = True) -> Pattern:
        """
        Args:
            dot_is_any: a dot matches the end of a line too, as in matchers; not in templates.
        Raises:
            ValueError: not a regular expression in RE2's syntax, or too large.
        """
        return _pattern(text, dot_is_any)

    def matches(self, value: str) -> bool:
        """Whether the whole value matches."""
        return self._compiled.fullmatch(_encodable(value)) is not None

    def occurs_in(self, value: str) -> bool:
        """Whether some part of the value matches."""
        return self._compiled.search(_encodable(value)) is not None

    def groups(self, value: str) -> dict[str, str] | None:
        """What the named groups found in a match of the whole value, without those that took no part.

        None: no match.
        """
        match = self._compiled.fullmatch(_encodable(value))
        return None if match is None else _groups(match)

    def groups_in(self, value: str) -> Iterator[dict[str, str]]:
        """The same for every match inside the value."""
        return (_groups(match) for match in self._compiled.finditer(_encodable(value)))

    def expanded(self, value: str, template: str) -> str | None:
        """The template with $1, ${1} and $name filled in from a match of the whole value; None: no match.

        As Go's Regexp.Expand: $$ is a dollar, a group that is not there is empty.
        """
        match = self._compiled.fullmatch(_encodable(value))
        return None if match is None else _expand(match, template)

    def expanded_in(self, value: str, template: str) -> str | None:
        """As `expanded`, from the first match anywhere in the value."""
        match = self._compiled.search(_encodable(value))
        return None if match is None else _expand(match, template)

    def replaced_in(self, value: str, template: str) -> str:
        """Every match in the value replaced by the filled-in template, as Go's ReplaceAllString."""
        replaced: str = self._compiled.sub(lambda match: _expand(match, template), _encodable(value))
        return replaced


@lru_cache(maxsize=4096)
def _pattern(text: str, dot_is_any: bool) -> Pattern:
    if len(text) > MAX_LENGTH:
        raise ValueError(f"regular expression longer than {MAX_LENGTH} characters")
    options = re2.Options()
    options.log_errors = False
    options.dot_nl = dot_is_any
    options.max_mem = MAX_MEMORY
    try:
        return Pattern(text, re2.compile(_encodable(text), options))
    except re2.error as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
        raise ValueError(f"not a regular expression: {reason}") from None


def _groups(match: Any) -> dict[str, str]:
    return {name: text for name, text in match.groupdict().items() if text is not None}


def _expand(match: Any, template: str) -> str:
    def fill(reference: re.Match[str]) -> str:
        if reference[1]:
            return "$"
        name = reference[2] or reference[3]
        try:
            return match.group(int(name) if name.isdecimal() else name) or ""
        except (IndexError, re2.error):
            return ""

    return _REFERENCE.sub(fill, template)


def _encodable(text: str) -> str:
    """RE2 works on UTF-8, which has no place for a lone surrogate."""
    return text.encode("utf-8", "replace").decode() if not text.isascii() else text
