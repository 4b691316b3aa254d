"""Programs that receivers start: allowed by the operator, without a shell, ended with all they have started."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sentinel.config.receivers import NotifySettings

MAX_OUTPUT = 4096
"""Bytes of what it says that are kept."""
EX_DATAERR = 65
"""Exit status by which a program refuses a message for good. Source: sysexits.h."""


@dataclass(frozen=True, slots=True)
class Ended:
    status: int
    """Exit status; negative: the signal."""
    said: str
    """Beginning of its standard output and error."""


def program_problem(argv: Sequence[str], notify: NotifySettings) -> str:
    """Why a program may not be started; empty: it may."""
    program = argv[0]
    if not notify.commands:
        return f"{program} is not started: [notify] commands = true allows programs"
    if program not in notify.programs:
        return f"{program} is not started: it does not stand in [notify] programs"
    try:
        mode = os.stat(program).st_mode
    except OSError as error:
        return f"{program} cannot be started: {error.strerror}"
    if not stat.S_ISREG(mode) or not os.access(program, os.X_OK):
        return f"{program} cannot be started: not an executable file"
    if mode & stat.S_IWOTH:
        return f"{program} is not started: anybody may write to it"
    return ""


async def run_program(argv: Sequence[str], content: bytes, variables: Mapping[str, str]) -> Ended:
    """Run to the end, with the content on its standard input. Whoever cancels this ends its process group.

    Raises:
        OSError: it cannot be started.
    """
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", **variables},
        cwd="/",
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        feeding = asyncio.create_task(_feed(process.stdin, content), name="feed a program")
        try:
            said = await _beginning(process.stdout)
            status = await process.wait()
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
        return Ended(status, said.decode("utf-8", "replace"))
    finally:
        # Also what it has left behind: the group is its own.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        if process.returncode is None:
            await process.wait()


async def _feed(pipe: asyncio.StreamWriter, content: bytes) -> None:
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        pipe.write(content)
        await pipe.drain()
    pipe.close()


async def _beginning(pipe: asyncio.StreamReader) -> bytes:
    """Read to the end, so that it never blocks; keep the beginning."""
    content = b""
    while chunk := await pipe.read(4096):
        content = (content + chunk)[:MAX_OUTPUT]
    return content
