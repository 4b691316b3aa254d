"""The ledger: what the rules found out becomes alerts, incidents, timeline and messages in one transaction."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from sentinel.db import tables as t
from sentinel.db.database import Database, is_about_content
from sentinel.db.errors import reason_of
from sentinel.db.sql import upsert
from sentinel.incidents.book import DEFAULT_CRITICALITY, Book, Case
from sentinel.incidents.correlation import Correlate, by_target
from sentinel.incidents.news import Dispatch, Event
from sentinel.incidents.store import load_cases, read_alerts, write_alerts, write_cases
from sentinel.model.alert import Alert, AlertChange
from sentinel.runtime.clock import Clock
from sentinel.runtime.supervise import backoff

log = logging.getLogger(__name__)

MAX_PENDING = 100_000
"""Changes held while the database does not take them; beyond, only what still matters of each alert."""
LONGEST_PAUSE = 5.0
LAST_WORDS = 3.0
"""Seconds that a stop grants to what is still uncommitted."""
LARGE = 500
MAX_LINES = 40
"""Incidents that one commit names in the log."""

_LAST = "last_commit"


class LedgerMetrics:
    """What is committed, and what is not yet."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.seconds = Histogram(
            "sentinel_ledger_commit_seconds",
            "Time to commit one tick's alert changes.",
            buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 15),
            registry=registry,
        )
        self.pending = Gauge(
            "sentinel_ledger_pending_changes", "Alert changes not committed yet.", registry=registry
        )
        self.failures = Counter(
            "sentinel_ledger_commit_failures", "Commits that failed and were tried again.", registry=registry
        )
        self.refused = Counter(
            "sentinel_ledger_refused_changes",
            "Alert changes that cannot be stored at all.",
            registry=registry,
        )


