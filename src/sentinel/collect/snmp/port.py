"""The shared UDP sockets: one for IPv4 and one for IPv6 carry the requests to all devices."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Protocol

from sentinel.collect.snmp import ber
from sentinel.collect.snmp.message import request_ids
from sentinel.collect.snmp.metrics import SnmpMetrics

RECEIVE_BUFFER = 4 * 1024 * 1024
"""Bytes asked of the kernel, so that the answers of a thousand devices at once find room."""

MAX_DATAGRAM = 65535
_BURST = 64
"""Datagrams read before the loop may do something else."""

REST = 0.001
"""Seconds between looks at a socket on which answers come in: to be woken for each costs more than reading it."""

SockAddress = tuple[str, int] | tuple[str, int, int, int]


class Waiter(Protocol):
    """Who waits for an answer."""

    def received(self, request_id: int, data: bytes) -> None: ...

    def malformed(self) -> None: ...


class Port:
    """One non-blocking socket, read by the loop it was opened in. Answers are matched by request-id and source."""

    def __init__(self, family: socket.AddressFamily, metrics: SnmpMetrics) -> None:
        self._metrics = metrics
        self._ids = request_ids()
        self._waiting: dict[int, tuple[SockAddress | None, Waiter]] = {}
        self._loop = asyncio.get_running_loop()
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self._socket.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", 0))  # noqa: S104 (sends first)
        self._look: asyncio.TimerHandle | None = None
        self._loop.add_reader(self._socket.fileno(), self._readable)

    @property
    def waiting(self) -> int:
        """Requests under way."""
        return len(self._waiting)

    def expect(self, address: SockAddress | None, waiter: Waiter) -> int:
        """A fresh request-id whose answer from this address (None: from anywhere) goes to the waiter."""
        request_id = next(self._ids)
        while request_id in self._waiting:
            request_id = next(self._ids)
        self._waiting[request_id] = (address, waiter)
        return request_id

    def forget(self, request_id: int) -> None:
        self._waiting.pop(request_id, None)

    def send(self, data: bytes, address: SockAddress) -> None:
        """
        Raises:
            OSError: there is no way to the address. A full send buffer is not an error: the retry comes.
        """
        try:  # noqa: SIM105 (what it takes to suppress is a tenth of what it takes to send)
            self._socket.sendto(data, address)
        except BlockingIOError:
            pass

    def close(self) -> None:
        if self._look is not None:
            self._look.cancel()
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()

    def _readable(self) -> None:
        """The first answer after a silence: from now on look every so often, until nothing comes."""
        self._loop.remove_reader(self._socket.fileno())
        self._look_again()

    def _look_again(self) -> None:
        count = self._read_some()
        if count:
            self._look = self._loop.call_later(REST if count < _BURST else 0, self._look_again)
        else:
            self._look = None
            self._loop.add_reader(self._socket.fileno(), self._readable)

    def _read_some(self) -> int:
        """How many datagrams there were, at most a burst."""
        receive = self._socket.recvfrom
        for count in range(_BURST):
            try:
                data, source = receive(MAX_DATAGRAM)
            except (BlockingIOError, InterruptedError):
                return count
            except OSError:  # an earlier datagram's fate, not this socket's
                continue
            self._dispatch(data, source)
        return _BURST

    def _dispatch(self, data: bytes, source: SockAddress) -> None:
        try:
            request_id = ber.find_request_id(data)
        except ber.MalformedError:
            self._metrics.malformed.inc()
            for waiter in {waiter for address, waiter in self._waiting.values() if address == source}:
                waiter.malformed()
            return
        expected = self._waiting.get(request_id)
        if expected is None:
            self._metrics.late.inc()
        elif expected[0] is not None and expected[0] != source:
            self._metrics.foreign.inc()
        else:
            del self._waiting[request_id]
            expected[1].received(request_id, data)


class Ports:
    """The port of each address family, opened when it is first needed."""

    def __init__(self, metrics: SnmpMetrics) -> None:
        self._metrics = metrics
        self._ports: dict[socket.AddressFamily, Port] = {}

    def of(self, family: socket.AddressFamily) -> Port:
        port = self._ports.get(family)
        if port is None:
            port = self._ports[family] = Port(family, self._metrics)
        return port

    def close(self) -> None:
        for port in self._ports.values():
            port.close()
        self._ports.clear()
