"""The outbox as the sender reads and marks it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import RowMapping, exists, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from sentinel.db import tables as t
from sentinel.db.database import Database
from sentinel.incidents.book import OWN, one_line
from sentinel.incidents.news import Event
from sentinel.incidents.rows import entry_row
from sentinel.model.incident import Entry, EntryKind
from sentinel.notify.receiver import Delivery, Outcome, Result

PENDING = "pending"
DELIVERED = "delivered"
DEAD = "dead"
DROPPED = "dropped"
MAX_ERROR = 500
STATES = {Result.DELIVERED: DELIVERED, Result.REFUSED: DEAD, Result.RETRY: PENDING}


@dataclass(frozen=True, slots=True)
class Waiting:
    """A pending row without its content."""

    id: int
    incident: int
    attempts: int


@dataclass(frozen=True, slots=True)
class Backlog:
    count: int
    oldest_at: float
    """Unix seconds."""


async def waiting(db: Database, receiver: str, *, after: int, limit: int) -> list[Waiting]:
    """Pending rows of a receiver beyond a row number, in the order they were committed."""
    query = (
        select(t.outbox.c.id, t.outbox.c.incident_id, t.outbox.c.attempts)
        .where(t.outbox.c.receiver == receiver, t.outbox.c.state == PENDING, t.outbox.c.id > after)
        .order_by(t.outbox.c.id)
        .limit(limit)
    )
    async with db.reading() as connection:
        return [Waiting(*row) for row in await connection.execute(query)]


async def fetch(db: Database, number: int) -> tuple[Delivery, bool] | None:
    """A row's content, and whether it still makes sense: a recovery does once its alert has arrived.

    None: the row is gone, or was settled meanwhile.
    """
    query = select(t.outbox).where(t.outbox.c.id == number)
    async with db.reading() as connection:
        row = (await connection.execute(query)).mappings().first()
        if row is None or row["state"] != PENDING:
            return None
        makes_sense = row["event"] == Event.FIRING.value or await _was_told(connection, row)
    delivery = Delivery(
        id=row["id"],
        key=row["key"],
        incident=row["incident_id"],
        receiver=row["receiver"],
        event=row["event"],
        facts=row["payload"],
        recipients=row["recipients"],
    )
    return delivery, makes_sense


async def _was_told(connection: AsyncConnection, row: RowMapping) -> bool:
    told = exists().where(
        t.outbox.c.incident_id == row["incident_id"],
        t.outbox.c.event == Event.FIRING.value,
        t.outbox.c.receiver == row["receiver"],
        t.outbox.c.state == DELIVERED,
    )
    return bool((await connection.execute(select(told))).scalar())


async def mark(db: Database, delivery: Delivery, outcome: Outcome, *, kind: str, at: float) -> None:
    """Write down what became of an attempt, with its line in the timeline."""
    state = STATES[outcome.result]
    values = {
        "state": state,
        "attempts": t.outbox.c.attempts + 1,
        "last_attempt_at": at,
        "last_error": "" if state == DELIVERED else one_line(outcome.detail, MAX_ERROR),
        "recipients": {**delivery.recipients, **outcome.recipients},
        "done_at": None if state == PENDING else at,
    }
    lines = _lines(delivery, outcome, kind=kind, at=at)
    async with db.transaction() as connection:
        await connection.execute(update(t.outbox).where(t.outbox.c.id == delivery.id).values(values))
        if lines:
            rows = [entry_row(delivery.incident, line) for line in lines]
            await connection.execute(insert(t.timeline), rows)


def _lines(delivery: Delivery, outcome: Outcome, *, kind: str, at: float) -> Sequence[Entry]:
    told = f"{delivery.receiver} by {kind}: {delivery.event}"
    lines = [
        Entry(at, EntryKind.NOT_DELIVERED, OWN, one_line(f"{told}: {refusal}", MAX_ERROR))
        for refusal in outcome.refused
    ]
    if outcome.result is Result.DELIVERED:
        lines.append(Entry(at, EntryKind.NOTIFIED, OWN, told))
    elif outcome.result is Result.REFUSED and not lines:
        lines.append(
            Entry(at, EntryKind.NOT_DELIVERED, OWN, one_line(f"{told}: {outcome.detail}", MAX_ERROR))
        )
    return lines


async def drop(db: Database, number: int, *, reason: str, at: float) -> None:
    """A message that no longer makes sense is not sent."""
    values = {"state": DROPPED, "last_error": reason, "done_at": at}
    async with db.transaction() as connection:
        await connection.execute(update(t.outbox).where(t.outbox.c.id == number).values(values))


async def bury_orphans(db: Database, receivers: Sequence[str], *, at: float) -> Mapping[str, int]:
    """Messages for receivers that are no longer configured become dead letters; how many, by receiver."""
    backlogs = await backlog(db)
    orphans = {name: one.count for name, one in backlogs.items() if name not in receivers}
    for name in orphans:
        values = {"state": DEAD, "last_error": "the receiver is no longer configured", "done_at": at}
        condition = (t.outbox.c.receiver == name, t.outbox.c.state == PENDING)
        async with db.transaction() as connection:
            numbers = select(t.outbox.c.incident_id).where(*condition)
            incidents = set((await connection.execute(numbers)).scalars())
            await connection.execute(update(t.outbox).where(*condition).values(values))
            text = one_line(f"{name}: the receiver is no longer configured", MAX_ERROR)
            entry = Entry(at, EntryKind.NOT_DELIVERED, OWN, text)
            await connection.execute(insert(t.timeline), [entry_row(number, entry) for number in incidents])
    return orphans


async def backlog(db: Database) -> Mapping[str, Backlog]:
    """What waits, by receiver."""
    query = (
        select(t.outbox.c.receiver, func.count(), func.min(t.outbox.c.created_at))
        .where(t.outbox.c.state == PENDING)
        .group_by(t.outbox.c.receiver)
    )
    async with db.reading() as connection:
        rows = await connection.execute(query)
        return {name: Backlog(count, oldest) for name, count, oldest in rows}
