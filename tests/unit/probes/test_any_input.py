"""Whatever a service sends: an answer or a failure with its reason, never a bug."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any, cast

import dns.message
import h2.config
import h2.connection
from hypothesis import given, settings
from hypothesis import strategies as st

from sentinel.collect.probes import http1, http2
from sentinel.collect.probes.body import Body
from sentinel.collect.probes.dns import _read
from sentinel.collect.probes.failure import ProbeFailure
from sentinel.collect.probes.grpc import _serving_status
from sentinel.collect.probes.message import Head, Request, Url
from sentinel.collect.probes.stream import Stream
from sentinel.collect.probes.travel import Travel
from sentinel.runtime.clock import SystemClock
from tests.servers.outside import zone

REQUEST = Request(Url.of("http://127.0.0.1/"), "GET", "127.0.0.1")
GOOD = b"HTTP/1.1 200 OK\r\nContent-Type: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"


def good_h2() -> bytes:
    peer = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    client = h2.connection.H2Connection()
    client.initiate_connection()
    headers = [(":method", "GET"), (":path", "/"), (":scheme", "http"), (":authority", "a")]
    client.send_headers(1, headers, end_stream=True)
    peer.initiate_connection()
    peer.receive_data(client.data_to_send())
    peer.send_headers(1, [(":status", "200"), ("a", "b")])
    peer.send_data(1, b"hello", end_stream=False)
    peer.send_headers(1, [("grpc-status", "0")], end_stream=True)
    return peer.data_to_send()


GOOD_H2 = good_h2()


@st.composite
def spoilt(draw: st.DrawFn, good: bytes) -> bytes:
    """A good answer with some bytes changed, cut out or put in."""
    data = bytearray(good)
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, max(len(data) - 1, 0)))
        data[place : place + draw(st.integers(0, 3))] = draw(st.binary(max_size=6))
    return bytes(data)


class Said:
    """A connection on which a server has said all it will."""

    def __init__(self, data: bytes, size: int) -> None:
        self._pieces = [data[at : at + size] for at in range(0, len(data), size)]

    async def send(self, data: bytes) -> None:
        return None

    async def receive(self) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""


def heard(exchange: Callable[..., AsyncGenerator[Any, None]], data: bytes, size: int) -> list[Any]:
    async def hear() -> list[Any]:
        found = []
        stream = cast(Stream, Said(data, size))
        try:
            async for piece in exchange(stream, REQUEST, SystemClock()):
                found.append(piece)  # noqa: PERF401 - what came before a failure counts
        except ProbeFailure as failure:
            assert failure.reason in ("protocol", "closed", "too_large")
        return found

    return asyncio.run(hear())


@settings(max_examples=300, deadline=None)
@given(spoilt(GOOD), st.integers(1, 100))
def test_spoilt_http(data: bytes, size: int) -> None:
    for number, piece in enumerate(heard(http1.exchange, data, size)):
        assert isinstance(piece, Head) == (number == 0)


@settings(max_examples=300, deadline=None)
@given(spoilt(GOOD_H2), st.integers(1, 200))
def test_spoilt_http2(data: bytes, size: int) -> None:
    heard(http2.exchange, data, size)


def test_good_answers_are_understood_in_pieces_of_any_size() -> None:
    for size in range(1, len(GOOD_H2) + 1):
        head, *rest = heard(http2.exchange, GOOD_H2, size)
        assert head.status == 200
        assert b"".join(piece for piece in rest if isinstance(piece, bytes)) == b"hello"
        assert rest[-1] == {"grpc-status": "0"}
    for size in range(1, len(GOOD) + 1):
        head, *rest = heard(http1.exchange, GOOD, size)
        assert (head.status, b"".join(rest)) == (200, b"hello")


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_spoilt_dns(data: st.DataObject) -> None:
    query = dns.message.make_query("example.org", "SOA")
    wire = data.draw(spoilt(zone(query.to_wire())))
    try:
        _read(wire, query)
    except ProbeFailure as failure:
        assert failure.reason == "protocol"


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=40))
def test_any_health(message: bytes) -> None:
    try:
        assert _serving_status(message) in ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")
    except ProbeFailure as failure:
        assert failure.reason == "protocol"


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60), st.lists(st.text(max_size=60), max_size=3))
def test_any_location_and_cookies(location: str, cookies: list[str]) -> None:
    head = Head("HTTP/1.1", 302, tuple(("set-cookie", one) for one in cookies), 0.0)
    try:
        found = Travel(REQUEST).next(REQUEST, head, location)
    except ProbeFailure as failure:
        assert failure.reason == "redirects"
        return
    assert found.url.path.startswith("/")
    assert found.url.scheme in ("http", "https")
    if not cookies:
        assert http1._written(found).endswith(b"\r\n\r\n")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["gzip", "deflate", ""]))
def test_any_body(data: bytes, compression: str) -> None:
    body = Body(limit=100, compression=compression, keep=True)
    try:
        body.take(data)
        body.finish()
    except ProbeFailure as failure:
        assert failure.reason in ("decompression", "too_large")
    assert body.length <= 100
