"""One poll's exchange with one device: a few requests in flight, repeated until answered, ended by a deadline.

Answers are handled where the socket is read, without a task per request: a poll of a switch costs one wake-up of
its task, not one for each of its thirty datagrams.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sentinel.collect.snmp import ber
from sentinel.collect.snmp.device import WINDOW
from sentinel.collect.snmp.message import Access, ReportError, Template
from sentinel.collect.snmp.metrics import SnmpMetrics
from sentinel.collect.snmp.port import Port, SockAddress

MENDS = 2
"""How often a request is sent again, beside its tries, because a report told what it lacked: name, then clock."""

PROBE_WAIT = 0.1
"""Seconds for the host's refusal to come back."""


class Ask(Protocol):
    """A request and what follows from its answer."""

    template: Template

    def answered(self, data: bytes) -> Sequence[Ask]:
        """What to ask next.

        Raises:
            MalformedError: this is no answer; the request is repeated.
        """
        ...

    def unanswered(self) -> None:
        """Before it is repeated: may change the template to ask for less."""
        ...

    def failed(self, reason: str) -> Sequence[Ask]:
        """It is given up; what to ask instead."""
        ...


@dataclass(slots=True, eq=False)
class _Flight:
    """A request, from when it is first sent until it is answered or given up."""

    ask: Ask
    template: Template | None = None
    sent_at: float = 0.0
    tries: int = 0
    id: int = 0
    """Of its last try; 0: an answer would not be taken."""
    earlier: tuple[int, ...] = ()
    """Those of the tries before: an answer to one of them may come late, and is taken."""


