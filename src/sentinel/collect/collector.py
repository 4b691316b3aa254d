"""The seam between poll loops and what they poll with."""

from __future__ import annotations

from typing import Protocol

from sentinel.model.batch import Reading
from sentinel.model.target import Target


class PollError(Exception):
    """A poll that yields nothing. `reason` is a bounded word for metrics, the text is for a person."""

    def __init__(self, reason: str, text: str = "") -> None:
        super().__init__(text or reason)
        self.reason = reason
        self.text = text or reason


class Collector(Protocol):
    """Reads one target through one module, and keeps what that needs between polls (connection, layout)."""

    async def poll(self, *, at: float, timeout: float) -> Reading:
        """One poll.

        Args:
            at: Unix seconds of the tick, for values that depend on the time of day.
            timeout: seconds to end in, with what was read by then; the caller cuts off shortly after.
        Raises:
            PollError: nothing could be read.
        """
        ...

    async def close(self) -> None: ...


class Driver(Protocol):
    """One way of reading targets (SNMP, SSH, …): owns what its collectors share, such as sockets and limits."""

    def open(self, target: Target, module: str) -> Collector:
        """A collector, without touching the network yet."""
        ...

    async def close(self) -> None: ...
