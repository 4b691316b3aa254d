"""How much a device is asked for at once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from sentinel.collect.snmp.collector import SnmpCollector
from sentinel.collect.snmp.device import GROW_AFTER, LARGEST_WINDOW, WINDOW
from sentinel.collect.snmp.modules import SnmpModule
from sentinel.collect.snmp.walk import COLUMNS_PER_REQUEST
from tests.unit.snmp.agent import Agent, Request, Value, integer, read_request, serving
from tests.unit.snmp.reading import module_of, opened

ENTRY = "1.3.6.1.4.1.99999.1.1"
ROWS = 300


def module(columns: int) -> SnmpModule:
    metrics = "".join(
        f"      - {{name: column{number}, oid: {ENTRY}.{number}, type: gauge,"
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
    ("columns", "rows", "least"), [(17, 50, 15), (13, 50, 12), (9, 50, 9), (3, 300, 15), (8, 1, 1), (9, 1, 2)]
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
