"""Filters, and what a module may allow an agent to do."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from sentinel.collect.snmp import ber
from sentinel.collect.snmp.modules import SnmpModule
from tests.unit.snmp.agent import Agent, Request, Value, integer, response, serving, text, varbind
from tests.unit.snmp.reading import collecting, module_of, opened, samples

ENTRY = "1.3.6.1.2.1.2.2.1"
FILTERED = f"""
modules:
  table:
    walk: [{ENTRY}.2, {ENTRY}.10]
    filters:
    - oid: {ENTRY}.8
      targets: [{ENTRY}.10]
      values: ["1", "5"]
    metrics:
    - {{name: octets, oid: {ENTRY}.10, type: counter, indexes: [{{labelname: i, type: gauge}}]}}
    - {{name: descr, oid: {ENTRY}.2, type: DisplayString, indexes: [{{labelname: i, type: gauge}}]}}
"""


def rows(*states: int) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for index, state in enumerate(states, 1):
        found[f"{ENTRY}.2.{index}"] = text(f"port {index}")
        found[f"{ENTRY}.8.{index}"] = integer(state)
        found[f"{ENTRY}.10.{index}"] = integer(index * 100)
    return found


def octets(found: dict[str, float]) -> set[str]:
    return {series for series in found if series.startswith("octets")}


async def test_a_dynamic_filter_reads_only_the_rows_it_allows() -> None:
    module = module_of(FILTERED)
    async with serving(Agent(rows(1, 2, 5))) as agent, collecting(module, agent.port) as collector:
        for _ in range(3):
            found = samples(await collector.poll(at=0, timeout=5))
            assert octets(found) == {'octets{i="1"}', 'octets{i="3"}'}
            assert len(found) == 5
        column = ber.encode_oid(f"{ENTRY}.10")
        asked = {oid for request in agent.seen for oid in request.oids if oid.startswith(column)}
        assert asked == {column + b"\x01", column + b"\x03"}


async def test_a_row_that_comes_to_be_allowed_is_read_from_the_same_poll_on() -> None:
    module = module_of(FILTERED)
    async with serving(Agent(rows(1, 2, 2))) as agent, collecting(module, agent.port) as collector:
        for _ in range(2):
            assert octets(samples(await collector.poll(at=0, timeout=5))) == {'octets{i="1"}'}
        agent.load(rows(2, 1, 2, 1))
        for _ in range(2):
            found = octets(samples(await collector.poll(at=0, timeout=5)))
            assert found == {'octets{i="2"}', 'octets{i="4"}'}


async def test_a_filter_within_a_walked_table_filters_too() -> None:
    module = module_of(FILTERED.replace(f"[{ENTRY}.2, {ENTRY}.10]", "[1.3.6.1.2.1.2]"))
    async with serving(Agent(rows(1, 2))) as agent, collecting(module, agent.port) as collector:
        found = samples(await collector.poll(at=0, timeout=5))
    assert found == {
        'octets{i="1"}': 100,
        'descr{descr="port 1", i="1"}': 1,
        'descr{descr="port 2", i="2"}': 1,
    }


async def test_rows_of_several_numbers_are_filtered_by_all_of_them() -> None:
    module = module_of(FILTERED.replace("type: gauge}", "type: gauge}, {labelname: k, type: gauge}"))
    table = {f"{ENTRY}.8.1.7": integer(1), f"{ENTRY}.8.2.7": integer(2)}
    table |= {f"{ENTRY}.10.1.7": integer(10), f"{ENTRY}.10.2.7": integer(20)}
    async with serving(Agent(table)) as agent, collecting(module, agent.port) as collector:
        assert samples(await collector.poll(at=0, timeout=5)) == {'octets{i="1", k="7"}': 10}


async def test_static_filters_read_their_rows_alone() -> None:
    static = f"filters: {{static: [{{targets: [{ENTRY}.10], indices: ['2']}}]}}"
    start, end = FILTERED.index("filters:"), FILTERED.index("    metrics:")
    module = module_of(FILTERED[:start] + static + "\n" + FILTERED[end:])
    async with serving(Agent(rows(1, 2, 5))) as agent, opened(module, agent.port) as collector:
        for _ in range(2):
            assert octets(samples(await collector.poll(at=0, timeout=5))) == {'octets{i="2"}'}


def disordered(agent: Agent, order: Sequence[int]) -> None:
    """Let the agent give the rows of its only column in this order."""
    column = ber.encode_oid(f"{ENTRY}.10")
    oids = [column, *(column + bytes((row,)) for row in order)]

    def bend(request: Request) -> list[bytes] | None:
        at = oids.index(request.oids[0])
        binds = [varbind(oid, integer(oid[-1])) for oid in oids[at + 1 :][: max(request.second, 1)]]
        return [response(request, binds or [varbind(request.oids[0], (ber.END_OF_MIB_VIEW, b""))])]

    agent.bend = bend


def unordered_module(*, is_allowed: bool) -> SnmpModule:
    allow = f"allow_nonincreasing_oids: {str(is_allowed).lower()}"
    metric = f"{{name: n, oid: {ENTRY}.10, type: gauge, indexes: [{{labelname: i, type: gauge}}]}}"
    return module_of(
        f"modules:\n  table:\n    walk: [{ENTRY}.10]\n    {allow}\n    max_repetitions: 2\n"
        f"    metrics: [{metric}]\n"
    )


async def test_rows_may_come_in_any_order_where_the_module_allows_it() -> None:
    async with serving(Agent({})) as agent:
        disordered(agent, [5, 3, 9, 1])
        async with opened(unordered_module(is_allowed=True), agent.port) as collector:
            for _ in range(3):
                reading = await collector.poll(at=0, timeout=5)
                assert not reading.unread
                assert samples(reading) == {f'n{{i="{row}"}}': row for row in (5, 3, 9, 1)}
        async with opened(unordered_module(is_allowed=False), agent.port) as collector:
            assert (await collector.poll(at=0, timeout=5)).reasons == ("not_increasing",)


async def test_an_agent_that_goes_round_in_a_circle_ends_even_so() -> None:
    async with serving(Agent({})) as agent:
        column = ber.encode_oid(f"{ENTRY}.10")
        circle = {b"": b"\x05", b"\x05": b"\x03", b"\x03": b"\x05"}

        def bend(request: Request) -> list[bytes]:
            last, binds = request.oids[0][len(column) :], []
            for _ in range(max(request.second, 1)):
                last = circle[last]
                binds.append(varbind(column + last, integer(1)))
            return [response(request, binds)]

        agent.bend = bend
        async with opened(unordered_module(is_allowed=True), agent.port) as collector:
            assert (await collector.poll(at=0, timeout=5)).reasons == ("not_increasing",)


@pytest.mark.parametrize("is_allowed", [True, False])
async def test_answers_from_another_address_count_only_where_the_module_allows_it(is_allowed: bool) -> None:
    text_ = FILTERED[: FILTERED.index("    filters:")] + FILTERED[FILTERED.index("    metrics:") :]
    more = f"    use_unconnected_udp_socket: {str(is_allowed).lower()}\n    retries: 0\n    metrics:"
    module = module_of(text_.replace("    metrics:", more))
    async with serving(Agent(rows(1))) as agent, serving(Agent({})) as other:
        original = agent.datagram_received

        def through_other(data: bytes, addr: tuple[str, int]) -> None:
            transport, agent.transport = agent.transport, other.transport
            original(data, addr)
            agent.transport = transport

        agent.datagram_received = through_other  # type: ignore[method-assign]
        async with collecting(module, agent.port) as collector:
            if is_allowed:
                assert len(samples(await collector.poll(at=0, timeout=2))) == 2
            else:
                with pytest.raises(Exception, match="no answer"):
                    await collector.poll(at=0, timeout=0.5)
