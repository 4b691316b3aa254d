"""Silences and maintenance windows, from the command line to what people are told, on a running daemon."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.daemon import Daemon, eventually
from tests.servers.sinks import WebhookSink

LOCAL = """
[[target]]
name = "NAME"
address = "localhost"
modules = ["local"]
parent = [PARENT]
"""

RULES = """
groups:
  - name: acceptance
    rules:
      - alert: Seen
        expr: up{job="local"} == 1
        labels: {severity: warning}
        annotations: {summary: "{{ $labels.instance }} can be read"}
"""


@dataclass
class Site:
    daemon: Daemon
    hook: WebhookSink
    token: str

    def sentinel(self, *words: str) -> str:
        done = self.daemon.command(*words, SENTINEL_TOKEN=self.token)
        assert done.returncode == 0, done.stderr
        return done.stdout

    async def told(self, *instances: str) -> None:
        """Until the webhook was told that these fire."""
        await self.hook.until(lambda posts: set(instances) <= told(posts), within=30.0)

    async def alerts(self) -> set[str]:
        found = (await self.daemon.get("/api/sentinel/v1/alerts", state="firing")).json()
        return {one["labels"]["instance"] for one in found if one["name"] == "Seen"}

    async def judge(self, *instances: str) -> None:
        """The rule comes into force."""
        self.daemon.rules.write_text(RULES)
        self.daemon.hang_up()

        async def fire() -> bool:
            return set(instances) <= await self.alerts()

        await eventually(fire, f"{instances} fire")


def told(posts: list[Any]) -> set[str]:
    return {each["labels"]["instance"] for post in posts for each in post.json["alerts"]}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    hook = WebhookSink()
    async with hook.serve():
        targets = {"core": "", "edge": '"core"', "other": ""}
        config = "".join(
            LOCAL.replace("NAME", name).replace("PARENT", parent) for name, parent in targets.items()
        )
        config += f"""
[route]
receiver = "hook"
[[receiver]]
name = "hook"
kind = "webhook"
url = "{hook.url}"
"""
        daemon = Daemon(tmp_path, config)
        try:
            await daemon.start()
            token = daemon.command("token", "create", "li").stdout.strip()
            yield Site(daemon, hook, token)
        finally:
            daemon.kill()


async def test_what_is_silenced_is_told_when_the_silence_is_ended(site: Site) -> None:
    made = json.loads(
        site.sentinel("silence", "add", 'instance="core"', "-c", "a drill", "-d", "2h", "-o", "json")
    )
    assert made["created_by"] == "li"
    await site.judge("core", "edge", "other")
    await site.told("edge", "other")
    assert "core" not in told(site.hook.posts)
    site.daemon.kill()
    await site.daemon.start()
    assert made["id"] in site.sentinel("silence", "list")
    assert 'sentinel_silences{kind="silence",state="active"} 1.0' in (await site.daemon.get("/metrics")).text
    assert "core" not in told(site.hook.posts)
    site.sentinel("silence", "expire", made["id"])
    await site.told("core")
    assert site.daemon.stop() == 0


async def test_a_window_takes_what_lies_behind_along_and_a_reload_moves_it(site: Site) -> None:
    preview = site.sentinel("maintenance", "add", "core", "-c", "new line card", "--dry-run")
    assert "targets: core, edge" in preview
    made = site.sentinel("maintenance", "add", "core", "-c", "new line card", "--change", "CHG-1")
    assert "with edge, which lie behind" in made
    await site.judge("core", "edge", "other")
    await site.told("other")
    assert told(site.hook.posts) == {"other"}
    # edge gets a way of its own: it is told.
    site.daemon.config.write_text(site.daemon.config.read_text().replace('parent = ["core"]', "parent = []"))
    site.daemon.hang_up()
    await site.told("edge")
    assert "core" not in told(site.hook.posts)
    assert site.daemon.stop() == 0


async def test_an_end_is_noticed_by_itself(site: Site) -> None:
    site.sentinel("silence", "add", 'instance="core"', "-c", "a short one", "-d", "8s")
    await site.judge("core", "edge", "other")
    await site.told("core", "edge", "other")
    assert "no such silences" in site.sentinel("silence", "list")
