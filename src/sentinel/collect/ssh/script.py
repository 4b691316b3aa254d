"""One script per poll, and the reader of what it prints.

A section's command becomes a function of the shell, defined when it is first due and then only called. Each reply
ends with a line that holds the poll's random mark and the exit status. The mark is new for every poll and travels
apart from the commands, so no host can foresee it, and the commands are the same text each time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable
from dataclasses import dataclass
from functools import lru_cache

SHELL = "exec /bin/sh"

PRELUDE = """\
LC_ALL=C; export LC_ALL; PATH=$PATH:/usr/sbin:/sbin:/usr/bin:/bin; export PATH; cd /
sentinel_begin() { printf '%s begin\\n' "$sentinel_mark"; }
sentinel_run() { "$1" </dev/null 2>/dev/null; printf '\\n%s %s\\n' "$sentinel_mark" "$?"; }
"""
"""Once per shell: figures in one form whatever the account's language, tools found, and how a section is run."""

LEFTOVERS = """\
for sentinel_left in $(cat /proc/$PPID/task/*/children 2>/dev/null); do
  if [ "$sentinel_left" != "$$" ]; then kill -9 "-$sentinel_left"; fi
done 2>/dev/null
"""
"""Ends the shells that this connection started before, with everything they run: each leads a process group."""

MAX_REPLY = 4 * 1024 * 1024
"""Bytes that one section may print."""

MARK, BEGIN, RUN = "sentinel_mark=", "sentinel_begin", "sentinel_run "
"""What the lines of a poll start with."""


@lru_cache(maxsize=4096)
def function(name: str, command: str) -> str:
    """Name of a section's function. Equal names mean equal commands."""
    return f"sentinel_{name}_{hashlib.sha256(command.encode()).hexdigest()[:12]}"


def script(sections: Iterable[tuple[str, str]], defined: Container[str] = ()) -> str:
    """Runs the sections, given as (name, command). Expects the mark in $sentinel_mark.

    Args:
        defined: functions that the shell has already.
    """
    parts = [f"{BEGIN}\n"]
    for name, command in sections:
        called = function(name, command)
        if called not in defined:
            parts.append(f"{called}() {{\n{command}\n}}\n")
        parts.append(f"{RUN}{called}\n")
    return "".join(parts)


def shell_input(mark: str, text: str) -> bytes:
    """What the persistent shell reads for one poll."""
    return f"{MARK}{mark}\n{text}".encode()


def command_line(text: str) -> str:
    """The same as one command, for hosts that allow commands but no shell; the mark is its standard input."""
    return f"{PRELUDE}read -r sentinel_mark\n{text}"


@dataclass(frozen=True, slots=True)
class Reply:
    """What one section printed."""

    output: bytes
    status: int
    """Its exit status; 127 means that the command does not exist."""
    duration: float
    """Seconds on the monotonic clock."""


class Replies:
    """Reads one poll's output as it arrives. What comes before the first mark (banners, login files) is dropped."""

    def __init__(self, mark: str, count: int, *, limit: int = MAX_REPLY) -> None:
        self.has_begun = False
        self.has_overflowed = False
        self.done: list[Reply] = []
        self._begin = f"{mark} begin\n".encode()
        self._end = f"\n{mark} ".encode()
        self._count = count
        self._limit = limit
        self._buffer = bytearray()
        self._searched = 0
        self._since = 0.0

    @property
    def is_complete(self) -> bool:
        return self.has_begun and len(self.done) >= self._count

    def feed(self, data: bytes, at: float) -> bool:
        """Takes in what arrived at that monotonic instant; true when there is something new to look at."""
        if self.has_overflowed or self.is_complete:
            return False
        before = len(self.done), self.has_begun
        self._buffer += data
        if not self.has_begun:
            self._look_for_begin(at)
        while self.has_begun and not self.is_complete and self._take(at):
            pass
        if len(self._buffer) > self._limit:
            self.has_overflowed = True
            self._buffer.clear()
        return self.has_overflowed or before != (len(self.done), self.has_begun)

    def _look_for_begin(self, at: float) -> None:
        place = self._buffer.find(self._begin)
        if place < 0:
            del self._buffer[: -len(self._begin)]
            return
        del self._buffer[: place + len(self._begin)]
        self.has_begun = True
        self._since = at

    def _take(self, at: float) -> bool:
        place = self._buffer.find(self._end, self._searched)
        if place < 0:
            self._searched = max(0, len(self._buffer) - len(self._end) + 1)
            return False
        after = place + len(self._end)
        newline = self._buffer.find(b"\n", after)
        if newline < 0:
            self._searched = place
            return False
        status = bytes(self._buffer[after:newline])
        output = bytes(self._buffer[:place])
        self.done.append(Reply(output, int(status) if status.isdigit() else -1, at - self._since))
        self._since = at
        self._searched = 0
        del self._buffer[: newline + 1]
        return True
