"""Looks at groups when they are due."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from sentinel.db import tables as t
from sentinel.db.database import Database
from sentinel.db.errors import reason_of
from sentinel.incidents.rows import alert_of
from sentinel.model.incident import IncidentState
from sentinel.model.labels import Labels
from sentinel.notify.dispatch import AT_ONCE, Candidate, Dispatch
from sentinel.notify.groups.store import due_groups, look_now, next_due, shift_groups
from sentinel.runtime.clock import Clock
from sentinel.runtime.supervise import backoff

log = logging.getLogger(__name__)

LONGEST_PAUSE: Final = 5.0
"""Seconds between two tries while the database does not take anything."""


class Keeper:
    """
    Args:
        committed: called after a commit that may have left messages: wakes the sender.
    """

    def __init__(
        self, db: Database, clock: Clock, dispatch: Dispatch, *, committed: Callable[[], None] = lambda: None
    ) -> None:
        self._db = db
        self._clock = clock
        self._dispatch = dispatch
        self._committed = committed
        self._stirred = asyncio.Event()
        self._is_tree_new = True
        self._looks_at_all = False
        self._shift = 0.0

    def use(self, dispatch: Dispatch) -> None:
        """Other routes from now on: alerts that fire are put into their groups."""
        self._dispatch = dispatch
        self._is_tree_new = True
        self._stirred.set()

    def stir(self) -> None:
        """Groups may be due earlier than was known."""
        self._stirred.set()

    def look_at_all(self) -> None:
        """What stands in the way of telling has changed."""
        self._looks_at_all = True
        self._stirred.set()

    def shift(self, seconds: float) -> None:
        """The clock was stepped by so much."""
        self._shift += seconds
        self._stirred.set()

    async def run(self) -> None:
        """Until cancelled."""
        failures = 0
        while True:
            self._stirred.clear()
            try:
                due = await self._look()
                failures = 0
            except (SQLAlchemyError, OSError) as error:
                failures += 1
                if failures == 1:
                    log.error("groups cannot be looked at", extra={"facts": {"error": reason_of(error)}})
                await self._clock.sleep(backoff(failures, first=0.1, longest=LONGEST_PAUSE))
                continue
            await self._wait(due)

    async def _look(self) -> float | None:
        """Everything that is due; returns when the next group is."""
        await self._catch_up()
        while True:
            async with self._db.reading() as connection:
                due = await next_due(connection)
            if due is None or due > self._clock.now():
                return due
            async with self._db.transaction() as connection:
                at = self._clock.now()
                await self._dispatch.flush(connection, at, await due_groups(connection, at, AT_ONCE))
            self._committed()

    async def _catch_up(self) -> None:
        """What has happened since the last look: the clock, a silence, another tree."""
        if self._shift:
            seconds = self._shift
            async with self._db.transaction() as connection:
                await shift_groups(connection, seconds)
            self._shift -= seconds
        if self._is_tree_new:
            self._is_tree_new = False
            try:
                await self._route_again()
            except BaseException:
                self._is_tree_new = True
                raise
        if self._looks_at_all:
            self._looks_at_all = False
            async with self._db.transaction() as connection:
                await look_now(connection, self._clock.now())

    async def _route_again(self) -> None:
        """Alerts that fire belong to the groups of the present tree."""
        after = (-1, "")
        while True:
            async with self._db.transaction() as connection:
                candidates, after = await _open_alerts(connection, after)
                await self._dispatch.join(connection, candidates, self._clock.now())
            if len(candidates) < AT_ONCE:
                return

    async def _wait(self, due: float | None) -> None:
        """Until that instant, or until something stirs."""
        if due is None:
            await self._stirred.wait()
            return
        async with asyncio.TaskGroup() as group:
            timer = group.create_task(self._ring(due - self._clock.now()))
            await self._stirred.wait()
            timer.cancel()

    async def _ring(self, seconds: float) -> None:
        await self._clock.sleep(max(seconds, 0.0))
        self._stirred.set()


async def _open_alerts(
    connection: AsyncConnection, after: tuple[int, str]
) -> tuple[list[Candidate], tuple[int, str]]:
    """A page of alerts that fire in incidents that live, and where the next one begins."""
    of, incident = t.incident_alert.c, t.incident.c
    query = (
        select(t.incident_alert, incident.grouping)
        .join(t.incident, incident.id == of.incident_id)
        .where(
            of.resolved_at.is_(None),
            incident.state != IncidentState.RESOLVED.value,
            (of.incident_id > after[0]) | ((of.incident_id == after[0]) & (of.fingerprint > after[1])),
        )
        .order_by(of.incident_id, of.fingerprint)
        .limit(AT_ONCE)
    )
    rows = (await connection.execute(query)).mappings().all()
    found = [Candidate(alert_of(row), row["incident_id"], Labels(row["grouping"])) for row in rows]
    return found, (rows[-1]["incident_id"], rows[-1]["fingerprint"]) if rows else after
