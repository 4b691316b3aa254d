"""The engine against agents that are honest, odd or hostile."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Sequence

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from sentinel.collect.collector import PollError
from sentinel.collect.snmp import ber
from sentinel.collect.snmp.modules import SnmpModule
from sentinel.model.batch import STALE_BITS
from tests.unit.snmp.agent import (
    Agent,
    Request,
    Value,
    counter64,
    integer,
    read_request,
    response,
    serving,
    text,
    varbind,
)
from tests.unit.snmp.reading import module_of, opened, samples

ENTRY = "1.3.6.1.4.1.99999.1.1"
OTHER = "1.3.6.1.4.1.99999.2"
TABLE = module_of(f"""
modules:
  table:
    walk: [{ENTRY}, {OTHER}]
    timeout: 200ms
    retries: 2
    metrics:
      - {{name: rowState, oid: {ENTRY}.2, type: gauge, indexes: [{{labelname: row, type: gauge}}],
         lookups: [{{labels: [row], labelname: rowName, oid: {ENTRY}.1, type: DisplayString}}]}}
      - {{name: rowOctets, oid: {ENTRY}.3, type: counter, indexes: [{{labelname: row, type: gauge}}],
         lookups: [{{labels: [row], labelname: rowName, oid: {ENTRY}.1, type: DisplayString}}]}}
      - {{name: total, oid: {OTHER}.1, type: gauge}}
