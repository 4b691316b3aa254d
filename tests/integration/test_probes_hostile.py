"""Services that mean harm, or are broken: every probe ends in its time, with a reason, and holds up nobody."""

from __future__ import annotations

import asyncio
import gzip
import struct
import time
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from sentinel.collect.probes.modules import ProbeModule
from sentinel.collect.probes.policy import only
from tests.servers.authority import Authority
from tests.servers.outside import Talk, Web, answering, page, talking, talking_elsewhere
from tests.unit.probes.asking import Answer, ask, module

TIMEOUT = 0.4
OVERTIME = 0.25
"""Seconds that the poll loops allow beside it."""
LAG = 0.25
"""Seconds that one probe may keep the loop to itself, on a busy machine."""
MEGABYTE = 1 << 20


async def held(found: ProbeModule, address: str, *, timeout: float = TIMEOUT) -> Answer:
    """One probe; it ends in time, and meanwhile the loop turns."""
    stop = asyncio.Event()

    async def turns() -> float:
        worst, last = 0.0, time.monotonic()
        while not stop.is_set():
            await asyncio.sleep(0)
            now = time.monotonic()
            worst, last = max(worst, now - last), now
        return worst

    watching = asyncio.create_task(turns())
    started = time.monotonic()
    answer = await ask(found, address, timeout=timeout)
    assert time.monotonic() - started < timeout + OVERTIME
    stop.set()
    assert await watching < LAG
    assert answer["probe_success"] == 0
    return answer


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


