"""Polls on demand: what is kept between them, and what they count."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from prometheus_client import CollectorRegistry

from sentinel.collect.collector import PollError
from sentinel.collect.snmp.driver import SnmpDriver
from sentinel.collect.snmp.modules import SnmpModule
from sentinel.collect.snmp.on_demand import KEPT
from sentinel.model.target import Target
from sentinel.runtime.clock import ManualClock
from tests.unit.snmp.agent import Agent, integer, serving
from tests.unit.snmp.reading import module_of

COLUMN = "1.3.6.1.4.1.99999.1"
TEXT = f"""
modules:
  table:
    walk: [{COLUMN}]
    retries: 0
    metrics:
    - {{name: n, oid: {COLUMN}, type: gauge, indexes: [{{labelname: i, type: gauge}}]}}
"""


@dataclass
class Lab:
    agent: Agent
    driver: SnmpDriver
    modules: dict[str, SnmpModule]
    clock: ManualClock
    registry: CollectorRegistry

    @property
    def target(self) -> Target:
        return Target("device", "127.0.0.1", self.agent.port)

    def kept(self) -> int:
        return len(self.driver._on_demand._kept)


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    modules, clock, registry = {"table": module_of(TEXT)}, ManualClock(0.0), CollectorRegistry()
    driver = SnmpDriver(modules, {}, clock=clock, registry=registry)
    async with serving(Agent({f"{COLUMN}.{row}": integer(row) for row in (1, 2, 3)})) as agent:
        yield Lab(agent, driver, modules, clock, registry)
    await driver.close()


async def test_a_poll_says_what_it_took_and_counts_among_the_daemons_own(lab: Lab) -> None:
    scrape = await lab.driver.scrape(lab.target, "table", timeout=5)
    assert (scrape.packets, scrape.retries, scrape.values) == (len(lab.agent.seen), 0, 3)
    assert lab.registry.get_sample_value("sentinel_snmp_requests_total") == scrape.packets


async def test_what_was_learned_is_kept_for_the_next_poll(lab: Lab) -> None:
    first = await lab.driver.scrape(lab.target, "table", timeout=5)
    again = await lab.driver.scrape(lab.target, "table", timeout=5)
    assert again.reading.layout is first.reading.layout
    lab.modules["table"] = module_of(TEXT.replace("name: n", "name: m"))
    changed = await lab.driver.scrape(lab.target, "table", timeout=5)
    assert {labels.name for labels in changed.reading.layout.series} == {"m"}
    assert lab.kept() == 1


async def test_what_nobody_asks_for_any_more_is_dropped(lab: Lab) -> None:
    await lab.driver.scrape(lab.target, "table", timeout=5)
    await lab.clock.advance(KEPT + 1)
    await lab.driver.scrape(lab.target, "table", context="other", timeout=5)
    assert lab.kept() == 1


async def test_several_who_ask_for_the_same_at_once_are_all_answered(lab: Lab) -> None:
    polls = [lab.driver.scrape(lab.target, "table", timeout=5) for _ in range(10)]
    assert {len(one.reading.layout) for one in await asyncio.gather(*polls)} == {3}


async def test_a_device_that_does_not_answer_is_an_error_and_asked_again_the_next_time(lab: Lab) -> None:
    lab.agent.bend = lambda request: ()
    with pytest.raises(PollError, match="no answer"):
        await lab.driver.scrape(lab.target, "table", timeout=0.3)
    lab.agent.bend = lambda request: None
    assert (await lab.driver.scrape(lab.target, "table", timeout=5)).values == 3
