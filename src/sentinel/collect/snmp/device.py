"""What is remembered of a device between polls: how much it can be asked for at once."""

from __future__ import annotations

from dataclasses import dataclass, field

from sentinel.collect.snmp.interfaces import Interfaces
from sentinel.collect.snmp.usm.engine import Engine

LARGEST_BUDGET = 64
"""Varbinds asked for in one request at most: about what an answer of one Ethernet frame holds."""

WINDOW = 4
"""Requests in flight at first,"""
LARGEST_WINDOW = 8
"""and at most, to a device that has answered every one for long: two fewer than TCP begins with (RFC 6928)."""
GROW_AFTER = 10
"""Polls without trouble after which a device is asked for more again."""


@dataclass(slots=True)
class Device:
    """One agent, by address."""

    budget: int = LARGEST_BUDGET
    """Varbinds asked for in one request."""
    ceiling: int = LARGEST_BUDGET
    """What its answers hold, where it cut one short."""
    window: int = WINDOW
    """Requests in flight."""
    widest: int = LARGEST_WINDOW
    """What it, and the way to it, may bear of them."""
    quiet_polls: int = 0
    interfaces: Interfaces = field(default_factory=Interfaces)
    engine: Engine = field(default_factory=Engine)
    """What version 3 knows of it."""

    def shrink(self, to: int | None = None) -> None:
        """It answered tooBig, or not at all until it was asked for less."""
        self.budget = max(1, min(to or self.budget // 2, self.budget))
        self.window = max(1, self.window // 2)
        self.quiet_polls = 0

    def cut_short(self, count: int) -> None:
        """An answer held only so many varbinds of what was asked for."""
        self.ceiling = max(1, min(self.ceiling, count))
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
