"""When the daemon was last alive, so that a restart knows how long it was away."""

from __future__ import annotations

import asyncio
import logging

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from sentinel.db.database import Database
from sentinel.db.errors import reason_of
from sentinel.db.sql import upsert
from sentinel.db.tables import meta

log = logging.getLogger(__name__)

BEAT = 30.0
"""Seconds between two notes: how exactly an outage is known."""

AGAIN = 5.0
"""Seconds until the next try of one that did not go through."""

_ALIVE = "alive_at"


class Pulse:
    """Notes every now and then that the daemon is alive, which also shows that the database takes writes."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.noted_at: float | None = None
        """Monotonic seconds of the last note; None: none yet."""
        self.error = ""
        """Why the last note did not go through."""

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                async with self._db.transaction() as connection:
                    values = [{"name": _ALIVE, "value": repr(self._db.clock.now())}]
                    await connection.execute(upsert(meta), values)
            except (DBAPIError, OSError) as error:
                # The ledger tells of a database in trouble; a missed beat only makes an outage look longer.
                log.debug("beat missed")
                self.error = reason_of(error)
                await asyncio.sleep(AGAIN)
            else:
                self.error, self.noted_at = "", self._db.clock.monotonic()
                await asyncio.sleep(BEAT)


async def last_alive(db: Database) -> float | None:
    """Unix seconds of the last beat of an earlier run; None: there was none."""
    async with db.reading() as connection:
        value = (await connection.execute(select(meta.c.value).where(meta.c.name == _ALIVE))).scalar()
    try:
        return float(str(value)) if value is not None else None
    except ValueError:
        return None
