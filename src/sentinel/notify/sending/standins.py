"""Rows of the outbox that stand in for others: what a fallback receiver is told in place of another.

Who was told an alert in place of another receiver hears what follows it too, in the order of the original queue.
The key of a copy follows from its original's and the receiver, so that no message is ever copied twice.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import RowMapping, insert, or_, select, tuple_
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from sentinel.db import tables as t
from sentinel.db.sql import Row, execute_many, pieces
from sentinel.incidents.book import OWN, one_line
from sentinel.incidents.news import Event
from sentinel.incidents.rows import entry_row
from sentinel.model.incident import Entry, EntryKind
from sentinel.notify.outbox import DROPPED, MAX_ERROR, OPEN
from sentinel.notify.sending.policy import Policies, Policy

Place = tuple[str, str]
"""A queue of the outbox and a receiver."""

AT_ONCE: Final = 100
"""Places that one statement asks for: each is two parameters."""
_LIGHT = (t.outbox.c.id, t.outbox.c.queue, t.outbox.c.receiver, t.outbox.c.event, t.outbox.c.state)


def key_of(original: str, receiver: str) -> str:
    """Of the message that stands in for another."""
    return hashlib.sha256(f"{original}\n{receiver}".encode()).hexdigest()[:32]


@dataclass(slots=True)
class _Substitute:
    """What a receiver has been told in place of another, of one queue."""

    copied: set[int] = field(default_factory=set)
    """Originals."""
    since: int | None = None
    """The first original that told it of something firing."""

    def add(self, original: int, event: str, state: str) -> None:
        self.copied.add(original)
        if event == Event.FIRING.value and state != DROPPED and (self.since is None or original < self.since):
            self.since = original

    def wanted(self, rows: Sequence[RowMapping], due: Collection[int], dead: Collection[int]) -> list[int]:
        """Numbers of those rows that it has to be told as well, up to the last one that cannot wait."""
        since, last, is_behind = self.since, 0, False
        for row in rows:
            number, is_firing = row["id"], row["event"] == Event.FIRING.value
            if is_firing and number in due:
                since = number if since is None else min(since, number)
                last = number
            elif since is not None and number > since and (not is_firing or is_behind):
                last = number
            # As long as it knows more than the receiver itself, it hears everything at once.
            is_behind |= number not in dead and (number in self.copied or (is_firing and number in due))
        return [row["id"] for row in rows if row["id"] <= last and row["id"] not in self.copied]


async def stand_in(
    connection: AsyncConnection,
    places: Iterable[Place],
    policies: Policies,
    at: float,
    *,
    due: Collection[int] = (),
    dead: Collection[int] = (),
) -> Mapping[str, int]:
    """Tell others what a receiver does not take, and what follows from that.

    Args:
        places: where to look: those of the rows that are due or dead, or where something was added.
        due: rows that their receiver's fallback has to hear now.
        dead: those of them that are dead letters.
        at: Unix seconds.
    Returns:
        how many messages were handed on, by the receiver that was to hear them.
    """
    handed: Counter[str] = Counter()
    seen: set[Place] = set()
    waiting = set(places)
    while waiting:
        seen |= waiting
        copies = await _copies(connection, waiting, policies, due=due, dead=dead, seen=seen, at=at)
        handed.update(original["receiver"] for original, _ in copies)
        await _write(connection, copies, at)
        waiting = {(copy["queue"], copy["receiver"]) for _, copy in copies} - seen
        due, dead = (), ()
    return handed


async def is_ever_used(connection: AsyncConnection) -> bool:
    """Whether anything stands in for anything."""
    query = select(t.outbox.c.id).where(t.outbox.c.origin_id.is_not(None)).limit(1)
    return (await connection.execute(query)).first() is not None


async def _copies(
    connection: AsyncConnection,
    places: Collection[Place],
    policies: Policies,
    *,
    due: Collection[int],
    dead: Collection[int],
    seen: Collection[Place],
    at: float,
) -> list[tuple[RowMapping, Row]]:
    """Originals and what stands in for them, in the order of the originals."""
    rows = await _rows(connection, places, dead)
    substitutes = await _substitutes(connection, places)
    chosen: list[tuple[int, str]] = []
    for place, here in rows.items():
        queue, receiver = place
        known = substitutes[place]
        fallback = policies[receiver].fallback if receiver in policies else ""
        if fallback in policies and any(row["id"] in due for row in here):
            known.setdefault(fallback, _Substitute())
        for other, substitute in known.items():
            if other not in policies or (queue, other) in seen:
                continue
            events = {row["id"]: row["event"] for row in here}
            is_due = due if other == fallback else ()
            wanted = substitute.wanted(here, is_due, dead)
            chosen += [(one, other) for one in wanted if events[one] in policies[other].events]
    originals = await _whole(connection, {number for number, _ in chosen})
    return [
        (originals[number], _copy(originals[number], other, policies[other], at))
        for number, other in sorted(chosen)
    ]


async def _rows(
    connection: AsyncConnection, places: Iterable[Place], dead: Collection[int]
) -> Mapping[Place, list[RowMapping]]:
    """What waits at these places, or has just died there, in its order."""
    found: dict[Place, list[RowMapping]] = defaultdict(list)
    for some in pieces(places, AT_ONCE):
        lives = t.outbox.c.state.in_(OPEN)
        left = or_(lives, t.outbox.c.id.in_(dead)) if dead else lives
        at_them = tuple_(t.outbox.c.queue, t.outbox.c.receiver).in_(some)
        query = select(*_LIGHT).where(at_them, left).order_by(t.outbox.c.id)
        for row in (await connection.execute(query)).mappings():
            found[row["queue"], row["receiver"]].append(row)
    return found


async def _substitutes(
    connection: AsyncConnection, places: Iterable[Place]
) -> Mapping[Place, dict[str, _Substitute]]:
    """By place and receiver, what stands in for something of the place."""
    found: dict[Place, dict[str, _Substitute]] = defaultdict(dict)
    copy, original = t.outbox.alias("copy"), t.outbox.alias("original")
    joined = copy.join(original, original.c.id == copy.c.origin_id)
    for some in pieces(places, AT_ONCE):
        query = (
            select(original.c.queue, original.c.receiver, original.c.id)
            .add_columns(copy.c.receiver, copy.c.event, copy.c.state)
            .select_from(joined)
            .where(
                copy.c.queue.in_({queue for queue, _ in some}),
                tuple_(original.c.queue, original.c.receiver).in_(some),
            )
        )
        for queue, receiver, number, other, event, state in await connection.execute(query):
            found[queue, receiver].setdefault(other, _Substitute()).add(number, event, state)
    return found


async def _whole(connection: AsyncConnection, numbers: Iterable[int]) -> Mapping[int, RowMapping]:
    found = {}
    for some in pieces(numbers):
        rows = await connection.execute(select(t.outbox).where(t.outbox.c.id.in_(some)))
        found.update({row["id"]: row for row in rows.mappings()})
    return found


def _copy(original: RowMapping, receiver: str, policy: Policy, at: float) -> Row:
    kept = ("incident_id", "queue", "event", "payload")
    return {name: original[name] for name in kept} | {
        "key": key_of(original["key"], receiver),
        "receiver": receiver,
        "created_at": at,
        "expires_at": policy.expiry(original["event"], at),
        "state": "pending",
        "attempts": 0,
        "last_error": "",
        "recipients": {},
        "origin_id": original["id"],
    }


async def _write(connection: AsyncConnection, copies: Sequence[tuple[RowMapping, Row]], at: float) -> None:
    statement = sqlite.insert(t.outbox).on_conflict_do_nothing(index_elements=["key"])
    await execute_many(connection, statement, [copy for _, copy in copies])
    further = t.outbox_incident
    for some in pieces(copy["key"] for _, copy in copies):
        links = (
            select(t.outbox.c.id, further.c.incident_id)
            .join(further, further.c.outbox_id == t.outbox.c.origin_id)
            .where(t.outbox.c.key.in_(some))
        )
        names = ["outbox_id", "incident_id"]
        await connection.execute(sqlite.insert(further).from_select(names, links).on_conflict_do_nothing())
    lines = [
        entry_row(incident, _line(original, copy, at))
        for original, copy in copies
        for incident in (original["incident_id"], *original["payload"].get("incidents", ()))
    ]
    await execute_many(connection, insert(t.timeline), lines)


def _line(original: RowMapping, copy: Row, at: float) -> Entry:
    text = f"{copy['receiver']} is told in place of {original['receiver']}: {original['event']}"
    return Entry(at, EntryKind.NOTE, OWN, one_line(text, MAX_ERROR))
