"""A device whose every text is an attack: the whole daemon takes it for data, wherever it goes."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.acceptance.daemon import Daemon, eventually
from tests.servers.sinks import WebhookSink
from tests.unit.snmp.agent import Agent, Value, integer, serving, text

IF_ENTRY, IF_X_ENTRY = "1.3.6.1.2.1.2.2.1", "1.3.6.1.2.1.31.1.1.1"
MARK = "/tmp/sentinel-was-here"

ATTACKS = (
    f"$(touch {MARK})",
    f"`touch {MARK}`; touch {MARK} | touch {MARK} &",
    f"../../../../..{MARK}",
    MARK,
    '{{ query "up" }}{{ .Labels }}{{ template "x" }}',
    "{0.__class__.__mro__} {instance} %s%n%x %(name)s ${jndi:ldap://x/} #{7*7}",
    "eth0\nup 1e9\n# HELP forged forged",
    'eth0"} 1\nforged{x="',
    "\x00\x1b]0;title\x07\x1b[2J\r\nlevel=fatal msg=forged",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "'; DROP TABLE alert; --",
    "-oProxyCommand=touch",
    "\u202egnp.exe\u2066\ufeff\u0000",
    '\\n\\"\\',
    "=cmd|' /C calc'!A0",
    "Subject: forged\r\nBcc: everybody@example.org\r\n\r\n",
)

RULES = """
groups:
  - name: hostile
    rules:
      - alert: PortDown
        expr: ifAdminStatus == 1 and ifOperStatus == 2
        annotations:
          summary: "{{ $labels.ifName }} of {{ $labels.instance }} is down"
          description: '{{ $labels.ifAlias | toUpper }}{{ printf "%s" $labels.ifDescr }}'
"""


def switch() -> Agent:
    """One interface that is down for each attack, which is its name, description and alias."""
    rows: dict[str, Value] = {
        "1.3.6.1.2.1.1.1.0": text(ATTACKS[0]),
        "1.3.6.1.2.1.1.4.0": text(ATTACKS[1]),
        "1.3.6.1.2.1.1.5.0": text(ATTACKS[2]),
        "1.3.6.1.2.1.1.6.0": text(ATTACKS[4]),
    }
    for index, attack in enumerate(ATTACKS, 1):
        rows |= {
            f"{IF_ENTRY}.1.{index}": integer(index),
            f"{IF_ENTRY}.2.{index}": text(attack),
            f"{IF_ENTRY}.7.{index}": integer(1),
            f"{IF_ENTRY}.8.{index}": integer(2),
            f"{IF_X_ENTRY}.1.{index}": text(attack),
            f"{IF_X_ENTRY}.18.{index}": text(attack),
        }
    return Agent(rows)


@dataclass
class Site:
    daemon: Daemon
    hook: WebhookSink
    port: int

    async def incidents(self) -> list[str]:
        found = (await self.daemon.get("/api/sentinel/v1/incidents")).json()
        return [one["title"] for one in found]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    Path(MARK).unlink(missing_ok=True)
    hook, agent = WebhookSink(), switch()
    async with serving(agent), hook.serve():
        config = f"""
