"""A network device's command line over real SSH: echo, prompt, paging, banners and bad manners, by vendor."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

import asyncssh


@dataclass(slots=True)
class Manners:
    """How the device behaves."""

    prompt: str
    paging_off: str
    """The command that it knows for turning paging off; empty: it knows none."""
    answers: Mapping[str, str]
    more: str = "--More--"
    erase: str = "\b" * 8 + " " * 8 + "\b" * 8
    """What it sends over the --More-- once the next page is asked for."""
    page: int = 10
    banner: str = ""
    unknown: str = "% Invalid input detected at '^' marker.\r\n"
    tail: str = ""
    """Above every prompt."""
    ignores_after: str = ""
    """A command after which it never answers again."""
    closes_after: str = ""
    slices: int = 0
    """Bytes of each packet, so that sequences are torn apart; 0: as it comes."""
    seen: list[str] = field(default_factory=list)
    """Commands that came in."""


class PromptDevice:
    """Use as an asynchronous context manager."""

    def __init__(self, manners: Manners) -> None:
        self.manners = manners
        self.host_key = asyncssh.generate_private_key("ssh-ed25519")
        self.user_key = asyncssh.generate_private_key("ssh-ed25519")
        self.port = 0
        self._server: asyncssh.SSHAcceptor | None = None

    async def __aenter__(self) -> PromptDevice:
        public = self.user_key.export_public_key().decode()
        self._server = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[self.host_key],
            authorized_client_keys=asyncssh.import_authorized_keys(public),
            process_factory=self._talk,
            encoding=None,
            line_editor=False,
        )
        self.port = self._server.get_port()
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _talk(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        manners, pages = self.manners, True
        await self._say(process, manners.banner.replace("\n", "\r\n"))
        while True:
            await self._say(process, f"{manners.tail}{manners.prompt}")
            command = await self._line(process)
            if command is None:
                break
            manners.seen.append(command)
            if command == manners.ignores_after:
                await asyncio.sleep(3600)
            if command in (manners.closes_after, "exit", "quit"):
                break
            if command and command == manners.paging_off:
                pages = False
            else:
                answer = manners.answers.get(command)
                text = manners.unknown if answer is None else answer.replace("\n", "\r\n")
                await self._paged(process, text, pages)
        process.exit(0)

    async def _paged(self, process: asyncssh.SSHServerProcess[bytes], text: str, pages: bool) -> None:
        lines = text.splitlines(keepends=True)
        for number, line in enumerate(lines):
            if pages and number and number % self.manners.page == 0:
                await self._say(process, self.manners.more)
                if await process.stdin.read(1) == b"q":
                    return
                await self._say(process, self.manners.erase)
            await self._say(process, line)

    async def _line(self, process: asyncssh.SSHServerProcess[bytes]) -> str | None:
        """One typed line, echoed as it comes."""
        typed = b""
        while not typed.endswith((b"\n", b"\r")):
            character = await process.stdin.read(1)
            if not character:
                return None
            typed += character
        command = typed.decode().strip()
        await self._say(process, f"{command}\r\n")
        return command

    async def _say(self, process: asyncssh.SSHServerProcess[bytes], text: str) -> None:
        data = text.encode()
        step = self.manners.slices or len(data) or 1
        for start in range(0, len(data), step):
            process.stdout.write(data[start : start + step])
            if self.manners.slices:
                await process.stdout.drain()
                await asyncio.sleep(0)
