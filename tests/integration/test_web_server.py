"""The web's server over real sockets."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from prometheus_client import CollectorRegistry

from sentinel.runtime.sockets import ListenError
from sentinel.web.app import create_app
from sentinel.web.server import listen, serve
from tests.unit.web.fakes import TOKEN, Rooms, incident, poll


@asynccontextmanager
async def _served(rooms: Rooms) -> AsyncIterator[tuple[str, asyncio.Task[None]]]:
    with listen("127.0.0.1", 0) as bound:
        app = create_app(rooms.faces(), CollectorRegistry())
        task = asyncio.create_task(serve(app, bound))
        try:
            yield f"http://127.0.0.1:{bound.getsockname()[1]}", task
        finally:
            task.cancel()
            await asyncio.wait([task])


async def _next_event(lines: AsyncIterator[str], name: str) -> str:
    """Data of the next event of that name."""
    current = ""
    data: list[str] = []
    async with asyncio.timeout(10):
        async for line in lines:
            if line.startswith("event: "):
                current, data = line[7:], []
            elif line.startswith("data: "):
                data.append(line[6:])
            elif not line and current == name:
                return "\n".join(data)
    raise AssertionError(f"the stream ended before {name}")


async def test_a_taken_port_is_one_clear_error() -> None:
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(
            ListenError, match=rf"cannot listen on 127\.0\.0\.1:{port}: address already in use"
        ):
            listen("127.0.0.1", port)


async def test_it_stops_within_five_seconds_with_streams_open_and_can_start_again() -> None:
    rooms = Rooms()
    with listen("127.0.0.1", 0) as bound:
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        app = create_app(rooms.faces(), CollectorRegistry())
        for _ in range(2):
            task = asyncio.create_task(serve(app, bound))
            async with httpx.AsyncClient(timeout=10) as client, client.stream("GET", f"{url}/live") as stream:
                lines = stream.aiter_lines()
                await _next_event(lines, "summary")
                began = time.monotonic()
                task.cancel()
                await asyncio.wait([task])
                assert task.cancelled()
                assert time.monotonic() - began < 5
                assert [line async for line in lines][-1] == ""


async def test_signals_stay_the_daemons() -> None:
    import signal

    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    async with _served(Rooms()) as (url, _), httpx.AsyncClient() as client:
        assert (await client.get(f"{url}/-/healthy")).status_code == 200
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


async def test_what_changes_reaches_every_browser_within_two_ticks() -> None:
    rooms = Rooms()
    async with (
        _served(rooms) as (url, _),
        httpx.AsyncClient(timeout=10) as client,
        client.stream("GET", f"{url}/live") as one,
        client.stream("GET", f"{url}/live") as two,
    ):
        streams = [one.aiter_lines(), two.aiter_lines()]
        for lines in streams:
            await _next_event(lines, "wall")
        rooms.fleet.polls = [poll("web1", up=False)]
        began = time.monotonic()
        for lines in streams:
            assert "web1" in await _next_event(lines, "wall")
        assert time.monotonic() - began < 2.5


async def test_an_acknowledgement_shows_at_once() -> None:
    rooms = Rooms()
    rooms.incidents.stories[1] = incident(1)
    async with (
        _served(rooms) as (url, _),
        httpx.AsyncClient(timeout=10) as client,
        client.stream("GET", f"{url}/live") as stream,
    ):
        lines = stream.aiter_lines()
        assert "nobody yet" in await _next_event(lines, "incidents")
        path = f"{url}/api/sentinel/v1/incidents/1/acknowledge"
        answer = await client.post(path, headers={"Authorization": f"Bearer {TOKEN}"})
        assert answer.status_code == 200
        assert "li.wei" in await _next_event(lines, "incidents")


async def test_a_body_that_never_comes_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sentinel.web.guard.BODY_DEADLINE", 0.2)
    async with _served(Rooms()) as (url, _):
        reader, writer = await asyncio.open_connection(*_place(url))
        writer.write(
            b"POST /-/reload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n"
            b"Authorization: Bearer " + TOKEN.encode() + b"\r\n\r\n12"
        )
        assert b" 408 " in await asyncio.wait_for(reader.readline(), 5)
        writer.close()


@pytest.mark.parametrize("request_line", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\r\n\r\n", b"GET\r\n\r\n"])
async def test_nonsense_is_refused_and_costs_nobody_else(request_line: bytes) -> None:
    async with _served(Rooms()) as (url, _), httpx.AsyncClient() as client:
        reader, writer = await asyncio.open_connection(*_place(url))
        writer.write(request_line)
        assert b" 4" in await asyncio.wait_for(reader.readline(), 5)
        writer.close()
        assert (await client.get(f"{url}/-/ready")).status_code == 200


async def test_the_address_in_use_is_free_again_after_stopping() -> None:
    with listen("127.0.0.1", 0) as bound:
        port = bound.getsockname()[1]
    with listen("127.0.0.1", port) as again:
        assert again.family is socket.AF_INET


def _place(url: str) -> tuple[str, int]:
    host, _, port = url.removeprefix("http://").partition(":")
    return host, int(port)


async def test_uptime_checkers_may_ask_for_the_head_alone() -> None:
    async with _served(Rooms()) as (url, _), httpx.AsyncClient(timeout=5) as client:
        for path in ("/", "/-/healthy", "/metrics", "/api/sentinel/v1/targets"):
            answer = await client.head(f"{url}{path}")
            assert (answer.status_code, answer.content) == (200, b""), path
        assert (await client.head(f"{url}/live")).status_code == 405
