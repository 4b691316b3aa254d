"""The trap receiver: one UDP socket, a bounded queue, and what follows from a notification.

A datagram from somebody who may not send, or one too many, costs a look-up and a counter. The others wait in a
queue that drops and counts what it cannot hold; they are read in turn, so that a storm never blocks the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import socket
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from prometheus_client import CollectorRegistry

from sentinel.collect.snmp import ber
from sentinel.collect.traps import notification
from sentinel.collect.traps.metrics import TrapMetrics
from sentinel.collect.traps.notification import Notification
from sentinel.collect.traps.secure import Question, RefusedError, Secure
from sentinel.collect.traps.senders import RESOLVE_EVERY, Bucket, Sender, Senders
from sentinel.collect.traps.tally import Sink, Tally
from sentinel.config.auth import Auth
from sentinel.config.traps import TrapsSettings
from sentinel.model.target import Target
from sentinel.runtime.clock import Clock

log = logging.getLogger(__name__)

QUEUE: Final = 2000
"""Datagrams that wait to be read."""
MAX_DATAGRAM: Final = 65535
_BURST: Final = 64
"""Datagrams taken from the socket before the loop may do something else."""
_TURN: Final = 50
"""Datagrams read before the loop may do something else."""

LOOK_AGAIN: Final = 5.0
"""Seconds after which a device is polled once more: agents keep their tables for some seconds, and one that has
just started may not answer yet."""

REMEMBERED: Final = 1024
"""Informs that are known again when they are sent again."""
REPEAT_WITHIN: Final = 60.0
"""Seconds within which they are."""

TELL_AGAIN: Final = 3600.0
"""Seconds between two log lines about notifications that one target sends in vain."""

LINES: Final = 10.0
"""Log lines a second in a storm; each notification is counted all the same."""

CHANGES: Final = frozenset({"coldStart", "warmStart", "linkDown", "linkUp"})
"""Notifications after which the device's series are out of date."""


class Polls(Protocol):
    """The poll loops."""

    def poll_now(self, target: str, modules: tuple[str, ...], /) -> Awaitable[None]: ...


@dataclass(frozen=True, slots=True)
class _Datagram:
    data: bytes
    source: Any
    """As the socket names it: where an answer goes."""
    sender: Sender


