"""Kill the whole daemon at random moments while alerts fire and end to webhooks and mail, and judge what was heard.

One tree tells every alert three times: a webhook and a mail by incident, and a webhook in groups by site.
"""

from __future__ import annotations

import asyncio
import random
import re
import sqlite3
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from tests.acceptance.daemon import Daemon, eventually
from tests.faults.rhythm import Rhythm
from tests.servers.sinks import Mail, Post, SmtpSink, WebhookSink, smtp_sink

CONCURRENCY = 4
BY_INCIDENT = ("hook", "mail")
BY_SITE = "sites"
RECEIVERS = (*BY_INCIDENT, BY_SITE)
BIRTH = (0.0, 1.5)
"""Seconds that lives last which end before the daemon is ready."""
PATIENCE = 120.0
SHORT = (0.0, 1.6)
"""Seconds that most lives last once the daemon is ready."""
QUIET = "groups: []\n"
SETTLED = 0.1
"""Seconds without anything new after which all that a dead daemon had sent has been read."""


@dataclass(frozen=True, slots=True)
class Life:
    """From when to when a daemon was ready; Unix seconds. One that never was has nothing between them."""

    ready: float
    end: float
    read: float
    """When all that it had sent was read."""
    evaluated: Mapping[str, float] = field(default_factory=dict)
    """Of a long one: when each rule group was evaluated, before everything was committed and every group told."""


class Known(NamedTuple):
    """An incident as it was when it was first seen in the database."""

    key: str
    opened_at: float


@dataclass(slots=True)
class Run:
    """What happened, for the judge."""

    rhythm: Rhythm
    database: Path
    lives: list[Life] = field(default_factory=list)
    """Each but the last ended by kill -9, or all by SIGTERM."""
    stops: list[float] = field(default_factory=list)
    """Seconds that the daemon took to end after SIGTERM while it had to do."""
    incidents: dict[int, Known] = field(default_factory=dict)
    """Everything that was committed at some kill."""
    posts: list[Post] = field(default_factory=list)
    groups: list[Post] = field(default_factory=list)
    mails: list[Mail] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def kills(self) -> int:
        return len(self.lives) - 1 - len(self.stops)


def config_of(hook: WebhookSink, sites: WebhookSink, mail: SmtpSink) -> str:
    return f"""
[notify]
flapping = {{times = 0}}
[route]
receiver = "hook"
[[route.routes]]
receiver = "mail"
continue = true
[[route.routes]]
receiver = "{BY_SITE}"
group_by = ["site"]
group_wait = "0s"
group_interval = "1s"
continue = true
[[route.routes]]
receiver = "hook"
[[receiver]]
name = "hook"
kind = "webhook"
url = "{hook.url}"
concurrency = {CONCURRENCY}
[[receiver]]
name = "{BY_SITE}"
kind = "webhook"
url = "{sites.url}"
concurrency = {CONCURRENCY}
[[receiver]]
name = "mail"
kind = "email"
to = ["ops@example.org"]
from = "sentinel@example.org"
smarthost = "127.0.0.1:{mail.port}"
tls = "none"
cap = "none"
concurrency = {CONCURRENCY}
"""


async def kill_daemons(
    folder: Path,
    rhythm: Rhythm,
    *,
    kills: int,
    seed: int,
    long_every: int = 12,
    drain: float = 120.0,
    make: type[Daemon] = Daemon,
    gently: bool = False,
) -> Run:
    """
    Args:
        kills: so many daemons end in the middle of it.
        long_every: one life in so many is a long one, in which whatever fires is told.
        drain: seconds within which everything has to be told in the end.
        make: how a daemon is started.
        gently: they end by SIGTERM.
    Raises:
        AssertionError: not everything was told within that time, or the daemon did not end well.
    """
    dice, began = random.Random(seed), time.monotonic()
    hook, sites = WebhookSink(), WebhookSink()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(hook.serve())
        await stack.enter_async_context(sites.serve())
        mail = await stack.enter_async_context(smtp_sink())
        daemon = make(folder, config_of(hook, sites, mail), rhythm.rules(), grace="0s")
        run = Run(rhythm, folder / "data/sentinel.db", posts=hook.posts, groups=sites.posts, mails=mail.mails)
        try:
            for number in range(kills):
                is_long = number % long_every == long_every - 1
                until_ready = gently or is_long or dice.random() > 0.15
                seconds = dice.uniform(*(SHORT if until_ready else BIRTH))
                life = _Span(seconds, until_ready=until_ready, is_long=is_long, gently=gently)
                run.lives.append(await _life(run, daemon, life))
            await daemon.start()
            ready = time.time()
            await eventually(lambda: _has_all_fired(run), "every alert has fired", within=rhythm.longest + 60)
            daemon.rules.write_text(QUIET)
            daemon.hang_up()
            await eventually(lambda: _is_all_told(daemon, run.database), "everything is told", within=drain)
            assert daemon.stop() == 0, "the last daemon did not end well"
            run.lives.append(Life(ready, time.time(), time.time()))
        finally:
            daemon.kill()
    run.seconds = time.monotonic() - began
    return run


