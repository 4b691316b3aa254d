"""The one path, from a poll to a person: the whole daemon against a real snmpd, a real sshd and real sinks."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.daemon import Daemon, eventually
from tests.servers.sinks import SmtpSink, WebhookSink, smtp_sink
from tests.servers.snmpd import Snmpd
from tests.servers.sshd import Sshd

POLL = EVALUATION = 1.0
"""Seconds, as the daemon of these tests is configured."""
SSH_POLL = 2.0
"""Longer, so that a busy machine does not make the server look away."""
SLACK = 2.5
"""Seconds for everything that is not waiting for a tick, on a shared machine."""

RULES = """
groups:
  - name: acceptance
    rules:
      - alert: InterfaceDown
        expr: ifAdminStatus == 1 and ifOperStatus == 2
        labels: {severity: critical}
        annotations:
          summary: "{{ $labels.ifName }} of {{ $labels.instance }} is down"
      - alert: FileSystemFull
        expr: node_filesystem_avail_bytes{mountpoint="DISK"} / node_filesystem_size_bytes < 0.1
        labels: {severity: warning}
        annotations:
          summary: "{{ $labels.mountpoint }} has {{ $value | humanizePercentage }} left"
      - alert: TargetDown
        expr: up == 0
        labels: {severity: critical}
        annotations:
          summary: "{{ $labels.instance }} cannot be read"
"""


@dataclass
class Site:
    """Everything around one daemon."""

    daemon: Daemon
    switch: Snmpd
    server: Sshd
    hook: WebhookSink
    mail: SmtpSink
    token: str

    async def incidents(self, **wanted: str) -> list[dict[str, Any]]:
        states = ["open", "acknowledged", "resolved"]
        found = (await self.daemon.get("/api/sentinel/v1/incidents", state=states)).json()
        return [one for one in found if all(one[key] == value for key, value in wanted.items())]

    async def alerts(self, name: str) -> list[str]:
        found = (await self.daemon.get("/api/sentinel/v1/alerts")).json()
        return [one["state"] for one in found if one["name"] == name]

    async def both_up(self) -> bool:
        return len(await self.daemon.query('up{job=~"if_mib|linux"} == 1')) == 2

    def hooks(self, name: str, status: str = "firing") -> list[dict[str, Any]]:
        """Webhook messages about an alert, in order."""
        bodies = [post.json for post in self.hook.posts]
        return [
            body
            for body in bodies
            if body["status"] == status and body["alerts"][0]["labels"]["alertname"] == name
        ]

    def mails(self, word: str) -> list[str]:
        return [
            str(mail.message["Subject"]) for mail in self.mail.mails if word in str(mail.message["Subject"])
        ]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    hook = WebhookSink()
    with Snmpd() as switch, Sshd(tmp_path / "sshd") as server:
        switch.interfaces("lo", "ge-0/0/1", "ge-0/0/2")
        async with hook.serve(), smtp_sink() as mail:
            config = f"""
