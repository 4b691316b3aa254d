"""A notification group as it is looked at, and what comes of that."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from sentinel.incidents.news import Event
from sentinel.model.alert import Alert
from sentinel.model.incident import Incident
from sentinel.model.labels import Labels


class Told(StrEnum):
    """What a group's receiver was last told of one of its alerts."""

    NOTHING = ""
    FIRING = "firing"
    MUTED = "muted"
    """Firing; a later message, or a look at the group, left it out."""


@dataclass(frozen=True, slots=True)
class Member:
    """An alert as it is in its incident."""

    alert: Alert
    incident: Incident
    told: Told

    @property
    def is_open(self) -> bool:
        """Not once somebody has closed the incident, whatever the alert does."""
        return self.alert.is_open and self.incident.is_live

    @property
    def was_told(self) -> bool:
        return self.told is not Told.NOTHING


@dataclass(frozen=True, slots=True)
class Group:
    """Instants are Unix seconds."""

    id: int
    key: str
    route: str
    """Key of the route that made it."""
    receiver: str
    labels: Labels
    incident: int | None
    """The only one that it tells of; None: it is one of labels."""
    created_at: float
    due_at: float | None
    flushed_at: float | None
    sent_at: float | None
    withheld: str
    members: tuple[Member, ...] = ()


@dataclass(frozen=True, slots=True)
class Letter:
    """One message about a group."""

    event: Event
    reason: str
    members: tuple[Member, ...]
    fresh: frozenset[str] = frozenset()
    """Fingerprints of the alerts that are news."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a look at a group has found."""

    letters: tuple[Letter, ...] = ()
    told: dict[str, Told] = field(default_factory=dict)
    """By fingerprint, where it changes."""
    gone: frozenset[str] = frozenset()
    """Fingerprints of members that nothing more will be told of."""
    due_at: float | None = None
    is_settled: bool = False
    """A message was due, even if the receiver did not want it: repeats count from here."""
    withheld: str = ""
    """Why something is not told now."""
