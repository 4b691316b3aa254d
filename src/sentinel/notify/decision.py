"""May this be told now, and if not, why: the one place that answers for silences, maintenance windows, inhibition,
targets behind one that is down, times of the week, flapping and acknowledgement.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sentinel.model.alert import Alert
from sentinel.model.incident import Incident, IncidentState
from sentinel.model.labels import Labels
from sentinel.notify.tree import Route


class Matter(StrEnum):
    """What is to be told of an alert."""

    FIRING = "firing"
    RECOVERY = "recovery"
    REPEAT = "repeat"
    """It still fires, and that was told before."""


class Why(StrEnum):
    """What stands in the way."""

    SILENCE = "silence"
    MAINTENANCE = "maintenance"
    INHIBITION = "inhibition"
    DEPENDENCY = "dependency"
    UPLINK = "uplink"
    TIME = "time"
    FLAPPING = "flapping"
    ACKNOWLEDGED = "acknowledged"


BY_PEOPLE = (Why.SILENCE, Why.MAINTENANCE)
"""Who ends one of these is told what still fires."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why something is not told now."""

    why: Why
    text: str
    """For people: whose silence, which alert inhibits it, …"""
    until: float | None = None
    """Unix seconds at which it ends as far as is known; None: when something else happens."""
    source: str = ""
    """Number or fingerprint of what it comes from: a silence, a firing alert."""

    def __str__(self) -> str:
        return f"{self.why}: {self.text}" if self.text else str(self.why)


@dataclass(frozen=True, slots=True)
class Question:
    alert: Alert
    incident: Incident
    matter: Matter
    route: Route | None
    """Whose times hold; None: the route is no longer in the tree."""
    by_incident: bool = True
    """Whether it is told as an incident; groups of labels have their interval against what comes and goes."""


def _nothing(*_: object) -> Sequence[Obstacle]:
    return ()


@dataclass(frozen=True, slots=True)
class Circumstances:
    """Who knows what may stand in the way. Each is asked for one alert, and answers from memory."""

    mutes: Callable[[Labels, float], Sequence[Obstacle]] = _nothing
    """Silences and maintenance windows that match these labels at an instant."""
    inhibitions: Callable[[Alert], Sequence[Obstacle]] = _nothing
    """Firing alerts that inhibit this one."""
    dependencies: Callable[[str], Sequence[Obstacle]] = _nothing
    """What this target is only reachable through, where it is down."""
    uplink: Callable[[str], Sequence[Obstacle]] = _nothing
    """Whether this target may only seem to be down, because Sentinel itself is cut off."""
    times: Callable[[Route, float], Sequence[Obstacle]] = _nothing
    """Time intervals in or out of which the route tells nothing."""
    flapping: Callable[[Incident, Matter, float], Sequence[Obstacle]] = _nothing
    """Whether the incident is one of those that come and go."""


def decide(question: Question, at: float, circumstances: Circumstances) -> tuple[Obstacle, ...]:
    """Everything that stands in the way; nothing: it may be told.

    Args:
        at: Unix seconds.
    """
    alert, matter = question.alert, question.matter
    found: list[Obstacle] = list(circumstances.mutes(alert.labels, at))
    found += circumstances.inhibitions(alert)
    if question.route is not None:
        found += circumstances.times(question.route, at)
    if matter is not Matter.RECOVERY:
        # What recovers can be reached.
        found += circumstances.dependencies(alert.labels.get("instance", ""))
        found += circumstances.uplink(alert.labels.get("instance", ""))
    if matter is not Matter.REPEAT:
        if question.by_incident:
            found += circumstances.flapping(question.incident, matter, at)
    elif question.incident.state is IncidentState.ACKNOWLEDGED:
        found.append(Obstacle(Why.ACKNOWLEDGED, question.incident.acknowledged_by))
    return tuple(found)