[auth.key]
kind = "ssh"
username = "{server.username}"
key = {{file = "{server.private_key_path}"}}
known_hosts = "{server.known_hosts}"
[[target]]
name = "sw1"
address = "{switch.address}"
modules = ["if_mib"]
criticality = 5
[[target]]
name = "web1"
address = "{server.address}"
modules = ["linux"]
auth = "key"
interval = "{SSH_POLL:g}s"
timeout = "{SSH_POLL:g}s"
[route]
receiver = "hook"
[[route.routes]]
receiver = "mail"
continue = true
[[route.routes]]
receiver = "hook"
[[receiver]]
name = "hook"
kind = "webhook"
url = "{hook.url}"
[[receiver]]
name = "mail"
kind = "email"
to = ["duty@example.org"]
from = "Sentinel <sentinel@example.org>"
smarthost = "127.0.0.1:{mail.port}"
tls = "none"
"""
            daemon = Daemon(tmp_path, config, RULES.replace("DISK", str(server.disk)))
            try:
                await daemon.start()
                token = daemon.command("token", "create", "li").stdout.strip()
                found = Site(daemon, switch, server, hook, mail, token)
                await eventually(found.both_up, "both targets are up")
                yield found
            finally:
                daemon.kill()


async def test_an_interface_goes_down_and_comes_back(site: Site) -> None:
    began = time.time()
    site.switch.link(2, up=False)
    (incident,) = await eventually(lambda: site.incidents(state="open"), "an incident opens")
    assert incident["opened_at"] - began < POLL + EVALUATION + SLACK
    assert incident["title"] == "ge-0/0/1 of sw1 is down"
    assert incident["grade"] == "I"
    await site.hook.until(lambda posts: len(posts) >= 1)
    await site.mail.until(lambda mails: len(mails) >= 1)
    (told,) = site.hooks("InterfaceDown")
    assert told["version"] == "4"
    assert told["sentinel"]["incident"] == incident["id"]
    assert told["alerts"][0]["labels"]["ifName"] == "ge-0/0/1"

    number = str(incident["id"])
    done = site.daemon.command("incidents", "ack", number, "--note", "on my way", SENTINEL_TOKEN=site.token)
    assert done.returncode == 0, done.stderr
    (incident,) = await site.incidents(state="acknowledged")
    assert incident["acknowledged_by"] == "li"

    site.switch.link(2, up=True)
    await eventually(lambda: site.incidents(state="resolved"), "the incident resolves")
    await site.hook.until(lambda posts: bool(site.hooks("InterfaceDown", "resolved")))
    await site.mail.until(lambda mails: len(mails) >= 2)
    # Three more polls and evaluations bring nothing new to tell.
    ticks = await _ticks(site)
    await eventually(lambda: _later(site, ticks + 3), "further evaluations")
    assert len(site.hooks("InterfaceDown")) == 1
    assert len(site.hooks("InterfaceDown", "resolved")) == 1
    assert len(site.mail.mails) == 2
    assert len({post.key for post in site.hook.posts}) == len(site.hook.posts) == 2


async def test_a_file_system_fills_and_its_host_disappears(site: Site) -> None:
    site.server.fill()
    await eventually(lambda: _is(site, "FileSystemFull", "firing"), "the full file system fires")
    await site.hook.until(lambda posts: bool(site.hooks("FileSystemFull")))

    began = time.time()
    site.server.stop()
    down = await eventually(
        lambda: site.incidents(target="web1", grade="III"), "the host's disappearance opens"
    )
    # A poll of a dead host takes until its deadline.
    assert down[0]["opened_at"] - began < 2 * SSH_POLL + EVALUATION + SLACK
    assert await site.alerts("TargetDown") == ["firing"]
    await site.hook.until(lambda posts: bool(site.hooks("TargetDown")))
    await eventually(lambda: _is(site, "FileSystemFull", "unknown"), "what cannot be read turns unknown")
    ticks = await _ticks(site)
    await eventually(lambda: _later(site, ticks + 5), "further evaluations")
    assert await site.alerts("FileSystemFull") == ["unknown"]
    assert len(await site.incidents(state="open")) == 2
    assert not site.hooks("FileSystemFull", "resolved")

    site.server.start()
    await site.hook.until(lambda posts: bool(site.hooks("TargetDown", "resolved")), within=30)
    await eventually(lambda: _is(site, "FileSystemFull", "firing"), "what can be read again fires on")
    assert len(site.hooks("FileSystemFull")) == 1

    site.server.empty()
    await site.hook.until(lambda posts: bool(site.hooks("FileSystemFull", "resolved")), within=30)
    await site.mail.until(lambda mails: len(mails) >= 4)
    for name in ("FileSystemFull", "TargetDown"):
        assert len(site.hooks(name)) == len(site.hooks(name, "resolved")) == 1
    assert len(site.mail.mails) == 4
    assert not await site.incidents(state="open")


async def test_state_survives_a_kill(site: Site) -> None:
    site.switch.link(2, up=False)
    await site.hook.until(lambda posts: bool(site.hooks("InterfaceDown")))
    (before,) = await site.incidents(state="open")
    site.daemon.kill()
    await site.daemon.start()
    await eventually(site.both_up, "polling again")
    ticks = await _ticks(site)
    await eventually(lambda: _later(site, ticks + 5), "further evaluations")
    assert [one["id"] for one in await site.incidents(state="open")] == [before["id"]]
    assert len(site.hooks("InterfaceDown")) == 1
    site.daemon.kill()
    site.switch.link(2, up=True)
    await site.daemon.start()
    await site.hook.until(lambda posts: bool(site.hooks("InterfaceDown", "resolved")), within=30)
    assert len(site.hooks("InterfaceDown")) == len(site.hooks("InterfaceDown", "resolved")) == 1


async def test_a_restart_while_the_host_is_away_resolves_nothing(site: Site) -> None:
    site.server.fill()
    await site.hook.until(lambda posts: bool(site.hooks("FileSystemFull")), within=30)
    site.server.stop()
    await eventually(lambda: _is(site, "FileSystemFull", "unknown"), "what cannot be read turns unknown")
    site.daemon.kill()
    await site.daemon.start()
    await eventually(lambda: site.alerts("TargetDown"), "the host is still away")
    ticks = await _ticks(site)
    await eventually(lambda: _later(site, ticks + 8), "the grace after a restart is over")
    assert await site.alerts("FileSystemFull") == ["unknown"]
    assert not site.hooks("FileSystemFull", "resolved")


async def test_a_change_to_how_a_target_is_polled_resolves_nothing(site: Site) -> None:
    site.switch.link(2, up=False)
    await site.hook.until(lambda posts: bool(site.hooks("InterfaceDown")))
    (before,) = await site.incidents(state="open")
    changed = site.daemon.config.read_text().replace("[[target]]\n", '[[target]]\ninterval = "10s"\n', 1)
    site.daemon.config.write_text(changed)
    assert (await site.daemon.post("/-/reload", site.token)).status_code == 200
    ticks = await _ticks(site)
    await eventually(lambda: _later(site, ticks + 5), "further evaluations")
    assert [one["id"] for one in await site.incidents()] == [before["id"]]
    assert await site.alerts("InterfaceDown") == ["firing"]
    assert not site.hooks("InterfaceDown", "resolved")


async def _is(site: Site, name: str, state: str) -> bool:
    return await site.alerts(name) == [state]


async def _ticks(site: Site) -> float:
    """Seconds on the daemon's clock: one evaluation and one poll a second."""
    answer = (await site.daemon.get("/api/v1/query", query="time()")).json()
    return float(answer["data"]["result"][1])


async def _later(site: Site, at: float) -> bool:
    return await _ticks(site) >= at
