"""How much a device is asked for at once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from sentinel.collect.snmp.collector import SnmpCollector
from sentinel.collect.snmp.device import GROW_AFTER, LARGEST_WINDOW, WINDOW
from sentinel.collect.snmp.modules import SnmpModule
from sentinel.collect.snmp.walk import COLUMNS_PER_REQUEST
from tests.unit.snmp.agent import Agent, Request, Value, integer, read_request, serving, text
from tests.unit.snmp.reading import module_of, opened

ENTRY = "1.3.6.1.4.1.99999.1.1"
ROWS = 300


def module(columns: int, texts: int = 0) -> SnmpModule:
    metrics = "".join(
        f"      - {{name: column{number}, oid: {ENTRY}.{number},"
        f" type: {'DisplayString' if number <= texts else 'gauge'},"
        f" indexes: [{{labelname: row, type: gauge}}]}}\n"
        for number in range(1, columns + 1)
    )
    return module_of(f"modules:\n  table:\n    walk: [{ENTRY}]\n    timeout: 500ms\n    metrics:\n{metrics}")


def table(columns: int, rows: int) -> dict[str, Value]:
    return {
        f"{ENTRY}.{column}.{row}": integer(row)
        for column in range(1, columns + 1)
        for row in range(1, rows + 1)
    }


@dataclass
class Busy(Agent):
    """Answers everything that has come since it last looked; what its queue has no room for is lost."""

    room: int = 1000
    most: int = 0
    """Requests that were there at once."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._queue: list[tuple[Request, tuple[str, int]]] = []

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if not self._queue:
            asyncio.get_running_loop().call_later(0.002, self._look)
        self._queue.append((read_request(data), addr))

    def _look(self) -> None:
        self.most = max(self.most, len(self._queue))
        for request, addr in self._queue[: self.room]:
            self.transport.sendto(self.honest(request), addr)
        self._queue.clear()

    async def polled(self, collector: SnmpCollector, count: int) -> int:
        """Requests that were there at once during so many polls, each of which must be whole."""
        self.most = 0
        for _ in range(count):
            reading = await collector.poll(at=0, timeout=5)
            assert not reading.unread
            assert len(reading.layout) == ROWS
        return self.most


async def test_a_device_that_answers_everything_is_asked_for_more_at_once() -> None:
    agent = Busy(table(1, ROWS))
    async with serving(agent), opened(module(1), agent.port) as collector:
        assert await agent.polled(collector, GROW_AFTER) == WINDOW
        for more in range(WINDOW + 1, LARGEST_WINDOW + 1):
            await agent.polled(collector, 1)
            assert await agent.polled(collector, GROW_AFTER - 1) == more
        assert await agent.polled(collector, 2 * GROW_AFTER) == LARGEST_WINDOW


@pytest.mark.parametrize("room", [WINDOW, 6])
async def test_a_device_that_loses_requests_gets_as_many_as_it_bears(room: int) -> None:
    agent = Busy(table(1, ROWS), room=room)
    async with serving(agent), opened(module(1), agent.port) as collector:
        assert await agent.polled(collector, 4 * GROW_AFTER) == room + 1
        assert await agent.polled(collector, 4 * GROW_AFTER) == room


@pytest.mark.parametrize(
    ("columns", "rows", "least"), [(17, 50, 13), (13, 50, 10), (9, 50, 7), (3, 300, 14), (8, 1, 1), (9, 1, 2)]
)
async def test_columns_are_shared_out_over_the_fewest_requests(columns: int, rows: int, least: int) -> None:
    agent = Agent(table(columns, rows))
    async with serving(agent), opened(module(columns), agent.port) as collector:
        await collector.poll(at=0, timeout=5)
        agent.seen.clear()
        reading = await collector.poll(at=0, timeout=5)
        assert len(reading.layout) == columns * rows
        assert len(agent.seen) == least
        assert max(len(request.oids) for request in agent.seen) <= COLUMNS_PER_REQUEST


@dataclass
class Narrow(Agent):
    """Answers with as many rows as a frame holds."""

    most: int = 1472
    """Bytes."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.answers: list[tuple[int, int, int]] = []
        """Bytes of each; varbinds that there were, and that were asked for."""

    def honest(self, request: Request) -> bytes:
        self.limit = len(request.oids) * max(request.second, 1)
        while len(answer := super().honest(request)) > self.most:
            self.limit -= 1
        self.answers.append((len(answer), self.limit, len(request.oids) * max(request.second, 1)))
        return answer


def mixed(rows: int, long: int) -> dict[str, Value]:
    """Two columns of texts, then ten of numbers."""
    texts = {
        f"{ENTRY}.{column}.{row}": text("x" * (long if row % 7 else long // 3))
        for column in (1, 2)
        for row in range(1, rows + 1)
    }
    return table(12, rows) | texts


@pytest.mark.parametrize(("most", "long"), [(1472, 20), (1472, 90), (484, 30)])
async def test_an_answer_holds_more_varbinds_where_they_are_short_and_none_is_cut(
    most: int, long: int
) -> None:
    agent = Narrow(mixed(50, long), most=most)
    async with serving(agent), opened(module(12, texts=2), agent.port) as collector:
        for _ in range(12):
            agent.answers.clear()
            reading = await collector.poll(at=0, timeout=5)
            assert not reading.unread
        assert all(there == asked for _, there, asked in agent.answers)
        whole = sum(size for size, _, _ in agent.answers) / most
        assert len(agent.answers) < 1.45 * whole + 3


@pytest.mark.parametrize("limit", [1, 3, 20, 70])
async def test_an_agent_that_counts_varbinds_soon_cuts_nothing(limit: int) -> None:
    agent = Agent(mixed(50, 20), limit=limit)
    async with serving(agent), opened(module(12, texts=2), agent.port) as collector:
        for _ in range(40):
            agent.seen.clear()
            reading = await collector.poll(at=0, timeout=5)
            assert not reading.unread
        assert max(len(request.oids) * max(request.second, 1) for request in agent.seen) <= limit
