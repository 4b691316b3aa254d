"""Jump hosts: one connection to each, shared by every host behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import asyncssh

from sentinel.collect.collector import PollError
from sentinel.collect.ssh.backoff import Backoff
from sentinel.collect.ssh.connection import Address, Options, connect
from sentinel.collect.ssh.metrics import SshMetrics
from sentinel.runtime.clock import Clock

CONNECTS = 20
"""Hosts behind one jump host that are being logged in to at a time: a dead site holds up no other."""


@dataclass(frozen=True, slots=True)
class Leg:
    """A jump host and how to log in there; `key` tells equal ones."""

    address: Address
    options: Options
    key: Hashable


class Jump:
    """The connection to one jump host; opened when it is needed, and again when it is gone."""

    def __init__(
        self,
        leg: Leg,
        before: Jump | None,
        *,
        clock: Clock,
        metrics: SshMetrics,
        connects: asyncio.Semaphore,
    ) -> None:
        self.users = 0
        """Sessions and further jump hosts that go through it."""
        self.connects = asyncio.Semaphore(CONNECTS)
        self._leg = leg
        self._before = before
        self._clock = clock
        self._metrics = metrics
        self._entering = connects if before is None else before.connects
        self._backoff = Backoff()
        self._turn = asyncio.Lock()
        self._connection: asyncssh.SSHClientConnection | None = None

    async def connection(self, until: float) -> asyncssh.SSHClientConnection:
        """The open connection. Whoever comes first opens it, the others wait for that.

        Raises:
            PollError: there is no way in; in between attempts, at once.
        """
        where = f"jump host {self._leg.address.host}:{self._leg.address.port}"
        try:
            async with asyncio.timeout_at(until):
                await self._turn.acquire()
        except TimeoutError:
            raise PollError("timeout", f"{where} did not let Sentinel in within the poll's time") from None
        try:
            if self._connection is not None and self._connection.is_closed():
                self.close()
            if self._connection is None:
                self._connection = await self._opened(until)
            return self._connection
        finally:
            self._turn.release()

    async def _opened(self, until: float) -> asyncssh.SSHClientConnection:
        self._backoff.check(self._clock.monotonic())
        try:
            via = await self._before.connection(until) if self._before is not None else None
            connection = await connect(self._leg.address, self._leg.options, self._entering, until, via)
        except PollError as error:
            self._metrics.connects.labels(error.reason).inc()
            told = PollError(error.reason, f"jump host: {error.text.removeprefix('jump host: ')}")
            if not error.reason.startswith("host_key"):
                self._backoff.failed(told, self._clock.monotonic())
            raise told from None
        self._backoff.succeeded()
        self._metrics.connects.labels("ok").inc()
        self._metrics.connections.inc()
        return connection

    def close(self) -> None:
        if self._connection is not None:
            self._connection.abort()
            self._metrics.connections.dec()
        self._connection = None


class Jumps:
    """All jump hosts in use, by the whole way to them."""

    def __init__(self, clock: Clock, metrics: SshMetrics, connects: asyncio.Semaphore) -> None:
        self._clock = clock
        self._metrics = metrics
        self._connects = connects
        self._known: dict[tuple[Hashable, ...], Jump] = {}

    def open(self, legs: Sequence[Leg]) -> Jump | None:
        """The last jump host of a way; give it back with `release`."""
        last: Jump | None = None
        for end in range(1, len(legs) + 1):
            way = tuple(leg.key for leg in legs[:end])
            if way not in self._known:
                self._known[way] = Jump(
                    legs[end - 1], last, clock=self._clock, metrics=self._metrics, connects=self._connects
                )
            last = self._known[way]
            last.users += 1
        return last

    def close(self) -> None:
        """Whoever still goes through them is cut off."""
        for jump in self._known.values():
            jump.close()
        self._known.clear()

    def release(self, legs: Sequence[Leg]) -> None:
        for end in range(len(legs), 0, -1):
            way = tuple(leg.key for leg in legs[:end])
            jump = self._known.get(way)
            if jump is None:  # closed with the driver
                continue
            jump.users -= 1
            if not jump.users:
                del self._known[way]
                jump.close()
