"""Why an alert was told or not: its state, who heard what, what stands in the way, what comes next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import RowMapping, select
from sqlalchemy.ext.asyncio import AsyncConnection

from sentinel.db import tables as t
from sentinel.db.database import Database
from sentinel.incidents.rows import alert_of, incident_of
from sentinel.model.alert import Alert, AlertState
from sentinel.model.incident import Incident
from sentinel.notify.decision import Matter, Obstacle
from sentinel.notify.dispatch import Dispatch
from sentinel.notify.groups.group import Group, Member
from sentinel.notify.groups.store import groups_of
from sentinel.runtime.clock import Clock

SHORTEST: Final = 4
"""Characters of a fingerprint that are enough if no other begins with them."""
MAX_MESSAGES: Final = 50


class NoSuchAlertError(LookupError):
    """There is no alert with that fingerprint, or there are several."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One message in which the alert was told, or was to be. Instants are Unix seconds."""

    id: int
    receiver: str
    event: str
    reason: str
    state: str
    created_at: float
    done_at: float | None
    attempts: int
    last_error: str


@dataclass(frozen=True, slots=True)
class Place:
    """One of the alert's notification groups."""

    receiver: str
    key: str
    alerts: int
    told: str
    """Of this alert: nothing (empty), firing, or muted."""
    sent_at: float | None
    obstacles: tuple[Obstacle, ...]
    """What stands in the way of telling it now."""
    next_at: float | None
    """When the group is looked at next; None: when something changes."""
    next_event: str
    """What would be told then if nothing changes: firing or resolved; empty: nothing."""
    next_reason: str


@dataclass(frozen=True, slots=True)
class Explanation:
    at: float
    alert: Alert
    incident: Incident | None
    """The last one that held it."""
    receivers: tuple[str, ...]
    """Of the routes that take it today."""
    places: tuple[Place, ...]
    heard: tuple[Heard, ...]
    """Newest first."""
    verdict: str
    """One line."""


class Explainer:
    """
    Args:
        dispatch: the one in force.
    """

    def __init__(self, db: Database, clock: Clock, dispatch: Callable[[], Dispatch]) -> None:
        self._db = db
        self._clock = clock
        self._dispatch = dispatch

    async def explain(self, fingerprint: str) -> Explanation:
        """
        Args:
            fingerprint: the alert's, or its first characters.
        Raises:
            NoSuchAlertError
        """
        dispatch, at = self._dispatch(), self._clock.now()
        async with self._db.reading() as connection:
            alert = await _alert(connection, fingerprint)
            incident = await _incident(connection, alert.fingerprint)
            groups = await groups_of(connection, incident.id) if incident is not None else []
            heard = await _heard(connection, incident.id, alert.fingerprint) if incident is not None else ()
        own = [(group, member) for group in groups for member in group.members if _is(member, alert)]
        places = tuple(self._place(dispatch, group, member, at) for group, member in own)
        receivers = dispatch.route.receivers(alert.labels) if dispatch.route is not None else ()
        verdict = _verdict(alert, incident, receivers, places, heard)
        return Explanation(at, alert, incident, receivers, places, heard, verdict)

    def _place(self, dispatch: Dispatch, group: Group, member: Member, at: float) -> Place:
        matter = Matter.FIRING if member.is_open else Matter.RECOVERY
        if member.is_open and member.was_told:
            matter = Matter.REPEAT
        coming = dispatch.judged(group, max(at, group.due_at)) if group.due_at is not None else None
        letter = coming.letters[-1] if coming is not None and coming.letters else None
        return Place(
            receiver=group.receiver,
            key=dispatch.group_key(group) or f"incident {group.incident}",
            alerts=len(group.members),
            told=member.told.value,
            sent_at=group.sent_at,
            obstacles=tuple(dispatch.obstacles(group, member, matter, at)),
            next_at=group.due_at,
            next_event=letter.event.value if letter is not None else "",
            next_reason=letter.reason if letter is not None else "",
        )


def _is(member: Member, alert: Alert) -> bool:
    return member.alert.fingerprint == alert.fingerprint


