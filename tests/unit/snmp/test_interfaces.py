"""A device that renumbers its interfaces: its series go on, and its alerts with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from prometheus_client import CollectorRegistry

from sentinel.collect.modules import load_modules
from sentinel.collect.snmp.driver import SnmpDriver
from sentinel.collect.snmp.interfaces import MOST_GONE, Interfaces
from sentinel.model.alert import AlertChange
from sentinel.model.batch import Batch, Reading
from sentinel.model.labels import METRIC_NAME
from sentinel.model.target import Target
from sentinel.promql.engine import Engine
from sentinel.promql.value import Vector
from sentinel.rules.engine import RuleEngine
from sentinel.rules.files import load_rules
from sentinel.runtime.clock import ManualClock, SystemClock
from sentinel.series.head import Head
from tests.servers.debian import ROOT
from tests.unit.snmp.agent import Agent, Value, counter64, integer, serving, text

IF_ENTRY, IF_X_ENTRY = "1.3.6.1.2.1.2.2.1", "1.3.6.1.2.1.31.1.1.1"
START, INTERVAL = 1_700_000_000.0, 30.0

# Which number an interface shows


def test_interfaces_are_shown_by_the_number_they_were_first_seen_by() -> None:
    memory = Interfaces()
    assert memory.numbers({1: "lo", 2: "eth0", 3: "eth1"}) == {1: 1, 2: 2, 3: 3}
    assert memory.numbers({1: "lo", 2: "eth1", 3: "eth0"}) == {1: 1, 2: 3, 3: 2}
    assert memory.numbers({10: "eth0", 11: "lo"}) == {10: 2, 11: 1}
    assert memory.numbers({1: "lo", 2: "eth0", 3: "eth1"}) == {1: 1, 2: 2, 3: 3}


def test_a_newcomer_never_shows_the_number_of_another() -> None:
    memory = Interfaces()
    memory.numbers({1: "lo", 2: "eth0", 3: "eth1"})
    shown = memory.numbers({1: "lo", 2: "new", 3: "eth0", 4: "eth1", 5: "later"})
    assert shown == {1: 1, 2: 4, 3: 2, 4: 3, 5: 5}
    assert memory.numbers({1: "lo", 2: "new", 3: "eth0", 4: "eth1", 5: "later"}) == shown


def test_one_that_comes_back_to_a_number_taken_meanwhile_gets_another() -> None:
    memory = Interfaces()
    memory.numbers({2: "eth0"})
    assert memory.numbers({2: "eth1"}) == {2: 2}
    assert memory.numbers({2: "eth1", 7: "eth0"}) == {2: 2, 7: 7}


@pytest.mark.parametrize("names", [{1: "", 2: ""}, {1: "port", 2: "port", 3: "x"}])
def test_names_that_tell_nothing_leave_the_numbers_as_they_are(names: Mapping[int, str]) -> None:
    memory = Interfaces()
    assert memory.numbers(names) == {index: index for index in names}
    assert memory.numbers(names) == {index: index for index in names}


def test_the_memory_of_interfaces_that_come_and_go_is_bounded() -> None:
    memory = Interfaces()
    for index in range(3 * MOST_GONE):
        memory.numbers({1: "lo", index + 2: f"veth{index}"})
    assert len(memory._known) <= MOST_GONE + 2
    assert memory.numbers({1: "veth3", 2: "lo"})[2] == 1


# A switch that is restarted with another card in it


@dataclass
class Switch:
    """An agent with interfaces by name, which the test numbers as it likes."""

    numbers: dict[str, int]
    agent: Agent = field(default_factory=lambda: Agent({}))
    octets: dict[str, int] = field(default_factory=dict)
    down: frozenset[str] = frozenset()

    def pass_time(self, seconds: float) -> None:
        for number, name in enumerate(sorted(self.numbers), 1):
            self.octets[name] = self.octets.get(name, 0) + int(number * 1000 * seconds)
        rows: dict[str, Value] = {}
        for name, index in self.numbers.items():
            state = integer(2 if name in self.down else 1)
            rows |= {
                f"{IF_ENTRY}.1.{index}": integer(index),
                f"{IF_ENTRY}.2.{index}": text(f"{name} port"),
                f"{IF_ENTRY}.7.{index}": integer(1),
                f"{IF_ENTRY}.8.{index}": state,
                f"{IF_X_ENTRY}.1.{index}": text(name),
                f"{IF_X_ENTRY}.6.{index}": counter64(self.octets[name]),
                f"{IF_X_ENTRY}.18.{index}": text(f"to {name}"),
            }
        self.agent.load(rows)

    def restart(self, numbers: dict[str, int]) -> None:
        """Counters start again, numbers are dealt anew."""
        self.numbers = numbers
        self.octets.clear()


@dataclass
class Lab:
    """The shipped if_mib module and network rules over a switch."""

    switch: Switch
    at: float = START
    head: Head = field(default_factory=lambda: Head(retention=7200.0))
    changes: list[AlertChange] = field(default_factory=list)

    def __post_init__(self) -> None:
        modules = load_modules([ROOT / "collectors/snmp/if_mib.yml"]).snmp
        self.target = Target("sw1", "127.0.0.1", self.switch.agent.port, interval=INTERVAL)
        self.driver = SnmpDriver(modules, {}, clock=SystemClock(), registry=CollectorRegistry())
        self.collector = self.driver.open(self.target, "if_mib")
        self.queries = Engine(self.head)
        self.rules = RuleEngine(
            load_rules([ROOT / "rules/network.yml"], self.queries, default_interval=INTERVAL),
            expressions=self.queries,
            readability=self.head,
            ledger=self,
            recorder=self.head,
            clock=ManualClock(START),
            registry=CollectorRegistry(),
        )

    def submit(self, changes: Sequence[AlertChange]) -> None:
        self.changes.extend(changes)

    async def poll(self, times: int = 1, *, answers: bool = True) -> Reading | None:
        reading = None
        source = self.target.source("if_mib")
        for _ in range(times):
            self.at += INTERVAL
            self.switch.pass_time(INTERVAL)
            if answers:
                reading = await self.collector.poll(at=self.at, timeout=5)
                self.head.append([Batch(source, self.at, reading, up=True, duration=0.1)])
            else:
                self.head.append([Batch.down(source, at=self.at, duration=5.0, reason="timeout")])
            self.rules.evaluate_once(self.at + 1)
        return reading

    def rates(self) -> dict[str, float]:
        """Octets a second by ifName, each once."""
        result = self.queries.compile("sum by (ifName) (rate(ifHCInOctets[5m]))").instant(self.at)
        assert isinstance(result, Vector)
        chosen = zip(result.rows.tolist(), result.values.tolist(), strict=True)
        return {result.series.labels[row]["ifName"]: round(value) for row, value in chosen}

    def down(self) -> list[str]:
        """What became of InterfaceDown so far."""
        return [str(change.alert.state) for change in self.changes if change.alert.name == "InterfaceDown"]

    async def close(self) -> None:
        await self.collector.close()
        await self.driver.close()


OLD = {"eth0": 2, "eth1": 3, "eth2": 4}
NEW = {"eth3": 2, "eth0": 3, "eth1": 4, "eth2": 5}
"""A card has been put in before the others."""


async def test_rates_go_on_and_open_alerts_stay_when_a_restart_renumbers_the_interfaces() -> None:
    switch = Switch(OLD)
    async with serving(switch.agent):
        lab = Lab(switch)
        await lab.poll(20)
        assert lab.rates() == {"eth0": 1000, "eth1": 2000, "eth2": 3000}
        switch.down = frozenset(("eth1",))
        await lab.poll(2)
        assert lab.down() == ["firing"]
        before = lab.rates()
        switch.restart(NEW)
        for _ in range(20):
            await lab.poll()
            assert lab.down() == ["firing"]
            rates = lab.rates()
            # A restart loses what was counted since the last poll, as in Prometheus; it never adds anything.
            assert all(0.8 * before[name] <= rates[name] <= before[name] for name in OLD)
        assert lab.rates() == {"eth0": 1000, "eth1": 2000, "eth2": 3000, "eth3": 4000}
        switch.down = frozenset()
        await lab.poll()
        assert lab.down() == ["firing", "inactive"]
        await lab.close()


async def test_an_alert_waits_unknown_through_the_restart_and_goes_on_after_it() -> None:
    switch = Switch(OLD, down=frozenset())
    async with serving(switch.agent):
        lab = Lab(switch)
        await lab.poll(10)
        switch.down = frozenset(("eth1",))
        await lab.poll(2)
        await lab.poll(3, answers=False)
        switch.restart(NEW)
        await lab.poll(5)
        assert lab.down() == ["firing", "unknown", "firing"]
        await lab.close()


async def test_the_present_number_is_the_value_of_the_metric_ifindex() -> None:
    switch = Switch(OLD)
    async with serving(switch.agent):
        lab = Lab(switch)
        await lab.poll(2)
        switch.restart(NEW)
        reading = await lab.poll(2)
        assert reading is not None
        found = {
            labels["ifName"]: (labels["ifIndex"], value)
            for labels, value in zip(reading.layout.series, reading.values.tolist(), strict=True)
            if labels[METRIC_NAME] == "ifIndex"
        }
        assert found == {"eth0": ("2", 3), "eth1": ("3", 4), "eth2": ("4", 5), "eth3": ("5", 2)}
        await lab.close()


async def test_a_poll_on_demand_shows_present_numbers_as_snmp_exporter_does() -> None:
    switch = Switch(OLD)
    async with serving(switch.agent):
        lab = Lab(switch)
        await lab.poll(2)
        switch.restart(NEW)
        await lab.poll(2)
        scrape = await lab.driver.scrape(lab.target, "if_mib", timeout=5)
        series = scrape.reading.layout.series
        assert {labels["ifName"]: int(labels["ifIndex"]) for labels in series if "ifName" in labels} == NEW
        await lab.close()