class Conversation:
    """Everything asked of one device in one poll.

    Args:
        timeout: seconds until a request is repeated.
        retries: how often it is.
        window: requests in flight at most.
        any_source: answers may come from another address than the one asked.
    """

    def __init__(
        self,
        port: Port,
        address: SockAddress,
        access: Access,
        metrics: SnmpMetrics,
        *,
        timeout: float,
        retries: int,
        window: int,
        any_source: bool = False,
    ) -> None:
        self.has_heard = False
        """The device has answered something."""
        self.has_repeated = False
        """Something was asked more than once, because no usable answer came."""
        self.trouble = ""
        """The last thing that was wrong with an answer, or why nothing can be sent: a reason."""
        self.report = ""
        """What a version 3 agent said instead of answering: a kind of report."""
        self._port, self._address, self._access, self._metrics = port, address, access, metrics
        self._source = None if any_source else address
        self._timeout, self._tries = timeout, retries + 1
        self._window = self._full_window = window
        self._queue: deque[_Flight] = deque()
        self._flights: dict[int, _Flight] = {}
        """Requests in flight, by the id of their last try."""
        self._ids: dict[int, _Flight] = {}
        self._loop = asyncio.get_running_loop()
        self._done: asyncio.Future[None] = self._loop.create_future()
        self._probe: Probe | None = None
        self._proof = 0
        """The request-id of the proof under way."""
        self._sent = self._repeated = 0

    async def run(self, asks: Sequence[Ask], deadline: float) -> None:
        """Until every ask is answered or given up, at most until the deadline (on the loop's clock)."""
        if not asks:
            return
        if self._done.done():
            self._done = self._loop.create_future()
        self._deadline = deadline
        self._queue.extend(map(_Flight, asks))
        first = min(deadline, self._loop.time() + self._timeout)
        timer = self._timer = self._loop.call_at(first, self._tick)
        try:
            self._fill()
            await self._done
        finally:
            timer = self._timer
            timer.cancel()
            self._drop_flights()
            self._port.forget(self._proof)
            self._close_probe()
            self._metrics.requests.inc(self._sent)
            self._metrics.retries.inc(self._repeated)
            self._sent = self._repeated = 0

    # From the port

    def received(self, request_id: int, data: bytes) -> None:
        if request_id == self._proof:
            self._judge(data)
            return
        flight = self._ids.pop(request_id)
        if self._flights.pop(flight.id, None) is None:
            self._queue.remove(flight)  # an early try is answered while the next one waits for its turn
        if flight.earlier:
            self._forget(flight)
        flight.id = 0
        try:
            more = flight.ask.answered(self._access.opened(data))
        except ber.MalformedError:
            self._metrics.malformed.inc()
            self.trouble = "malformed"
            self._repeat(flight)
        except ReportError as report:
            self._heed(report, flight)
        except Exception as error:  # noqa: BLE001 (handed to the poll's task, whose boundary deals with it)
            if not self._done.done():
                self._done.set_exception(error)
            return
        else:
            self.has_heard, self._window = True, self._full_window
            if more:
                self._queue.extend(map(_Flight, more))
        self._fill()

    def malformed(self) -> None:
        self.trouble = "malformed"

    # Sending

    def _fill(self) -> None:
        while self._queue and len(self._flights) < self._window and not self._done.done():
            self._send(self._queue.popleft())
        if not self._flights and not self._queue and not self._done.done():
            self._done.set_result(None)

    def _send(self, flight: _Flight) -> None:
        template = flight.ask.template
        if flight.id:
            if flight.template is template:
                flight.earlier = (*flight.earlier, flight.id)
            else:
                self._forget(flight)  # what it asked before is no longer what an answer is read as
        flight.template = template
        request_id = flight.id = self._port.expect(self._source, self)
        self._ids[request_id] = self._flights[request_id] = flight
        flight.sent_at = self._loop.time()
        flight.tries += 1
        self._transmit(request_id, template)

    def _forget(self, flight: _Flight) -> None:
        """Take no answer to its tries any more."""
        for number in (*flight.earlier, flight.id):
            self._ids.pop(number, None)
            self._port.forget(number)
        flight.id, flight.earlier = 0, ()

    def _transmit(self, request_id: int, template: Template) -> None:
        self._sent += 1
        try:
            self._port.send(template.with_id(request_id), self._address)
        except OSError as error:
            self._give_all_up("too_big" if error.errno == errno.EMSGSIZE else "unreachable")

    def _repeat(self, flight: _Flight) -> None:
        """Ask again, or give the ask up where it has had its tries."""
        if flight.tries >= self._tries:
            self._forget(flight)
            self._queue.extend(map(_Flight, flight.ask.failed(self.trouble or "timeout")))
            return
        self._repeated += 1
        self.has_repeated = True
        flight.ask.unanswered()
        self._queue.appendleft(flight)

    def _heed(self, report: ReportError, flight: _Flight) -> None:
        """Ask again with what a report taught, or give up: without the right user nothing will be answered."""
        self._metrics.reports.labels(report.kind).inc()
        self.report = report.kind
        if report.is_mended and flight.tries < self._tries + MENDS:
            self._queue.appendleft(flight)
            return
        flight.ask.failed("auth")
        self._give_all_up("auth")

    def _ask_for_proof(self) -> None:
        template = self._access.proof()
        if template is not None and not self._proof:
            self._proof = self._port.expect(self._source, self)
            self._transmit(self._proof, template)

    def _judge(self, data: bytes) -> None:
        """An answer to the proof: the encryption is wrong, or nothing is known."""
        try:
            self._access.opened(data)
        except ber.MalformedError:
            self._metrics.malformed.inc()
        except ReportError as report:
            if report.kind == "decryption_error" and not self.has_heard and not self._done.done():
                self._metrics.reports.labels(report.kind).inc()
                self.report = report.kind
                self._give_all_up("auth")

    # Time

    def _tick(self) -> None:
        if self._done.done():
            return
        now = self._loop.time()
        if self._probe is not None and (reason := self._probe.verdict()):
            self._give_all_up(reason)
            return
        if now >= self._deadline:
            self._give_all_up("timeout")
            return
        overdue = [number for number, one in self._flights.items() if one.sent_at + self._timeout <= now]
        if overdue:
            # Should more at once than at the beginning have been too many, they would be so again.
            self._full_window = min(self._full_window, WINDOW)
            self._window = min(self._window, self._full_window)
        if overdue and not self.has_heard:
            self._all_silent(overdue)
        else:
            for number in overdue:
                self._repeat(self._flights.pop(number))
        self._fill()
        if not self._done.done():
            self._timer = self._loop.call_at(self._next_tick(), self._tick)

    def _next_tick(self) -> float:
        times = [one.sent_at + self._timeout for one in self._flights.values()]
        if self._probe is not None and self._probe.is_waiting:
            times.append(self._loop.time() + PROBE_WAIT)
        return min([*times, self._deadline])

    def _all_silent(self, overdue: list[int]) -> None:
        """Nothing at all has come: ask for one thing only, and find out whether the host refuses."""
        first, *others = (self._flights.pop(number) for number in overdue)
        self._window = 1
        for one in reversed(others):
            one.tries -= 1
            self._queue.appendleft(one)
        if first.tries >= self._tries:
            self._give_all_up(self.trouble or "timeout")
            return
        self._repeat(first)
        if self._probe is None:
            self._probe = Probe(self._address, first.ask.template)
        self._ask_for_proof()

    def _give_all_up(self, reason: str) -> None:
        self.trouble = self.trouble if reason == "timeout" and self.trouble else reason
        asks = [one.ask for one in (*self._flights.values(), *self._queue)]
        self._drop_flights()
        self._queue.clear()
        for ask in asks:
            ask.failed(reason)
        if not self._done.done():
            self._done.set_result(None)

    def _drop_flights(self) -> None:
        for number in self._ids:
            self._port.forget(number)
        self._ids.clear()
        self._flights.clear()

    def _close_probe(self) -> None:
        if self._probe is not None:
            self._probe.close()
            self._probe = None


class Probe:
    """Asks a silent host once more from a connected socket, which alone is told when the host refuses."""

    def __init__(self, address: SockAddress, template: Template) -> None:
        self._socket: socket.socket | None = None
        with contextlib.suppress(OSError):  # no answer from here is no answer either
            self._socket = socket.socket(_family(address), socket.SOCK_DGRAM)
            self._socket.setblocking(False)
            self._socket.connect(address)
            self._socket.send(template.with_id(1 << 30))

    @property
    def is_waiting(self) -> bool:
        return self._socket is not None

    def verdict(self) -> str:
        """A reason where the host or the network refuses; asked once."""
        if self._socket is None:
            return ""
        try:
            self._socket.recv(1)
        except ConnectionRefusedError:
            return "refused"
        except BlockingIOError:
            return ""
        except OSError as error:
            return "unreachable" if error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH) else ""
        finally:
            self.close()
        return ""

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _family(address: SockAddress) -> socket.AddressFamily:
    return socket.AF_INET6 if len(address) == 4 else socket.AF_INET
