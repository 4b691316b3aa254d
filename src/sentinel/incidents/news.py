"""What an incident has to tell, and who takes it from there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from sentinel.model.alert import Alert
from sentinel.model.incident import Incident
from sentinel.model.labels import Labels


class Event(StrEnum):
    FIRING = "firing"
    """It opened, or further alerts joined it."""
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class News:
    """One thing that happened to an incident, with everything as it was then."""

    event: Event
    at: float
    """Unix seconds."""
    incident: Incident
    grouping: Labels
    """What its alerts have in common."""
    alerts: tuple[Alert, ...]
    fresh: frozenset[str] = frozenset()
    """Fingerprints of the alerts that fired since the last news."""
    told: frozenset[str] = frozenset()
    """Receivers that were told, or will be told, that it is firing."""
    reason: str = ""
    """One line for people: "opened", "2 more alerts", "resolved by li", …"""


@dataclass(frozen=True, slots=True)
class Message:
    """News for one receiver: becomes a row of the outbox."""

    receiver: str
    event: Event
    payload: Mapping[str, Any]
    """Facts as they are committed; plain JSON."""


class Dispatch(Protocol):
    """Decides who is told. Pure: it is asked inside the transaction that commits the news."""

    def messages(self, news: News) -> Sequence[Message]: ...


class Nobody:
    """No routes: incidents are kept, nobody is told."""

    def messages(self, news: News) -> Sequence[Message]:
        return ()
