"""The audit trail: who did what to what, written in the transaction that does it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from sentinel.db.database import Database
from sentinel.db.tables import audit

MAX_DETAIL = 2000


@dataclass(frozen=True, slots=True)
class AuditEntry:
    at: float
    """Unix seconds."""
    actor: str
    action: str
    """Bounded word: "incident.acknowledge", "token.create", …"""
    subject: str
    detail: str


async def write_audit(
    connection: AsyncConnection, *, at: float, actor: str, action: str, subject: str, detail: str = ""
) -> None:
    row = {"at": at, "actor": actor[:200], "action": action, "subject": subject[:400]}
    await connection.execute(insert(audit), [row | {"detail": detail[:MAX_DETAIL]}])


async def read_audit(db: Database, *, limit: int = 100) -> Sequence[AuditEntry]:
    """The newest entries, newest first."""
    query = select(audit).order_by(audit.c.id.desc()).limit(limit)
    async with db.reading() as connection:
        rows = (await connection.execute(query)).mappings()
        return [
            AuditEntry(row["at"], row["actor"], row["action"], row["subject"], row["detail"]) for row in rows
        ]
