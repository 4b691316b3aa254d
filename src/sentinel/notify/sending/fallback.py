"""Hands messages that wait for too long to fallback receivers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from sqlalchemy import ColumnElement, Select, exists, func, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from sentinel.db import tables as t
from sentinel.db.database import Database
from sentinel.db.errors import reason_of
from sentinel.incidents.news import Event
from sentinel.notify.outbox import OPEN
from sentinel.notify.sending.digest import PREFIX
from sentinel.notify.sending.policy import Policies, Policy
from sentinel.notify.sending.standins import stand_in
from sentinel.runtime.clock import Clock
from sentinel.runtime.supervise import backoff

log = logging.getLogger(__name__)

AT_ONCE: Final = 200
"""Messages handed on in one transaction."""
SHORTEST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 5.0
"""Seconds between two tries while the database does not take anything."""


class Fallbacks:
    """
    Args:
        policies: of the receivers as they are configured now.
        handed: called after so many messages of receivers went to their fallbacks.
    """

    def __init__(
        self,
        db: Database,
        clock: Clock,
        *,
        policies: Callable[[], Policies],
        handed: Callable[[Mapping[str, int]], None],
    ) -> None:
        self._db = db
        self._clock = clock
        self._policies = policies
        self._handed = handed
        self._committed = asyncio.Event()
        self._changed = asyncio.Event()
        self._shift = 0.0

    def stir(self) -> None:
        """Messages were committed."""
        self._committed.set()

    def look_again(self) -> None:
        """Other receivers from now on."""
        self._committed.set()
        self._changed.set()

    def shift(self, seconds: float) -> None:
        """The clock was stepped by so much: what waits has not waited longer or shorter for that."""
        self._shift += seconds
        self.look_again()

    async def run(self) -> None:
        """Until cancelled."""
        failures = 0
        while True:
            self._committed.clear()
            self._changed.clear()
            try:
                due = await self._look()
                failures = 0
            except (SQLAlchemyError, OSError) as error:
                failures += 1
                if failures == 1:
                    log.error(
                        "fallbacks cannot be looked after", extra={"facts": {"error": reason_of(error)}}
                    )
                await self._clock.sleep(backoff(failures, first=0.1, longest=LONGEST_PAUSE))
                continue
            await self._wait(due)

    async def _look(self) -> float | None:
        """Hand on what has waited for long enough; returns when the next message will have."""
        if self._shift:
            seconds = self._shift
            async with self._db.transaction() as connection:
                await _shift_waiting(connection, seconds)
            self._shift -= seconds
        dues = []
        for receiver, policy in self._users().items():
            while await self._hand_on(receiver, policy):
                pass
            async with self._db.reading() as connection:
                oldest = (await connection.execute(_oldest(receiver, policy))).scalar()
            if oldest is not None:
                dues.append(oldest + policy.fallback_after)
        return min(dues, default=None)

    async def _hand_on(self, receiver: str, policy: Policy) -> bool:
        """Whether there may be more."""
        now = self._clock.now()
        async with self._db.reading() as connection:
            if not await _overdue(connection, receiver, policy, now):
                return False
        async with self._db.transaction() as connection:
            found = await _overdue(connection, receiver, policy, now)
            places = {(queue, receiver) for _, queue in found}
            due = {number for number, _ in found}
            handed = await stand_in(connection, places, self._policies(), now, due=due)
        if not handed:
            return False
        facts = {"receiver": receiver, "fallback": policy.fallback, "messages": handed[receiver]}
        log.warning("messages wait for too long, the fallback is told", extra={"facts": facts})
        self._handed(handed)
        return True

    async def _wait(self, due: float | None) -> None:
        """Until a message may be overdue: what is committed from now on is not before one whole wait."""
        if due is None:
            await self._committed.wait()
            return
        shortest = min(policy.fallback_after for policy in self._users().values())
        async with asyncio.TaskGroup() as group:
            timer = group.create_task(self._ring(min(due - self._clock.now(), shortest)))
            await self._changed.wait()
            timer.cancel()

    async def _ring(self, seconds: float) -> None:
        await self._clock.sleep(max(seconds, SHORTEST_PAUSE))
        self._changed.set()

    def _users(self) -> Policies:
        """Those that have a fallback."""
        policies = self._policies()
        return {name: one for name, one in policies.items() if one.fallback in policies}


def _waits(receiver: str, policy: Policy) -> Sequence[ColumnElement[bool]]:
    """Alerts that the fallback has not been told."""
    copy = t.outbox.alias("copy")
    is_told = exists().where(copy.c.origin_id == t.outbox.c.id, copy.c.receiver == policy.fallback)
    return (
        t.outbox.c.receiver == receiver,
        t.outbox.c.state.in_(OPEN),
        t.outbox.c.event == Event.FIRING.value,
        ~t.outbox.c.queue.startswith(PREFIX),  # of a digest its messages are handed on, not itself
        ~is_told,
    )


async def _overdue(
    connection: AsyncConnection, receiver: str, policy: Policy, now: float
) -> Sequence[tuple[int, str]]:
    """Numbers and queues."""
    query = (
        select(t.outbox.c.id, t.outbox.c.queue)
        .where(*_waits(receiver, policy), t.outbox.c.created_at <= now - policy.fallback_after)
        .order_by(t.outbox.c.id)
        .limit(AT_ONCE)
    )
    return [(number, queue) for number, queue in await connection.execute(query)]


def _oldest(receiver: str, policy: Policy) -> Select[float]:
    return select(func.min(t.outbox.c.created_at)).where(*_waits(receiver, policy))


async def _shift_waiting(connection: AsyncConnection, seconds: float) -> None:
    of = t.outbox.c
    moved = {"created_at": of.created_at + seconds, "expires_at": of.expires_at + seconds}
    await connection.execute(update(t.outbox).where(of.state.in_(OPEN)).values(moved))