async def _alert(connection: AsyncConnection, fingerprint: str) -> Alert:
    """Raises: NoSuchAlertError."""
    if len(fingerprint) < SHORTEST or not fingerprint.isalnum():
        raise NoSuchAlertError(
            f"not a fingerprint: {fingerprint[:40]!r} (at least {SHORTEST} characters of it)"
        )
    begins = t.alert.c.fingerprint.startswith(fingerprint, autoescape=True)
    rows = (await connection.execute(select(t.alert).where(begins).limit(3))).mappings().all()
    exact = [row for row in rows if row["fingerprint"] == fingerprint] or rows
    if len(exact) == 1:
        return alert_of(exact[0])
    if not exact:
        raise NoSuchAlertError(f"there is no alert {fingerprint}: neither pending nor firing, nor lately")
    raise NoSuchAlertError(f"several alerts begin with {fingerprint}: write more of it")


async def _incident(connection: AsyncConnection, fingerprint: str) -> Incident | None:
    query = (
        select(t.incident)
        .join(t.incident_alert, t.incident_alert.c.incident_id == t.incident.c.id)
        .where(t.incident_alert.c.fingerprint == fingerprint)
        .order_by(t.incident.c.id.desc())
        .limit(1)
    )
    row = (await connection.execute(query)).mappings().first()
    return incident_of(row) if row is not None else None


async def _heard(connection: AsyncConnection, incident: int, fingerprint: str) -> tuple[Heard, ...]:
    further = select(t.outbox_incident.c.outbox_id).where(t.outbox_incident.c.incident_id == incident)
    concerns = (t.outbox.c.incident_id == incident) | t.outbox.c.id.in_(further)
    query = select(t.outbox).where(concerns).order_by(t.outbox.c.id.desc()).limit(4 * MAX_MESSAGES)
    rows = (await connection.execute(query)).mappings()
    return tuple(_message(row) for row in rows if _tells(row, fingerprint))[:MAX_MESSAGES]


def _tells(row: RowMapping, fingerprint: str) -> bool:
    """Whether the alert is in a message, or is one of those that it leaves out."""
    facts = row["payload"]
    return facts["truncated"] > 0 or any(alert["fingerprint"] == fingerprint for alert in facts["alerts"])


def _message(row: RowMapping) -> Heard:
    return Heard(
        id=row["id"],
        receiver=row["receiver"],
        event=row["event"],
        reason=row["payload"]["reason"],
        state=row["state"],
        created_at=row["created_at"],
        done_at=row["done_at"],
        attempts=row["attempts"],
        last_error=row["last_error"],
    )


def _verdict(
    alert: Alert,
    incident: Incident | None,
    receivers: Sequence[str],
    places: Sequence[Place],
    heard: Sequence[Heard],
) -> str:
    if alert.state is AlertState.PENDING:
        return "not told: it is pending, its rule's `for` has not passed"
    if incident is None:
        return "not told: it has not fired"
    delivered = [one.receiver for one in heard if one.event == "firing" and one.state == "delivered"]
    waiting = [one.receiver for one in heard if one.state in ("pending", "merged")]
    withheld = [one for one in places if one.obstacles and not one.told]
    if withheld:
        reasons = dict.fromkeys(str(each) for one in withheld for each in one.obstacles)
        return f"{', '.join(one.receiver for one in withheld)} not told now: {'; '.join(reasons)}"
    if delivered:
        return f"told to {', '.join(dict.fromkeys(delivered))}"
    if waiting:
        return f"on its way to {', '.join(dict.fromkeys(waiting))}"
    dead = [one for one in heard if one.state == "dead"]
    if dead:
        return f"not delivered to {dead[0].receiver}: {dead[0].last_error}"
    if any(one.next_at is not None for one in places):
        return "not told yet: its group waits for company"
    if not alert.is_open:
        return "not told: it was over before anybody was to be told"
    return "not told: " + (
        "nobody is told by its route" if not receivers or receivers == ("nobody",) else "its routes"
    )