class Ledger:
    """`submit` from the rule loop at any time; `run` commits. Nothing submitted is dropped while it runs.

    Args:
        criticality_of: a target's criticality by its name, 1 to 5.
        committed: called after every commit: wakes the sender.
    """

    def __init__(
        self,
        db: Database,
        dispatch: Dispatch,
        *,
        clock: Clock,
        registry: CollectorRegistry,
        correlate: Correlate = by_target,
        criticality_of: Callable[[str], int] = lambda _: DEFAULT_CRITICALITY,
        committed: Callable[[], None] = lambda: None,
    ) -> None:
        self._db = db
        self._dispatch = dispatch
        self._clock = clock
        self._correlate = correlate
        self._criticality_of = criticality_of
        self._committed = committed
        self._metrics = LedgerMetrics(registry)
        self._pending: list[AlertChange] = []
        self._taken: list[AlertChange] = []
        self._taken_id = ""
        self._parts: list[list[AlertChange]] = []
        self.is_failing = False
        """The last commits did not go through."""
        self._commits = 0
        self._turn = 0
        """Counts how often everything pending was taken."""
        self._turns_done = 0
        self._turn_done = asyncio.Event()
        self._submitted = asyncio.Event()
        self._settled = asyncio.Event()
        self._settled.set()

    def submit(self, changes: Sequence[AlertChange]) -> None:
        """Take over the changes of one tick. Returns at once."""
        if not changes:
            return
        self._pending.extend(changes)
        if len(self._pending) > MAX_PENDING:
            self._pending = coalesced(self._pending)
        self._metrics.pending.set(self._uncommitted())
        self._settled.clear()
        self._submitted.set()

    def use(self, dispatch: Dispatch) -> None:
        """Other routes from now on."""
        self._dispatch = dispatch

    async def settled(self) -> None:
        """Wait until everything submitted so far is committed."""
        await self._settled.wait()

    async def until_committed(self) -> None:
        """Wait until what is submitted by now is committed, or refused; what comes later does not matter."""
        wanted = self._turn + bool(self._pending)
        while self._turns_done < wanted:
            self._turn_done.clear()
            await self._turn_done.wait()

    async def load_alerts(self) -> list[Alert]:
        """Every alert that was pending, firing or unknown at the last commit."""
        async with self._db.reading() as connection:
            return await read_alerts(connection)

    async def run(self) -> None:
        try:
            while True:
                await self._submitted.wait()
                await self._commit_all()
        except asyncio.CancelledError:
            await self._last_words()
            raise

    async def _commit_all(self) -> None:
        failures = 0
        while self._take():
            try:
                await self._commit()
                failures = 0
                self.is_failing = False
            except Exception as error:  # noqa: BLE001  whatever it is, the changes stay until in or refused
                self._metrics.failures.inc()
                if is_about_content(error):
                    self._narrow(error)
                    continue
                failures += 1
                self.is_failing = failures > 1
                if failures == 1:
                    facts = {"error": reason_of(error), "changes": len(self._taken)}
                    log.error("commit failed, trying again", extra={"facts": facts})
                await self._clock.sleep(backoff(failures, first=0.1, longest=LONGEST_PAUSE))

    def _take(self) -> bool:
        """Take what is pending, unless something taken earlier is still to be committed."""
        if not self._taken and self._parts:
            self._taken = self._parts.pop(0)
        elif not self._taken and self._pending:
            self._end_turn()
            self._turn += 1
            self._taken, self._pending = self._pending, []
        else:
            self._settle_if_idle()
            return bool(self._taken)
        self._taken_id = uuid.uuid4().hex
        return True

    def _settle_if_idle(self) -> None:
        if not self._taken:
            self._end_turn()
            self._submitted.clear()
            self._settled.set()

    def _end_turn(self) -> None:
        """Nothing of what was taken is left."""
        self._turns_done = self._turn
        self._turn_done.set()

    def _narrow(self, error: BaseException) -> None:
        """One alert cannot be stored: commit by halves until it stands alone, then refuse it loudly."""
        prints = sorted({change.alert.fingerprint for change in self._taken})
        if len(prints) > 1:
            first = frozenset(prints[: len(prints) // 2])
            halves = (
                [change for change in self._taken if change.alert.fingerprint in first],
                [change for change in self._taken if change.alert.fingerprint not in first],
            )
            self._parts[:0] = halves
        else:
            facts = {"fingerprint": prints[0], "error": reason_of(error)}
            log.error("alert cannot be stored, left out", extra={"facts": facts}, exc_info=error)
            self._metrics.refused.inc(len(self._taken))
        self._taken = []

    async def _commit(self) -> None:
        started = self._clock.monotonic()
        async with self._db.transaction() as connection:
            # a commit whose end we did not see may have gone through: its number tells
            is_new = not await _is_committed(connection, self._taken_id)
            cases = await self._write(connection, self._taken) if is_new else []
        self._taken = []
        self._commits += 1
        _log_moves(cases)
        self._metrics.seconds.observe(self._clock.monotonic() - started)
        self._metrics.pending.set(self._uncommitted())
        self._committed()

    def behind(self) -> int | None:
        """How many commits there have been, while something waits for one; None: nothing waits."""
        return self._commits if self._uncommitted() else None

    def _uncommitted(self) -> int:
        return len(self._pending) + len(self._taken) + sum(map(len, self._parts))

    async def _write(self, connection: AsyncConnection, changes: Sequence[AlertChange]) -> Sequence[Case]:
        cases = await load_cases(connection, changes, self._correlate)
        book = Book(cases, correlate=self._correlate, criticality_of=self._criticality_of)
        if len(changes) > LARGE:
            cases = await asyncio.to_thread(book.apply, changes)
        else:
            cases = book.apply(changes)
        await write_alerts(connection, changes)
        self._dispatch.observe(changes)
        await write_cases(connection, cases, self._dispatch, at=self._clock.now())
        await connection.execute(upsert(t.meta), [{"name": _LAST, "value": self._taken_id}])
        return cases

    async def _last_words(self) -> None:
        try:
            async with asyncio.timeout(LAST_WORDS):
                while self._take():
                    await self._commit()
        except (DBAPIError, OSError) as error:
            facts = {"error": reason_of(error), "changes": self._uncommitted()}
            log.error("stopped with uncommitted changes", extra={"facts": facts})


async def _is_committed(connection: AsyncConnection, commit_id: str) -> bool:
    query = select(t.meta.c.value).where(t.meta.c.name == _LAST)
    return (await connection.execute(query)).scalar() == commit_id


def _log_moves(cases: Sequence[Case]) -> None:
    """A line for each incident that opened or resolved; beyond a few dozen at once, only how many."""
    opened = [case.incident for case in cases if case.is_new]
    resolved = [case.incident for case in cases if any(news.event is Event.RESOLVED for news in case.news)]
    for message, incidents in (("incident opened", opened), ("incident resolved", resolved)):
        for one in incidents[:MAX_LINES]:
            facts = {"incident": one.id, "grade": one.grade, "title": one.title}
            log.info(message, extra={"facts": facts})
        if len(incidents) > MAX_LINES:
            log.info(f"{message}, further ones", extra={"facts": {"count": len(incidents) - MAX_LINES}})


def coalesced(changes: Sequence[AlertChange]) -> list[AlertChange]:
    """At most two changes per alert: its last one, and, where that ends it, the firing before it.

    What somebody has to hear of is kept; how often an alert went to and fro is not.
    """
    kept: dict[str, list[AlertChange]] = {}
    for change in changes:
        earlier = kept.get(change.alert.fingerprint, [])
        firing = next((known for known in earlier if known.alert.is_open), None)
        keeps_firing = firing is not None and not change.alert.is_open
        kept[change.alert.fingerprint] = [firing, change] if keeps_firing and firing else [change]
    order = {id(change): index for index, change in enumerate(changes)}
    return sorted((change for few in kept.values() for change in few), key=lambda change: order[id(change)])