@dataclass(frozen=True, slots=True)
class _Span:
    """How a life is to go."""

    seconds: float
    """From its beginning."""
    until_ready: bool
    """It begins with being ready, else with the launch."""
    is_long: bool
    """It goes on until everything that fired has been told."""
    gently: bool
    """It ends by SIGTERM."""


async def _life(run: Run, daemon: Daemon, span: _Span) -> Life:
    if span.until_ready:
        await daemon.start()
    else:
        daemon.launch()
    ready = time.time()
    evaluated = await _all_evaluated_and_told(daemon, run.database, ready) if span.is_long else {}
    await asyncio.sleep(span.seconds)
    end = time.time()
    if span.gently:
        assert await asyncio.to_thread(daemon.stop) == 0, "the daemon did not end well"
        run.stops.append(time.time() - end)
    else:
        daemon.kill()
    await _settle(run)
    read = time.time()
    if run.database.exists():  # an early death leaves none
        with closing(sqlite3.connect(run.database)) as connection:
            for number, key, opened in connection.execute("SELECT id, key, opened_at FROM incident"):
                run.incidents.setdefault(number, Known(key, opened))
    return Life(ready if span.until_ready else end, end, read, evaluated)


async def _all_evaluated_and_told(daemon: Daemon, database: Path, since: float) -> Mapping[str, float]:
    """Wait until every rule group has been evaluated, that is committed, and every group has been looked at.

    Returns:
        when each rule group was evaluated; Unix seconds.
    """
    found: dict[str, float] = {}

    async def evaluated() -> bool:
        answer = (await daemon.get("/api/v1/rules", exclude_alerts="true")).json()
        for group in answer["data"]["groups"]:
            found[group["name"]] = datetime.fromisoformat(group["lastEvaluation"]).timestamp()
        return min(found.values()) > since

    async def committed() -> bool:
        return bool(
            re.search(r"^sentinel_ledger_pending_changes 0\.0$", (await daemon.get("/metrics")).text, re.M)
        )

    await eventually(evaluated, "every rule is evaluated", within=PATIENCE)
    await eventually(committed, "what the rules found is committed", within=PATIENCE)
    now = time.time()

    async def looked_at() -> bool:
        with closing(sqlite3.connect(database)) as connection:
            query = "SELECT 1 FROM notify_group WHERE incident_id IS NULL AND coalesce(flushed_at, 0) <= ? LIMIT 1"
            return connection.execute(query, (now,)).fetchone() is None

    await eventually(looked_at, "every group is looked at", within=PATIENCE)
    return found


async def _settle(run: Run) -> None:
    """Read what the daemon had sent before it died."""
    before = -1
    while before != (now := len(run.posts) + len(run.groups) + len(run.mails)):
        before = now
        await asyncio.sleep(SETTLED)


async def _has_all_fired(run: Run) -> bool:
    query = "SELECT count(DISTINCT labels ->> 'number') FROM incident_alert"
    with closing(sqlite3.connect(run.database)) as connection:
        (count,) = connection.execute(query).fetchone()
    return bool(count == run.rhythm.alerts)


async def _is_all_told(daemon: Daemon, database: Path) -> bool:
    live = (await daemon.get("/api/sentinel/v1/incidents", limit=1)).json()
    with closing(sqlite3.connect(database)) as connection:
        pending = connection.execute("SELECT 1 FROM outbox WHERE state = 'pending' LIMIT 1").fetchone()
        group = connection.execute("SELECT 1 FROM notify_group LIMIT 1").fetchone()
    return not live and pending is None and group is None