[[target]]
name = "sw1"
address = "127.0.0.1:{agent.port}"
modules = ["if_mib", "system"]
[route]
receiver = "hook"
[[receiver]]
name = "hook"
kind = "webhook"
url = "{hook.url}"
"""
        daemon = Daemon(tmp_path, config, RULES)
        try:
            await daemon.start()
            yield Site(daemon, hook, agent.port)
        finally:
            daemon.kill()


async def test_what_a_device_says_is_data_everywhere(site: Site) -> None:
    daemon = site.daemon

    async def all_names() -> set[str]:
        return {one["metric"]["ifName"] for one in await daemon.query("ifOperStatus == 2")}

    async def are_polled() -> bool:
        return await all_names() == set(ATTACKS)

    await eventually(are_polled, "every interface is read, under the very name it has")

    async def are_alerts() -> bool:
        return {
            one["metric"]["ifName"]
            for one in await daemon.query('ALERTS{alertname="PortDown",alertstate="firing"}')
        } == set(ATTACKS)

    await eventually(are_alerts, "each fires an alert")
    await eventually(site.incidents, "an incident opens")

    # The exposition says the same to a Prometheus, and nothing more.
    exposition = (await daemon.get("/metrics", scope="fleet")).text
    families = {family.name: family for family in text_string_to_metric_families(exposition)}
    assert {sample.labels["ifName"] for sample in families["ifOperStatus"].samples} == set(ATTACKS)
    assert "forged" not in families
    scrape = (await daemon.get("/snmp", target=f"127.0.0.1:{site.port}", module="if_mib")).text
    assert {
        sample.labels["ifName"]
        for family in text_string_to_metric_families(scrape)
        for sample in family.samples
        if sample.name == "ifOperStatus"
    } == set(ATTACKS)

    # Templates put it in as it is, and never read it as a template.
    async def messages() -> set[str]:
        return {alert["annotations"]["summary"] for post in site.hook.posts for alert in post.json["alerts"]}

    async def are_told() -> bool:
        return await messages() >= {f"{attack} of sw1 is down" for attack in ATTACKS}

    await eventually(are_told, "people are told")

    # Lines of the log stay lines.
    for line in daemon.log.read_text().splitlines():
        assert "\x1b" not in line
        assert not line.startswith(("level=fatal", "up 1e9"))

    # Nothing was run, and nothing was written where the device wanted it.
    assert not Path(MARK).exists()
    files = {path.relative_to(daemon.folder).parts[0] for path in daemon.folder.rglob("*")}
    assert files <= {"config.toml", "rules.yml", "sentinel.log", "data"}
    names = {
        path.name.removeprefix("sentinel.db")
        for path in (daemon.folder / "data").rglob("*")
        if path.is_file()
    }
    assert names <= {"", "-wal", "-shm", ".lock", ".ballast"}


async def test_commands_show_it_as_data(site: Site) -> None:
    daemon = site.daemon
    await eventually(site.incidents, "an incident opens")
    for words in (
        ("query", "ifOperStatus"),
        ("alerts",),
        ("incidents", "list"),
        ("topology",),
        ("topology", "-o", "dot"),
    ):
        done = await asyncio.to_thread(daemon.command, *words)
        assert done.returncode in (0, 1), (words, done.stderr)
        assert "Traceback" not in done.stderr
        assert "\x1b]0;" not in done.stdout, words
        assert "\x1b[2J" not in done.stdout, words
    listed = await asyncio.to_thread(daemon.command, "query", "ifOperStatus", "-o", "json")
    assert {one["metric"]["ifName"] for one in _series(json.loads(listed.stdout))} == set(ATTACKS)
    probe = ("probe", "sw1", "--config", str(daemon.config))
    seen = await asyncio.to_thread(_on_a_terminal, daemon, *probe)
    assert "touch" in seen
    assert not {char for char in seen if not char.isprintable()} - {"\r", "\n"}
    piped = await asyncio.to_thread(_piped, daemon, *probe)
    names = {
        sample.labels["ifName"]
        for family in text_string_to_metric_families(piped)
        for sample in family.samples
        if sample.name == "ifOperStatus"
    }
    assert names == set(ATTACKS)
    assert not Path(MARK).exists()


def _piped(daemon: Daemon, *words: str) -> str:
    """What a command writes to a program, to the byte."""
    command = [sys.executable, "-m", "sentinel", *words]
    return subprocess.run(
        command, capture_output=True, cwd=daemon.folder, check=True, timeout=60
    ).stdout.decode()


def _on_a_terminal(daemon: Daemon, *words: str) -> str:
    """What a command writes to a terminal."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "sentinel", *words]
    with subprocess.Popen(command, stdout=theirs, stderr=subprocess.DEVNULL, cwd=daemon.folder) as process:
        os.close(theirs)
        written = b""
        with suppress(OSError):  # the other side has been closed
            while piece := os.read(ours, 65536):
                written += piece
        process.wait(timeout=60)
    os.close(ours)
    return written.decode()


def _series(found: object) -> list[dict[str, dict[str, str]]]:
    """The result of a query, in whatever envelope it comes."""
    if isinstance(found, dict):
        return _series(found.get("data") or found.get("result") or [])
    assert isinstance(found, list)
    return found
