"""How often a receiver may be written to: kept by waiting, so that no message is refused for it. No I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `count` messages in any `seconds`."""

    count: int
    seconds: float


class Pace:
    """Instants are monotonic seconds."""

    def __init__(self, limits: Iterable[Limit] = ()) -> None:
        self._kept = [(limit, deque[float](maxlen=limit.count)) for limit in limits]

    def wait(self, now: float) -> float:
        """Seconds until the next message may go; 0: now."""
        pauses = [times[0] + limit.seconds - now for limit, times in self._kept if len(times) == limit.count]
        return max(0.0, *pauses) if pauses else 0.0

    def note(self, now: float) -> None:
        """One goes now."""
        for _, times in self._kept:
            times.append(now)