""")


def rows(*numbers: int, octets: int = 0) -> dict[str, Value]:
    found: dict[str, Value] = {f"{OTHER}.1.0": integer(len(numbers)), "1.3.6.1.4.1.99999.9.0": integer(1)}
    for number in numbers:
        found[f"{ENTRY}.1.{number}"] = text(f"row {number}")
        found[f"{ENTRY}.2.{number}"] = integer(number - 2)
        found[f"{ENTRY}.3.{number}"] = counter64(octets + number)
    return found


def expected(*numbers: int, octets: int = 0) -> dict[str, float]:
    found = {"total{}": float(len(numbers))}
    for number in numbers:
        found[f'rowState{{row="{number}", rowName="row {number}"}}'] = number - 2
        found[f'rowOctets{{row="{number}", rowName="row {number}"}}'] = octets + number
    return found


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("count", [0, 1, 2, 25, 26, 64, 200])
async def test_tables_of_any_size_are_read_whole(version: int, count: int) -> None:
    numbers = range(1, count + 1)
    async with (
        serving(Agent(rows(*numbers))) as agent,
        opened(TABLE, agent.port, version=version) as collector,
    ):
        for _ in range(3):
            reading = await collector.poll(at=0, timeout=5)
            assert samples(reading) == expected(*numbers)
            assert not reading.unread


async def test_the_layout_stays_while_rows_and_texts_stay_and_values_move() -> None:
    async with serving(Agent(rows(1, 2, 300))) as agent, opened(TABLE, agent.port) as collector:
        layouts = set()
        for octets in (0, 1, 100, 127, 128, 255, 256, 70_000, 2**31, 2**32, 2**40, 2**53 - 400):
            agent.load(rows(1, 2, 300, octets=octets))
            for _ in range(2):
                reading = await collector.poll(at=0, timeout=5)
                assert samples(reading) == expected(1, 2, 300, octets=octets)
                layouts.add(reading.layout)
        assert len(layouts) == 1


async def test_known_rows_are_read_without_walking_again() -> None:
    registry = CollectorRegistry()
    async with (
        serving(Agent(rows(*range(1, 60)))) as agent,
        opened(TABLE, agent.port, registry=registry) as collector,
    ):
        for _ in range(5):
            await collector.poll(at=0, timeout=5)
        assert registry.get_sample_value("sentinel_snmp_walks_total") == 1


@pytest.mark.parametrize("then", [(1, 2, 3, 4), (1, 3), (2, 3), (1, 2, 5), (5, 6, 7), (), (1, 2, 3, 1000)])
async def test_rows_that_come_or_go_change_the_layout_in_the_same_poll(then: tuple[int, ...]) -> None:
    async with serving(Agent(rows(1, 2, 3))) as agent, opened(TABLE, agent.port) as collector:
        for _ in range(2):
            await collector.poll(at=0, timeout=5)
        agent.load(rows(*then))
        for _ in range(2):
            assert samples(await collector.poll(at=0, timeout=5)) == expected(*then)


async def test_a_text_that_changes_relabels_the_series() -> None:
    async with serving(Agent(rows(1, 2))) as agent, opened(TABLE, agent.port) as collector:
        for _ in range(2):
            before = await collector.poll(at=0, timeout=5)
        agent.load({**rows(1, 2), f"{ENTRY}.1.2": text("ROW 2")})
        after = samples(await collector.poll(at=0, timeout=5))
        assert after['rowState{row="2", rowName="ROW 2"}'] == 0
        assert 'rowState{row="2", rowName="row 2"}' in samples(before)
        assert len(after) == len(before.layout)


async def test_devices_with_equal_rows_share_a_layout() -> None:
    async with (
        serving(Agent(rows(1, 2))) as one,
        serving(Agent(rows(1, 2))) as two,
        opened(TABLE, one.port) as first,
    ):
        second = type(first)("127.0.0.1", two.port, first._access, first._plan, first._shared)
        assert (await first.poll(at=0, timeout=5)).layout is (await second.poll(at=0, timeout=5)).layout
        await second.close()
        assert len(first._shared.layouts) == 1


async def test_columns_with_gaps_keep_their_rows_apart() -> None:
    table = rows(1, 2, 3, 4)
    del table[f"{ENTRY}.3.2"], table[f"{ENTRY}.2.4"], table[f"{ENTRY}.1.3"]
    async with serving(Agent(table)) as agent, opened(TABLE, agent.port) as collector:
        for _ in range(3):
            found = samples(await collector.poll(at=0, timeout=5))
            assert found == {
                "total{}": 4,
                'rowState{row="1", rowName="row 1"}': -1,
                'rowState{row="2", rowName="row 2"}': 0,
                'rowState{row="3"}': 1,
                'rowOctets{row="1", rowName="row 1"}': 1,
                'rowOctets{row="3"}': 3,
                'rowOctets{row="4", rowName="row 4"}': 4,
            }


@pytest.mark.parametrize("limit", [1, 2, 5, 20])
async def test_answers_cut_short_are_continued(limit: int) -> None:
    numbers = range(1, 40)
    async with serving(Agent(rows(*numbers), limit=limit)) as agent, opened(TABLE, agent.port) as collector:
        for _ in range(3):
            assert samples(await collector.poll(at=0, timeout=5)) == expected(*numbers)


async def test_too_big_is_asked_again_for_less_and_remembered() -> None:
    def bend(request: Request) -> Sequence[bytes] | None:
        is_large = len(request.oids) * max(request.second, 1) > 12
        return [response(request, [], status=1)] if is_large else None

    numbers = range(1, 60)
    async with serving(Agent(rows(*numbers), bend)) as agent, opened(TABLE, agent.port) as collector:
        for _ in range(3):
            assert samples(await collector.poll(at=0, timeout=5)) == expected(*numbers)
        agent.seen.clear()
        await collector.poll(at=0, timeout=5)
        assert all(len(one.oids) * max(one.second, 1) <= 12 for one in agent.seen)


async def test_large_answers_that_get_lost_are_asked_for_in_smaller_ones() -> None:
    numbers = range(1, 60)

    def bend(request: Request) -> Sequence[bytes] | None:
        return [] if len(request.oids) * max(request.second, 1) > 30 else None

    async with serving(Agent(rows(*numbers), bend)) as agent, opened(TABLE, agent.port) as collector:
        assert samples(await collector.poll(at=0, timeout=5)) == expected(*numbers)


async def test_a_lost_request_is_repeated() -> None:
    lost: set[tuple[bytes, ...]] = set()

    def bend(request: Request) -> Sequence[bytes] | None:
        if request.oids in lost:
            return None
        lost.add(request.oids)
        return []

    registry = CollectorRegistry()
    async with (
        serving(Agent(rows(1, 2), bend)) as agent,
        opened(TABLE, agent.port, registry=registry) as collector,
    ):
        assert samples(await collector.poll(at=0, timeout=5)) == expected(1, 2)
        assert (registry.get_sample_value("sentinel_snmp_retries_total") or 0) >= 1


async def test_silence_says_what_to_check() -> None:
    async with serving(Agent({}, lambda request: [])) as agent, opened(TABLE, agent.port) as collector:
        with pytest.raises(PollError) as caught:
            await collector.poll(at=0, timeout=1)
        assert caught.value.reason == "timeout"
        text = (
            f"no answer from 127.0.0.1:{agent.port} within 1s: is the agent up, does it allow this address, "
        )
        assert caught.value.text == text + "is the community right?"
        assert collector._shared.ports.of(socket.AF_INET).waiting == 0


async def test_a_host_that_refuses_is_told_apart_from_silence() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with opened(TABLE, port) as collector:
        with pytest.raises(PollError, match="no SNMP agent listens there") as caught:
            await collector.poll(at=0, timeout=5)
        assert caught.value.reason == "refused"


async def test_an_unknown_name_is_unreachable() -> None:
    async with opened(TABLE, 161, host="no-such-host.invalid") as collector:
        with pytest.raises(PollError) as caught:
            await collector.poll(at=0, timeout=5)
        assert caught.value.reason == "unreachable"


async def test_ipv6_devices_are_read() -> None:
    async with (
        serving(Agent(rows(1, 2)), host="::1") as agent,
        opened(TABLE, agent.port, host="::1") as collector,
    ):
        for _ in range(2):
            assert samples(await collector.poll(at=0, timeout=5)) == expected(1, 2)


async def test_answers_from_another_address_are_not_believed() -> None:
    registry = CollectorRegistry()
    async with serving(Agent(rows(1))) as honest:

        class Liar(Agent):
            def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
                forged = response(read_request(data), [varbind(ber.encode_oid(f"{OTHER}.1.0"), integer(666))])
                honest.transport.sendto(forged, addr)

        async with serving(Liar({})) as liar, opened(TABLE, liar.port, registry=registry) as collector:
            with pytest.raises(PollError) as caught:
                await collector.poll(at=0, timeout=1)
            assert caught.value.reason == "timeout"
            assert (registry.get_sample_value("sentinel_snmp_foreign_replies_total") or 0) > 0


async def test_late_and_repeated_answers_are_counted_and_thrown_away() -> None:
    def bend(request: Request) -> Sequence[bytes] | None:
        return [agent.honest(request)] * 3

    registry = CollectorRegistry()
    agent = Agent(rows(1, 2), bend)
    async with serving(agent), opened(TABLE, agent.port, registry=registry) as collector:
        for _ in range(3):
            assert samples(await collector.poll(at=0, timeout=5)) == expected(1, 2)
        assert (registry.get_sample_value("sentinel_snmp_late_replies_total") or 0) > 0


async def test_an_agent_slower_than_the_timeout_is_heard_by_its_late_answer() -> None:
    """Each answer comes after its request has been repeated, and counts all the same."""
    waiting: list[bytes] = []

    def bend(request: Request) -> Sequence[bytes]:
        waiting.append(agent.honest(request))
        return [waiting.pop(0)] if len(waiting) > 1 else []

    single = module_of(f"""
