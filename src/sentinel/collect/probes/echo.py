"""ICMP echo requests of all probes: one socket for each way of sending, replies matched to who waits.

Datagram sockets need no privilege where net.ipv4.ping_group_range allows them (Linux, icmp(7)); a raw socket is
used where the daemon was given CAP_NET_RAW instead. A reply counts when it comes from the address asked, with the
sequence number and the very bytes that were sent.

Source: RFC 792 (echo), RFC 4443 §4; for datagram sockets the kernel chooses the identifier and the checksum.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
from dataclasses import dataclass
from typing import Any

from sentinel.collect.collector import PollError
from sentinel.collect.probes.failure import network_failure
from sentinel.collect.probes.resolve import Address
from sentinel.runtime.clock import Clock

_ECHO = {4: (8, 0), 6: (128, 129)}
"""Types of request and reply by IP version."""
_HEADER = struct.Struct("!BBHHH")
"""Type, code, checksum, identifier, sequence number."""
_BATCH = 64
"""Replies taken at a time."""
_BUFFER = 1 << 20

_IP_RECVTTL, _IP_MTU_DISCOVER, _IP_PMTUDISC_DO = 12, 10, 2
_IPV6_MTU_DISCOVER, _IPV6_DONTFRAG = 23, 62
"""linux/in.h and linux/in6.h; Python has no names for them."""


@dataclass(frozen=True, slots=True)
class Echo:
    """A reply."""

    setup: float
    """Seconds until the request was on its way."""
    rtt: float
    """Seconds from then to the reply."""
    hop_limit: int | None


@dataclass(frozen=True, slots=True)
class _Way:
    """What requests of one socket have in common."""

    version: int
    source: str
    dont_fragment: bool


@dataclass(slots=True)
class _Waiting:
    address: str
    payload: bytes
    arrived: asyncio.Future[tuple[float, int | None]]


class Echoes:
    """See the module."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sockets: dict[_Way, _Socket] = {}

    async def ask(
        self, address: Address, *, payload_size: int, ttl: int, source: str, dont_fragment: bool
    ) -> Echo:
        """One request and its reply; how long to wait is the caller's.

        Raises:
            ProbeFailure: it cannot be sent there.
            PollError: the system lets the daemon send none at all.
        """
        started = self._clock.monotonic()
        way = _Way(address.version, source, dont_fragment)
        one = self._sockets.get(way)
        if one is None:
            one = self._sockets[way] = _Socket(way, self._clock)
        return await one.ask(str(address), _payload(payload_size), ttl, started)

    def close(self) -> None:
        for one in self._sockets.values():
            one.close()
        self._sockets.clear()


