"""The content of messages about to be sent, and whether they still make sense."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import RowMapping, Text, insert, or_, select, type_coerce, update
from sqlalchemy.ext.asyncio import AsyncConnection

from sentinel.db import tables as t
from sentinel.db.database import Database
from sentinel.db.sql import pieces
from sentinel.incidents.book import OWN, one_line
from sentinel.incidents.news import REPEAT, Event
from sentinel.incidents.rows import entry_row
from sentinel.model.incident import Entry, EntryKind
from sentinel.notify.outbox import DELIVERED, DROPPED, MAX_ERROR, OPEN, PENDING, UNTOLD
from sentinel.notify.receiver import Delivery

OVERTAKEN: Final = "a later message has overtaken it"
EXPIRED: Final = "it has waited for longer than expires_after"
WORDS: Final = {UNTOLD: "untold", OVERTAKEN: "overtaken", EXPIRED: "expired"}
"""Why messages are dropped, in short."""


async def fetch(db: Database, numbers: Sequence[int], at: float) -> Mapping[int, tuple[Delivery, str]]:
    """The content of rows, and why they no longer make sense; empty: they do.

    Rows that are gone, or were settled meanwhile, are left out.

    Args:
        at: Unix seconds.
    """
    query = select(t.outbox).where(t.outbox.c.id.in_(numbers), t.outbox.c.state == PENDING)
    async with db.reading() as connection:
        rows = (await connection.execute(query)).mappings().all()
        reasons = await senseless(connection, rows, at)
    return {row["id"]: (_delivery(row), reasons.get(row["id"], "")) for row in rows}


async def senseless(connection: AsyncConnection, rows: Sequence[RowMapping], at: float) -> Mapping[int, str]:
    """Which rows no longer make sense, and why.

    A recovery or an acknowledgement does once its alert has arrived; a repeat or an acknowledgement does until
    the same or the end is told after it; an alert does until it expires.
    """
    reasons: dict[int, str] = {}
    rows = [row for row in rows if "digest" not in row["payload"]]  # they were looked at when they were made
    told = await _told(connection, [row for row in rows if not is_firing(row)])
    later = await _later(connection, [row for row in rows if _may_be_overtaken(row)])
    for row in rows:
        place = (row["queue"], row["receiver"])
        if (
            is_firing(row)
            and row["expires_at"] is not None
            and row["expires_at"] <= at
            and not _is_known(row)
        ):
            reasons[row["id"]] = EXPIRED
        elif not is_firing(row) and row["event"] != Event.REMINDER.value and place not in told:
            reasons[row["id"]] = UNTOLD
        elif _may_be_overtaken(row) and any(_overtakes(one, row) for one in later.get(place, ())):
            reasons[row["id"]] = OVERTAKEN
    return reasons


async def drop_rows(connection: AsyncConnection, rows: Sequence[tuple[RowMapping, str]], at: float) -> int:
    """Give up rows, each for its reason; how many of them were still waiting."""
    count = 0
    for row, reason in rows:
        count += await _drop(connection, _delivery(row), reason, at)
    return count


async def drop(db: Database, delivery: Delivery, *, reason: str, at: float) -> None:
    """A message that no longer makes sense is not sent."""
    async with db.transaction() as connection:
        await _drop(connection, delivery, reason, at)


async def _drop(connection: AsyncConnection, delivery: Delivery, reason: str, at: float) -> int:
    values = {"state": DROPPED, "last_error": reason, "done_at": at}
    which = (t.outbox.c.id == delivery.id, t.outbox.c.state == PENDING)
    count = (await connection.execute(update(t.outbox).where(*which).values(values))).rowcount
    if count and reason != UNTOLD:  # the alert's own line says all there is to say
        text = one_line(f"{delivery.receiver}: {delivery.event} is not sent: {reason}", MAX_ERROR)
        entry = Entry(at, EntryKind.NOT_DELIVERED, OWN, text)
        incidents = (delivery.incident, *delivery.facts.get("incidents", ()))
        await connection.execute(insert(t.timeline), [entry_row(one, entry) for one in incidents])
    return count


def _delivery(row: RowMapping) -> Delivery:
    return Delivery(
        id=row["id"],
        key=row["key"],
        incident=row["incident_id"],
        receiver=row["receiver"],
        event=row["event"],
        facts=row["payload"],
        recipients=row["recipients"],
        queue=row["queue"],
    )


def is_firing(row: RowMapping) -> bool:
    return bool(row["event"] == Event.FIRING.value)


def _is_known(row: RowMapping) -> bool:
    """Some of its recipients have it already."""
    return "accepted" in row["recipients"].values()


def _is_repeat(row: RowMapping) -> bool:
    return is_firing(row) and row["payload"]["reason"] == REPEAT


def _may_be_overtaken(row: RowMapping) -> bool:
    return _is_repeat(row) or row["event"] == Event.ACKNOWLEDGED.value


def _overtakes(later: RowMapping, row: RowMapping) -> bool:
    """An acknowledgement says less than a repeat, which says nothing of who has taken it on to a pager."""
    if later["id"] <= row["id"]:
        return False
    if later["event"] == Event.RESOLVED.value:
        return True
    return bool(
        later["event"] == row["event"] and (is_firing(row) or later["incident_id"] == row["incident_id"])
    )


async def _told(connection: AsyncConnection, rows: Sequence[RowMapping]) -> Collection[tuple[str, str]]:
    """Queues, and who was told that something of them is firing, be it only some of the recipients."""
    found: set[tuple[str, str]] = set()
    some_have_it = type_coerce(t.outbox.c.recipients, Text).like('%"accepted"%')
    for some in pieces({row["queue"] for row in rows}):
        query = select(t.outbox.c.queue, t.outbox.c.receiver).where(
            t.outbox.c.queue.in_(some),
            t.outbox.c.event == Event.FIRING.value,
            or_(t.outbox.c.state == DELIVERED, (t.outbox.c.state != PENDING) & some_have_it),
        )
        found |= {(queue, receiver) for queue, receiver in await connection.execute(query)}
    return found


async def _later(
    connection: AsyncConnection, rows: Sequence[RowMapping]
) -> Mapping[tuple[str, str], Sequence[RowMapping]]:
    """What waits or has arrived in the queues of these rows, from the first of them on."""
    found: dict[tuple[str, str], list[RowMapping]] = {}
    of: Any = t.outbox.c
    for some in pieces(rows):
        query = select(of.id, of.queue, of.receiver, of.event, of.incident_id).where(
            of.queue.in_({row["queue"] for row in some}),
            of.id > min(row["id"] for row in some),
            of.state.in_((*OPEN, DELIVERED)),
        )
        for row in (await connection.execute(query)).mappings():
            found.setdefault((row["queue"], row["receiver"]), []).append(row)
    return found
