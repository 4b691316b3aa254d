"""Puts messages together that a receiver cannot take one by one, and settles them with their digest."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import RowMapping, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from sentinel.db import tables as t
from sentinel.db.database import Database
from sentinel.db.sql import Row, execute_many, pieces
from sentinel.incidents.book import OWN, one_line
from sentinel.incidents.rows import entry_row
from sentinel.model.incident import Entry, EntryKind
from sentinel.notify.outbox import DEAD, DELIVERED, MAX_ERROR, MERGED, PENDING, UNTOLD, Waiting
from sentinel.notify.receiver import Delivery
from sentinel.notify.sending.digest import PREFIX, Part, digest_of
from sentinel.notify.sending.sense import drop_rows, is_firing, senseless

log = logging.getLogger(__name__)

MOST: Final = 2000
"""Messages in one digest: what waits beside them comes with the next."""
PAGE: Final = 200
"""Messages read at a time."""
FEWEST: Final = 2


class _ChangedError(Exception):
    """What was read is no longer so."""


@dataclass(frozen=True, slots=True)
class Merged:
    """What was put together."""

    digest: Waiting | None
    """The message to send; None: there was nothing to put together."""
    gone: Collection[int]
    """Rows that nothing more has to be done for."""
    dropped: Sequence[str]
    """Why rows were dropped on this occasion."""


async def put_together(db: Database, receiver: str, leave: Collection[str], at: float) -> Merged | None:
    """One message in place of those that wait for a receiver, committed with the marks of all of them.

    Args:
        leave: queues not to touch, since something of them is on its way.
        at: Unix seconds.
    Returns:
        None: something has changed meanwhile, and nothing was written.
    """
    async with db.reading() as connection:
        rows = await _candidates(connection, receiver, leave)
        reasons = await _reasons(connection, rows, at)
    parts = [row for row in rows if row["id"] not in reasons]
    if len(parts) < FEWEST:
        parts = []
    queue = f"{PREFIX}{uuid.uuid4().hex}"
    await asyncio.sleep(0)
    try:
        async with db.transaction() as connection:
            gone = [(row, reasons[row["id"]]) for row in rows if row["id"] in reasons]
            if await drop_rows(connection, gone, at) != len(gone):
                raise _ChangedError
            digest = await _write(connection, receiver, parts, queue, at) if parts else None
    except _ChangedError:
        return None
    if digest is not None:
        facts = {"receiver": receiver, "message": digest.id, "messages": len(parts)}
        log.info("messages put together", extra={"facts": facts})
    return Merged(digest, {row["id"] for row in (*parts, *(row for row, _ in gone))}, list(reasons.values()))


async def settle(
    connection: AsyncConnection, delivery: Delivery, *, is_told: bool, kind: str, at: float
) -> None:
    """The messages of a digest share its fate."""
    numbers = _messages(delivery)
    note = f"told by message {delivery.id}" if is_told else f"refused with message {delivery.id}"
    values = {
        "state": DELIVERED if is_told else DEAD,
        "attempts": t.outbox.c.attempts + 1,
        "last_attempt_at": at,
        "last_error": note,
        "done_at": at,
    }
    states = (MERGED, DEAD) if is_told else (MERGED,)
    for some in pieces(numbers):
        which = (t.outbox.c.id.in_(some), t.outbox.c.state.in_(states))
        await connection.execute(update(t.outbox).where(*which).values(values))
    what = EntryKind.NOTIFIED if is_told else EntryKind.NOT_DELIVERED
    text = f"{delivery.receiver} by {kind}: {delivery.event}, {delivery.facts['reason']}"
    entry = Entry(at, what, OWN, one_line(text if is_told else f"{text}: refused", MAX_ERROR))
    incidents = await _incidents(connection, numbers)
    await execute_many(connection, insert(t.timeline), [entry_row(one, entry) for one in incidents])


async def places_of(connection: AsyncConnection, delivery: Delivery) -> Mapping[int, tuple[str, str]]:
    """Of the messages of a digest, by number."""
    found = {}
    for some in pieces(_messages(delivery)):
        query = select(t.outbox.c.id, t.outbox.c.queue, t.outbox.c.receiver).where(t.outbox.c.id.in_(some))
        for number, queue, receiver in await connection.execute(query):
            found[number] = (queue, receiver)
    return found


def is_digest(delivery: Delivery) -> bool:
    return delivery.queue.startswith(PREFIX)


def _messages(delivery: Delivery) -> Sequence[int]:
    digest = delivery.facts.get("digest")
    return digest["messages"] if digest else ()


async def _candidates(
    connection: AsyncConnection, receiver: str, leave: Collection[str]
) -> Sequence[RowMapping]:
    """Whole rows that wait, in their order; nothing of queues whose first message some recipients have already."""
    of = t.outbox.c
    waiting = (of.receiver == receiver, of.state == PENDING)
    light = await connection.execute(select(of.id, of.queue, of.recipients).where(*waiting).order_by(of.id))
    left, numbers = set(leave), list[int]()
    for number, queue, recipients in light:
        if recipients or queue.startswith(PREFIX):
            left.add(queue)
        if queue not in left and len(numbers) < MOST:
            numbers.append(number)
    rows: list[RowMapping] = []
    for some in pieces(numbers, PAGE):
        found = await connection.execute(select(t.outbox).where(of.id.in_(some)).order_by(of.id))
        rows += found.mappings()
        await asyncio.sleep(0)  # others have their turn
    return rows


async def _reasons(connection: AsyncConnection, rows: Sequence[RowMapping], at: float) -> Mapping[int, str]:
    """Why some rows are not worth telling: an end is if its alert is told with it."""
    reasons = dict(await senseless(connection, rows, at))
    told = set()
    for row in rows:
        if is_firing(row) and row["id"] not in reasons:
            told.add(row["queue"])
        elif reasons.get(row["id"]) == UNTOLD and row["queue"] in told:
            del reasons[row["id"]]
    return reasons


async def _write(
    connection: AsyncConnection, receiver: str, rows: Sequence[RowMapping], queue: str, at: float
) -> Waiting:
    """
    Raises:
        _ChangedError: one of the rows does not wait any more.
    """
    facts = digest_of([Part(row["id"], row["queue"], row["payload"]) for row in rows], queue, at)
    assert "digest" in facts
    written: dict[str, Any] = {
        "key": uuid.uuid4().hex,
        "incident_id": facts["incident"],
        "queue": queue,
        "receiver": receiver,
        "event": facts["event"],
        "payload": facts,
        "created_at": at,
        "state": PENDING,
        "attempts": 0,
        "last_error": "",
        "recipients": {},
    }
    number = (await connection.execute(insert(t.outbox).returning(t.outbox.c.id), written)).scalar_one()
    note = {"state": MERGED, "last_error": f"is told by message {number}"}
    count = 0
    for some in pieces(facts["digest"]["messages"]):
        which = (t.outbox.c.id.in_(some), t.outbox.c.state == PENDING)
        count += (await connection.execute(update(t.outbox).where(*which).values(note))).rowcount
    if count != len(rows):
        raise _ChangedError
    incidents = await _incidents(connection, facts["digest"]["messages"])
    links: list[Row] = [
        {"outbox_id": number, "incident_id": one} for one in incidents if one != facts["incident"]
    ]
    await execute_many(connection, insert(t.outbox_incident), links)
    return Waiting(number, queue, 0, tuple(facts["digest"]["queues"]))


async def _incidents(connection: AsyncConnection, numbers: Iterable[int]) -> Sequence[int]:
    """Those that messages tell of."""
    found: set[int] = set()
    further = t.outbox_incident.c
    for some in pieces(numbers):
        main = select(t.outbox.c.incident_id).where(t.outbox.c.id.in_(some))
        found |= set((await connection.execute(main)).scalars())
        beside = select(further.incident_id).where(further.outbox_id.in_(some))
        found |= set((await connection.execute(beside)).scalars())
    return sorted(found)
