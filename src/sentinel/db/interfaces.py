"""Numbers by which the interfaces of each device are known, over restarts of the daemon: a row per agent."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping

from sqlalchemy import delete, select
from sqlalchemy.exc import DBAPIError

from sentinel.db.database import Database
from sentinel.db.sql import execute_many, pieces, upsert
from sentinel.db.tables import interfaces

log = logging.getLogger(__name__)

MOST_GONE = 200
"""Agents remembered that are nobody's address any more: those that changed last."""

Numbers = Mapping[str, int]
"""ifName → number, those seen last at the end."""


class InterfaceStore:
    """The table, as the collectors' memory wants it."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def load(self, agents: Collection[str], /) -> dict[str, dict[str, int]]:
        """By agent, whatever was remembered.

        Args:
            agents: those that are watched. Of others only so many are kept, here and in the table.
        """
        async with self._db.reading() as connection:
            rows = (await connection.execute(select(interfaces).order_by(interfaces.c.changed_at))).all()
        gone = [row.agent for row in rows if row.agent not in agents]
        surplus = set(gone[: max(len(gone) - MOST_GONE, 0)])
        if surplus:
            await self._remove(surplus)
        return {row.agent: _read(row.numbers) for row in rows if row.agent not in surplus}

    async def save(self, changed: Mapping[str, Numbers], /) -> bool:
        """Write these agents' numbers in one transaction; False: it failed, and nothing was written."""
        at = self._db.clock.now()
        rows = [
            {"agent": agent, "numbers": dict(known), "changed_at": at} for agent, known in changed.items()
        ]
        try:
            async with self._db.transaction() as connection:
                await execute_many(connection, upsert(interfaces), rows)
        except (DBAPIError, OSError) as error:
            log.warning(
                "interface numbers not written", extra={"facts": {"agents": len(rows), "error": error}}
            )
            return False
        return True

    async def _remove(self, agents: Collection[str]) -> None:
        try:
            async with self._db.transaction() as connection:
                for piece in pieces(agents):
                    await connection.execute(delete(interfaces).where(interfaces.c.agent.in_(piece)))
        except (DBAPIError, OSError) as error:
            log.warning("interface numbers not removed", extra={"facts": {"error": error}})


def _read(written: object) -> dict[str, int]:
    """What is no number by a name is left out: somebody may have written to the file by hand."""
    entries = written.items() if isinstance(written, dict) else ()
    return {str(name): number for name, number in entries if type(number) is int}
