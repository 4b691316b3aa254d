"""What is known of an agent as an SNMP engine: its name, how often it has started, and its clock."""

from __future__ import annotations

from dataclasses import dataclass

TIME_WINDOW = 150
"""Seconds by which a message's time may be behind (RFC 3414 §2.2.3)."""

LAST_BOOTS = (1 << 31) - 1
MAX_ENGINE_ID = 32
"""Bytes (SnmpEngineID, RFC 3411 §5)."""


@dataclass(slots=True)
class Engine:
    """One agent. An empty id means that it has not been discovered."""

    id: bytes = b""
    boots: int = 0
    time: int = 0
    """Seconds since its start, as it last said."""
    heard_at: float = 0.0
    """When it said so, on our monotonic clock."""

    def adopt(self, engine_id: bytes, boots: int, time: int, now: float) -> None:
        """Take the agent's word for all of it."""
        self.id = engine_id
        self.boots, self.time, self.heard_at = boots, time, now

    def clock(self, now: float) -> int:
        """Its seconds now."""
        return min(self.time + int(now - self.heard_at), LAST_BOOTS)

    def hear(self, boots: int, time: int, now: float) -> bool:
        """An authentic message said this; False where it is too old to be believed (RFC 3414 §3.2.7b)."""
        if (boots, time) > (self.boots, self.time):
            self.boots, self.time, self.heard_at = boots, time, now
            return boots != LAST_BOOTS
        return boots == self.boots and boots != LAST_BOOTS and time >= self.clock(now) - TIME_WINDOW