class Traps:
    """Receives, counts, answers informs, and has polled and judged what has changed.

    Args:
        sink: takes the counter series.
        polls: polls a device at once.
        judge: has the rules evaluated soon.
        engine_id: our own, for informs of version 3.
    """

    def __init__(
        self,
        sink: Sink,
        polls: Polls,
        judge: Callable[[], None],
        *,
        engine_id: bytes,
        clock: Clock,
        registry: CollectorRegistry,
    ) -> None:
        self._polls, self._judge, self._clock = polls, judge, clock
        self._metrics = TrapMetrics(registry)
        self._senders = Senders()
        self._secure = Secure(engine_id, clock.now(), clock.monotonic)
        self._tally = Tally(sink)
        self._queue: asyncio.Queue[_Datagram] = asyncio.Queue(QUEUE)
        self._informs: OrderedDict[bytes, float] = OrderedDict()
        self._told: dict[str, float] = {}
        self._lines = Bucket(LINES, clock.monotonic())
        self._polling: dict[str, asyncio.Event] = {}
        """Targets that are being polled; set: something has come since the poll began."""
        self._group: asyncio.TaskGroup | None = None
        self._channel: socket.socket | None = None
        self._resolve = asyncio.Event()

    def adopt(
        self,
        settings: TrapsSettings,
        targets: Iterable[Target],
        auths: Mapping[str, Auth],
        snmp_modules: Iterable[str],
        *,
        interval: float,
    ) -> None:
        """Put a configuration in force.

        Args:
            interval: seconds between two samples of the counters.
        """
        self._senders.adopt(settings, targets, auths, snmp_modules)
        self._tally.use(interval)
        self._tally.retain({name for name in self._tally.instances if self._is_known(name)})
        self._secure.forget()
        self._told.clear()
        self._resolve.set()

    def _is_known(self, instance: str) -> bool:
        return instance in self._senders.instances or self._senders.of(instance) is not None

    def shift(self, seconds: float) -> None:
        """The wall clock was set forward by that much."""
        self._tally.shift(seconds)

    async def run(self, channel: socket.socket) -> None:
        """Receive on this socket until cancelled; it stays open."""
        loop = asyncio.get_running_loop()
        host, port = channel.getsockname()[:2]
        facts = {"address": host, "port": port, "engine": self._secure.engine_id.hex()}
        log.info("receiving notifications", extra={"facts": facts})
        loop.add_reader(channel.fileno(), self._readable, channel)
        try:
            async with asyncio.TaskGroup() as group:
                self._group, self._channel = group, channel
                group.create_task(self._resolve_names(), name="trap senders' names")
                group.create_task(self._repeat(), name="trap counters")
                await self._work()
        finally:
            loop.remove_reader(channel.fileno())
            self._group = self._channel = None
            self._polling.clear()

    # Receiving

    def _readable(self, channel: socket.socket) -> None:
        for _ in range(_BURST):
            try:
                data, source = channel.recvfrom(MAX_DATAGRAM)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:  # the fate of an earlier answer, not of this socket
                continue
            self._take(data, source)

    def _take(self, data: bytes, source: Any) -> None:
        sender = self._senders.of(source[0])
        if sender is None:
            self._count("foreign")
        elif not self._senders.may_send(sender, self._clock.monotonic()):
            self._count("limited")
        else:
            try:
                self._queue.put_nowait(_Datagram(data, source, sender))
            except asyncio.QueueFull:
                self._count("dropped")

    async def _work(self) -> None:
        while True:
            datagram = await self._queue.get()
            for _ in range(_TURN):
                self._read(datagram)
                if self._queue.empty():
                    break
                datagram = self._queue.get_nowait()
            self._tally.store(self._clock.now())
            await asyncio.sleep(0)

    def _read(self, datagram: _Datagram) -> None:
        try:
            outcome = self._open(datagram)
        except ber.MalformedError:
            outcome = "malformed"
        self._count(outcome)
        if outcome == "refused":
            self._tell_refusal(datagram.sender)

    def _open(self, datagram: _Datagram) -> str:
        if notification.version_of(datagram.data) == 3:
            return self._open_secure(datagram)
        message = notification.open_plain(datagram.data)
        if not datagram.sender.takes(message.community):
            return "refused"
        return self._accept(datagram, message.pdu, lambda pdu: notification.seal_plain(message, pdu))

    def _open_secure(self, datagram: _Datagram) -> str:
        users = datagram.sender.users
        if not users:
            return "refused"
        try:
            opened = self._secure.open(datagram.data, users)
        except RefusedError:
            return "refused"
        if isinstance(opened, Question):
            self._send(opened.report, datagram.source)
            return "discovery"
        return self._accept(datagram, opened.pdu, lambda pdu: self._secure.seal(opened, pdu))

    def _accept(self, datagram: _Datagram, pdu: bytes, seal: Callable[[bytes], bytes]) -> str:
        found = notification.read_notification(pdu)
        if pdu[0] == notification.INFORM:
            self._send(seal(notification.answer_to(pdu)), datagram.source)
            if self._is_repeated(datagram.source, pdu):
                return "repeated"
        self._note(datagram.sender, found)
        return "taken"

    def _send(self, answer: bytes, source: Any) -> None:
        """What cannot be sent now is asked for again."""
        if self._channel is not None:
            with contextlib.suppress(OSError):
                self._channel.sendto(answer, source)

    def _is_repeated(self, source: Any, pdu: bytes) -> bool:
        """An inform comes again when its answer was late or got lost: it is answered again, and counted once."""
        digest = hashlib.blake2b(repr(source).encode() + pdu, digest_size=16).digest()
        now = self._clock.monotonic()
        seen_at = self._informs.pop(digest, None)
        self._informs[digest] = now
        if len(self._informs) > REMEMBERED:
            self._informs.popitem(last=False)
        return seen_at is not None and now - seen_at < REPEAT_WITHIN

    def _count(self, outcome: str) -> None:
        self._metrics.datagrams.labels(outcome).inc()

    def _tell_refusal(self, sender: Sender) -> None:
        now = self._clock.monotonic()
        if now - self._told.get(sender.instance, -TELL_AGAIN) >= TELL_AGAIN:
            self._told[sender.instance] = now
            hint = "its community or user is none of the target's auth and of [traps] auth"
            log.warning("notification refused", extra={"facts": {"target": sender.instance, "why": hint}})

    # What follows

    def _note(self, sender: Sender, found: Notification) -> None:
        sender = self._senders.behind(sender, found.agent)
        name = found.name
        self._tally.count(sender.instance, sender.labels, name)
        facts = {"target": sender.instance, "trap": name}
        facts |= {"says": "; ".join(f"{oid}={text}" for oid, text in found.facts)} if found.facts else {}
        if self._lines.take(self._clock.monotonic()):
            log.info("notification", extra={"facts": facts})
        if name in CHANGES and sender.modules:
            self._poll(sender)
        self._judge()

    def _poll(self, sender: Sender) -> None:
        wanted = self._polling.get(sender.instance)
        if wanted is not None:
            wanted.set()
        elif self._group is not None:
            wanted = self._polling[sender.instance] = asyncio.Event()
            name = f"poll {sender.instance} after a notification"
            self._group.create_task(self._poll_changed(sender, wanted), name=name)

    async def _poll_changed(self, sender: Sender, wanted: asyncio.Event) -> None:
        """Poll at once, again for each notification that has come meanwhile, and once more a little later."""
        try:
            while True:
                wanted.clear()
                await self._poll_once(sender)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_AGAIN):
                        await wanted.wait()
                        continue
                await self._poll_once(sender)
                if not wanted.is_set():
                    return
        finally:
            self._polling.pop(sender.instance, None)

    async def _poll_once(self, sender: Sender) -> None:
        self._metrics.polls.inc()
        await self._polls.poll_now(sender.instance, sender.modules)
        self._judge()

    # What comes round

    async def _repeat(self) -> None:
        while True:
            await self._clock.sleep(self._tally.interval)
            self._tally.repeat(self._clock.now())

    async def _resolve_names(self) -> None:
        while True:
            self._resolve.clear()
            await self._senders.resolve()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RESOLVE_EVERY):
                    await self._resolve.wait()
