"""Marks what became of attempts: those that end close together share one transaction."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from sqlalchemy.exc import SQLAlchemyError

from sentinel.db.database import Database, is_about_content
from sentinel.db.errors import reason_of
from sentinel.notify.sending.marks import Mark, write_marks
from sentinel.notify.sending.policy import Policies
from sentinel.runtime.clock import Clock
from sentinel.runtime.supervise import backoff

log = logging.getLogger(__name__)

LONGEST_PAUSE = 5.0


class Marker:
    """Keeps at a mark until the database has it: sending again instead would repeat the message.

    Args:
        policies: of the receivers as they are configured now.
        handed: called after so many messages of receivers went to their fallbacks.
    """

    def __init__(
        self,
        db: Database,
        clock: Clock,
        *,
        policies: Callable[[], Policies] = dict,
        handed: Callable[[Mapping[str, int]], None] = lambda _: None,
    ) -> None:
        self._db = db
        self._clock = clock
        self._policies = policies
        self._handed = handed
        self._waiting: list[tuple[Mark, asyncio.Future[None]]] = []
        self._stirred = asyncio.Event()

    async def mark(self, mark: Mark) -> None:
        """Returns once it is committed."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((mark, done))
        self._stirred.set()
        await done

    async def run(self) -> None:
        while True:
            await self._stirred.wait()
            self._stirred.clear()
            batch, self._waiting = self._waiting, []
            await self._commit([mark for mark, _ in batch])
            for _, done in batch:
                if not done.done():
                    done.set_result(None)

    async def _commit(self, marks: list[Mark]) -> None:
        failures = 0
        while True:
            try:
                handed = await write_marks(self._db, marks, self._policies())
                break
            except (SQLAlchemyError, OSError, ValueError) as error:
                if is_about_content(error):
                    await self._one_by_one(marks, error)
                    return
                failures += 1
                if failures == 1:
                    log.error(
                        "outbox cannot be marked, trying again", extra={"facts": {"error": reason_of(error)}}
                    )
                await self._clock.sleep(backoff(failures, first=0.1, longest=LONGEST_PAUSE))
        if handed:
            self._handed(handed)

    async def _one_by_one(self, marks: list[Mark], error: Exception) -> None:
        if len(marks) > 1:
            for mark in marks:
                await self._commit([mark])
            return
        facts = {"message": marks[0].delivery.id, "error": reason_of(error)}
        log.error("message cannot be marked", extra={"facts": facts})
