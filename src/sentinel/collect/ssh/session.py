"""One host: its connection, its shell, and polls through them."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

import asyncssh

from sentinel.collect.collector import PollError
from sentinel.collect.ssh.channel import Channel
from sentinel.collect.ssh.link import Link
from sentinel.collect.ssh.metrics import SshMetrics
from sentinel.collect.ssh.modules import Section
from sentinel.collect.ssh.script import (
    LEFTOVERS,
    PRELUDE,
    SHELL,
    Replies,
    Reply,
    command_line,
    function,
    script,
    shell_input,
)
from sentinel.runtime.clock import Clock

log = logging.getLogger(__name__)

BEGIN_TIMEOUT = 5.0
"""Seconds in which a shell must say its first word, before another way is tried."""


_NO_FUNCTIONS: frozenset[str] = frozenset()


@lru_cache(maxsize=1000)
def _with(defined: frozenset[str], named: tuple[tuple[str, str], ...]) -> frozenset[str]:
    """The functions a shell has once these commands are sent: one object for all hosts that have the same."""
    return defined.union(function(name, command) for name, command in named)


class Mode(Enum):
    SHELL = "shell"
    COMMANDS = "commands"


@dataclass(frozen=True, slots=True)
class Failure:
    """A section that gave nothing."""

    reason: str
    """stuck, too_large, closed, deadline, missing."""


Result = Reply | Failure


class Session:
    """Shared by all modules that read one host with one auth; polls take turns."""

    def __init__(self, link: Link, *, clock: Clock, metrics: SshMetrics) -> None:
        self.users = 0
        """Collectors that hold it."""
        self._link = link
        self._clock = clock
        self._metrics = metrics
        self._turn = asyncio.Lock()
        self._channel: Channel | None = None
        self._mode = Mode.SHELL
        self._defined = _NO_FUNCTIONS
        """Functions that the present shell has, or has been sent."""
        self._has_leftovers = False
        """A shell of this connection was given up while it ran something."""
        self._is_proven = False
        """The mode has worked on this connection."""

    async def run(self, sections: Sequence[Section], until: float) -> list[Result]:
        """Runs the sections' commands in their order.

        Args:
            until: loop time by which it returns, with what has arrived by then.
        Returns:
            One result per section.
        Raises:
            PollError: there is no way in, or not a word came through it.
        """
        try:
            async with asyncio.timeout_at(until):
                await self._turn.acquire()
        except TimeoutError:
            raise PollError(
                "timeout", f"{self._link.where}: another poll of this host took all the time"
            ) from None
        try:
            return await self._run(list(sections), until)
        except asyncio.CancelledError:
            self._drop_channel()  # it may be in the middle of a script
            raise
        finally:
            self._turn.release()

    async def _run(self, left: list[Section], until: float) -> list[Result]:
        results: list[Result] = []
        may_reconnect = self._link.is_open
        while left:
            try:
                channel, replies = await self._begin(left, until)
            except PollError as error:
                # A connection from an earlier poll may have died unnoticed: that is not the host's failure yet.
                if (
                    may_reconnect
                    and not results
                    and _left(until) > 0
                    and error.reason in ("closed", "timeout")
                ):
                    may_reconnect = False
                    continue
                if not results:
                    raise
                results += [Failure("closed" if error.reason != "timeout" else "deadline")] * len(left)
                break
            failure = await self._follow(channel, replies, left, until)
            results += replies.done
            left = left[len(replies.done) :]
            if failure is not None and left:
                results.append(failure)
                left = left[1:]
                self._drop_channel()
                if _left(until) <= 0:
                    results += [Failure("deadline")] * len(left)
                    break
            if self._mode is Mode.COMMANDS:
                self._drop_channel(is_idle=True)
        return results

    async def _begin(self, sections: list[Section], until: float) -> tuple[Channel, Replies]:
        """Sends the script and waits for its first word, by shell or, where that is forbidden, by command."""
        while True:
            connection = await self._connected(until)
            mark = secrets.token_hex(12)
            replies = Replies(mark, len(sections))
            patience = until if self._is_proven else min(until, _now() + max(0.1, _left(until) / 2))
            patience = min(patience, _now() + BEGIN_TIMEOUT)
            try:
                channel: Channel | None = await self._sent(connection, sections, mark, replies, patience)
            except (asyncssh.Error, OSError) as error:
                channel, detail = None, str(error) or "no answer"
            else:
                detail = "no answer"
                while not replies.has_begun and channel and channel.is_open and await channel.news(patience):
                    pass
            if channel is not None and replies.has_begun:
                self._is_proven = True
                return channel, replies
            if self._is_proven or connection.is_closed():
                is_gone = connection.is_closed() or channel is None or not channel.is_open
                self._abort()
                raise PollError("closed" if is_gone else "timeout", f"{self._link.where}: {detail}")
            self._drop_channel()
            if self._mode is Mode.COMMANDS:
                self._mode = Mode.SHELL
                self._abort()
                text = f"{self._link.where} lets the user in but runs neither /bin/sh nor commands"
                raise PollError("no_shell", text)
            self._mode = Mode.COMMANDS
            log.info("host forbids a shell, sending commands", extra={"facts": {"host": self._link.where}})

    async def _sent(
        self,
        connection: asyncssh.SSHClientConnection,
        sections: Sequence[Section],
        mark: str,
        replies: Replies,
        until: float,
    ) -> Channel:
        named = [(section.name, section.command) for section in sections]
        async with asyncio.timeout_at(until):
            if self._mode is Mode.COMMANDS:
                text = command_line(self._cleaning() + script(named))
                channel = await Channel.start(connection, text, self._clock.monotonic)
                self._channel = channel
                channel.send(f"{mark}\n".encode(), replies, is_all=True)
                return channel
            prelude = ""
            if self._channel is None or not self._channel.is_open:
                self._channel = await Channel.start(connection, SHELL, self._clock.monotonic)
                self._metrics.shells.inc()
                self._defined = _NO_FUNCTIONS
                prelude = self._cleaning() + PRELUDE
            self._channel.send(shell_input(mark, prelude + script(named, self._defined)), replies)
            self._defined = _with(self._defined, tuple(named))
            return self._channel

    def _cleaning(self) -> str:
        """What ends on the host what was given up on this connection: a signal alone does not always."""
        text, self._has_leftovers = LEFTOVERS if self._has_leftovers else "", False
        return text

    async def _follow(
        self, channel: Channel, replies: Replies, sections: list[Section], until: float
    ) -> Failure | None:
        """Waits for the replies, each section within its own time; says why it stopped early."""
        count, started = 0, _now()
        try:
            while not replies.is_complete:
                if len(replies.done) > count:
                    count, started = len(replies.done), _now()
                if replies.has_overflowed:
                    return Failure("too_large")
                if not channel.is_open:
                    return Failure("closed")
                if not await channel.news(min(until, started + sections[count].timeout)):
                    return Failure("deadline" if _left(until) <= 0 else "stuck")
            return None
        finally:
            self._metrics.received.inc(channel.rest())

    async def _connected(self, until: float) -> asyncssh.SSHClientConnection:
        if self._link.is_dead:
            self._abort()
        return await self._link.connection(until)

    def _drop_channel(self, *, is_idle: bool = False) -> None:
        if self._channel is not None:
            self._channel.kill()
            self._has_leftovers = self._has_leftovers or not is_idle
        self._channel = None

    def _abort(self) -> None:
        self._drop_channel()
        self._is_proven = self._has_leftovers = False
        self._link.abort()

    async def close(self) -> None:
        self._drop_channel()
        await self._link.close()
        self._abort()


def _now() -> float:
    return asyncio.get_running_loop().time()


def _left(until: float) -> float:
    return until - _now()