modules:
  table:
    walk: [{OTHER}]
    timeout: 200ms
    retries: 2
    metrics: [{{name: total, oid: {OTHER}.1, type: gauge}}]
""")
    agent = Agent(rows(1, 2), bend)
    async with serving(agent), opened(single, agent.port) as collector:
        for _ in range(3):
            assert samples(await collector.poll(at=0, timeout=5)) == {"total{}": 2}


async def test_a_repeating_oid_ends_the_column_and_is_reported() -> None:
    def bend(request: Request) -> Sequence[bytes] | None:
        if request.pdu != ber.GET_BULK:
            return None
        repeated = [varbind(ber.encode_oid(f"{ENTRY}.{column}.7"), integer(1)) for column in (1, 2, 3)]
        return [response(request, (repeated * request.second)[: len(request.oids) * request.second])]

    async with serving(Agent(rows(1), bend)) as agent, opened(TABLE, agent.port) as collector:
        reading = await asyncio.wait_for(collector.poll(at=0, timeout=5), 5)
        assert reading.unread == {"rowState", "rowOctets"}
        assert reading.reasons == ("not_increasing",)
        assert samples(reading) == {"total{}": 1}


async def test_an_endless_table_ends_on_the_deadline() -> None:
    def bend(request: Request) -> Sequence[bytes] | None:
        if request.pdu != ber.GET_BULK:
            return None
        binds = []
        for row in range(1, request.second + 1):
            for asked in request.oids:
                column = asked[: len(ber.encode_oid(f"{ENTRY}.1"))]
                last = ber.oid_numbers(asked[len(column) :] or b"\x00")[0]
                binds.append(varbind(column + ber.encode_numbers([last + row]), integer(1)))
        return [response(request, binds)]

    async with serving(Agent(rows(1), bend)) as agent, opened(TABLE, agent.port) as collector:
        reading = await asyncio.wait_for(collector.poll(at=0, timeout=1), 3)
        assert reading.unread == {"rowState", "rowOctets"}
        assert set(reading.reasons) <= {"timeout", "too_many"}
        assert samples(reading) == {"total{}": 1}


@pytest.mark.parametrize("kind", ["garbage", "cut", "trap", "other community length"])
async def test_malformed_answers_cost_retries_and_then_say_so(kind: str) -> None:
    def bend(request: Request) -> Sequence[bytes] | None:
        whole = agent.honest(request)
        return {
            "garbage": [b"\x30\x82" + bytes(40)],
            "cut": [whole[:-3]],
            "trap": [whole.replace(b"\xa2", b"\xa7", 1)],
            "other community length": [whole.replace(b"\x04\x06public", b"\x04\x7fpublic", 1)],
        }[kind]

    registry = CollectorRegistry()
    agent = Agent(rows(1, 2), bend)
    async with serving(agent), opened(TABLE, agent.port, registry=registry) as collector:
        with pytest.raises(PollError) as caught:
            await collector.poll(at=0, timeout=1)
        assert caught.value.reason == "malformed"
        assert (registry.get_sample_value("sentinel_snmp_malformed_replies_total") or 0) > 0


async def test_an_error_for_one_column_leaves_the_others_read() -> None:
    refused = ber.encode_oid(f"{ENTRY}.3")

    def bend(request: Request) -> Sequence[bytes] | None:
        hit = [number for number, oid in enumerate(request.oids, 1) if oid.startswith(refused)]
        return [response(request, [], status=5, index=hit[0])] if hit else None

    async with serving(Agent(rows(1, 2), bend)) as agent, opened(TABLE, agent.port) as collector:
        reading = await collector.poll(at=0, timeout=5)
        assert reading.unread == {"rowOctets"}
        assert reading.reasons == ("error_status",)
        assert set(samples(reading)) == {key for key in expected(1, 2) if not key.startswith("rowOctets")}


async def test_an_agent_that_only_errs_is_an_error_that_names_it() -> None:
    agent = Agent({}, lambda request: [response(request, [], status=16, index=1)])
    async with serving(agent), opened(TABLE, agent.port) as collector:
        with pytest.raises(PollError, match="authorizationError") as caught:
            await collector.poll(at=0, timeout=5)
        assert caught.value.reason == "error_status"


async def test_a_device_that_stops_half_way_keeps_its_layout_with_stale_values() -> None:
    numbers = range(1, 100)
    counters = ber.encode_oid(f"{ENTRY}.3")
    is_stuck = False

    def bend(request: Request) -> Sequence[bytes] | None:
        return [] if is_stuck and any(oid.startswith(counters) for oid in request.oids[2:]) else None

    async with serving(Agent(rows(*numbers), bend)) as agent, opened(TABLE, agent.port) as collector:
        for _ in range(2):
            whole = await collector.poll(at=0, timeout=5)
        is_stuck = True
        reading = await collector.poll(at=0, timeout=0.5)
        assert reading.unread == {"rowState", "rowOctets"}
        assert reading.reasons == ("timeout",)
        assert reading.layout is whole.layout
        stale = reading.values.view(np.uint64) == STALE_BITS
        names = {labels.name for labels, gone in zip(whole.layout.series, stale, strict=True) if gone}
        assert names == {"rowState", "rowOctets"}
        is_stuck = False
        for _ in range(2):
            assert samples(await collector.poll(at=0, timeout=5)) == expected(*numbers)


async def test_one_silent_device_leaves_the_others_polled() -> None:
    async with (
        serving(Agent(rows(1, 2))) as honest,
        serving(Agent({}, lambda request: [])) as dead,
        opened(TABLE, honest.port) as alive,
    ):
        silent = type(alive)("127.0.0.1", dead.port, alive._access, alive._plan, alive._shared)
        waiting = asyncio.ensure_future(silent.poll(at=0, timeout=1))
        for _ in range(20):
            assert samples(await alive.poll(at=0, timeout=1)) == expected(1, 2)
        assert not waiting.done()
        with pytest.raises(PollError):
            await waiting


async def test_a_cancelled_poll_leaves_nothing_behind() -> None:
    asked = asyncio.Event()

    def bend(request: Request) -> Sequence[bytes]:
        asked.set()
        return []

    async with serving(Agent({}, bend)) as agent, opened(TABLE, agent.port) as collector:
        poll = asyncio.ensure_future(collector.poll(at=0, timeout=5))
        await asked.wait()
        poll.cancel()
        with pytest.raises(asyncio.CancelledError):
            await poll
        assert collector._shared.ports.of(socket.AF_INET).waiting == 0


@pytest.mark.parametrize("version", [1, 2])
async def test_single_instances_are_got_and_missing_ones_left_out(version: int) -> None:
    module = module_of(f"""
