"""The outbox as the sender reads and marks it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import func, insert, select, update

from sentinel.db import tables as t
from sentinel.db.database import Database
from sentinel.incidents.book import OWN, one_line
from sentinel.incidents.rows import entry_row
from sentinel.model.incident import Entry, EntryKind
from sentinel.notify.receiver import Result
from sentinel.notify.sending.digest import PREFIX

PENDING = "pending"
DELIVERED = "delivered"
DEAD = "dead"
DROPPED = "dropped"
MERGED = "merged"
"""Told by a digest, which still has to arrive."""
OPEN = (PENDING, MERGED)
"""States in which a message still has to reach somebody."""
UNTOLD = "the alert itself was not delivered"
"""Why a recovery was dropped."""
MAX_ERROR = 500
STATES = {Result.DELIVERED: DELIVERED, Result.REFUSED: DEAD, Result.RETRY: PENDING}


@dataclass(frozen=True, slots=True)
class Waiting:
    """A pending row without its content."""

    id: int
    queue: str
    """Of messages that must arrive in their order."""
    attempts: int
    holds: tuple[str, ...] = ()
    """Further queues that have to wait for it: those of the messages that it tells in their place."""


@dataclass(frozen=True, slots=True)
class Backlog:
    count: int
    oldest_at: float
    """Unix seconds."""


async def waiting(db: Database, receiver: str, *, after: int, limit: int) -> list[Waiting]:
    """Pending rows of a receiver beyond a row number, in the order they were committed."""
    query = (
        select(t.outbox.c.id, t.outbox.c.queue, t.outbox.c.attempts)
        .where(t.outbox.c.receiver == receiver, t.outbox.c.state == PENDING, t.outbox.c.id > after)
        .order_by(t.outbox.c.id)
        .limit(limit)
    )
    async with db.reading() as connection:
        found = [Waiting(*row) for row in await connection.execute(query)]
        digests = [one.id for one in found if one.queue.startswith(PREFIX)]
        if not digests:
            return found
        payloads = select(t.outbox.c.id, t.outbox.c.payload).where(t.outbox.c.id.in_(digests))
        held = {number: facts["digest"]["queues"] for number, facts in await connection.execute(payloads)}
        return [replace(one, holds=tuple(held.get(one.id, ()))) for one in found]


async def bury_orphans(db: Database, receivers: Sequence[str], *, at: float) -> Mapping[str, int]:
    """Messages for receivers that are no longer configured become dead letters; how many, by receiver."""
    backlogs = await backlog(db)
    orphans = {name: one.count for name, one in backlogs.items() if name not in receivers}
    for name in orphans:
        values = {"state": DEAD, "last_error": "the receiver is no longer configured", "done_at": at}
        condition = (t.outbox.c.receiver == name, t.outbox.c.state.in_(OPEN))
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
        select(
            t.outbox.c.receiver,
            func.count().filter(t.outbox.c.state == PENDING),
            func.min(t.outbox.c.created_at),
        )
        .where(t.outbox.c.state.in_(OPEN))
        .group_by(t.outbox.c.receiver)
    )
    async with db.reading() as connection:
        rows = await connection.execute(query)
        return {name: Backlog(count, oldest) for name, count, oldest in rows}
