"""Statements that differ between databases, and large parameter lists in bounded pieces."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Executable, Table
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

T = TypeVar("T")
Row = Mapping[str, Any]

PIECE = 500


def pieces(items: Iterable[T], size: int = PIECE) -> Iterator[Sequence[T]]:
    """The items in lists of at most `size`: statements stay within the database's limits."""
    everything = list(items)
    for start in range(0, len(everything), size):
        yield everything[start : start + size]


def upsert(table: Table) -> Executable:
    """Insert rows, or overwrite those with the same primary key."""
    statement = sqlite.insert(table)
    keys = [column.name for column in table.primary_key]
    others = {column.name: statement.excluded[column.name] for column in table.c if column.name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=others)


async def execute_many(connection: AsyncConnection, statement: Executable, rows: Sequence[Row]) -> None:
    """Run a statement for every row, letting other tasks run in between."""
    for piece in pieces(rows):
        await connection.execute(statement, list(piece))
        await asyncio.sleep(0)
