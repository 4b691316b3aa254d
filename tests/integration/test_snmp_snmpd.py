"""SNMP against a real net-snmp agent."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from sentinel.collect.collector import PollError
from sentinel.collect.snmp import ber
from sentinel.collect.snmp.modules import SnmpModule, parse_modules
from sentinel.config.yaml import parse_yaml
from sentinel.model.batch import Reading
from sentinel.model.labels import METRIC_NAME, Labels
from tests.servers.debian import environment, program
from tests.servers.snmpd import Snmpd
from tests.unit.snmp.agent import Value, read_walk
from tests.unit.snmp.reading import opened, samples

COLLECTORS = Path(__file__).parents[2] / "collectors/snmp"


@pytest.fixture
def agent() -> Iterator[Snmpd]:
    with Snmpd() as running:
        running.interfaces("lo", "eth0", "eth1")
        yield running


def shipped(name: str) -> SnmpModule:
    file = COLLECTORS / f"{name}.yml"
    return parse_modules(parse_yaml(file.read_text(), str(file)))[name]


def bulkwalk(agent: Snmpd, root: str, folder: Path) -> dict[str, Value]:
    """What net-snmp's own client reads below an OID."""
    command = [program("snmpbulkwalk"), "-v2c", "-cpublic", "-On", agent.address, root]
    quiet = environment() | {"MIBS": "", "SNMP_PERSISTENT_DIR": str(folder / "state")}
    out = subprocess.run(command, env=quiet, capture_output=True, text=True, check=True).stdout
    file = folder / "walk.txt"
    file.write_text(out)
    return read_walk(file)


def by_labels(reading: Reading) -> dict[Labels, float]:
    return dict(zip(reading.layout.series, map(float, reading.values), strict=True))


def expected_interfaces(walk: dict[str, Value], module: SnmpModule) -> dict[Labels, float]:
    """Numbers of if_mib as the walk has them."""

    def string(oid: str) -> str:
        return walk[oid][1].decode()

    found = {}
    for metric in module.metrics:
        for oid, (tag, content) in walk.items():
            column, _, index = oid.rpartition(".")
            if column != metric.oid or metric.type not in ("gauge", "counter") or not metric.indexes:
                continue
            labels = {
                METRIC_NAME: metric.name,
                "ifIndex": index,
                "ifName": string(f"1.3.6.1.2.1.31.1.1.1.1.{index}"),
                "ifAlias": string(f"1.3.6.1.2.1.31.1.1.1.18.{index}"),
                "ifDescr": string(f"1.3.6.1.2.1.2.2.1.2.{index}"),
            }
            number = ber.number(tag, content)
            assert number is not None
            found[Labels(labels)] = float(number)
    return found


@pytest.mark.parametrize("version", [1, 2])
async def test_interfaces_agree_with_snmpbulkwalk(agent: Snmpd, tmp_path: Path, version: int) -> None:
    module = shipped("if_mib")
    walk = bulkwalk(agent, "1.3.6.1.2.1.2", tmp_path) | bulkwalk(agent, "1.3.6.1.2.1.31.1.1", tmp_path)
    expected = expected_interfaces(walk, module)
    assert len(expected) > 90
    async with opened(module, agent.port, version=version) as collector:
        for _ in range(3):
            found = by_labels(await collector.poll(at=0, timeout=10))
            # The agent answers v1 without 64-bit counters (RFC 2576 §4.1.2.1).
            wanted = {
                labels: value
                for labels, value in expected.items()
                if version == 2 or not labels.name.startswith("ifHC") or labels.name == "ifHighSpeed"
            }
            assert {labels: value for labels, value in found.items() if labels in expected} == wanted
            rest = {labels.name for labels in found if labels not in expected}
            assert rest == {"ifNumber", "ifType_info", "ifPhysAddress"}


async def test_the_agents_own_description_is_read(agent: Snmpd, tmp_path: Path) -> None:
    walk = bulkwalk(agent, "1.3.6.1.2.1.1", tmp_path)
    async with opened(shipped("system"), agent.port) as collector:
        found = by_labels(await collector.poll(at=0, timeout=10))
    assert found[Labels({METRIC_NAME: "sysName", "sysName": "sentinel-test"})] == 1
    description = walk["1.3.6.1.2.1.1.1.0"][1].decode()
    assert found[Labels({METRIC_NAME: "sysDescr", "sysDescr": description})] == 1
    uptime = int.from_bytes(walk["1.3.6.1.2.1.1.3.0"][1], "big")
    assert 0 <= found[Labels({METRIC_NAME: "sysUpTime"})] - uptime < 6000


