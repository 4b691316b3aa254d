"""Grade of an incident: impact × urgency.

Impact is the criticality of the target (1 to 5, 5 the gravest), raised when many targets are affected;
urgency is the alert's severity label. Levels I to IV as in graded operations service (特别重大 to 一般).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from sentinel.model.incident import Grade

Urgency = Literal["high", "medium", "low"]

SEVERITIES: dict[str, Urgency] = {
    "page": "high",
    "emergency": "high",
    "disaster": "high",
    "fatal": "high",
    "critical": "high",
    "major": "high",
    "high": "high",
    "error": "high",
    "warning": "medium",
    "minor": "medium",
    "average": "medium",
    "medium": "medium",
    "info": "low",
    "information": "low",
    "notice": "low",
    "low": "low",
    "none": "low",
}
"""Words of the severity label; any other word counts as medium."""

GRAVEST_FIRST = (Grade.I, Grade.II, Grade.III, Grade.IV)
_HIGHEST_FIRST: tuple[Urgency, ...] = ("high", "medium", "low")

TABLE: dict[Urgency, tuple[Grade, Grade, Grade, Grade, Grade]] = {
    # impact:     1         2          3          4          5
    "high": (Grade.IV, Grade.III, Grade.III, Grade.II, Grade.I),
    "medium": (Grade.IV, Grade.IV, Grade.IV, Grade.III, Grade.II),
    "low": (Grade.IV, Grade.IV, Grade.IV, Grade.IV, Grade.III),
}

MANY = 5
VERY_MANY = 20


def impact(criticality: int, affected: int) -> int:
    """1 to 5: the gravest target's criticality, one more from 5 targets on, two more from 20."""
    spread = 2 if affected >= VERY_MANY else 1 if affected >= MANY else 0
    return max(1, min(5, criticality + spread))


def urgency(severities: Iterable[str]) -> Urgency:
    """The most urgent of the severity labels; without any, medium."""
    found = {SEVERITIES.get(word.lower(), "medium") for word in severities}
    return next((level for level in _HIGHEST_FIRST if level in found), "medium")


def grade(criticality: int, affected: int, severities: Iterable[str]) -> Grade:
    return TABLE[urgency(severities)][impact(criticality, affected) - 1]


def gravest(one: Grade, other: Grade) -> Grade:
    return min(one, other, key=GRAVEST_FIRST.index)