def forever(piece: bytes, first: bytes = b"") -> Talk:
    """Says `first`, then `piece` without end, as fast as it is read."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)

    return talk


def dripping(text: bytes) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for byte in text:
            writer.write(bytes((byte,)))
            await writer.drain()
            with suppress(TimeoutError):
                await asyncio.wait_for(reader.read(1), 0.02)

    return talk


HEAD = b"HTTP/1.1 200 OK\r\n"
LONG = b"x" * 65536
EXPECT = {"query_response": [{"expect": "^never$"}]}
HTTP: dict[str, Any] = {}
H2_FRAME = struct.pack("!I", 8)[1:] + b"\x06\x00" + b"\0" * 4 + b"\0" * 8
"""A ping."""

TALKS: list[tuple[str, dict[str, Any], Talk, str]] = [
    ("http", HTTP, silent, "timeout"),
    ("http", HTTP, dripping(HEAD + b"Content-Length: 1000\r\n\r\n" + b"a" * 1000), "timeout"),
    ("http", HTTP, forever(b"X-A: " + b"b" * 1000 + b"\r\n", HEAD), "too_large"),
    ("http", HTTP, forever(LONG, HEAD + b"X-A: "), "too_large"),
    ("http", HTTP, forever(b"HTTP/1.1 100 Continue\r\n\r\n"), "too_large"),
    ("http", HTTP, forever(LONG, HEAD + b"\r\n"), "too_large"),
    ("http", {"body_size_limit": "100GB"}, forever(LONG, HEAD + b"\r\n"), "timeout"),
    ("http", HTTP, forever(b"1\r\na\r\n" * 1000, HEAD + b"Transfer-Encoding: chunked\r\n\r\n"), "timeout"),
    ("http", HTTP, forever(LONG, HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;"), "timeout"),
    ("http", HTTP, forever(b"\0" * 100), "protocol"),
    ("http", HTTP, forever(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"), "protocol"),
    (
        "http",
        HTTP,
        forever(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n"),
        "protocol",
    ),
    ("http", HTTP, forever(b"HTTP/9.9 200 OK\r\n\r\n"), "protocol"),
    ("grpc", HTTP, silent, "timeout"),
    ("grpc", HTTP, forever(LONG), "protocol"),
    ("grpc", HTTP, forever(H2_FRAME * 1000, b"\0\0\0\4\0\0\0\0\0"), "protocol"),
    ("tcp", EXPECT, silent, "timeout"),
    ("tcp", EXPECT, forever((b"a" * 60 + b"\n") * 1000), "too_large"),
    ("tcp", EXPECT, forever(LONG), "too_large"),
    ("tcp", EXPECT, dripping(b"neve\r\n" * 100), "timeout"),
    ("tcp", {"tls": True}, silent, "timeout"),
    ("tcp", {"tls": True}, forever(LONG), "tls"),
    ("tcp", {"tls": True}, forever(b"\x16\x03\x03\x40\x00" + b"\0" * 0x4000), "timeout"),
    ("dns", {"query_name": "a.example", "transport_protocol": "tcp"}, silent, "timeout"),
    ("dns", {"query_name": "a.example", "transport_protocol": "tcp"}, forever(b"\xff" * 70000), "protocol"),
    ("dns", {"query_name": "a.example", "transport_protocol": "tcp"}, dripping(b"\xff" * 1000), "timeout"),
]


@pytest.mark.parametrize(("prober", "settings", "talk", "reason"), TALKS)
async def test_a_bad_service_costs_one_probe(
    prober: str, settings: dict[str, Any], talk: Talk, reason: str
) -> None:
    with talking_elsewhere(talk) as port:
        patience = TIMEOUT if reason == "timeout" else 5.0
        answer = await held(module(prober, **settings), f"127.0.0.1:{port}", timeout=patience)
        assert answer.reason == reason


async def test_a_body_that_unpacks_without_end_takes_little_memory() -> None:
    bomb = gzip.compress(b"\0" * (200 * MEGABYTE))
    settings: dict[str, Any] = {"compression": "gzip", "fail_if_body_matches_regexp": ["sorry"]}
    async with talking(Web({"/": page(bomb, "200 OK", "Content-Encoding: gzip")}).talk) as port:
        tracemalloc.start()
        try:
            answer = await ask(module("http", **settings), f"http://127.0.0.1:{port}/", timeout=5)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert answer.reason == "too_large"
    assert answer["probe_http_uncompressed_body_length"] == 10 * MEGABYTE
    assert peak < 20 * MEGABYTE


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("http://127.0.0.2:{port}/", "forbidden"),
        ("http://[::1]:{port}/", "forbidden"),
        ("http://169.254.169.254/latest/meta-data/", "forbidden"),
        ("http://0.0.0.0:{port}/", "forbidden"),
        ("http://[::ffff:169.254.169.254]/", "forbidden"),
        ("file:///etc/passwd", "redirects"),
        ("gopher://127.0.0.1:{port}/", "redirects"),
        ("http://user:word@127.0.0.1:{port}/", "redirects"),
        ("http://127.0.0.1:99999/", "redirects"),
    ],
)
async def test_a_redirect_does_not_lead_inside(location: str, reason: str) -> None:
    web = Web({})
    async with talking(web.talk) as port:
        web.answers = {"/": page(b"", "302 Found", f"Location: {location.format(port=port)}")}
        answer = await held(module("http"), f"http://127.0.0.1:{port}/")
        assert answer.reason == reason, answer.reading.detail
        assert len(web.requests) == 1


@pytest.mark.parametrize("prober", ["http", "tcp", "dns", "icmp", "ntp", "grpc"])
async def test_a_name_that_turns_out_to_lie_inside_is_not_asked(prober: str) -> None:
    """What /probe asks is held to where it may go by the address that is connected to, not by the name."""
    web = Web({"/": page(b"secret")})
    settings: dict[str, Any] = {"query_name": "a.example"} if prober == "dns" else {}
    async with talking(web.talk) as port:
        address = "localhost" if prober == "icmp" else f"localhost:{port}"
        answer = await ask(module(prober, **settings), address, policy=only((), lambda _: True))
    assert (answer.reason, web.requests) == ("forbidden", [])


async def test_a_redirect_to_another_host_gets_no_secret(tmp_path: Path) -> None:
    """The same address under another name: reachable, and yet not to be told."""
    web = Web({})
    async with talking(web.talk) as port:
        web.answers = {
            "/": page(b"", "302 Found", f"Location: http://localhost:{port}/b c?d=<", "Set-Cookie: a=b"),
            "/b%20c?d=%3C": page(b"", "302 Found", "Location: /here"),
            "/here": page(b"there"),
        }
        settings: dict[str, Any] = {
            "basic_auth": {"username": "u", "password": "p"},
            "preferred_ip_protocol": "ip4",
        }
        answer = await ask(module("http", **settings), f"http://127.0.0.1:{port}/")
    assert (answer.reason, answer["probe_success"]) == ("", 1)
    first, *others = web.requests
    assert "Authorization: Basic dTpw" in first
    assert not any("Authorization" in other or "Cookie" in other for other in others)


@asynccontextmanager
async def tls_site(authority: Authority, **how: Any) -> AsyncIterator[int]:
    context = authority.server("127.0.0.1", **how)
    async with talking(Web({"/": page(b"ok")}).talk, context) as port:
        yield port


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({}, ""),
        ({"days": -1, "since": 3}, "certificate_expired"),
        ({"days": 9, "since": -2}, "certificate_not_yet_valid"),
        ({"is_self_signed": True}, "certificate_untrusted"),
    ],
)
async def test_what_is_wrong_with_a_certificate_is_told(
    tmp_path: Path, how: dict[str, Any], reason: str
) -> None:
    authority = Authority(tmp_path)
    async with tls_site(authority, **how) as port:
        trusting = module("http", tmp_path, tls_config={"ca_file": authority.root.name})
        assert (await ask(trusting, f"https://127.0.0.1:{port}/")).reason == reason
        strange = module("http", tls_config={})
        assert (await ask(strange, f"https://127.0.0.1:{port}/")).reason.startswith("certificate")
        named = module("http", tmp_path, tls_config={"ca_file": authority.root.name, "server_name": "else"})
        if not reason:
            assert (await ask(named, f"https://127.0.0.1:{port}/")).reason == "certificate_name"


async def test_a_changed_authority_file_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    one, other = Authority(tmp_path / "one"), Authority(tmp_path / "other")
    file = tmp_path / "ca.pem"
    file.write_bytes(other.root.read_bytes())
    found = module("tcp", tmp_path, tls=True, tls_config={"ca_file": "ca.pem"})
    async with tls_site(one) as port:
        assert (await ask(found, f"127.0.0.1:{port}")).reason == "certificate_untrusted"
        file.write_bytes(one.root.read_bytes() + b"\n")
        assert (await ask(found, f"127.0.0.1:{port}")).reason == ""
        file.unlink()
        assert (await ask(found, f"127.0.0.1:{port}")).reason == "tls_config"


@pytest.mark.parametrize("reply", [b"", b"\0", b"\xff" * 600, b"\0\1" * 20])
async def test_a_name_server_that_answers_nonsense(reply: bytes) -> None:
    found = module("dns", query_name="a.example")
    async with answering(lambda query: query[:2] + reply) as port:
        assert (await held(found, f"127.0.0.1:{port}")).reason == "protocol"
    async with answering(lambda query: bytes(2) + query[2:]) as port:
        assert (await held(found, f"127.0.0.1:{port}")).reason in ("timeout", "protocol")


async def test_silent_targets_hold_up_nobody() -> None:
    """Two hundred probes at once, half of them of a service that says nothing."""
    web = Web({"/": page(b"ok")})
    async with talking(web.talk) as good, talking(silent) as bad:
        found = module("http")
        started = time.monotonic()

        async def one(port: int) -> tuple[float, float]:
            answer = await ask(found, f"http://127.0.0.1:{port}/", timeout=3)
            return answer["probe_success"], time.monotonic() - started

        results = await asyncio.gather(*(one(port) for port in [good, bad] * 100))
    assert [success for success, _ in results] == [1, 0] * 100
    assert max(ended for success, ended in results if success) < 2.5
    assert max(ended for _, ended in results) < 3 + 1
