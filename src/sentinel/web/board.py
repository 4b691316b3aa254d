"""What the overview shows, as values: a wall of targets by site, live incidents, counts, the daemon's state."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from sentinel.collect.watch import PollStatus
from sentinel.model.alert import Alert, AlertState
from sentinel.model.incident import Grade, Incident, IncidentState
from sentinel.web.seams.daemon import Vitals
from sentinel.web.seams.faces import Faces

MAX_INCIDENTS = 1000
"""Live incidents that are looked at."""
MAX_SHOWN = 100
"""Live incidents that the overview lists, the gravest first."""
LIVE_STATES = (IncidentState.OPEN, IncidentState.ACKNOWLEDGED)
_DIGITS = re.compile(r"(\d+)")


class TileState(StrEnum):
    """A target at a glance, worst first."""

    DOWN = "down"
    """No module can read it."""
    CRITICAL = "critical"
    """Read, and an alert of severity critical fires."""
    WARNING = "warning"
    """Read, and another alert fires."""
    PARTIAL = "partial"
    """Some modules can read it, some cannot."""
    UNKNOWN = "unknown"
    """Read, but an alert that fired cannot be judged now."""
    WAITING = "waiting"
    """Not polled yet."""
    OK = "ok"


@dataclass(frozen=True, slots=True)
class Tile:
    """One target on the wall."""

    name: str
    state: TileState
    since: float | None
    """Unix seconds since which it is down or up."""
    alerts: int
    """Open alerts that concern it."""
    detail: str
    """Why, one line; empty when all is well."""


@dataclass(frozen=True, slots=True)
class SiteWall:
    """The tiles of one site, by name."""

    name: str
    tiles: tuple[Tile, ...]
    counts: Mapping[TileState, int]


@dataclass(frozen=True, slots=True)
class Board:
    """The overview at one moment; equal boards look the same."""

    sites: tuple[SiteWall, ...]
    incidents: tuple[Incident, ...]
    """The gravest live ones."""
    open_incidents: int
    alerts: Mapping[AlertState, int]
    vitals: Vitals
    unready: tuple[str, ...] = ()
    grades: Mapping[Grade, int] = field(default_factory=dict)

    @property
    def tiles(self) -> Mapping[TileState, int]:
        total: Counter[TileState] = Counter()
        for site in self.sites:
            total.update(site.counts)
        return total

    @property
    def targets(self) -> int:
        return sum(len(site.tiles) for site in self.sites)


async def read_board(faces: Faces) -> Board:
    """The board as it is now."""
    alerts = faces.alerts.active()
    incidents = await faces.incidents.list(LIVE_STATES, limit=MAX_INCIDENTS)
    return Board(
        sites=walls(faces.fleet.status(), alerts),
        incidents=tuple(sorted(incidents, key=_gravity)[:MAX_SHOWN]),
        open_incidents=len(incidents),
        alerts=Counter(alert.state for alert in alerts),
        vitals=faces.health.vitals(),
        unready=tuple(faces.health.unready()),
        grades=Counter(incident.grade for incident in incidents),
    )


def walls(polls: Iterable[PollStatus], alerts: Iterable[Alert]) -> tuple[SiteWall, ...]:
    """Targets by the label `site`, else by the first module, each with its worst state."""
    open_alerts: dict[str, list[Alert]] = {}
    for alert in alerts:
        if alert.is_open:
            open_alerts.setdefault(alert.labels.get("instance", ""), []).append(alert)
    targets: dict[str, list[PollStatus]] = {}
    for poll in polls:
        targets.setdefault(poll.source.target, []).append(poll)
    sites: dict[str, list[Tile]] = {}
    for name, statuses in targets.items():
        first = statuses[0]
        site = first.target.labels.get("site") or first.source.module
        sites.setdefault(site, []).append(tile(name, statuses, open_alerts.get(name, ())))
    return tuple(
        _site(name, tiles) for name, tiles in sorted(sites.items(), key=lambda item: natural(item[0]))
    )


def tile(name: str, polls: Sequence[PollStatus], alerts: Sequence[Alert]) -> Tile:
    """One target's tile out of its polls and the open alerts that concern it."""
    down = [poll for poll in polls if poll.up is False]
    firing = [alert for alert in alerts if alert.state is AlertState.FIRING]
    changes = [poll.since for poll in (down or polls) if poll.since is not None]
    return Tile(
        name=name,
        state=_state(polls, down, firing, alerts),
        since=max(changes, default=None),
        alerts=len(alerts),
        detail=_detail(down, alerts),
    )


def natural(text: str) -> list[tuple[int, str]]:
    """Sort key under which sw9 comes before sw10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in _DIGITS.split(text.lower())]


def _state(
    polls: Sequence[PollStatus],
    down: Sequence[PollStatus],
    firing: Sequence[Alert],
    alerts: Sequence[Alert],
) -> TileState:
    if down and len(down) == len(polls):
        return TileState.DOWN
    if firing:
        is_critical = any(alert.labels.get("severity") == "critical" for alert in firing)
        return TileState.CRITICAL if is_critical else TileState.WARNING
    if down:
        return TileState.PARTIAL
    if alerts:
        return TileState.UNKNOWN
    if all(poll.up is None for poll in polls):
        return TileState.WAITING
    return TileState.OK


def _detail(down: Sequence[PollStatus], alerts: Sequence[Alert]) -> str:
    if down:
        return "; ".join(f"{poll.source.module}: {poll.detail or poll.reason}" for poll in down)
    names = sorted({alert.name for alert in alerts})
    return ", ".join(names[:5]) + (" …" if len(names) > 5 else "")


def _site(name: str, tiles: list[Tile]) -> SiteWall:
    tiles.sort(key=lambda tile: natural(tile.name))
    return SiteWall(name, tuple(tiles), Counter(tile.state for tile in tiles))


def _gravity(incident: Incident) -> tuple[int, bool, float]:
    """Gravest first, then those that nobody owns, then the oldest."""
    is_owned = incident.state is not IncidentState.OPEN
    return tuple(Grade).index(incident.grade), is_owned, incident.opened_at
