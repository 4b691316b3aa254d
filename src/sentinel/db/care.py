"""What the daemon does for its database at night: forget what is old, copy what is there, look it over."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge
from sqlalchemy import ColumnElement, Table, delete, exists, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from sentinel.db import tables as t
from sentinel.db.backup import Backup, nightly
from sentinel.db.database import Database
from sentinel.db.sql import PIECE

log = logging.getLogger(__name__)


class CareMetrics:
    """When the nightly work was last done, and what of it failed."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.backup_at = Gauge(
            "sentinel_backup_last_success_timestamp_seconds",
            "When the last verified backup was made; before the first, since when one was possible.",
            registry=registry,
        )
        self.retention_at = Gauge(
            "sentinel_retention_last_success_timestamp_seconds",
            "When old records were last removed; 0: not since the start.",
            registry=registry,
        )
        self.size = Gauge("sentinel_db_size_bytes", "Size of the database file.", registry=registry)
        self.failures = Counter(
            "sentinel_care_failures", "Calendar jobs that failed.", ["job"], registry=registry
        )


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong in the database."""

    what: str
    """Bounded word: pages, references, incidents."""
    text: str


async def retention(db: Database, keep: float, metrics: CareMetrics | None = None) -> Mapping[str, int]:
    """Remove what ended more than `keep` seconds ago; how much, by table.

    An incident goes with its alerts, timeline and messages; not while it is live or a message of it waits.
    Works in small steps: nobody waits long for it.
    """
    cutoff = db.clock.now() - keep
    waits = exists().where(
        t.outbox.c.incident_id == t.incident.c.id, t.outbox.c.state.in_(("pending", "merged"))
    )
    old_incident = (t.incident.c.state == "resolved") & (t.incident.c.resolved_at < cutoff) & ~waits
    old_alert = (t.alert.c.state == "inactive") & (t.alert.c.resolved_at < cutoff)
    removed = {
        "incident": await _remove(db, t.incident, old_incident),
        "alert": await _remove(db, t.alert, old_alert),
        "audit": await _remove(db, t.audit, t.audit.c.at < cutoff),
    }
    await _give_back(db)
    if metrics is not None:
        metrics.retention_at.set(db.clock.now())
        metrics.size.set((await asyncio.to_thread(db.path.stat)).st_size)
    log.info("old records removed", extra={"facts": removed})
    return removed


async def nightly_backup(
    db: Database, folder: Path, *, keep: int, metrics: CareMetrics | None = None
) -> Backup:
    """A verified copy into the folder; `keep` copies remain.

    Raises:
        BackupError
    """
    backup = await nightly(db, folder, keep=keep)
    if metrics is not None:
        metrics.backup_at.set(db.clock.now())
    facts = {"path": backup.path, "bytes": backup.size, "removed": len(backup.removed)}
    log.info("database backed up", extra={"facts": facts})
    return backup


async def check(db: Database) -> list[Finding]:
    """Everything wrong that can be found by reading; empty: the database is whole."""
    async with db.reading() as connection:
        pages = await connection.execute(text("PRAGMA integrity_check(20)"))
        findings = [Finding("pages", str(row[0])) for row in pages if row[0] != "ok"]
        broken = await connection.execute(text("PRAGMA foreign_key_check"))
        findings += [
            Finding("references", f"{row[0]} row {row[1]} refers to a missing {row[2]}") for row in broken
        ]
        return findings + await _abandoned(connection)


async def _abandoned(connection: AsyncConnection) -> list[Finding]:
    """Live incidents that no alert would ever resolve."""
    held = exists().where(
        t.incident_alert.c.incident_id == t.incident.c.id, t.incident_alert.c.resolved_at.is_(None)
    )
    query = select(t.incident.c.id).where(t.incident.c.state != "resolved", ~held).limit(20)
    rows = await connection.execute(query)
    return [Finding("incidents", f"incident {row[0]} is live but none of its alerts is") for row in rows]


async def _remove(db: Database, table: Table, condition: ColumnElement[bool]) -> int:
    key = next(iter(table.primary_key))
    total = 0
    while True:
        async with db.transaction() as connection:
            some = select(key).where(condition).limit(PIECE)
            count = (await connection.execute(select(func.count()).select_from(some.subquery()))).scalar_one()
            await connection.execute(delete(table).where(key.in_(some)))
        total += count
        if count < PIECE:
            return total


async def _give_back(db: Database) -> None:
    """Freed pages go back to the file system, a bounded number at a time."""
    async with db.transaction() as connection:
        await connection.execute(text("PRAGMA incremental_vacuum(10000)"))
