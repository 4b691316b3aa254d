"""What is kept of devices: little, once for all of a kind, and given back."""

from __future__ import annotations

import gc
import random
import tracemalloc
from contextlib import AsyncExitStack

import pytest

from sentinel.collect.snmp import ber
from sentinel.collect.snmp.collector import SnmpCollector
from sentinel.collect.snmp.common import Common
from sentinel.collect.snmp.plan import plan_of
from sentinel.collect.snmp.translate import PAUSE_AFTER, Translator
from sentinel.collect.snmp.walk import Tables
from tests.unit.snmp.agent import Agent, Value, counter64, integer, serving, text
from tests.unit.snmp.reading import module_of, opened, samples

ENTRY = "1.3.6.1.4.1.99999.1.1"
ROW = "indexes: [{labelname: row, type: gauge}]"
NAMED = f"{ROW}, lookups: [{{labels: [row], labelname: name, oid: {ENTRY}.1, type: DisplayString}}]"
TABLE = module_of(f"""
modules:
  table:
    walk: [{ENTRY}]
    metrics:
      - {{name: level, oid: {ENTRY}.2, type: gauge, {NAMED}}}
      - {{name: octets, oid: {ENTRY}.3, type: counter, {NAMED}}}
      - {{name: packets, oid: {ENTRY}.4, type: counter, scale: 10, offset: 1, {ROW}}}
""")


def rows(count: int, *, site: str = "", level: int = 0, octets: int = 0) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for number in range(1, count + 1):
        found[f"{ENTRY}.1.{number}"] = text(f"{site} port {number}")
        found[f"{ENTRY}.2.{number}"] = integer(level)
        found[f"{ENTRY}.3.{number}"] = counter64(octets + number)
        found[f"{ENTRY}.4.{number}"] = counter64(octets)
    return found


class Devices:
    """Devices that are polled through one driver."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        self.first: SnmpCollector | None = None

    async def add(self, table: dict[str, Value]) -> tuple[Agent, SnmpCollector]:
        agent = await self._stack.enter_async_context(serving(Agent(table)))
        if self.first is None:
            self.first = await self._stack.enter_async_context(opened(TABLE, agent.port))
            return agent, self.first
        one = self.first
        return agent, SnmpCollector("127.0.0.1", agent.port, one._access, one._plan, one._shared)


async def test_devices_of_a_kind_share_outline_and_layout_until_the_last_is_closed() -> None:
    async with AsyncExitStack() as stack:
        devices = Devices(stack)
        collectors = [(await devices.add(rows(70)))[1] for _ in range(3)]
        layouts = {(await one.poll(at=0, timeout=5)).layout for one in collectors for _ in range(3)}
        shared = collectors[0]._shared
        assert (len(layouts), len(shared.layouts), len(shared.outlines)) == (1, 1, 1)
        for one in collectors:
            assert (len(shared.layouts), len(shared.outlines)) == (1, 1)
            await one.close()
            await one.close()
        assert (len(shared.layouts), len(shared.outlines)) == (0, 0)


async def test_devices_with_texts_of_their_own_share_what_is_asked_and_keep_their_labels_apart() -> None:
    async with AsyncExitStack() as stack:
        devices = Devices(stack)
        found = []
        for site in ("east", "west"):
            _, collector = await devices.add(rows(2, site=site))
            for _ in range(3):
                reading = await collector.poll(at=0, timeout=5)
            found.append(samples(reading))
            shared = collector._shared
        assert (len(shared.layouts), len(shared.outlines)) == (2, 1)
        assert 'octets{name="east port 2", row="2"}' in found[0]
        assert 'octets{name="west port 2", row="2"}' in found[1]


async def test_rows_that_come_leave_nothing_of_the_old_ones() -> None:
    async with AsyncExitStack() as stack:
        agent, collector = await Devices(stack).add(rows(3))
        for count in (3, 4, 70, 5):
            agent.load(rows(count))
            for _ in range(3):
                assert len(samples(await collector.poll(at=0, timeout=5))) == 3 * count
            shared = collector._shared
            assert (len(shared.layouts), len(shared.outlines)) == (1, 1)


async def test_answers_that_change_their_shape_beside_others_that_do_not_are_read_right() -> None:
    dice = random.Random(7)
    async with AsyncExitStack() as stack:
        agent, collector = await Devices(stack).add(rows(200))
        table = rows(200)
        for _ in range(30):
            for _ in range(dice.choice((0, 1, 3))):
                row = dice.randint(1, 200)
                table[f"{ENTRY}.2.{row}"] = integer(dice.choice((-70_000, -1, 0, 127, 128, 70_000)))
                table[f"{ENTRY}.3.{row}"] = counter64(dice.choice((0, 255, 256, 2**32, 2**52, 2**53 + 5)))
                table[f"{ENTRY}.4.{row}"] = counter64(dice.choice((1, 2**31)))
            agent.load(table)
            found = samples(await collector.poll(at=0, timeout=5))
            assert found == _expected(table, 200)


def _expected(table: dict[str, Value], count: int) -> dict[str, float]:
    found = {}
    for row in range(1, count + 1):
        labels = f'{{name=" port {row}", row="{row}"}}'
        found[f"level{labels}"] = _number(table[f"{ENTRY}.2.{row}"])
        found[f"octets{labels}"] = _number(table[f"{ENTRY}.3.{row}"]) % 2**53
        found[f'packets{{row="{row}"}}'] = _number(table[f"{ENTRY}.4.{row}"]) * 10 + 1
    return found


def _number(value: Value) -> float:
    found = ber.number(*value)
    assert found is not None
    return found


@pytest.mark.parametrize(("own", "most"), [("", 50), ("site {}", 130)])
async def test_a_device_takes_few_bytes_for_each_series(own: str, most: int) -> None:
    many, count = 8, 300
    async with AsyncExitStack() as stack:
        devices = Devices(stack)
        sites = [own.format(number) for number in range(many + 1)]
        first, *others = [(await devices.add(rows(count, site=site)))[1] for site in sites]
        for _ in range(3):
            await first.poll(at=0, timeout=10)
        tracemalloc.start(1)
        try:
            for one in others:
                for _ in range(3):
                    await one.poll(at=0, timeout=10)
            gc.collect()
            kept = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, "*/collect/snmp/*")])
        finally:
            tracemalloc.stop()
        assert sum(trace.size for trace in kept.traces) / many / (3 * count) < most
        for one in others:
            await one.close()


def test_the_translation_of_a_large_device_pauses() -> None:
    plan = plan_of(TABLE)
    suffixes = [ber.encode_numbers((row,)) for row in range(PAUSE_AFTER * 3)]
    columns = {column.oid: number for number, column in enumerate(plan.columns)}
    tables: Tables = {
        columns[ber.encode_oid(f"{ENTRY}.{number}")]: dict.fromkeys(suffixes, cell)
        for number, cell in (
            (1, (ber.OCTET_STRING, b"port")),
            (2, (ber.GAUGE32, 1.0)),
            (3, (ber.COUNTER64, 1.0)),
        )
    }
    pauses = 0
    steps = Translator(plan).translate(tables)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            assert len(end.value.series) == len(suffixes) * 2
            break
        pauses += 1
    assert pauses >= 6


def test_what_is_shared_goes_with_its_last_user() -> None:
    common: Common[tuple[int, ...], object] = Common()
    first = common.take((1, 2), lambda key: object())
    assert common.take((1, 2), lambda key: object()) is first
    common.release((1, 2))
    assert common.take((1, 2), lambda key: object()) is first
    common.release((1, 2))
    common.release((1, 2))
    assert not len(common)
