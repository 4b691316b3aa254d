"""Silences as rows of their table."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import RowMapping, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from sentinel.db import tables as t
from sentinel.db.database import Database
from sentinel.db.sql import PIECE, execute_many, pieces, upsert
from sentinel.notify.mutes.recurrence import Recurrence, Window
from sentinel.notify.mutes.silence import Kind, Silence, read_matchers, written_matchers

log = logging.getLogger(__name__)


async def read_silences(db: Database) -> Sequence[Silence]:
    """All of them. One that cannot be read, as after somebody's work on the file, is left out and logged."""
    async with db.reading() as connection:
        rows = (await connection.execute(select(t.silence))).mappings().all()
    found = []
    for number, row in enumerate(rows, 1):
        if number % PIECE == 0:
            await asyncio.sleep(0)  # others have their turn
        try:
            found.append(_silence_of(row))
        except (ValueError, TypeError, AttributeError) as error:
            log.error("silence cannot be read", extra={"facts": {"id": row["id"], "error": error}})
    return found


async def write_silences(connection: AsyncConnection, silences: Iterable[Silence]) -> None:
    await execute_many(connection, upsert(t.silence), [_row_of(one) for one in silences])


async def delete_silences(connection: AsyncConnection, ids: Iterable[str]) -> None:
    for some in pieces(ids):
        await connection.execute(delete(t.silence).where(t.silence.c.id.in_(some)))


def _row_of(silence: Silence) -> Mapping[str, Any]:
    recurrence = silence.recurrence
    return {
        "id": silence.id,
        "kind": silence.kind.value,
        "matchers": written_matchers(silence.matchers),
        "targets": list(silence.targets),
        "with_dependants": int(silence.with_dependants),
        "starts_at": silence.starts_at,
        "ends_at": silence.ends_at,
        "rule": recurrence.rule if recurrence is not None else "",
        "zone": recurrence.zone if recurrence is not None else "",
        "over_at": silence.over_at,
        "created_by": silence.created_by,
        "comment": silence.comment,
        "change": silence.change,
        "created_at": silence.created_at,
        "updated_at": silence.updated_at,
        "reminded_at": silence.reminded_at,
        "ended_told_at": silence.ended_told_at,
    }


def _silence_of(row: RowMapping) -> Silence:
    values = dict(row)
    rule, zone = values.pop("rule"), values.pop("zone")
    first = Window(row["starts_at"], row["ends_at"])
    values |= {
        "kind": Kind(row["kind"]),
        "matchers": read_matchers(row["matchers"]),
        "targets": tuple(row["targets"]),
        "with_dependants": bool(row["with_dependants"]),
        "recurrence": Recurrence.of(rule, zone, first) if rule else None,
    }
    return Silence(**values)
