"""An uplink that goes away, on a running daemon: one cause is told, and not what seems to be down for it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

from tests.acceptance.daemon import Daemon, eventually
from tests.servers.debian import ROOT, free_port
from tests.servers.sinks import Post, WebhookSink

CONFIG = """
[uplink]
anchors = ["tcp://127.0.0.1:{near}", "tcp://127.0.0.1:{far}"]
every = "2s"
timeout = "1s"
[route]
receiver = "hook"
[[receiver]]
name = "hook"
kind = "webhook"
url = "{hook}"
"""

TARGET = """
[[target]]
name = "{name}"
address = "127.0.0.1:{port}"
modules = ["tcp_connect"]
"""

RULES = """
groups:
  - name: acceptance
    rules:
      - alert: Down
        expr: probe_success == 0
        annotations: {summary: "{{ $labels.instance }} is down"}
      - alert: SentinelUplinkDown
        expr: sentinel_uplink_up == 0
        annotations: {summary: "uplink"}
"""


class Door:
    """A TCP port that opens and closes."""

    def __init__(self) -> None:
        self.port = free_port()
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", self.port)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            await reader.read()
        writer.close()


def told(posts: list[Post]) -> list[tuple[str, str]]:
    """What was told, and of which target."""
    found = []
    for post in posts:
        body = post.json
        found += [(body["status"], one["labels"]["instance"]) for one in body["alerts"]]
    return found


async def test_the_uplink_is_told_and_not_the_targets_behind_it(tmp_path: Path) -> None:
    near, far, first, second = doors = [Door() for _ in range(4)]
    for door in doors:
        await door.open()
    async with WebhookSink().serve() as hook:
        targets = "".join(
            TARGET.format(name=name, port=door.port) for name, door in (("first", first), ("second", second))
        )
        config = CONFIG.format(near=near.port, far=far.port, hook=hook.url) + targets
        daemon = Daemon(tmp_path, config, RULES)
        daemon.config.write_text(
            daemon.config.read_text().replace(f"{ROOT}/collectors/ssh/", f"{ROOT}/collectors/probes/")
        )
        await daemon.start()
        try:

            async def value(expression: str) -> str:
                found = await daemon.query(expression)
                return found[0]["value"][1] if len(found) == 1 else ""

            async def both_up() -> bool:
                return await value("sum(probe_success)") == "2"

            await eventually(both_up, "both targets are up")
            # With one anchor left the uplink is up: what is down is told.
            near.close()
            first.close()
            await hook.until(lambda posts: told(posts) == [("firing", "first")], within=30)
            await first.open()
            await hook.until(lambda posts: told(posts)[1:] == [("resolved", "first")], within=30)
            # Everything goes at once: only the uplink is told.
            for door in (far, first, second):
                door.close()
            await hook.until(lambda posts: ("firing", "sentinel") in told(posts), within=60)

            async def both_down() -> bool:
                return await value('count(ALERTS{alertname="Down", alertstate="firing"})') == "2"

            await eventually(both_down, "both targets seem to be down")

            async def is_withheld() -> bool:
                found = (await daemon.get("/api/sentinel/v1/incidents")).json()
                numbers = [one["id"] for one in found if one["target"] == "second"]
                if not numbers:
                    return False
                shown = (await daemon.get(f"/api/sentinel/v1/incidents/{numbers[0]}")).text
                return "uplink: no anchor of the uplink answers" in shown

            await eventually(is_withheld, "the incident says why nobody is told")
            assert told(hook.posts)[2:] == [("firing", "sentinel")]
            # It comes back with the one target, and without the other.
            await far.open()
            await first.open()
            await hook.until(lambda posts: ("firing", "second") in told(posts), within=90)
            await hook.until(lambda posts: ("resolved", "sentinel") in told(posts), within=30)
            assert sorted(told(hook.posts)[3:]) == [("firing", "second"), ("resolved", "sentinel")]
            await second.open()
            await hook.until(lambda posts: ("resolved", "second") in told(posts), within=30)
            assert ("firing", "first") not in told(hook.posts)[2:]
            assert await value("sentinel_uplink_up") == "1"
        finally:
            daemon.kill()
            for door in doors:
                door.close()