async def test_host_resources_of_this_machine_are_read(agent: Snmpd, tmp_path: Path) -> None:
    walk = bulkwalk(agent, "1.3.6.1.2.1.25.2", tmp_path)
    sizes = {
        oid.rpartition(".")[2]: content
        for oid, (_, content) in walk.items()
        if oid.startswith("1.3.6.1.2.1.25.2.3.1.5.")
    }
    async with opened(shipped("host_resources"), agent.port) as collector:
        for _ in range(2):
            found = by_labels(await collector.poll(at=0, timeout=10))
    storage = {labels["hrStorageIndex"] for labels in found if labels.name == "hrStorageSize"}
    assert storage == set(sizes)
    clock = found[Labels({METRIC_NAME: "hrSystemDate"})]
    assert abs(clock - time.time()) < 120
    assert any(labels.name == "hrDeviceDescr" for labels in found)


async def test_a_link_going_down_is_seen_by_the_next_poll_in_the_same_layout(agent: Snmpd) -> None:
    series = 'ifOperStatus{ifAlias="link 2", ifDescr="eth0 port", ifIndex="2", ifName="eth0"}'
    async with opened(shipped("if_mib"), agent.port) as collector:
        for _ in range(2):
            before = await collector.poll(at=0, timeout=10)
        assert samples(before)[series] == 1
        agent.link(2, up=False)
        after = await collector.poll(at=0, timeout=10)
        assert samples(after)[series] == 2
        assert after.layout is before.layout
        agent.link(2, up=True)
        assert samples(await collector.poll(at=0, timeout=10))[series] == 1


async def test_a_new_interface_is_seen_by_the_next_poll(agent: Snmpd) -> None:
    async with opened(shipped("if_mib"), agent.port) as collector:
        for _ in range(2):
            await collector.poll(at=0, timeout=10)
        agent.interfaces("lo", "eth0", "eth1", "eth2")
        found = samples(await collector.poll(at=0, timeout=10))
        assert 'ifOperStatus{ifAlias="link 4", ifDescr="eth2 port", ifIndex="4", ifName="eth2"}' in found


async def test_a_wrong_community_looks_like_silence_and_says_so(agent: Snmpd) -> None:
    async with opened(shipped("if_mib"), agent.port, community="secret-guess") as collector:
        with pytest.raises(PollError, match="is the community right") as caught:
            await collector.poll(at=0, timeout=1)
        assert caught.value.reason == "timeout"
        assert "secret-guess" not in caught.value.text


async def test_an_agent_that_stops_and_returns_is_read_again(agent: Snmpd) -> None:
    async with opened(shipped("if_mib"), agent.port) as collector:
        before = await collector.poll(at=0, timeout=10)
        agent.stop()
        with pytest.raises(PollError) as caught:
            await collector.poll(at=0, timeout=2)
        assert caught.value.reason == "refused"
        agent.start()
        after = await collector.poll(at=0, timeout=10)
        assert after.layout is before.layout


async def test_a_stopped_agent_costs_the_others_nothing(agent: Snmpd) -> None:
    with Snmpd() as other:
        other.interfaces("lo", "eth0")
        async with opened(shipped("if_mib"), agent.port) as first:
            second = type(first)("127.0.0.1", other.port, first._access, first._plan, first._shared)
            await asyncio.gather(first.poll(at=0, timeout=10), second.poll(at=0, timeout=10))
            other.stop()
            results = await asyncio.gather(
                first.poll(at=0, timeout=10), second.poll(at=0, timeout=1), return_exceptions=True
            )
            assert isinstance(results[0], Reading)
            assert not results[0].unread
            assert isinstance(results[1], PollError)


async def test_the_engine_counts_what_it_sends(agent: Snmpd) -> None:
    registry = CollectorRegistry()
    async with opened(shipped("system"), agent.port, registry=registry) as collector:
        for _ in range(3):
            await collector.poll(at=0, timeout=10)
    value = registry.get_sample_value
    assert (value("sentinel_snmp_requests_total") or 0) >= 3
    assert value("sentinel_snmp_retries_total") == 0
    assert value("sentinel_snmp_malformed_replies_total") == 0
