"""One terminal session with a device: waits for its prompt, runs one command after the other, reads its output."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from typing import Final

import asyncssh

from sentinel.collect.collector import PollError
from sentinel.collect.ssh.prompt.dialects import Dialect
from sentinel.collect.ssh.prompt.screen import Screen

_WIDE: Final = (511, 24)
"""Columns and lines of the terminal: lines must not be broken; 0 lines make some devices send nothing."""

_STATE: Final = re.compile(r"\{\w+(?::\w+)?\}|", re.ASCII)
"""What Junos writes above its prompt, such as {master:0}, and empty lines."""

_PAGES: Final = 5_000
"""Pages of one command at most."""

_SETTLE: Final = 0.2
"""Seconds of silence after which a line that looks like a prompt is taken for one: banners may look alike."""


class CommandError(Exception):
    """A command that gave nothing that can be used; `reason` is a bounded word."""

    def __init__(self, reason: str, text: str = "") -> None:
        super().__init__(text or reason)
        self.reason = reason


class _Session(asyncssh.SSHClientSession[bytes]):
    def __init__(self) -> None:
        self.screen = Screen()
        self.news = asyncio.Event()
        self.is_open = True
        self.received = 0

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self.received += len(data)
        self.screen.feed(data)
        self.news.set()

    def eof_received(self) -> bool:
        self.connection_lost(None)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        self.news.set()


class Terminal:
    """Use `open`. Not for two commands at a time."""

    def __init__(
        self, channel: asyncssh.SSHClientChannel[bytes], session: _Session, dialect: Dialect
    ) -> None:
        self._channel = channel
        self._session = session
        self._dialect = dialect
        self._prompt = ""

    @classmethod
    async def open(cls, connection: asyncssh.SSHClientConnection, dialect: Dialect, until: float) -> Terminal:
        """A terminal that has shown its prompt, with paging off where the device knows how.

        Args:
            until: loop time by which it must be there.
        Raises:
            PollError: timeout, closed or no_prompt.
            asyncssh.Error: the device allows no terminal.
        """
        session = _Session()
        try:
            async with asyncio.timeout_at(until):
                channel, _ = await connection.create_session(
                    lambda: session,
                    None,
                    request_pty="force",
                    term_type="vt100",
                    term_size=_WIDE,
                    encoding=None,
                )
        except TimeoutError:
            raise PollError("timeout", "the device opened no terminal in time") from None
        terminal = cls(channel, session, dialect)
        try:
            await terminal._meet(until)
        except BaseException:
            terminal.close()
            raise
        return terminal

    @property
    def is_open(self) -> bool:
        return self._session.is_open

    @property
    def received(self) -> int:
        """Bytes so far."""
        return self._session.received

    async def run(self, command: str, until: float) -> str:
        """What a command prints, without its echo and the prompt.

        Args:
            command: one line of fixed text.
            until: loop time by which the prompt must be back.
        Raises:
            CommandError: closed, stuck, too_large or failed (the device does not know the command, or forbids it).
        """
        screen = self._session.screen
        screen.clear()
        self._write(command + "\n")
        pages = 0
        while not self._is_at_prompt():
            if screen.has_overflowed or pages > _PAGES:
                raise CommandError("too_large")
            if not self._session.is_open:
                raise CommandError("closed")
            if self._dialect.more.search(screen.last):
                pages += 1
                screen.feed(b"\r\x1b[K")
                self._write(" ")
            elif not await self._news(until):
                raise CommandError("stuck")
        lines = screen.lines
        if lines and lines[0].strip().endswith(command.strip()):
            lines = lines[1:]
        for line in lines[:5]:
            if self._dialect.wrong.search(line):
                raise CommandError("failed", line.strip()[:200])
        while lines and _STATE.fullmatch(lines[-1].strip()):
            lines = lines[:-1]
        return "".join(f"{line}\n" for line in lines)

    def close(self) -> None:
        """Says goodbye and closes; does not wait."""
        with suppress(OSError):
            if self._session.is_open and self._prompt:
                self._write(self._dialect.leave + "\n")
        self._channel.abort()
        self._session.is_open = False

    async def _meet(self, until: float) -> None:
        await self._first_prompt(until)
        for command in self._dialect.quiet:
            try:
                await self.run(command, until)
            except CommandError as error:
                if error.reason != "failed":
                    reason = "timeout" if error.reason == "stuck" else error.reason
                    raise PollError(reason, f"the device did not come back from '{command}'") from None

    async def _first_prompt(self, until: float) -> None:
        loop = asyncio.get_running_loop()
        screen = self._session.screen
        while True:
            line = screen.last.strip()
            if self._dialect.more.search(line):
                self._write(" ")  # a banner longer than a page
                screen.feed(b"\r\x1b[K")
            elif self._dialect.prompt.fullmatch(line) and not await self._news(
                min(until, loop.time() + _SETTLE)
            ):
                self._prompt = line
                return
            if not self._session.is_open:
                raise PollError("closed", "the device closed the terminal before it showed a prompt")
            if screen.has_overflowed:
                raise PollError("no_prompt", "the device floods the terminal instead of showing a prompt")
            if screen.last.strip() == line and not await self._news(until):
                shown = ascii(line[-60:])
                text = f"no prompt of dialect {self._dialect.name} in time; the last line is {shown}"
                raise PollError("no_prompt" if line else "timeout", text)

    def _is_at_prompt(self) -> bool:
        last = self._session.screen.last.strip()
        return last == self._prompt and bool(self._session.screen.lines)

    async def _news(self, until: float) -> bool:
        """Waits until the screen changed or the terminal closed; false when that loop time came first."""
        if self._session.is_open:
            try:
                async with asyncio.timeout_at(until):
                    await self._session.news.wait()
            except TimeoutError:
                return False
        self._session.news.clear()
        return True

    def _write(self, text: str) -> None:
        if self._session.is_open:
            self._channel.write(text.encode())
