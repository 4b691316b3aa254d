"""One command on one SSH connection, read as its output arrives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import asyncssh

from sentinel.collect.ssh.script import Replies

Monotonic = Callable[[], float]


def quiet(thing: object) -> None:
    """Spares a connection or channel what asyncssh makes of each packet for its log, whether or not it is read."""
    for name in ("log_received_packet", "log_sent_packet"):
        setattr(thing, name, _nothing)


def _nothing(*_: object) -> None:
    return None


class Channel(asyncssh.SSHClientSession[bytes]):
    """A shell or a command. What it prints goes to the replies of the poll that runs, else nowhere."""

    def __init__(self, monotonic: Monotonic, *, takes_signals: bool) -> None:
        self._monotonic = monotonic
        self._takes_signals = takes_signals
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None
        self._replies: Replies | None = None
        self._has_news = False
        self._waiter: asyncio.Future[None] | None = None
        """An Event would hold memory while nobody waits, which is nearly always."""
        self._arrived: list[bytes] = []
        self._received = 0
        self.is_open = True

    @classmethod
    async def start(
        cls, connection: asyncssh.SSHClientConnection, command: str, monotonic: Monotonic
    ) -> Channel:
        """
        Raises:
            asyncssh.Error: the host does not allow it, or the connection is gone.
        """
        # Dropbear signals the shell alone, and what it runs would be out of reach after that.
        version = str(connection.get_extra_info("server_version", ""))
        channel = cls(monotonic, takes_signals="dropbear" not in version.lower())
        await connection.create_session(lambda: channel, command, encoding=None, request_pty=False)
        return channel

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        self._channel = chan
        quiet(chan)

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self._received += len(data)
        if datatype is not None or self._replies is None:
            return
        # What TCP brings at once is a dozen packets: they are looked at together.
        if not self._arrived:
            asyncio.get_running_loop().call_soon(self._read)
        self._arrived.append(data)

    def rest(self) -> int:
        """The poll is over, and what is printed from now on goes nowhere. Bytes received since the last call."""
        self._replies = None
        received, self._received = self._received, 0
        return received

    def _read(self) -> None:
        data = b"".join(self._arrived)
        self._arrived.clear()
        if self._replies is not None and self._replies.feed(data, self._monotonic()):
            self._tell()

    def eof_received(self) -> bool:
        self._end()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()

    def _end(self) -> None:
        self._read()
        self.is_open = False
        self._tell()

    def _tell(self) -> None:
        self._has_news = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def send(self, data: bytes, replies: Replies, *, is_all: bool = False) -> None:
        """Starts a poll: its output goes to `replies`."""
        self._arrived.clear()
        self._replies = replies
        self._has_news = False
        assert self._channel is not None
        if self.is_open:
            self._channel.write(data)
            if is_all:
                self._channel.write_eof()

    async def news(self, until: float) -> bool:
        """Waits until replies changed or the channel ended; false when that loop time came first."""
        if self.is_open and not self._has_news:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout_at(until):
                    await self._waiter
            except TimeoutError:
                return False
            finally:
                self._waiter = None
        self._has_news = False
        return True

    def kill(self) -> None:
        """Ends it and what it runs, as far as the host allows signals.

        OpenSSH does since 7.9, unless the key forces a command.
        """
        self._replies = None
        if self._channel is None:
            return
        if self.is_open and self._takes_signals:
            with suppress(OSError):  # closed meanwhile: nothing to end
                self._channel.kill()
        self._channel.abort()
        self.is_open = False
