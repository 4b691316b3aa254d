"""When the daemon was last alive, so that a restart knows how long it was away."""

from __future__ import annotations

import asyncio
import logging

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from sentinel.db.database import Database
from sentinel.db.sql import upsert
from sentinel.db.tables import meta

log = logging.getLogger(__name__)

BEAT = 30.0
"""Seconds between two notes: how exactly an outage is known."""

_ALIVE = "alive_at"


async def beat(db: Database) -> None:
    """Note every now and then that the daemon is alive, until cancelled."""
    while True:
        try:
            async with db.transaction() as connection:
                await connection.execute(upsert(meta), [{"name": _ALIVE, "value": repr(db.clock.now())}])
        except (DBAPIError, OSError):
            # The ledger tells of a database in trouble; a missed beat only makes an outage look longer.
            log.debug("beat missed")
        await asyncio.sleep(BEAT)


async def last_alive(db: Database) -> float | None:
    """Unix seconds of the last beat of an earlier run; None: there was none."""
    async with db.reading() as connection:
        value = (await connection.execute(select(meta.c.value).where(meta.c.name == _ALIVE))).scalar()
    try:
        return float(str(value)) if value is not None else None
    except ValueError:
        return None
