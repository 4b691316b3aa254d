"""What is remembered of a device between polls: how much it can be asked for at once."""

from __future__ import annotations

from dataclasses import dataclass, field

from sentinel.collect.snmp.interfaces import Interfaces
from sentinel.collect.snmp.usm.engine import Engine

LARGEST_BUDGET = 64
"""Varbinds asked for in one request, as long as it is not known how long an answer may be, or how long they are."""

_STEP = 32
"""Bytes to which the length of answers is known: devices of a kind shall have the same."""

WINDOW = 4
"""Requests in flight at first,"""
LARGEST_WINDOW = 8
"""and at most, to a device that has answered every one for long: two fewer than TCP begins with (RFC 6928)."""
GROW_AFTER = 10
"""Polls without trouble after which a device is asked for more again."""


@dataclass(frozen=True, slots=True)
class Limit:
    """How much may be asked for in one request."""

    count: int
    """Varbinds,"""
    is_firm: bool = False
    """also where their answer would be short;"""
    frame: int = 0
    """bytes of the answer. 0: not known, none was ever cut short."""


@dataclass(slots=True)
class Device:
    """One agent, by address."""

    budget: int = LARGEST_BUDGET
    """Varbinds asked for in one request."""
    ceiling: int = LARGEST_BUDGET
    """What its answers hold, where it cut one short,"""
    frame: int = 0
    """and how many bytes that was; 0: it never did."""
    window: int = WINDOW
    """Requests in flight."""
    widest: int = LARGEST_WINDOW
    """What it, and the way to it, may bear of them."""
    quiet_polls: int = 0
    interfaces: Interfaces = field(default_factory=Interfaces)
    engine: Engine = field(default_factory=Engine)
    """What version 3 knows of it."""

    @property
    def limit(self) -> Limit:
        """Also where it cut answers short may more be asked for at once that takes fewer bytes."""
        return Limit(self.budget, self.budget < self.ceiling, self.frame)

    def shrink(self, to: int | None = None) -> None:
        """It answered tooBig, or not at all until it was asked for less."""
        self.budget = max(1, min(to or self.budget // 2, self.budget))
        self.window = max(1, self.window // 2)
        self.quiet_polls = 0

    def cut_short(self, count: int, size: int, *, despite: int = 0) -> None:
        """An answer held only so many varbinds of what was asked for, in so many bytes.

        Args:
            despite: bytes that it was expected to have room for; 0: any number was asked for.
        """
        self.ceiling = max(1, min(self.ceiling, count))
        # Also where something else than the length bounds its answers: after each of them less, it soon fits.
        most = min(size, self.frame or size, despite - _STEP if despite else size)
        self.frame = max(most // _STEP, 1) * _STEP
        self.budget = min(self.budget, self.ceiling)

    def lost_some(self) -> None:
        """It answers, but not everything at first: more at once than at the beginning may be why."""
        if self.window > WINDOW:
            self.window, self.widest = WINDOW, self.window - 1

    def went_well(self) -> None:
        self.quiet_polls += 1
        if self.quiet_polls >= GROW_AFTER:
            self.quiet_polls = 0
            self.budget = min(self.budget * 2, self.ceiling)
            self.window = min(self.window + 1, self.widest)
