"""Anchors on loopback that come and go, asked by the real probes; and what is told of targets meanwhile."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sentinel.collect.uplink.anchor import Anchors
from sentinel.model.incident import EntryKind
from sentinel.notify.decision import Circumstances, Obstacle, Why
from sentinel.runtime.clock import SystemClock
from tests.integration.telling import telling
from tests.servers.debian import free_port
from tests.servers.outside import Web, page, talking
from tests.unit.incidents.alerts import START, firing, resolved


@asynccontextmanager
async def asked(*written: str, timeout: float = 1.0) -> AsyncIterator[Anchors]:
    anchors = Anchors(written, timeout=timeout, clock=SystemClock())
    try:
        yield anchors
    finally:
        await anchors.close()


async def test_anchors_answer_while_their_servers_run() -> None:
    web = Web({"/": page(b"", "503 Not Now")})
    async with talking(web.talk) as port:
        tcp, http = f"tcp://127.0.0.1:{port}", f"http://localhost:{port}/"
        async with asked(tcp, http) as anchors:
            assert await anchors.ask() == {tcp: True, http: True}
    async with asked(tcp, http) as anchors:
        assert await anchors.ask() == {tcp: False, http: False}


async def test_one_that_says_nothing_costs_its_timeout_and_no_more() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for one in fillers:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        async with asked(f"tcp://127.0.0.1:{port}", f"tcp://127.0.0.1:{free_port()}", timeout=0.3) as anchors:
            async with asyncio.timeout(2):
                assert set((await anchors.ask()).values()) == {False}
        for one in fillers:
            one.close()


@pytest.mark.parametrize("wait", ["0s", "30s"])
async def test_what_was_withheld_is_told_if_it_still_fires_and_not_if_it_has_recovered(
    tmp_path: Path, wait: str
) -> None:
    cut_off = {"sw1", "sw2"}

    def uplink(target: str) -> list[Obstacle]:
        return [Obstacle(Why.UPLINK, "no anchor of the uplink answers")] if target in cut_off else []

    route = {"receiver": "ops", "group_wait": wait}
    async with telling(tmp_path, route, circumstances=Circumstances(uplink=uplink)) as room:
        down = [firing("Down", one, at=START) for one in ("sw1", "sw2")]
        own = firing("SentinelUplinkDown", "sentinel", at=START)
        told = [*await room.at(0, *down, own), *await room.at(60)]
        assert [one.facts["target"] for one in told] == ["sentinel"]
        entries = (await room.incidents.show(1)).entries
        texts = [entry.text for entry in entries if entry.kind is EntryKind.WITHHELD]
        assert texts == ["ops is not told now: uplink: no anchor of the uplink answers"]
        cut_off.clear()
        over = (
            resolved("Down", "sw1", at=START + 61),
            resolved("SentinelUplinkDown", "sentinel", at=START + 61),
        )
        (end,) = await room.at(61, *over)
        assert (end.event, end.facts["target"]) == ("resolved", "sentinel")
        (late,) = await room.at(120)
        assert (late.event, late.facts["target"]) == ("firing", "sw2")


async def test_what_recovers_while_the_uplink_is_down_is_told_to_those_who_heard_of_it(
    tmp_path: Path,
) -> None:
    cut_off: set[str] = set()

    def uplink(target: str) -> list[Obstacle]:
        return [Obstacle(Why.UPLINK, "")] if target in cut_off else []

    async with telling(tmp_path, circumstances=Circumstances(uplink=uplink)) as room:
        assert len(await room.at(0, firing("Down", "sw1", at=START))) == 1
        cut_off.add("sw1")
        (end,) = await room.at(30, resolved("Down", "sw1", at=START + 30))
        assert end.event == "resolved"
