"""The graph of a recorded network of five switches, and what may not mislead it.

cases/five_switches holds what `snmpbulkwalk -On` gives of each: two cables between core1 and dist1 (an aggregate);
core2, which sends LLDP and does not listen; acc1, whose ports are named by hardware address; acc2, which speaks CDP
alone; behind acc1 a neighbour with a hostile name, and one that calls itself core1; behind acc2 a printer that
speaks neither, known by the addresses that acc2 and core1 have learned.
"""

from __future__ import annotations

from pathlib import Path

from sentinel.collect.snmp.modules import SnmpModule, parse_modules
from sentinel.config.yaml import parse_yaml
from sentinel.inventory.topology import Link, Topology, topology_of
from sentinel.model.labels import Labels
from sentinel.model.target import Target
from tests.unit.snmp.agent import Agent, read_walk, serving
from tests.unit.snmp.reading import opened

ROOT = Path(__file__).parents[3]
CASE = Path(__file__).parent / "cases/five_switches"
MODULES = {"lldp": "lldp", "cdp": "cdp", "system": "system", "fdb": "bridge", "arp": "ip"}
SWITCHES = {
    "core1": "192.0.2.1",
    "core2": "192.0.2.2",
    "dist1": "192.0.2.3",
    "acc1": "192.0.2.11",
    "acc2": "192.0.2.12",
}
TARGETS = [*(Target(name, host) for name, host in SWITCHES.items()), Target("prn1", "192.0.2.50")]

Rows = dict[str, list[Labels]]


def shipped(name: str) -> SnmpModule:
    file = ROOT / f"collectors/snmp/{MODULES[name]}.yml"
    return parse_modules(parse_yaml(file.read_text(), str(file)))[name]


async def recorded(*names: str) -> Rows:
    """The series of these switches, read with the shipped modules from agents that answer as recorded."""
    rows: Rows = {}
    for name in names or SWITCHES:
        async with serving(Agent(read_walk(CASE / f"{name}.txt"))) as agent:
            for module in MODULES:
                async with opened(shipped(module), agent.port) as one:
                    reading = await one.poll(at=0, timeout=10)
                for labels in reading.layout.series:
                    rows.setdefault(labels.name, []).append(labels.updated({"instance": name}))
    return rows


def link(topology: Topology, a: str, b: str) -> list[Link]:
    return [one for one in topology.links if {one.a, one.b} == {a, b}]


async def test_the_recorded_network_gives_the_right_graph() -> None:
    rows = await recorded()
    found = topology_of(TARGETS, rows, rows)
    assert [(one.a, one.a_port, one.b, one.b_port, one.known_by, one.is_mutual) for one in found.links] == [
        ("/00c0ff006666", "eth0", "acc1", "00:C0:FF:00:A1:16", ("lldp",), False),
        ("/00c0ff0066aa", "eth0", "acc1", "00:C0:FF:00:A1:17", ("lldp",), False),
        ("acc1", "00:C0:FF:00:A1:18", "dist1", "Gi0/11", ("lldp",), True),
        ("acc2", "Gi1/0/48", "dist1", "Gi0/12", ("cdp",), True),
        ("acc2", "Gi1/0/5", "prn1", "", ("fdb",), False),
        ("core1", "Te1/0/1", "dist1", "Te0/1", ("lldp", "cdp"), True),
        ("core1", "Te1/0/2", "dist1", "Te0/2", ("lldp",), True),
        ("core2", "Te1/0/1", "dist1", "Te0/3", ("lldp",), False),
    ]
    assert {node.key for node in found.nodes if not node.is_target} == {"/00c0ff006666", "/00c0ff0066aa"}


async def test_a_hostile_name_is_a_strangers_name_and_nothing_else() -> None:
    found = topology_of(TARGETS, await recorded())
    names = {node.key: node.name for node in found.nodes if not node.is_target}
    assert names["/00c0ff0066aa"] == "<img src=x onerror=alert(1)>; digraph {"
    assert names["/00c0ff006666"] == "core1.example.net"
    assert not link(found, "acc1", "core1")


