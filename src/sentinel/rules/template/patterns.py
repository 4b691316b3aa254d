"""Regular expressions in templates."""

from __future__ import annotations

from sentinel.model.pattern import Pattern
from sentinel.rules.template.errors import ExpansionError


def matches(pattern: str, text: str) -> bool:
    """Whether the pattern occurs in the text (not anchored, as Go's regexp.MatchString).

    Raises:
        ExpansionError: not a pattern.
    """
    return _compiled(pattern).occurs_in(text)


def replace_all(pattern: str, replacement: str, text: str) -> str:
    """Go's regexp.ReplaceAllString.

    Raises:
        ExpansionError: not a pattern.
    """
    return _compiled(pattern).replaced_in(text, replacement)


def _compiled(pattern: str) -> Pattern:
    try:
        return Pattern.of(pattern, dot_is_any=False)
    except ValueError as error:
        raise ExpansionError(str(error)) from None
