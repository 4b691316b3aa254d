"""From a device's own notification to an incident: the whole daemon, net-snmp's snmptrap and a real snmpd."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.daemon import Daemon, eventually
from tests.servers.debian import free_port
from tests.servers.snmpd import Snmpd
from tests.servers.snmptrap import COLD_START, IF_INDEX, LINK_DOWN, LINK_UP, send

POLL, EVALUATION = 60.0, 15.0
"""Seconds: what is seen sooner than that was seen because of the notification."""

SWITCH = "sw7"
"""A name whose phase comes early, so that the tests need not wait long for the first poll."""

USER = (
    *("-l", "authPriv", "-u", "sentry", "-a", "SHA-256", "-A", "signing-secret"),
    *("-x", "AES", "-X", "hiding-secret"),
)
"""net-snmp's words for [auth.somebody]."""

RULES = """
groups:
  - name: traps
    interval: 15s
    rules:
      - alert: InterfaceDown
        expr: ifAdminStatus == 1 and ifOperStatus == 2
        annotations: {summary: "{{ $labels.ifName }} of {{ $labels.instance }} is down"}
      - alert: ColdStart
        expr: increase(sentinel_traps_total{trap="coldStart"}[5m]) > 0
        annotations: {summary: "{{ $labels.instance }} has started"}
      - alert: Enterprise
        expr: increase(sentinel_traps_total{trap=~"1[.]3[.]6[.]1[.]4[.]1[.].*"}[5m]) > 0
        annotations: {summary: "{{ $labels.instance }} says {{ $labels.trap }}"}
"""


@dataclass
class Site:
    daemon: Daemon
    switch: Snmpd
    port: int
    """Of the trap receiver."""

    async def incidents(self, title: str = "", state: str = "open") -> list[dict[str, Any]]:
        found = (await self.daemon.get("/api/sentinel/v1/incidents", state=state)).json()
        return [one for one in found if title in one["title"]]

    async def fires(self, trap: str) -> bool:
        found = (await self.daemon.get("/api/sentinel/v1/alerts", state="firing")).json()
        return any(one["labels"].get("trap") == trap for one in found)

    async def has_polled(self) -> bool:
        return bool(await self.daemon.query("ifOperStatus")) and await self.has_judged()

    async def has_judged(self) -> bool:
        groups = (await self.daemon.get("/api/v1/rules")).json()["data"]["groups"]
        return all(not group["lastEvaluation"].startswith("0001") for group in groups)

    async def figure(self, name: str, **labels: str) -> float:
        matchers = ", ".join(f'{key}="{value}"' for key, value in labels.items())
        text = (await self.daemon.get("/metrics", scope="self")).text
        wanted = f"{name}{{{matchers.replace(', ', ',')}}} " if labels else f"{name} "
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(wanted))


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    with Snmpd() as switch:
        switch.interfaces("lo", "ge-0/0/1", "ge-0/0/2")
        port = free_port(socket.SOCK_DGRAM)
        config = f"""
[traps]
listen = "127.0.0.1:{port}"
allow = ["127.0.0.9/32"]
auth = ["anybody", "somebody"]
[auth.anybody]
kind = "snmp"
community = "trap-community"
[auth.somebody]
kind = "snmp"
version = 3
username = "sentry"
security_level = "authPriv"
auth_protocol = "SHA256"
password = "signing-secret"
priv_protocol = "AES"
priv_password = "hiding-secret"
[[target]]
name = "{SWITCH}"
address = "{switch.address}"
modules = ["if_mib"]
interval = "60s"
labels = {{site = "north"}}
"""
        daemon = Daemon(tmp_path, config, RULES)
        try:
            await daemon.start()
            found = Site(daemon, switch, port)
            await eventually(found.has_polled, "the switch is polled and the rules are evaluated")
            yield found
        finally:
            daemon.kill()