async def test_a_link_that_one_end_sees_is_found_from_either_end() -> None:
    both = topology_of(TARGETS, await recorded("dist1", "acc1"))
    for name in ("dist1", "acc1"):
        half = topology_of(TARGETS, await recorded(name))
        (seen,), (whole,) = link(half, "acc1", "dist1"), link(both, "acc1", "dist1")
        assert whole.is_mutual
        assert not seen.is_mutual
        assert (seen.a_port, seen.b_port) == (whole.a_port, whole.b_port)


async def test_declared_parents_direct_the_links_and_stand_where_nobody_sees_one() -> None:
    targets = [
        Target("core1", "192.0.2.1"),
        Target("dist1", "192.0.2.3", parents=("core1",)),
        Target("acc1", "192.0.2.11", parents=("dist1",)),
        Target("prn1", "192.0.2.50", parents=("acc1",)),
    ]
    rows = await recorded("core1", "dist1", "acc1", "acc2")
    found = topology_of(targets, rows, rows)
    assert [(one.a, one.b, one.known_by) for one in found.links if one.parent] == [
        ("acc1", "prn1", ("declared",)),
        ("core1", "dist1", ("declared", "lldp", "cdp")),
        ("core1", "dist1", ("declared", "lldp")),
        ("dist1", "acc1", ("declared", "lldp")),
    ]
    assert [one.known_by for one in link(found, "acc1", "prn1")] == [("declared",)]
    assert [node.parents for node in found.nodes if node.key == "prn1"] == [("acc1",)]


def seen(target: str, port: str, far: str, far_port: str, chassis: str = "") -> Labels:
    return Labels(
        __name__="lldpRemPortId",
        instance=target,
        lldpLocPortId=port,
        lldpRemPortId=far_port,
        lldpRemSysName=far,
        lldpRemChassisId=chassis,
        lldpRemLocalPortNum=port,
        lldpRemIndex="1",
    )


def test_a_name_that_two_targets_have_is_nobodys() -> None:
    targets = [Target("sw1", "192.0.2.1"), Target("a.north", "192.0.2.2"), Target("a.south", "192.0.2.3")]
    found = topology_of(
        targets, {"lldpRemPortId": [seen("sw1", "1", "a", "9"), seen("sw1", "2", "a.south", "8")]}
    )
    assert [(one.a, one.b) for one in found.links] == [("/a", "sw1"), ("a.south", "sw1")]


def test_a_device_that_nobody_knows_is_one_node_by_lldp_and_cdp() -> None:
    cdp = Labels(
        __name__="cdpCacheDevicePort",
        instance="sw1",
        cdpCacheDeviceId="phone-7(SERIAL)",
        cdpCacheDevicePort="Port 1",
        ifName="1",
    )
    rows = {
        "lldpRemPortId": [seen("sw1", "1", "phone-7", "Port 1", "0x00C0FF000007")],
        "cdpCacheDevicePort": [cdp],
    }
    found = topology_of([Target("sw1", "192.0.2.1")], rows)
    assert [(one.a, one.known_by) for one in found.links] == [("/00c0ff000007", ("lldp", "cdp"))]


def test_cables_whose_ends_call_their_ports_differently_are_not_counted_twice() -> None:
    targets = [Target("a", "192.0.2.1"), Target("b", "192.0.2.2")]
    rows = {"lldpRemPortId": [seen("a", "49", "b", "port two"), seen("b", "2", "a", "local 49")]}
    found = topology_of(targets, rows)
    assert [(one.a_port, one.b_port, one.is_mutual) for one in found.links] == [("49", "2", True)]


def test_nothing_known_is_targets_without_links() -> None:
    found = topology_of(TARGETS, {})
    assert [node.key for node in found.nodes] == sorted(target.name for target in TARGETS)
    assert found.links == ()
