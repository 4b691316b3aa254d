"""Incidents: what somebody has to deal with."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class IncidentState(StrEnum):
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class Grade(StrEnum):
    """Impact × urgency; I is the gravest (特别重大), IV the least (一般)."""

    I = "I"  # noqa: E741
    II = "II"
    III = "III"
    IV = "IV"


@dataclass(frozen=True, slots=True)
class Incident:
    """Instants are Unix seconds."""

    id: int
    key: str
    """What correlation grouped by: alerts with the same key join the open incident that has it."""
    state: IncidentState
    grade: Grade
    title: str
    target: str
    """Name of the target at the root, or an empty string."""
    opened_at: float
    acknowledged_at: float | None = None
    acknowledged_by: str = ""
    resolved_at: float | None = None
    resolved_by: str = ""
    """Empty: its alerts cleared."""

    @property
    def is_live(self) -> bool:
        return self.state is not IncidentState.RESOLVED


class EntryKind(StrEnum):
    """What a timeline entry tells."""

    OPENED = "opened"
    ALERT_FIRING = "alert firing"
    ALERT_UNKNOWN = "alert unknown"
    ALERT_RESOLVED = "alert resolved"
    ACKNOWLEDGED = "acknowledged"
    NOTE = "note"
    NOTIFIED = "notified"
    NOT_DELIVERED = "not delivered"
    WITHHELD = "withheld"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of an incident's timeline."""

    at: float
    kind: EntryKind
    actor: str
    """A person's or token's name, or "sentinel"."""
    text: str
