"""A task that is cancelled in the middle of a transaction leaves the database as it was, and free."""

from __future__ import annotations

import asyncio
import contextlib
import random
from pathlib import Path

from sqlalchemy import func, insert, select

from sentinel.db import tables as t
from sentinel.db.database import Database
from sentinel.runtime.clock import SystemClock

ROWS = 2000
ROUNDS = 30
LONGEST = 3.0
"""Seconds; a database that stays locked fails only after BUSY_SECONDS."""


async def _write(db: Database, number: int) -> None:
    rows = [{"name": f"{number}/{row}", "value": "x" * 100} for row in range(ROWS)]
    async with db.transaction() as connection:
        for start in range(0, ROWS, 100):
            await connection.execute(insert(t.meta), rows[start : start + 100])


async def test_a_cancelled_transaction_is_rolled_back_at_once(tmp_path: Path) -> None:
    dice = random.Random(5)
    async with Database.open("sqlite:///s.db", clock=SystemClock(), data_dir=tmp_path) as db:
        cancelled = 0
        for number in range(ROUNDS):
            task = asyncio.create_task(_write(db, number))
            await asyncio.sleep(dice.uniform(0.001, 0.05))
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            cancelled += task.cancelled()
            async with asyncio.timeout(LONGEST), db.transaction() as connection:
                query = select(func.count()).where(t.meta.c.name.like(f"{number}/%"))
                assert (await connection.execute(query)).scalar() in (0, ROWS)
        assert cancelled
