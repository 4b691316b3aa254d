"""How far back an expression looks, read off its text."""

from __future__ import annotations

import re

from sentinel.model.durations import parse_duration

LONGEST_SETTLE = 600.0
"""Seconds."""

_STRING = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|`[^`]*`")
_WINDOW = re.compile(r"\[\s*([0-9a-z]+)\s*[\]:]")
_OFFSET = re.compile(r"\boffset\s+([0-9a-z]+)")


def settle_time(expression: str) -> float:
    """Seconds after data are back in which the expression may still lack samples: its longest window, bounded."""
    return min(max(_found(_WINDOW, expression), default=0.0), LONGEST_SETTLE)


def reach(text: str) -> float:
    """Seconds that cover every window and offset of the text added up: more than any of its expressions needs."""
    return sum(set(_found(_WINDOW, text))) + sum(set(_found(_OFFSET, text)))


def _found(pattern: re.Pattern[str], text: str) -> list[float]:
    found = []
    for written in pattern.findall(_STRING.sub("", text)):
        try:
            found.append(parse_duration(written))
        except ValueError:
            continue
    return found
