"""Services to be probed, on loopback: web servers that say what a test tells them to, DNS, NTP, gRPC."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import h2.config
import h2.connection
import h2.events

from tests.servers.debian import free_port

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def talking(talk: Talk, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The port of a server that talks so on every connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, ssl.SSLError, asyncio.CancelledError):
            await talk(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@contextmanager
def talking_elsewhere(talk: Talk) -> Iterator[int]:
    """The same in a thread with a loop of its own: what the server does does not hold up the test's loop."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    serving = talking(talk)
    try:
        yield asyncio.run_coroutine_threadsafe(serving.__aenter__(), loop).result(10)
    finally:
        asyncio.run_coroutine_threadsafe(_end(serving), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _end(serving: AbstractAsyncContextManager[int]) -> None:
    await serving.__aexit__(None, None, None)
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


@dataclass
class Web:
    """Answers by path; a path that is not there gets 404."""

    answers: Mapping[str, bytes | Talk]
    requests: list[str] = field(default_factory=list)
    """Heads of the requests."""

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        self.requests.append(head)
        path = head.split(" ", 2)[1]
        answer = self.answers.get(path, page(b"", "404 Not Found"))
        if callable(answer):
            await answer(reader, writer)
        else:
            writer.write(answer)
            await writer.drain()


def page(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


# HTTP/2 and gRPC


@dataclass
class Http2:
    """Answers each path with headers, a body and trailers."""

    answers: Mapping[str, tuple[list[tuple[str, str]], bytes, list[tuple[str, str]]]]

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        )
        peer.initiate_connection()
        writer.write(peer.data_to_send())
        path = ""
        while data := await reader.read(65536):
            for event in peer.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    path = next(str(value) for name, value in event.headers if str(name) == ":path")
                elif isinstance(event, h2.events.DataReceived):
                    peer.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.StreamEnded):
                    self._answer(peer, path, event.stream_id or 1)
            writer.write(peer.data_to_send())
            await writer.drain()

    def _answer(self, peer: h2.connection.H2Connection, path: str, number: int) -> None:
        headers, body, trailers = self.answers.get(path, ([(":status", "404")], b"", []))
        peer.send_headers(number, headers, end_stream=not body and not trailers)
        if body:
            peer.send_data(number, body, end_stream=not trailers)
        if trailers:
            peer.send_headers(number, trailers, end_stream=True)


def health(status: int) -> Http2:
    """A gRPC server with this health."""
    message = b"\x08" + bytes((status,)) if status else b""
    framed = struct.pack("!BI", 0, len(message)) + message
    headers = [(":status", "200"), ("content-type", "application/grpc")]
    return Http2({"/grpc.health.v1.Health/Check": (headers, framed, [("grpc-status", "0")])})


# DNS and NTP

Answering = Callable[[bytes], bytes | None]


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, answer: Answering) -> None:
        self._answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = self._answer(data)
        if answer is not None:
            self._transport.sendto(answer, addr)


@asynccontextmanager
async def answering(answer: Answering) -> AsyncIterator[int]:
    """The UDP port of a server that answers each datagram so."""
    port = free_port(socket.SOCK_DGRAM)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Udp(answer), local_addr=("127.0.0.1", port))
    try:
        yield port
    finally:
        transport.close()


def zone(wire: bytes) -> bytes:
    """A name server's answer: a small zone example.org."""
    query = dns.message.from_wire(wire)
    answer = dns.message.make_response(query)
    question = query.question[0]
    name, kind = question.name.to_text(), question.rdtype.name
    if not name.endswith("example.org."):
        answer.set_rcode(dns.rcode.NXDOMAIN)
        answer.authority.append(_records("org.", "SOA", "ns.org. host.org. 1 2 3 4 5"))
    elif kind == "SOA":
        answer.answer.append(
            _records(name, "SOA", "ns.example.org. host.example.org. 2026112201 7200 3600 1209600 3600")
        )
        answer.authority.append(_records(name, "NS", "ns1.example.org.", "ns2.example.org."))
        answer.additional.append(_records("ns1.example.org.", "A", "192.0.2.1"))
    elif kind == "A":
        answer.flags |= dns.flags.AA
        answer.answer.append(_records(name, "A", "192.0.2.7", "192.0.2.8"))
    elif kind == "MX":
        answer.answer.append(_records(name, "MX", "10 mail.example.org."))
    elif kind == "TXT":
        answer.answer.append(_records(name, "TXT", '"v=spf1 -all" "quote \\" and \\\\"'))
    return answer.to_wire()


def _records(name: str, kind: str, *texts: str) -> dns.rrset.RRset:
    return dns.rrset.from_text(name, 300, "IN", kind, *texts)


async def zone_by_tcp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The same with DNS' framing for streams."""
    (size,) = struct.unpack("!H", await reader.readexactly(2))
    answer = zone(await reader.readexactly(size))
    writer.write(struct.pack("!H", len(answer)) + answer)
    await writer.drain()


def ntp(
    now: Callable[[], float], *, first: int = 4 << 3 | 4, stratum: int = 2, code: bytes = b"\x7f\0\0\1"
) -> Answering:
    """A time server whose clock shows `now`."""

    def answer(packet: bytes) -> bytes:
        stamp = _stamp(now())
        head = struct.pack("!BBbbII4s", first, stratum, 6, -20, 1 << 15, 1 << 14, code)
        return head + _stamp(now() - 60) + packet[40:48] + stamp + stamp

    return answer


def _stamp(unix: float) -> bytes:
    seconds = unix + 2_208_988_800
    return struct.pack("!II", int(seconds) & 0xFFFFFFFF, int(seconds % 1 * (1 << 32)))
