"""How often a receiver may be written to: kept by waiting, so that no message is refused for it. No I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `count` messages in any `seconds`."""

    count: int
    seconds: float


class Pace:
    """Instants are monotonic seconds.

    A message counts from when it was taken until so long after its answer: the far side has seen it at some
    moment between the two.
    """

    def __init__(self, limits: Iterable[Limit] = ()) -> None:
        self._kept: list[tuple[Limit, deque[float]]] = []
        self._flying = 0
        self.keep(limits)

    def keep(self, limits: Iterable[Limit]) -> None:
        """These from now on; what was counted for a limit that stays is kept."""
        known = dict(self._kept)
        self._kept = [(limit, known.get(limit) or deque(maxlen=limit.count)) for limit in limits]

    def wait(self, now: float) -> float:
        """Seconds until the next message may go, if none of those under way is answered before; 0: now."""
        return max((self._wait(limit, ended, now) for limit, ended in self._kept), default=0.0)

    def room(self, limit: Limit, now: float) -> int:
        """How many more messages a limit that is kept lets through now."""
        for kept, ended in self._kept:
            if kept == limit:
                return max(0, limit.count - self._flying - sum(at + limit.seconds > now for at in ended))
        return limit.count

    def begin(self) -> None:
        """One goes."""
        self._flying += 1

    def end(self, now: float) -> None:
        """One of them was answered, or given up."""
        self._flying -= 1
        for _, ended in self._kept:
            ended.append(now)

    def _wait(self, limit: Limit, ended: Sequence[float], now: float) -> float:
        recent = [at for at in ended if at + limit.seconds > now]
        too_many = len(recent) + self._flying + 1 - limit.count
        if too_many <= 0:
            return 0.0
        # The oldest leave the window first; where those under way are too many already, one has to end.
        return recent[too_many - 1] + limit.seconds - now if too_many <= len(recent) else limit.seconds
