"""An agent with texts as large as a datagram: they are cut off at once, and nobody else pays for them."""

from __future__ import annotations

import asyncio
import time
import tracemalloc

import pytest

from sentinel.collect.snmp import ber, texts
from sentinel.model.batch import Reading
from tests.unit.snmp.agent import Agent, Value, integer, serving, text
from tests.unit.snmp.reading import module_of, opened

ROOT = "1.3.6.1.4.1.99999.7.1"
GIANT = 60_000

MODULE = module_of(
    f"""
modules:
  table:
    walk: [{ROOT}]
    timeout: 2s
    metrics:
      - {{name: display, oid: {ROOT}.1, type: DisplayString, indexes: [{{labelname: i, type: Integer}}]}}
      - {{name: octets, oid: {ROOT}.2, type: OctetString, indexes: [{{labelname: i, type: Integer}}]}}
      - {{name: mac, oid: {ROOT}.3, type: PhysAddress48, indexes: [{{labelname: i, type: Integer}}]}}
      - {{name: date, oid: {ROOT}.4, type: DateAndTime, indexes: [{{labelname: i, type: Integer}}]}}
      - name: extract
        oid: {ROOT}.5
        type: DisplayString
        indexes: [{{labelname: i, type: Integer}}]
        regex_extracts:
          "": [{{regex: '^(a+)+b?(\\d+)$', value: '$2'}}, {{regex: '(\\d+)', value: '$1'}}]
      - name: number
        oid: {ROOT}.6
        type: gauge
        indexes: [{{labelname: i, type: Integer}}]
        lookups:
          - {{labels: [i], labelname: name, oid: {ROOT}.1, type: DisplayString}}
          - {{labels: [i], labelname: raw, oid: {ROOT}.2, type: OctetString}}
          - {{labels: [i], labelname: place, oid: {ROOT}.7, type: InetAddressIPv6}}
      - name: hinted
        oid: {ROOT}.8
        type: DisplayString
        display_hint: '1x:'
        indexes: [{{labelname: i, type: Integer}}]
"""
)


def giant(filler: bytes) -> dict[str, Value]:
    content = (filler * GIANT)[:GIANT]
    columns = dict.fromkeys((1, 2, 3, 4, 5, 7, 8), (ber.OCTET_STRING, content))
    return {f"{ROOT}.{column}.{row}": value for column, value in columns.items() for row in (1, 2)} | {
        f"{ROOT}.6.{row}": integer(row) for row in (1, 2)
    }


def longest(reading: Reading) -> int:
    return max(len(value) for labels in reading.layout.series for _, value in labels.pairs)


@pytest.mark.parametrize(
    "filler", [b"a", b"\xff", b"1", b"\xf0\x9f\x98\x80", b"\x00", b"\x1b[31m", b"{0}%s$(x)"]
)
async def test_giant_texts_are_bounded_wherever_they_go(filler: bytes) -> None:
    async with serving(Agent(giant(filler), limit=1)) as agent, opened(MODULE, agent.port) as collector:
        for _ in range(3):
            began = time.monotonic()
            reading = await collector.poll(at=0, timeout=10)
            assert time.monotonic() - began < 5
            assert longest(reading) <= texts.MAX_TEXT + 2
            numbers = [labels for labels in reading.layout.series if labels.name == "number"]
            assert len(numbers) == 2
            assert "number" not in reading.unread
            assert min(len(labels["name"]) for labels in numbers) >= 1000


async def test_a_text_that_grows_and_shrinks_again_is_followed() -> None:
    small = giant(b"a") | {f"{ROOT}.{column}.{row}": text("ok") for column in (1, 2, 5, 8) for row in (1, 2)}
    async with serving(Agent(small, limit=1)) as agent, opened(MODULE, agent.port) as collector:
        for rows, size in ((small, 2), (giant(b"a"), texts.MAX_TEXT), (small, 2)):
            agent.load(rows)
            await collector.poll(at=0, timeout=10)
            reading = await collector.poll(at=0, timeout=10)
            names = {len(labels["name"]) for labels in reading.layout.series if labels.name == "number"}
            assert names == {size}


async def test_nobody_else_pays_for_giant_texts() -> None:
    """Many polls of such a device leave nothing behind, and a device beside it is read as fast as alone."""
    plain = {f"{ROOT}.{column}.{row}": text("ok") for column in (1, 2, 3, 5, 7, 8) for row in (1, 2)}
    plain |= {f"{ROOT}.6.{row}": integer(row) for row in (1, 2)}
    rows = [giant(b"a"), giant(b"b")]
    async with (
        serving(Agent(rows[0], limit=1)) as large,
        serving(Agent(plain)) as other,
        opened(MODULE, large.port) as first,
    ):
        second = type(first)("127.0.0.1", other.port, first._access, first._plan, first._shared)
        await asyncio.gather(first.poll(at=0, timeout=10), second.poll(at=0, timeout=10))
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            for number in range(10):
                large.load(rows[number % 2])
                began = time.monotonic()
                _, reading = await asyncio.gather(first.poll(at=0, timeout=10), second.poll(at=0, timeout=10))
                assert time.monotonic() - began < 5
                found = [labels["name"] for labels in reading.layout.series if labels.name == "number"]
                assert (found, reading.unread) == (["ok", "ok"], frozenset())
                other.seen.clear()
                large.seen.clear()
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert after - before < 4 * 1024 * 1024
        await second.close()