async def test_a_link_down_trap_opens_the_incident_long_before_the_next_poll(site: Site) -> None:
    assert not await site.incidents()
    site.switch.link(2, up=False)
    began = time.time()
    send(site.port, LINK_DOWN, f"{IF_INDEX}.2", "i", "2")
    (incident,) = await eventually(
        lambda: site.incidents(f"ge-0/0/1 of {SWITCH} is down"), "the incident opens", within=10
    )
    assert incident["opened_at"] - began < 2.0
    site.switch.link(2, up=True)
    began = time.time()
    send(site.port, LINK_UP, f"{IF_INDEX}.2", "i", "2")
    (incident,) = await eventually(
        lambda: site.incidents("ge-0/0/1", "resolved"), "the incident resolves", within=10
    )
    assert incident["resolved_at"] - began < 2.0


async def test_notifications_of_every_version_reach_a_rule(site: Site) -> None:
    began = time.time()
    sent = send(site.port, COLD_START, version="1")
    assert sent.returncode == 0, sent.stderr
    (incident,) = await eventually(lambda: site.incidents("has started"), "the rule fires", within=10)
    assert incident["opened_at"] - began < 2.0
    (series,) = await site.daemon.query("sentinel_traps_total")
    labels = {"instance": SWITCH, "job": "traps", "site": "north", "trap": "coldStart"}
    assert series["metric"] == labels | {"__name__": "sentinel_traps_total"}
    assert series["value"][1] == "1"
    versions = [("2c", False), ("2c", True), ("3", False), ("3", True)]
    for number, (version, inform) in enumerate(versions, 1):
        trap = f"1.3.6.1.4.1.99999.0.{number}"
        user = USER if inform else (*USER, "-e", "0x8000000001020304")
        sent = send(site.port, trap, version=version, inform=inform, user=user)
        assert sent.returncode == 0, sent.stderr
        await eventually(partial(site.fires, trap), f"{trap} reaches the rule", within=10)


async def test_what_may_not_send_changes_nothing_and_is_counted(site: Site) -> None:
    send(site.port, COLD_START, community="guessed")
    send(site.port, COLD_START, source="127.0.0.5", community="trap-community")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        channel.sendto(b"\x30\x82hostile", ("127.0.0.1", site.port))
    assert send(site.port, COLD_START, community="guessed", inform=True).returncode != 0
    assert await site.figure("sentinel_trap_datagrams_total", outcome="foreign") == 1
    assert await site.figure("sentinel_trap_datagrams_total", outcome="malformed") == 1
    assert await site.figure("sentinel_trap_datagrams_total", outcome="refused") >= 3
    assert await site.daemon.query("sentinel_traps_total") == []
    assert "guessed" not in site.daemon.log.read_text()


async def test_devices_text_is_data(site: Site) -> None:
    hostile = "\x1b[31m$(reboot)<img onerror=alert(1)>\nlevel=fatal"
    send(
        site.port,
        "1.3.6.1.4.1.99999.0.1",
        "1.3.6.1.4.1.99999.1.1",
        "s",
        hostile,
        source="127.0.0.9",
        community="trap-community",
    )
    (incident,) = await eventually(
        lambda: site.incidents("127.0.0.9 says 1.3.6.1.4.1.99999.0.1"), "the rule fires", within=10
    )
    assert incident["target"] == "127.0.0.9"
    (line,) = [line for line in site.daemon.log.read_text().splitlines() if "99999.1.1" in line]
    assert "\x1b" not in line
    assert "level=fatal" in line


async def test_a_storm_is_limited_and_the_daemon_goes_on(site: Site) -> None:
    from sentinel.collect.snmp import ber
    from tests.unit.traps.datagrams import trap

    data = trap("1.3.6.1.4.1.99999.0.2", ("1.3.6.1.4.1.99999.1.1", ber.OCTET_STRING, b"x" * 900))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        for _ in range(20_000):
            channel.sendto(data, ("127.0.0.1", site.port))
    began = time.monotonic()
    assert (await site.daemon.get("/-/ready")).status_code == 200
    assert time.monotonic() - began < 2.0
    taken = await eventually(
        lambda: site.figure("sentinel_trap_datagrams_total", outcome="taken"), "some are taken"
    )
    assert taken < 5000
    assert await site.figure("sentinel_trap_datagrams_total", outcome="limited") > 1000
