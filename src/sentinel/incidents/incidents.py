"""Incidents as people read and move them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from sentinel.db import tables as t
from sentinel.db.audit import write_audit
from sentinel.db.database import Database
from sentinel.incidents.book import Case, one_line
from sentinel.incidents.news import Dispatch, Event, Nobody
from sentinel.incidents.rows import alert_of, entry_of, incident_of
from sentinel.incidents.store import read_cases, write_cases
from sentinel.model.alert import Alert
from sentinel.model.incident import Entry, EntryKind, Grade, Incident, IncidentState
from sentinel.runtime.clock import Clock

log = logging.getLogger(__name__)

MAX_ACTOR = 200
MAX_NOTE = 2000
MAX_LIST = 1000
LIVE = (IncidentState.OPEN, IncidentState.ACKNOWLEDGED)


class NoSuchIncidentError(LookupError):
    """There is no incident with that number."""


class NotPossibleError(ValueError):
    """The incident is not in a state in which that can be done."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message about an incident to one receiver. Instants are Unix seconds."""

    key: str
    """Idempotency-Key that every attempt carries."""
    receiver: str
    event: str
    state: str
    """pending, delivered, dead (the far side will not have it) or dropped (no longer makes sense)."""
    attempts: int
    created_at: float
    done_at: float | None
    last_error: str


@dataclass(frozen=True, slots=True)
class IncidentRecord:
    """Everything about one incident."""

    incident: Incident
    alerts: tuple[Alert, ...]
    entries: tuple[Entry, ...]
    deliveries: tuple[Delivery, ...]


class Incidents:
    """
    Args:
        committed: called after a commit that may have left messages: wakes the sender.
    """

    def __init__(
        self,
        db: Database,
        clock: Clock,
        dispatch: Dispatch | None = None,
        *,
        committed: Callable[[], None] = lambda: None,
    ) -> None:
        self._db = db
        self._clock = clock
        self._dispatch: Dispatch = dispatch or Nobody()
        self._committed = committed

    def use(self, dispatch: Dispatch) -> None:
        """Other routes from now on."""
        self._dispatch = dispatch

    async def list(
        self,
        states: Iterable[IncidentState] = LIVE,
        *,
        limit: int = 100,
        after: int | None = None,
    ) -> list[Incident]:
        """Newest first.

        Args:
            after: continue below this incident's number.
        """
        query = select(t.incident).where(t.incident.c.state.in_([state.value for state in states]))
        if after is not None:
            query = query.where(t.incident.c.id < after)
        query = query.order_by(t.incident.c.id.desc()).limit(max(1, min(limit, MAX_LIST)))
        async with self._db.reading() as connection:
            return [incident_of(row) for row in (await connection.execute(query)).mappings()]

    async def show(self, number: int) -> IncidentRecord:
        """
        Raises:
            NoSuchIncidentError
        """
        members = select(t.incident_alert).where(t.incident_alert.c.incident_id == number)
        entries = select(t.timeline).where(t.timeline.c.incident_id == number).order_by(t.timeline.c.id)
        further = select(t.outbox_incident.c.outbox_id).where(t.outbox_incident.c.incident_id == number)
        concerning = or_(t.outbox.c.incident_id == number, t.outbox.c.id.in_(further))
        messages = select(t.outbox).where(concerning).order_by(t.outbox.c.id)
        async with self._db.reading() as connection:
            query = select(t.incident).where(t.incident.c.id == number)
            row = (await connection.execute(query)).mappings().first()
            if row is None:
                raise NoSuchIncidentError(f"there is no incident {number}")
            alerts = (await connection.execute(members.order_by(t.incident_alert.c.fired_at))).mappings()
            lines = (await connection.execute(entries)).mappings()
            sent = (await connection.execute(messages)).mappings()
            return IncidentRecord(
                incident_of(row),
                tuple(alert_of(alert) for alert in alerts),
                tuple(entry_of(line) for line in lines),
                tuple(
                    Delivery(
                        key=one["key"],
                        receiver=one["receiver"],
                        event=one["event"],
                        state=one["state"],
                        attempts=one["attempts"],
                        created_at=one["created_at"],
                        done_at=one["done_at"],
                        last_error=one["last_error"],
                    )
                    for one in sent
                ),
            )

    async def counts(self) -> Mapping[tuple[IncidentState, Grade], int]:
        """How many incidents there are, by state and grade."""
        query = select(t.incident.c.state, t.incident.c.grade, func.count()).group_by(
            t.incident.c.state, t.incident.c.grade
        )
        async with self._db.reading() as connection:
            rows = await connection.execute(query)
            return {(IncidentState(state), Grade(grade)): count for state, grade, count in rows}

    async def acknowledge(self, number: int, actor: str, note: str = "") -> Incident:
        """Somebody has taken it on; a later acknowledgement takes it over.

        Raises:
            NoSuchIncidentError
            NotPossibleError: it is resolved.
        """

        def acknowledged(case: Case, at: float, who: str) -> None:
            if not case.incident.is_live:
                raise NotPossibleError(f"incident {number} is already resolved")
            case.incident = replace(
                case.incident,
                state=IncidentState.ACKNOWLEDGED,
                acknowledged_at=at,
                acknowledged_by=who,
            )
            case.note(at, EntryKind.ACKNOWLEDGED, note, who)
            case.tell(Event.ACKNOWLEDGED, at, f"acknowledged by {who}")

        return await self._change(number, actor, "acknowledge", note, acknowledged)

    async def resolve(self, number: int, actor: str, note: str = "") -> Incident:
        """Close it by hand. Alerts that still fire stay with it until they end; they open nothing new.

        Raises:
            NoSuchIncidentError
            NotPossibleError: it is resolved already.
        """

        def resolved(case: Case, at: float, who: str) -> None:
            if not case.incident.is_live:
                raise NotPossibleError(f"incident {number} is already resolved")
            case.incident = replace(
                case.incident, state=IncidentState.RESOLVED, resolved_at=at, resolved_by=who
            )
            case.note(at, EntryKind.RESOLVED, note, who)
            case.tell(Event.RESOLVED, at, f"resolved by {who}")

        return await self._change(number, actor, "resolve", note, resolved)

    async def note(self, number: int, actor: str, text: str) -> Incident:
        """
        Raises:
            NoSuchIncidentError
            NotPossibleError: the text is empty.
        """

        def noted(case: Case, at: float, who: str) -> None:
            if not text.strip():
                raise NotPossibleError("a note needs text")
            case.note(at, EntryKind.NOTE, text, who)

        return await self._change(number, actor, "note", text, noted)

    async def _change(
        self, number: int, actor: str, action: str, detail: str, step: Callable[[Case, float, str], None]
    ) -> Incident:
        who, at = one_line(actor, MAX_ACTOR), self._clock.now()
        async with self._db.transaction() as connection:
            case = await _case(connection, number)
            step(case, at, who)
            await write_cases(connection, [case], self._dispatch, at=at)
            await write_audit(
                connection,
                at=at,
                actor=who,
                action=f"incident.{action}",
                subject=f"incident {number}",
                detail=one_line(detail, MAX_NOTE),
            )
        log.info(f"incident {action}", extra={"facts": {"incident": number, "by": who}})
        self._committed()
        return case.incident


async def _case(connection: AsyncConnection, number: int) -> Case:
    cases = await read_cases(connection, [number])
    if not cases:
        raise NoSuchIncidentError(f"there is no incident {number}")
    return cases[0]
