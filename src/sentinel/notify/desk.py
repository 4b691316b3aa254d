"""What people do with messages: look at them, try dead ones again, drop what nobody needs any more."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, RowMapping, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from sentinel.db import tables as t
from sentinel.db.audit import write_audit
from sentinel.db.database import Database
from sentinel.db.sql import execute_many, pieces
from sentinel.incidents.book import one_line
from sentinel.incidents.incidents import MAX_ACTOR, MAX_NOTE, NotPossibleError
from sentinel.incidents.news import Event
from sentinel.incidents.rows import entry_row
from sentinel.model.incident import Entry, EntryKind, IncidentState
from sentinel.notify.outbox import DEAD, DELIVERED, DROPPED, MERGED, OPEN, PENDING, UNTOLD
from sentinel.notify.sending.digest import PREFIX
from sentinel.runtime.clock import Clock

log = logging.getLogger(__name__)

MAX_AT_ONCE = 1000
"""Messages that one act may concern."""
STATES = (PENDING, MERGED, DELIVERED, DEAD, DROPPED)
_HIDDEN = ("payload", "recipients", "expires_at")
_SHOWN = [column for column in t.outbox.c if column.name not in _HIDDEN]


class NoSuchMessageError(LookupError):
    """There is no message with that number."""


@dataclass(frozen=True, slots=True)
class MessageRecord:
    """A message without its content. Instants are Unix seconds."""

    id: int
    key: str
    incident: int
    receiver: str
    event: str
    state: str
    attempts: int
    created_at: float
    last_attempt_at: float | None
    done_at: float | None
    last_error: str
    origin: int | None = None
    """The message that it stands in for, whose receiver did not take it."""


class Desk:
    """
    Args:
        receivers: names of those that are configured now.
        again: messages of these receivers have become pending: wakes the sender at once.
    """

    def __init__(
        self,
        db: Database,
        clock: Clock,
        *,
        receivers: Callable[[], Collection[str]],
        again: Callable[[Iterable[str]], None],
    ) -> None:
        self._db = db
        self._clock = clock
        self._receivers = receivers
        self._again = again

    async def list(
        self,
        states: Sequence[str] = (),
        *,
        receiver: str = "",
        limit: int = 100,
        after: int | None = None,
    ) -> Sequence[MessageRecord]:
        """Newest first.

        Args:
            states: those in one of these; without any, those that are not delivered.
            receiver: those for this one only.
            after: continue below this message's number.
        """
        conditions: list[ColumnElement[bool]] = [
            t.outbox.c.state.in_(states or (PENDING, MERGED, DEAD, DROPPED))
        ]
        if receiver:
            conditions.append(t.outbox.c.receiver == receiver)
        if after is not None:
            conditions.append(t.outbox.c.id < after)
        query = select(*_SHOWN).where(*conditions).order_by(t.outbox.c.id.desc())
        async with self._db.reading() as connection:
            rows = await connection.execute(query.limit(max(1, min(limit, MAX_AT_ONCE))))
            return [_shown(row) for row in rows.mappings()]

    async def retry(self, numbers: Sequence[int], receiver: str, actor: str) -> Sequence[MessageRecord]:
        """Try messages again that are dead or dropped, with the key that they have; all of them or none.

        A recovery that was dropped with its alert goes along.

        Args:
            numbers: which; without any, the newest dead ones of the receiver.
        Raises:
            NoSuchMessageError
            NotPossibleError: one was delivered, still waits, has no receiver any more, or tells an alert that is
                over without a recovery to follow.
        """
        if bool(numbers) == bool(receiver):
            raise NotPossibleError("name either messages or a receiver")
        async with self._db.transaction() as connection:
            rows = await (_rows(connection, numbers) if numbers else _dead(connection, receiver))
            chosen, refusals = await self._chosen(connection, rows)
            if refusals and (numbers or not chosen):
                raise NotPossibleError(refusals[0])
            values = {"state": PENDING, "last_error": "", "done_at": None}
            changed = await self._write(
                connection,
                chosen,
                values,
                actor=actor,
                action="retry",
                what="is tried again",
                detail=receiver,
            )
        self._again({one.receiver for one in changed})
        return changed

    async def drop(self, numbers: Sequence[int], actor: str, reason: str) -> Sequence[MessageRecord]:
        """Give up messages that wait or are dead.

        Raises:
            NoSuchMessageError
            NotPossibleError: one was delivered or dropped, or the reason is empty.
        """
        if not reason.strip():
            raise NotPossibleError("dropping a message needs a reason")
        async with self._db.transaction() as connection:
            rows = await _rows(connection, numbers)
            for row in rows:
                if row["state"] not in (PENDING, DEAD):
                    raise NotPossibleError(f"message {row['id']} is {row['state']}")
            text = one_line(reason, MAX_NOTE)
            values = {"state": DROPPED, "last_error": text, "done_at": self._clock.now()}
            digests = {row["id"] for row in rows if row["queue"].startswith(PREFIX)}
            if digests:
                rows = sorted([*rows, *await _told_by(connection, digests)], key=lambda row: row["id"])
            changed = await self._write(
                connection, rows, values, actor=actor, action="drop", what=f"is dropped: {text}", detail=text
            )
        self._again({one.receiver for one in changed})
        return changed

    async def _chosen(
        self, connection: AsyncConnection, rows: Sequence[RowMapping]
    ) -> tuple[Sequence[RowMapping], Sequence[str]]:
        """The rows that can be tried again, with recoveries that go along, and why the others cannot."""
        following = await _following(connection, rows)
        over = await _over(connection, {row["incident_id"] for row in rows})
        for row in rows:
            if row["event"] != Event.FIRING.value and row["state"] == DEAD:
                following[row["queue"], row["receiver"]].append(row)
        chosen: dict[int, RowMapping] = {}
        refusals = []
        for row in rows:
            later = [one for one in following[row["queue"], row["receiver"]] if one["id"] > row["id"]]
            ends = row["incident_id"] not in over or any(one["event"] == "resolved" for one in later)
            why = self._refusal(row, ends or row["event"] != Event.FIRING.value)
            if why:
                refusals.append(why)
                continue
            chosen[row["id"]] = row
            if row["event"] == Event.FIRING.value:
                chosen |= {one["id"]: one for one in later if one["last_error"] == UNTOLD}
        return [chosen[number] for number in sorted(chosen)], refusals

    def _refusal(self, row: RowMapping, ends: bool) -> str:
        """Why a message cannot be tried again; empty: it can."""
        number = row["id"]
        if row["state"] == DELIVERED:
            return f"message {number} was delivered: it would arrive twice with the same Idempotency-Key"
        if row["state"] in OPEN:
            return f"message {number} still waits and is tried by itself"
        if row["queue"].startswith(PREFIX):
            return f"message {number} is a digest: try the messages again that it was to tell"
        if row["receiver"] not in self._receivers():
            return f"message {number}: the receiver {row['receiver']} is no longer configured"
        if not ends:
            return f"message {number} tells an alert that is over, and no recovery would follow it"
        return ""

    async def _write(
        self,
        connection: AsyncConnection,
        rows: Sequence[RowMapping],
        values: Mapping[str, object],
        *,
        actor: str,
        action: str,
        what: str,
        detail: str,
    ) -> Sequence[MessageRecord]:
        """The change itself, a line in each timeline, an entry in the audit trail."""
        who, at = one_line(actor, MAX_ACTOR), self._clock.now()
        numbers = [row["id"] for row in rows]
        for some in pieces(numbers):
            await connection.execute(update(t.outbox).where(t.outbox.c.id.in_(some)).values(values))
        lines = [
            entry_row(
                row["incident_id"],
                Entry(
                    at,
                    EntryKind.NOTE,
                    who,
                    f"message {row['id']} to {row['receiver']} ({row['event']}) {what}",
                ),
            )
            for row in rows
        ]
        await execute_many(connection, insert(t.timeline), lines)
        subject = f"messages {', '.join(map(str, numbers))}"
        await write_audit(
            connection, at=at, actor=who, action=f"outbox.{action}", subject=subject, detail=detail
        )
        log.info(f"outbox {action}", extra={"facts": {"messages": len(numbers), "by": who}})
        return [_shown(row) for row in await _rows(connection, numbers)]


async def _told_by(connection: AsyncConnection, digests: Collection[int]) -> Sequence[RowMapping]:
    """The messages that wait with these digests."""
    query = select(t.outbox.c.payload).where(t.outbox.c.id.in_(digests))
    payloads = (await connection.execute(query)).scalars()
    numbers = [number for facts in payloads for number in facts["digest"]["messages"]]
    found: list[RowMapping] = []
    for some in pieces(numbers):
        found += await _where(connection, t.outbox.c.id.in_(some), t.outbox.c.state == MERGED)
    return found


def _shown(row: RowMapping) -> MessageRecord:
    values = {column.name: row[column.name] for column in _SHOWN if column.name != "queue"}
    return MessageRecord(incident=values.pop("incident_id"), origin=values.pop("origin_id"), **values)


async def _rows(connection: AsyncConnection, numbers: Sequence[int]) -> Sequence[RowMapping]:
    """By number, in their order. Raises: NoSuchMessageError."""
    wanted = sorted(set(numbers))
    if len(wanted) > MAX_AT_ONCE:
        raise NotPossibleError(f"at most {MAX_AT_ONCE} messages at once")
    found = {row["id"]: row for row in await _where(connection, t.outbox.c.id.in_(wanted))}
    for number in wanted:
        if number not in found:
            raise NoSuchMessageError(f"there is no message {number}")
    return [found[number] for number in wanted]


async def _dead(connection: AsyncConnection, receiver: str) -> Sequence[RowMapping]:
    """The newest dead messages of a receiver, in their order. Raises: NoSuchMessageError: there is none."""
    conditions = (t.outbox.c.receiver == receiver, t.outbox.c.state == DEAD)
    query = select(*_SHOWN).where(*conditions).order_by(t.outbox.c.id.desc()).limit(MAX_AT_ONCE // 2)
    rows = (await connection.execute(query)).mappings().all()
    if not rows:
        raise NoSuchMessageError(f"no message to {receiver} is dead")
    return rows[::-1]


async def _where(connection: AsyncConnection, *conditions: ColumnElement[bool]) -> Sequence[RowMapping]:
    query = select(*_SHOWN).where(*conditions).order_by(t.outbox.c.id)
    return (await connection.execute(query)).mappings().all()


async def _following(
    connection: AsyncConnection, rows: Sequence[RowMapping]
) -> dict[tuple[str, str], list[RowMapping]]:
    """By queue and receiver, what was to follow an alert: messages that wait, or were dropped with it."""
    found: dict[tuple[str, str], list[RowMapping]] = defaultdict(list)
    for some in pieces({row["queue"] for row in rows}):
        waits = t.outbox.c.state.in_(OPEN) | (
            (t.outbox.c.state == DROPPED) & (t.outbox.c.last_error == UNTOLD)
        )
        conditions = (t.outbox.c.queue.in_(some), t.outbox.c.event != Event.FIRING.value, waits)
        for row in await _where(connection, *conditions):
            found[row["queue"], row["receiver"]].append(row)
    return found


async def _over(connection: AsyncConnection, incidents: Iterable[int]) -> set[int]:
    """Those that are resolved."""
    found: set[int] = set()
    for some in pieces(incidents):
        query = select(t.incident.c.id).where(
            t.incident.c.id.in_(some), t.incident.c.state == IncidentState.RESOLVED.value
        )
        found |= set((await connection.execute(query)).scalars())
    return found
