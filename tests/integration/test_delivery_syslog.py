"""Syslog over real sockets, read by the letter of RFC 5424 and RFC 6587."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sentinel.notify.receiver import Result
from tests.integration.services import HOSTILE, built, message, settings
from tests.servers.certificates import certificate
from tests.servers.debian import free_port

_HEADER = re.compile(
    r"<(?P<priority>\d{1,3})>1 (?P<at>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,6}Z) (?P<host>[!-~]{1,255}) "
    r"(?P<app>[!-~]{1,48}) (?P<process>[!-~]{1,128}) (?P<id>[!-~]{1,32}) "
)
_PARAMETER = re.compile(r' ([!#-<>-\\^-~]{1,32})="((?:[^"\\\]]|\\["\\\]])*)"')


def parsed(message: bytes) -> tuple[dict[str, str], dict[str, str], str]:
    """Header, structured data and text. Source: RFC 5424 §6."""
    head, bom, text = message.partition(b"\xef\xbb\xbf")
    assert bom
    written = head.decode("ascii", "strict") if head.isascii() else head.decode()
    header = _HEADER.match(written)
    assert header, written
    rest = written[header.end() :]
    assert rest.startswith("[sentinel@32473")
    assert rest.endswith("] ")
    body, found, position = rest[len("[sentinel@32473") : -2], {}, 0
    while position < len(body):
        parameter = _PARAMETER.match(body, position)
        assert parameter, body[position:]
        found[parameter[1]] = re.sub(r'\\(["\\\]])', r"\1", parameter[2])
        position = parameter.end()
    return header.groupdict(), found, text.decode()


def frames(stream: bytes) -> list[bytes]:
    """Source: RFC 6587 §3.4.1, octet counting."""
    found = []
    while stream:
        count, _, stream = stream.partition(b" ")
        found.append(stream[: int(count)])
        assert len(found[-1]) == int(count)
        stream = stream[int(count) :]
    return found


class Collector:
    def __init__(self) -> None:
        self.stream = b""
        self.port = 0

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.stream += await reader.read()
        writer.close()


@asynccontextmanager
async def collector(tls: ssl.SSLContext | None = None) -> AsyncIterator[Collector]:
    made = Collector()
    server = await asyncio.start_server(made.take, "127.0.0.1", 0, ssl=tls)
    made.port = server.sockets[0].getsockname()[1]
    async with server:
        yield made


async def test_messages_over_tcp_are_framed_and_whole() -> None:
    async with collector() as made:
        one = settings("syslog", address=f"127.0.0.1:{made.port}", transport="tcp", hostname="mon1")
        async with built(one) as receiver:
            for event in ("firing", "resolved"):
                assert (await receiver.send(message(event))).result is Result.DELIVERED
    first, second = (parsed(frame) for frame in frames(made.stream))
    assert (first[0]["priority"], first[0]["host"], first[0]["id"]) == (str(16 * 8 + 2), "mon1", "firing")
    assert (second[0]["priority"], second[0]["id"]) == (str(16 * 8 + 6), "resolved")
    assert (first[1]["incident"], first[1]["grade"], first[1]["target"]) == ("7", "II", "sw1")
    assert first[1]["key"] == "k" * 32
    assert first[2] == "FIRING [II] sw1: sw1 is down (#7)"


async def test_hostile_words_stay_in_their_field_and_line() -> None:
    hostile = message(title=HOSTILE * 30, text=HOSTILE)
    hostile.facts["target"] = 'a"] b\\c\n<34>1 forged'
    async with collector() as made:
        one = settings("syslog", address=f"127.0.0.1:{made.port}", transport="tcp")
        async with built(one) as receiver:
            assert (await receiver.send(hostile)).result is Result.DELIVERED
    (frame,) = frames(made.stream)
    _, found, text = parsed(frame)
    assert found["target"] == 'a"] b\\c <34>1 forged'
    assert "\n" not in text
    assert b"\0" not in frame


async def test_over_tls_the_collector_is_verified(tmp_path: Path) -> None:
    files = certificate(tmp_path)
    async with collector(files.server()) as made:
        address = f"127.0.0.1:{made.port}"
        async with built(settings("syslog", address=address, ca_file=str(files.certificate))) as receiver:
            assert (await receiver.send(message())).result is Result.DELIVERED
        async with built(settings("syslog", address=address)) as receiver:
            outcome = await receiver.send(message())
            assert (outcome.result, outcome.is_unwell) == (Result.RETRY, True)
            assert "certificate" in outcome.detail.lower()
    assert len(frames(made.stream)) == 1


async def test_over_udp_a_message_is_one_datagram_that_passes_any_path() -> None:
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[bytes] = asyncio.Queue()

    class Socket(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:
            arrived.put_nowait(data)

    transport, _ = await loop.create_datagram_endpoint(Socket, local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    async with built(settings("syslog", address=f"127.0.0.1:{port}", transport="udp")) as receiver:
        outcome = await receiver.send(message(title=HOSTILE * 30))
        assert outcome.result is Result.DELIVERED
        data = await asyncio.wait_for(arrived.get(), 5)
    transport.close()
    assert len(data) <= 1180
    assert parsed(data)[2].startswith("FIRING [II] sw1: x")


@pytest.mark.parametrize("transport", ["tcp", "tls"])
async def test_a_collector_that_is_away_gets_it_later(transport: str) -> None:
    one = settings("syslog", address=f"127.0.0.1:{free_port()}", transport=transport)
    async with built(one) as receiver:
        outcome = await receiver.send(message())
    assert (outcome.result, outcome.is_unwell) == (Result.RETRY, True)
