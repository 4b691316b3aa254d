"""Requests that are given up at any moment take nothing with them: the next one is sent."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from sentinel.config.secret import Secret
from sentinel.notify.guard import Guard
from sentinel.notify.http import Http, UnreachableError

TIMES = 600
LONGEST = 0.006
"""Seconds after which requests are given up at the latest; the far side takes up to two thirds of it."""


@dataclass(frozen=True)
class Options:
    concurrency: int
    timeout: float = 2.0
    proxy: Secret | None = None
    ca_file: str | None = None
    client_certificate: str | None = None
    client_key: str | None = None


class Moody:
    """An HTTP server that takes its time, answers in pieces, and hangs up now and then."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.writers: set[asyncio.StreamWriter] = set()
        self.url = ""

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[Moody]:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        try:
            yield self
        finally:
            server.close()
            for writer in list(self.writers):
                writer.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.add(writer)
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(len(b"hello"))
                await asyncio.sleep(self._chance.random() * LONGEST * 2 / 3)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
                await asyncio.sleep(self._chance.choice((0, 0, 0.001)))
                writer.write(b"ok")
                if self._chance.random() < 0.1:
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.writers.discard(writer)
            writer.close()


@pytest.mark.parametrize("concurrency", [1, 3])
@pytest.mark.parametrize("needs_body", [True, False])
async def test_a_request_that_is_given_up_leaves_its_connection_to_others(
    concurrency: int, needs_body: bool
) -> None:
    chance = random.Random(concurrency)
    async with Moody(random.Random(2)).serve() as far:
        http = Http(Options(concurrency), url=far.url, guard=Guard(()), now=time.time, secrets=())

        async def give_up() -> None:
            for _ in range(TIMES // concurrency):
                try:
                    async with asyncio.timeout(chance.random() * LONGEST):
                        await http.ask(far.url, b"hello", needs_body=needs_body)
                except (TimeoutError, UnreachableError):
                    pass

        await asyncio.gather(*(give_up() for _ in range(concurrency)))
        answers = [await http.ask(far.url, b"hello") for _ in range(20)]
        assert {answer.body for answer in answers} == {b"ok"}
        await asyncio.sleep(0.1)
        assert len(far.writers) <= concurrency
        await http.close()
        await asyncio.sleep(0.1)
        assert not far.writers
