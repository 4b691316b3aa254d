"""What an incident has to tell, and who takes it from there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from sentinel.model.alert import Alert, AlertChange
from sentinel.model.incident import Incident
from sentinel.model.labels import Labels

OPENED = "opened"
"""The reason of an incident's first news,"""
OVER = "all alerts are over"
"""of its last,"""
REPEAT = "still firing"
"""and of those that say nothing new."""


class Event(StrEnum):
    FIRING = "firing"
    """It opened, or further alerts joined it."""
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    REMINDER = "reminder"
    """It is muted, and will not be for much longer."""


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
    reason: str = ""
    """One line for people: "opened", "2 more alerts", "resolved by li", …"""


class Dispatch(Protocol):
    """Decides who is told."""

    def observe(self, changes: Sequence[AlertChange]) -> None:
        """What the rules have found out, before anything is told of it. The same may come twice."""
        ...

    async def tell(self, connection: AsyncConnection, news: Sequence[News], at: float) -> None:
        """Put what people have to hear into the outbox: within the transaction that commits the news.

        Args:
            at: Unix seconds.
        """
        ...


class Nobody:
    """No routes: incidents are kept, nobody is told."""

    def observe(self, changes: Sequence[AlertChange]) -> None:
        pass

    async def tell(self, connection: AsyncConnection, news: Sequence[News], at: float) -> None:
        pass