modules:
  table:
    get: [{OTHER}.1.0, {OTHER}.2.0, {OTHER}.3.0]
    metrics:
      - {{name: first, oid: {OTHER}.1, type: gauge}}
      - {{name: second, oid: {OTHER}.2, type: gauge}}
      - {{name: third, oid: {OTHER}.3, type: gauge}}
""")
    values = {f"{OTHER}.1.0": integer(1), f"{OTHER}.3.0": integer(3)}
    async with serving(Agent(values)) as agent, opened(module, agent.port, version=version) as collector:
        for _ in range(3):
            assert samples(await collector.poll(at=0, timeout=5)) == {"first{}": 1, "third{}": 3}
        agent.load({**values, f"{OTHER}.2.0": integer(2)})
        for _ in range(2):
            found = samples(await collector.poll(at=0, timeout=5))
            assert found == {"first{}": 1, "second{}": 2, "third{}": 3}


NUMBERS: dict[str, tuple[Value, float]] = {
    "negative": (integer(-70_000), -70_000),
    "counter without zero byte": ((ber.COUNTER32, b"\xff\xff\xff\xff"), 2**32 - 1),
    "counter64 beyond 2^53": ((ber.COUNTER64, (2**53 + 5).to_bytes(8, "big")), 5),
    "largest counter64": ((ber.COUNTER64, b"\x00" + b"\xff" * 8), (2**64 - 1) % 2**53),
    "float": ((ber.OPAQUE, b"\x9f\x78\x04" + struct.pack(">f", 0.5)), 0.5),
    "double": ((ber.OPAQUE, b"\x9f\x79\x08" + struct.pack(">d", 1e300)), 1e300),
    "ticks": ((ber.TIME_TICKS, b"\x80\x00\x00\x00"), 2**31),
    "zero": (integer(0), 0),
}


@pytest.mark.parametrize("kind", NUMBERS)
async def test_numbers_of_every_kind_read_the_same_in_full_and_by_shape(kind: str) -> None:
    value, number = NUMBERS[kind]
    async with (
        serving(Agent({**rows(1), f"{OTHER}.1.0": value})) as agent,
        opened(TABLE, agent.port) as collector,
    ):
        for _ in range(4):
            assert samples(await collector.poll(at=0, timeout=5))["total{}"] == number


async def test_a_number_that_changes_its_sign_is_read_right_by_shape() -> None:
    async with serving(Agent(rows(1))) as agent, opened(TABLE, agent.port) as collector:
        for value in (5, 6, -5, -6, 7, -128, 127, 128, -129, 200):
            agent.load({**rows(1), f"{OTHER}.1.0": integer(value)})
            assert samples(await collector.poll(at=0, timeout=5))["total{}"] == value


async def test_a_value_of_a_wrong_type_gives_no_sample_and_may_come_back() -> None:
    async with serving(Agent(rows(1, 2))) as agent, opened(TABLE, agent.port) as collector:
        await collector.poll(at=0, timeout=5)
        agent.load({**rows(1, 2), f"{ENTRY}.2.1": text("up")})
        for _ in range(3):
            found = samples(await collector.poll(at=0, timeout=5))
            assert found == {
                key: value for key, value in expected(1, 2).items() if 'rowState{row="1"' not in key
            }
        agent.load(rows(1, 2))
        assert samples(await collector.poll(at=0, timeout=5)) == expected(1, 2)


async def test_rows_with_the_same_labels_are_reported_and_the_first_is_kept() -> None:
    module: SnmpModule = module_of(f"""
modules:
  table:
    walk: [{ENTRY}]
    metrics:
      - name: rowState
        oid: {ENTRY}.2
        type: gauge
        indexes: [{{labelname: row, type: gauge}}]
        lookups:
          - {{labels: [row], labelname: rowName, oid: {ENTRY}.1, type: DisplayString}}
          - {{labels: [], labelname: row}}
""")
    table = {**rows(1, 2, 3), f"{ENTRY}.1.3": text("row 1")}
    async with serving(Agent(table)) as agent, opened(module, agent.port) as collector:
        for _ in range(2):
            reading = await collector.poll(at=0, timeout=5)
            assert samples(reading) == {'rowState{rowName="row 1"}': -1, 'rowState{rowName="row 2"}': 0}
            assert reading.unread == {"rowState"}
            assert reading.reasons == ("duplicate",)