class _Socket:
    def __init__(self, way: _Way, clock: Clock) -> None:
        self._version = way.version
        self._request, self._reply = _ECHO[way.version]
        self._clock = clock
        self._waiting: dict[int, _Waiting] = {}
        self._sequence = int.from_bytes(os.urandom(2))
        self._identifier = int.from_bytes(os.urandom(2))
        """Of raw sockets; for datagram ones the kernel puts its own."""
        self._sock, self._is_raw = _open(way)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._sock.fileno(), self._receive)

    async def ask(self, address: str, payload: bytes, ttl: int, started: float) -> Echo:
        sequence = self._next()
        arrived: asyncio.Future[tuple[float, int | None]] = self._loop.create_future()
        self._waiting[sequence] = _Waiting(address, payload, arrived)
        try:
            sent = self._send(address, sequence, payload, ttl)
            received, hop_limit = await arrived
        finally:
            del self._waiting[sequence]
        return Echo(sent - started, received - sent, hop_limit)

    def close(self) -> None:
        self._loop.remove_reader(self._sock.fileno())
        self._sock.close()
        for one in self._waiting.values():
            one.arrived.cancel()

    def _next(self) -> int:
        for _ in range(1 << 16):
            self._sequence = (self._sequence + 1) & 0xFFFF
            if self._sequence not in self._waiting:
                return self._sequence
        raise PollError("busy", "65,536 echo requests are waiting for their reply")

    def _send(self, address: str, sequence: int, payload: bytes, ttl: int) -> float:
        packet = _HEADER.pack(self._request, 0, 0, self._identifier, sequence) + payload
        if self._is_raw and self._version == 4:  # for version 6 the kernel adds it, with the addresses
            packet = packet[:2] + _checksum(packet) + packet[4:]
        extra = [(*_hop_limit_option(self._version), struct.pack("i", ttl))] if ttl else []
        sent = self._clock.monotonic()
        try:
            self._sock.sendmsg([packet], extra, 0, (address, 0))
        except BlockingIOError:
            pass  # the send buffer is full: as good as lost on the way
        except OSError as error:
            raise network_failure(address, error) from None
        return sent

    def _receive(self) -> None:
        for _ in range(_BATCH):
            try:
                packet, extra, _, place = self._sock.recvmsg(65536, 128)
            except BlockingIOError:
                return
            except (
                OSError
            ):  # an error that the network told about some request; that one runs into its deadline
                continue
            self._take(packet, extra, place[0].partition("%")[0])

    def _take(self, packet: bytes, extra: list[tuple[int, int, bytes]], address: str) -> None:
        now = self._clock.monotonic()
        if self._is_raw and self._version == 4 and packet:
            packet = packet[(packet[0] & 0x0F) * 4 :]  # the IP header comes along
        if len(packet) < _HEADER.size:
            return
        kind, code, _, identifier, sequence = _HEADER.unpack_from(packet)
        one = self._waiting.get(sequence)
        if kind != self._reply or code != 0 or one is None or one.arrived.done():
            return
        if self._is_raw and identifier != self._identifier:
            return
        if one.address == address and packet[_HEADER.size :] == one.payload:
            one.arrived.set_result((now, _hop_limit(extra)))


def _open(way: _Way) -> tuple[socket.socket, bool]:
    """A datagram socket, or where that is forbidden a raw one."""
    family = socket.AF_INET6 if way.version == 6 else socket.AF_INET
    protocol = socket.IPPROTO_ICMPV6 if way.version == 6 else socket.IPPROTO_ICMP
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
        try:
            sock = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, protocol)
        except PermissionError:
            continue
        except OSError as error:
            if error.errno == errno.EAFNOSUPPORT:
                raise PollError("forbidden", f"this machine has no IP version {way.version}") from None
            raise
        try:
            _prepare(sock, way)
        except OSError as error:
            sock.close()
            raise network_failure(way.source or "ICMP", error) from None
        return sock, kind == socket.SOCK_RAW
    raise PollError(
        "forbidden",
        "the system lets the daemon send no echo requests: allow its group with"
        " sysctl net.ipv4.ping_group_range='0 2147483647', or give the service CAP_NET_RAW",
    )


def _prepare(sock: socket.socket, way: _Way) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    if way.version == 6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
        if way.dont_fragment:
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_DONTFRAG, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _IP_PMTUDISC_DO)
    else:
        sock.setsockopt(socket.IPPROTO_IP, _IP_RECVTTL, 1)
        if way.dont_fragment:
            sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_DO)
    if way.source:
        sock.bind((way.source, 0))


def _hop_limit_option(version: int) -> tuple[int, int]:
    if version == 6:
        return socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT
    return socket.IPPROTO_IP, socket.IP_TTL


def _hop_limit(extra: list[tuple[int, int, bytes]]) -> int | None:
    for level, kind, data in extra:
        if (level, kind) in (_hop_limit_option(4), _hop_limit_option(6)) and len(data) >= 4:
            found: tuple[Any, ...] = struct.unpack_from("i", data)
            return int(found[0])
    return None


def _payload(size: int) -> bytes:
    """Random bytes, so that nobody can answer who has not seen the request."""
    return os.urandom(size or 28)


def _checksum(packet: bytes) -> bytes:
    """RFC 1071."""
    total = sum(struct.unpack(f"!{len(packet) // 2}H", packet[: len(packet) & ~1]))
    if len(packet) & 1:
        total += packet[-1] << 8
    total = (total >> 16) + (total & 0xFFFF)
    total += total >> 16
    return int(~total & 0xFFFF).to_bytes(2)
