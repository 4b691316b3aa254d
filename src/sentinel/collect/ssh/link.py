"""The connection to one host: opened when it is needed, and again when it is gone."""

from __future__ import annotations

import asyncio

import asyncssh

from sentinel.collect.collector import PollError
from sentinel.collect.ssh.backoff import Backoff
from sentinel.collect.ssh.connection import Address, Options, connect
from sentinel.collect.ssh.metrics import SshMetrics
from sentinel.collect.ssh.route import Jump
from sentinel.runtime.clock import Clock

CLOSE_TIMEOUT = 1.0


class Link:
    """Not for two tasks at a time."""

    def __init__(
        self,
        address: Address,
        options: Options,
        *,
        clock: Clock,
        metrics: SshMetrics,
        connects: asyncio.Semaphore,
        jump: Jump | None = None,
    ) -> None:
        """`connects` bounds how many hosts are logged in to at a time; those behind a jump host have their own."""
        self.address = address
        self._options = options
        self._clock = clock
        self._metrics = metrics
        self._jump = jump
        self._connects = connects if jump is None else jump.connects
        self._backoff = Backoff()
        self._connection: asyncssh.SSHClientConnection | None = None

    @property
    def is_open(self) -> bool:
        """There is a connection, dead or alive."""
        return self._connection is not None

    @property
    def is_dead(self) -> bool:
        """There is a connection, and it has ended."""
        return self._connection is not None and self._connection.is_closed()

    @property
    def where(self) -> str:
        return f"{self.address.host}:{self.address.port}"

    async def connection(self, until: float) -> asyncssh.SSHClientConnection:
        """The connection, opened if need be.

        Args:
            until: loop time by which it must be open.
        Raises:
            PollError: there is no way in; in between attempts, at once.
        """
        if self._connection is not None:
            return self._connection
        self._backoff.check(self._clock.monotonic())
        via = await self._jump.connection(until) if self._jump is not None else None
        try:
            self._connection = await connect(self.address, self._options, self._connects, until, via)
        except PollError as error:
            self._failed(error)
            raise
        self._backoff.succeeded()
        self._metrics.connects.labels("ok").inc()
        self._metrics.connections.inc()
        return self._connection

    def abort(self) -> None:
        if self._connection is not None:
            self._connection.abort()
            self._metrics.connections.dec()
        self._connection = None

    async def close(self) -> None:
        """Says goodbye, for as long as that is answered soon."""
        if self._connection is not None:
            self._connection.close()
            try:
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    await self._connection.wait_closed()
            except TimeoutError:
                pass  # a host that does not answer: abort lets go of it
        self.abort()

    def _failed(self, error: PollError) -> None:
        self._metrics.connects.labels(error.reason).inc()
        # Waiting is for the hosts' sake; a host key may be accepted any time, and asking for it costs little.
        if not error.reason.startswith("host_key"):
            self._backoff.failed(error, self._clock.monotonic())
