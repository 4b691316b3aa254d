"""F27: when Sentinel is dead, or does not do its work, the outside service misses its call within two minutes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.acceptance.daemon import Daemon, eventually
from tests.servers.sinks import Post, WebhookSink

CONFIG = """
[history]
disk = false
[[target]]
name = "here"
address = "localhost"
modules = ["local"]
[[heartbeat]]
name = "outside"
url = "URL"
every = "1s"
method = "POST"
"""

RULES = """
groups:
  - name: any
    rules:
      - {record: any, expr: up}
"""

MISSED = 120.0
"""Seconds after which the outside service has to miss it."""
QUIET = 5.0
"""Seconds without a call, five of the test's periods, that show that it is missed."""

STUCK = """
import asyncio, pathlib, sys
from sentinel.rules.engine import RuleEngine

flag, evaluate = pathlib.Path(sys.argv.pop(1)), RuleEngine._evaluate_rules

async def stuck(self, run, at):
    if flag.exists():
        await asyncio.Event().wait()
    await evaluate(self, run, at)

RuleEngine._evaluate_rules = stuck

from sentinel.cli.main import main
main()
"""

SMALL_DISK = """
mkdir -p data && mount -t tmpfs -o size=48m tmpfs data || exit 1
(
    until [ -e fill ]; do sleep 0.1; done
    head -c 100m /dev/zero > data/rubbish
    while [ -e fill ]; do sleep 0.1; done
    rm data/rubbish
) 2>/dev/null &
exec "$@"
"""


class Odd(Daemon):
    """Started by other words."""

    words: tuple[str, ...] = ()

    def launch(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self.words, "run", "--config", str(self.config)],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
            )


@pytest.fixture
async def outside() -> AsyncIterator[WebhookSink]:
    async with WebhookSink().serve() as sink:
        yield sink


async def beating(daemon: Daemon, outside: WebhookSink) -> None:
    await daemon.start()
    count = len(outside.posts)
    await outside.until(lambda posts: len(posts) >= count + 3, within=60)


async def missed(outside: WebhookSink, since: float) -> float:
    """Seconds from the fault to the last call."""

    async def is_quiet() -> bool:
        return time.time() - max(outside.posts[-1].at, since) > QUIET

    await eventually(is_quiet, "the calls stay away", within=MISSED)
    return max(outside.posts[-1].at - since, 0.0)


async def test_a_daemon_that_was_killed_is_missed_and_is_heard_again(
    tmp_path: Path, outside: WebhookSink
) -> None:
    daemon = Daemon(tmp_path, CONFIG.replace("URL", outside.url))
    try:
        await beating(daemon, outside)
        since = time.time()
        daemon.kill()
        assert await missed(outside, since) < 1
        await beating(daemon, outside)
    finally:
        daemon.kill()


async def test_a_daemon_that_is_stopped_is_missed_and_is_heard_again(
    tmp_path: Path, outside: WebhookSink
) -> None:
    daemon = Daemon(tmp_path, CONFIG.replace("URL", outside.url))
    try:
        await beating(daemon, outside)
        since = time.time()
        os.kill(daemon.pid, signal.SIGSTOP)
        assert await missed(outside, since) < 1
        count = len(outside.posts)
        os.kill(daemon.pid, signal.SIGCONT)
        await outside.until(lambda posts: len(posts) >= count + 3, within=150)
        # What went by is not made up for: one call a second, and one beside the schedule at most.
        span = outside.posts[-1].at - outside.posts[count].at
        assert len(outside.posts) - count <= span + 3
    finally:
        os.kill(daemon.pid, signal.SIGCONT)
        daemon.kill()


async def test_a_rule_loop_that_is_stuck_is_missed(tmp_path: Path, outside: WebhookSink) -> None:
    flag = tmp_path / "stuck"
    daemon = Odd(tmp_path, CONFIG.replace("URL", outside.url), RULES)
    daemon.words = (sys.executable, "-c", STUCK, str(flag))
    try:
        await beating(daemon, outside)
        since = time.time()
        flag.touch()
        assert await missed(outside, since) < 60
        log = daemon.log.read_text()
        assert "heartbeat withheld" in log
        assert "rules: the rule loop has not moved for" in log
        metrics = (await daemon.get("/metrics", scope="self")).text
        assert 'sentinel_part_working{part="rules"} 0.0' in metrics
        assert 'sentinel_part_working{part="polls"} 1.0' in metrics
    finally:
        daemon.kill()


async def test_a_full_disk_is_missed_and_the_reason_told_when_there_is_room_again(
    tmp_path: Path, outside: WebhookSink
) -> None:
    flag = tmp_path / "fill"
    daemon = Odd(tmp_path, CONFIG.replace("URL", outside.url))
    shell = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", SMALL_DISK, "sh")
    daemon.words = (*shell, sys.executable, "-m", "sentinel")
    try:
        await beating(daemon, outside)
        since = time.time()
        flag.touch()
        assert await missed(outside, since) < 60
        assert (await daemon.get("/-/ready")).status_code == 503
        assert "database: the disk is full" in daemon.log.read_text()
        count = len(outside.posts)
        flag.unlink()

        def is_told(posts: list[Post]) -> bool:
            return any(b"working again after" in one.body for one in posts[count:])

        await outside.until(is_told, within=60)
        told = outside.posts[count].body.decode()
        assert "database: the disk is full" in told or "database takes no writes" in told
    finally:
        flag.unlink(missing_ok=True)
        daemon.kill()


async def test_a_reload_adds_heartbeats_and_ends_others(tmp_path: Path, outside: WebhookSink) -> None:
    config = CONFIG.replace("URL", outside.url)
    daemon = Daemon(tmp_path, config)
    try:
        await beating(daemon, outside)
        daemon.write(config.replace('"outside"', '"other"').replace(outside.url, f"{outside.url}/other"))
        daemon.hang_up()
        await outside.until(lambda posts: posts[-1].path == "/hook/other", within=30)
        count = len(outside.posts)
        await outside.until(lambda posts: len(posts) >= count + 4)
        assert {one.path for one in outside.posts[count:]} == {"/hook/other"}
    finally:
        daemon.kill()


async def test_check_says_where_a_heartbeat_is_wrong(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, '[[heartbeat]]\nname = "x"\nurl = "gopher://token-4711/"\n')
    done = await asyncio.to_thread(daemon.command, "check", "--config", str(daemon.config))
    assert done.returncode == 1
    assert "url: not an http:// or https:// address" in done.stdout + done.stderr
    assert "4711" not in done.stdout + done.stderr
