"""One device that is spoken to through its prompt: its connection, its terminal, and polls through them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import asyncssh

from sentinel.collect.collector import PollError
from sentinel.collect.ssh.link import Link
from sentinel.collect.ssh.metrics import SshMetrics
from sentinel.collect.ssh.modules import Section
from sentinel.collect.ssh.prompt.dialects import Dialect
from sentinel.collect.ssh.prompt.terminal import CommandError, Terminal
from sentinel.collect.ssh.script import Reply
from sentinel.collect.ssh.session import Failure, Result
from sentinel.runtime.clock import Clock


class PromptSession:
    """What `Session` is for hosts with a shell: shared by all modules of a device; polls take turns."""

    def __init__(self, link: Link, dialect: Dialect, *, clock: Clock, metrics: SshMetrics) -> None:
        self.users = 0
        """Collectors that hold it."""
        self._link = link
        self._dialect = dialect
        self._clock = clock
        self._metrics = metrics
        self._turn = asyncio.Lock()
        self._terminal: Terminal | None = None

    async def run(self, sections: Sequence[Section], until: float) -> list[Result]:
        """Runs the sections' commands, each line one, in their order.

        Args:
            until: loop time by which it returns, with what has arrived by then.
        Returns:
            One result per section.
        Raises:
            PollError: there is no way in, or no prompt.
        """
        try:
            async with asyncio.timeout_at(until):
                await self._turn.acquire()
        except TimeoutError:
            text = f"{self._link.where}: another poll of this device took all the time"
            raise PollError("timeout", text) from None
        try:
            return await self._run(sections, until)
        except asyncio.CancelledError:
            self._drop()  # it may be in the middle of a command
            raise
        finally:
            self._turn.release()

    async def close(self) -> None:
        self._drop()
        await self._link.close()

    async def _run(self, sections: Sequence[Section], until: float) -> list[Result]:
        results: list[Result] = []
        for section in sections:
            try:
                terminal = await self._ready(until)
            except PollError as error:
                if not results:
                    raise
                reason = "deadline" if error.reason == "timeout" else error.reason
                return results + [Failure(reason)] * (len(sections) - len(results))
            results.append(await self._section(terminal, section, until))
        return results

    async def _section(self, terminal: Terminal, section: Section, until: float) -> Result:
        loop, before, started = asyncio.get_running_loop(), terminal.received, self._clock.monotonic()
        soon = min(until, loop.time() + section.timeout)
        text = ""
        try:
            for command in section.command.splitlines():
                text += await terminal.run(command, soon)
        except CommandError as error:
            if error.reason == "failed":
                return Reply(text.encode(), 1, self._clock.monotonic() - started)
            self._drop()
            return Failure("deadline" if loop.time() >= until else error.reason)
        finally:
            self._metrics.received.inc(terminal.received - before)
        return Reply(text.encode(), 0, self._clock.monotonic() - started)

    async def _ready(self, until: float) -> Terminal:
        """The terminal, opened if need be; a connection that died since the last poll is opened anew."""
        if self._link.is_dead or (self._terminal is not None and not self._terminal.is_open):
            self._drop()
            self._link.abort()
        if self._terminal is None:
            connection = await self._link.connection(until)
            try:
                self._terminal = await Terminal.open(connection, self._dialect, until)
            except PollError as error:
                self._link.abort()
                raise PollError(error.reason, f"{self._link.where}: {error.text}") from None
            except (asyncssh.Error, OSError) as error:
                self._link.abort()
                text = f"{self._link.where} lets the user in but opens no terminal: {error}"
                raise PollError("no_terminal", text) from None
            self._metrics.shells.inc()
        return self._terminal

    def _drop(self) -> None:
        if self._terminal is not None:
            self._terminal.close()
        self._terminal = None
