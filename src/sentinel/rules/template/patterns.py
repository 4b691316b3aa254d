"""Regular expressions in templates: RE2's common ground with `re`, and a bound on what a match may cost."""

from __future__ import annotations

import math
import re
from functools import lru_cache

from sentinel.rules.template.errors import ExpansionError
from sentinel.series.pattern import Pattern

MAX_TEXT = 4096
MAX_COST = 1e8
"""Steps that backtracking may take in the worst case."""

_REFERENCE = re.compile(r"\$(?:(\$)|\{(\w+)\}|(\w+))")


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> tuple[re.Pattern[str], int]:
    """The pattern as Go's regexp takes it (a dot does not match a line's end), and its open repeats."""
    try:
        understood = Pattern.of(pattern)
    except ValueError as error:
        raise ExpansionError(str(error)) from None
    return re.compile(understood.compiled.pattern, re.ASCII), understood.repeats


def _check_cost(repeats: int, text: str) -> None:
    # A search may start anywhere: one degree more than the repeats themselves.
    degree = repeats + 1
    if len(text) > MAX_TEXT or len(text) ** degree / math.factorial(degree) > MAX_COST:
        raise ExpansionError("the text is too long for this pattern")


def matches(pattern: str, text: str) -> bool:
    """Whether the pattern occurs in the text (not anchored, as Go's regexp.MatchString).

    Raises:
        ExpansionError: not a pattern, or one that could take too long.
    """
    compiled, repeats = _compiled(pattern)
    _check_cost(repeats, text)
    return compiled.search(text) is not None


def replace_all(pattern: str, replacement: str, text: str) -> str:
    """Go's regexp.ReplaceAllString: $1, ${1}, $name and $$ in the replacement; an unknown group is empty.

    Raises:
        ExpansionError: as for `matches`.
    """
    compiled, repeats = _compiled(pattern)
    _check_cost(repeats, text)

    def expanded(match: re.Match[str]) -> str:
        def group(reference: re.Match[str]) -> str:
            if reference.group(1):
                return "$"
            name = reference.group(2) or reference.group(3)
            try:
                return match.group(int(name) if name.isdecimal() else name) or ""
            except IndexError:
                return ""

        return _REFERENCE.sub(group, replacement)

    return compiled.sub(expanded, text)
