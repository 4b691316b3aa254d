"""What people are told over restarts of the whole daemon: what they know is not told again, what ended is, once."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.daemon import Daemon, eventually
from tests.faults.daemon_killing import config_of, kill_daemons
from tests.faults.forking import ForkedDaemon
from tests.faults.judging import judge
from tests.faults.rhythm import Rhythm
from tests.servers.sinks import Post, SmtpSink, WebhookSink, smtp_sink
from tests.servers.snmpd import Snmpd

ALERTS = int(os.environ.get("SENTINEL_TEST_ALERTS", "100"))
"""`make test-faults` has a thousand."""
SITES = 10
FIRING = "groups:\n  - name: firing\n    rules:\n" + "".join(
    f"      - alert: Fires\n        expr: vector({number}) >= 0\n"
    f'        labels: {{number: "{number}", site: s{number % SITES}}}\n'
    for number in range(ALERTS)
)
LINKS = """
groups:
  - name: links
    rules:
      - alert: InterfaceDown
        expr: ifAdminStatus == 1 and ifOperStatus == 2
        labels: {site: hall}
"""


@dataclass
class Ears:
    """Who is told: two receivers by incident, one in groups by site."""

    hook: WebhookSink
    sites: WebhookSink
    mail: SmtpSink

    @property
    def heard(self) -> tuple[int, int, int]:
        return len(self.hook.posts), len(self.sites.posts), len(self.mail.mails)


@pytest.fixture
async def ears() -> AsyncIterator[Ears]:
    async with AsyncExitStack() as stack:
        found = Ears(WebhookSink(), WebhookSink(), await stack.enter_async_context(smtp_sink()))
        await stack.enter_async_context(found.hook.serve())
        await stack.enter_async_context(found.sites.serve())
        yield found


def _firing(posts: list[Post]) -> Counter[str]:
    """How often each alert was told as firing."""
    return Counter(
        alert["fingerprint"] for post in posts for alert in post.json["alerts"] if alert["status"] == "firing"
    )


async def _end(daemon: Daemon, how: str) -> None:
    if how == "kill":
        daemon.kill()
    else:
        assert await asyncio.to_thread(daemon.stop) == 0


@pytest.mark.timeout(400)
async def test_a_restart_tells_nothing_again_of_what_still_fires(tmp_path: Path, ears: Ears) -> None:
    daemon = ForkedDaemon(tmp_path, config_of(ears.hook, ears.sites, ears.mail), FIRING, grace="0s")

    async def all_told() -> bool:
        told = len(_firing(ears.sites.posts)) == ALERTS
        return told and len(ears.hook.posts) == ALERTS == len(ears.mail.mails)

    try:
        await daemon.start()
        await eventually(all_told, "everything is told", within=120)
        heard = ears.heard
        assert heard[1] == SITES
        await eventually(lambda: _is_all_marked(daemon), "that is written down")
        for how in ("stop", "kill"):
            await _end(daemon, how)
            await daemon.start()
            await _rules_evaluated(daemon, time.time(), 4.0)
            assert ears.heard == heard
        assert len(await _live(daemon)) == min(ALERTS, 1000)
        assert daemon.stop() == 0
    finally:
        daemon.kill()
    assert ears.heard == heard


async def _rules_evaluated(daemon: Daemon, since: float, seconds: float) -> None:
    """Every group has been evaluated when so many seconds have passed."""

    async def evaluated() -> bool:
        groups = (await daemon.get("/api/v1/rules")).json()["data"]["groups"]
        return all(_instant(group["lastEvaluation"]) > since + seconds for group in groups)

    await eventually(evaluated, "the rules are evaluated", within=60)


def _instant(written: str) -> float:
    return datetime.fromisoformat(written).timestamp()


async def _live(daemon: Daemon) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await daemon.get("/api/sentinel/v1/incidents", limit=1000)).json()
    return found


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_an_alert_that_clears_while_the_daemon_is_down_is_told_once_as_over(
    tmp_path: Path, ears: Ears, how: str
) -> None:
    with Snmpd() as switch:
        switch.interfaces("lo", "ge-0/0/1", "ge-0/0/2")
        target = f'[[target]]\nname = "sw1"\naddress = "{switch.address}"\nmodules = ["if_mib"]\n'
        daemon = ForkedDaemon(tmp_path, target + config_of(ears.hook, ears.sites, ears.mail), LINKS)
        try:
            switch.link(2, up=False)
            await daemon.start()
            await eventually(lambda: _are_heard(ears, 1), "the fault is told", within=60)
            await eventually(lambda: _is_all_marked(daemon), "that is written down")
            await _end(daemon, how)
            switch.link(2, up=True)
            await daemon.start()
            await eventually(lambda: _are_heard(ears, 2), "its end is told", within=60)
            await _rules_evaluated(daemon, time.time(), 3.0)
            assert not await _live(daemon)
            assert daemon.stop() == 0
        finally:
            daemon.kill()
    for posts in (ears.hook.posts, ears.sites.posts):
        assert [post.json["status"] for post in posts] == ["firing", "resolved"]
        assert len({post.key for post in posts}) == 2
    assert len({mail.key for mail in ears.mail.mails}) == len(ears.mail.mails) == 2


async def _is_all_marked(daemon: Daemon) -> bool:
    with closing(sqlite3.connect(daemon.folder / "data/sentinel.db")) as connection:
        return connection.execute("SELECT 1 FROM outbox WHERE state = 'pending'").fetchone() is None


async def _are_heard(ears: Ears, count: int) -> bool:
    return min(ears.heard) >= count


@pytest.mark.timeout(300)
async def test_a_stop_under_load_takes_less_than_ten_seconds_and_loses_and_repeats_nothing(
    tmp_path: Path,
) -> None:
    rhythm = Rhythm(alerts=100, shortest=14, longest=20)
    run = await kill_daemons(tmp_path, rhythm, kills=2, seed=7, long_every=2, gently=True)
    verdict = judge(run)
    assert not verdict.faults, "\n".join(verdict.faults[:20])
    assert verdict.repeats == 0
    assert max(run.stops) < 10, run.stops
    assert verdict.posts > 0
