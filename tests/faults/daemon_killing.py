"""Kill the whole daemon at random moments while alerts fire and end to webhooks and mail, and judge what was heard.

One tree tells every alert three times: a webhook and a mail by incident, and a webhook in groups by site.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import time
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tests.acceptance.daemon import Daemon, eventually
from tests.faults.rhythm import Rhythm
from tests.servers.sinks import Mail, Post, SmtpSink, WebhookSink, smtp_sink

CONCURRENCY = 4
BY_INCIDENT = ("hook", "mail")
BY_SITE = "sites"
RECEIVERS = (*BY_INCIDENT, BY_SITE)
LONGEST_BIRTH = 1.5
"""Seconds after its launch within which a life that ends before the daemon is ready ends."""
SHORT = (0.0, 1.6)
"""Seconds that most lives last once the daemon is ready."""
LONG = 8.0
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
                span = (True, LONG if is_long else dice.uniform(*SHORT)) if gently else _span(dice, is_long)
                run.lives.append(await _life(run, daemon, span, gently=gently))
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


def _span(dice: random.Random, is_long: bool) -> tuple[bool, float]:
    """Whether a life ends only once the daemon is ready, and after how many seconds from there or its launch."""
    if is_long:
        return True, LONG
    if dice.random() < 0.15:
        return False, dice.uniform(0.0, LONGEST_BIRTH)
    return True, dice.uniform(*SHORT)


async def _life(run: Run, daemon: Daemon, span: tuple[bool, float], *, gently: bool) -> Life:
    until_ready, seconds = span
    if until_ready:
        await daemon.start()
    else:
        daemon.launch()
    ready = time.time()
    await asyncio.sleep(seconds)
    end = time.time()
    if gently:
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
    return Life(ready if until_ready else end, end, read)


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
