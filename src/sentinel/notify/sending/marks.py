"""What became of attempts, written down with what follows from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import String, bindparam, insert, or_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from sentinel.db import tables as t
from sentinel.db.database import Database
from sentinel.incidents.book import OWN, one_line
from sentinel.incidents.rows import entry_row
from sentinel.model.incident import Entry, EntryKind
from sentinel.notify.outbox import DELIVERED, MAX_ERROR, PENDING, STATES
from sentinel.notify.receiver import Delivery, Outcome, Result
from sentinel.notify.sending.digests import is_digest, places_of, settle
from sentinel.notify.sending.policy import Policies
from sentinel.notify.sending.standins import stand_in


@dataclass(frozen=True, slots=True)
class Mark:
    """What became of one attempt."""

    delivery: Delivery
    outcome: Outcome
    kind: str
    """Of the receiver."""
    at: float
    """Unix seconds."""


_MARK = (
    update(t.outbox)
    .where(
        t.outbox.c.id == bindparam("row"),
        # dropped by hand while it was on its way: only that it arrived is news
        or_(t.outbox.c.state == PENDING, bindparam("now", type_=String) == DELIVERED),
    )
    .values(
        state=bindparam("now", type_=String),
        attempts=t.outbox.c.attempts + 1,
        last_attempt_at=bindparam("at"),
        last_error=bindparam("error"),
        recipients=bindparam("settled"),
        done_at=bindparam("done"),
    )
)


async def write_marks(db: Database, marks: Sequence[Mark], policies: Policies) -> Mapping[str, int]:
    """Write down what became of attempts, with their lines in the timelines, and what fallbacks are told of it.

    Returns:
        how many messages were handed to a fallback, by the receiver that was to hear them.
    """
    lines = [
        entry_row(incident, line)
        for mark in marks
        if not is_digest(mark.delivery)
        for line in _lines(mark)
        for incident in (mark.delivery.incident, *mark.delivery.facts.get("incidents", ()))
    ]
    async with db.transaction() as connection:
        await connection.execute(_MARK, [_mark_row(mark) for mark in marks])
        if lines:
            await connection.execute(insert(t.timeline), lines)
        dead: dict[int, tuple[str, str]] = {}
        for mark in marks:
            dead |= await _settled(connection, mark)
        if not dead:
            return {}
        at = max(mark.at for mark in marks)
        return await stand_in(connection, dead.values(), policies, at, due=dead.keys(), dead=dead.keys())


async def _settled(connection: AsyncConnection, mark: Mark) -> Mapping[int, tuple[str, str]]:
    """Dead letters that an attempt leaves, with their queues and receivers; those of a digest are its messages."""
    delivery, result = mark.delivery, mark.outcome.result
    if result is Result.RETRY:
        return {}
    is_told = result is Result.DELIVERED
    if not is_digest(delivery):
        return {} if is_told else {delivery.id: (delivery.queue, delivery.receiver)}
    await settle(connection, delivery, is_told=is_told, kind=mark.kind, at=mark.at)
    return {} if is_told else await places_of(connection, delivery)


def _mark_row(mark: Mark) -> dict[str, Any]:
    state = STATES[mark.outcome.result]
    return {
        "row": mark.delivery.id,
        "now": state,
        "at": mark.at,
        "error": "" if state == DELIVERED else one_line(mark.outcome.detail, MAX_ERROR),
        "settled": {**mark.delivery.recipients, **mark.outcome.recipients},
        "done": None if state == PENDING else mark.at,
    }


def _lines(mark: Mark) -> Sequence[Entry]:
    delivery, outcome, at = mark.delivery, mark.outcome, mark.at
    told = f"{delivery.receiver} by {mark.kind}: {delivery.event}"
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
