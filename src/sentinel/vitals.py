"""Whether the daemon does its work, part by part: what the dead man's switch goes by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, Gauge

from sentinel.runtime.clock import Clock

STUCK: Final = 20.0
"""Seconds without a sign of life from the rule loop, which gives one every second."""
UNPOLLED: Final = 45.0
"""Seconds without a poll stored: the daemon polls itself every 15 s, whatever else there is."""
UNWRITTEN: Final = 60.0
"""Seconds without a write to the database, which takes one every 30 s."""
BEHIND: Final = 60.0
"""Seconds for which something may wait for the ledger or the sender without either of them moving."""
HELD_UP: Final = 10.0
"""Seconds by which the event loop may be late."""
REMEMBERED: Final = 15.0
"""Seconds for which the event loop is taken to be in trouble after it was late."""

PARTS: Final = ("polls", "rules", "ledger", "database", "sender", "event loop")


class Polls(Protocol):
    @property
    def stored_at(self) -> float | None:
        """Monotonic seconds at which polls were last stored; None: not yet."""
        ...


class Rules(Protocol):
    @property
    def last_tick(self) -> float:
        """Monotonic seconds at which no group was stuck."""
        ...


class Ledger(Protocol):
    @property
    def is_failing(self) -> bool: ...

    def behind(self) -> int | None:
        """A number that grows with every commit, while something waits for one."""
        ...


class Pulse(Protocol):
    @property
    def noted_at(self) -> float | None:
        """Monotonic seconds of the last write to the database; None: none yet."""
        ...

    @property
    def error(self) -> str:
        """Why the last write did not go through."""
        ...


class Space(Protocol):
    @property
    def is_short_of_space(self) -> bool: ...


class Sender(Protocol):
    def behind(self) -> Mapping[str, int]:
        """Receivers for which there is something to do, each with a number that grows as it is done."""
        ...


class VitalMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.working = Gauge(
            "sentinel_part_working",
            "1 while the part does its work; heartbeats are called while all of them do.",
            ["part"],
            registry=registry,
        )


class Vitals:
    """Looks at the parts; what is found wrong has its reason in people's words."""

    def __init__(
        self,
        clock: Clock,
        registry: CollectorRegistry,
        *,
        polls: Polls,
        rules: Rules,
        ledger: Ledger,
        pulse: Pulse,
        space: Space,
        sender: Sender,
    ) -> None:
        self._clock = clock
        self._metrics = VitalMetrics(registry)
        self._polls = polls
        self._rules = rules
        self._ledger = ledger
        self._pulse = pulse
        self._space = space
        self._sender = sender
        self._behind: dict[str, tuple[int, float]] = {}
        """What waits: how far its part had come, and since when (monotonic seconds) it has not moved on."""
        self._held_up: tuple[float, float] = (0.0, 0.0)
        """For how long the event loop was last held up, and until when that counts."""

    async def run(self) -> None:
        """Look every second, until cancelled."""
        while True:
            due = self._clock.monotonic() + 1.0
            await self._clock.sleep(1.0)
            now = self._clock.monotonic()
            if now - due > HELD_UP:
                self._held_up = (now - due, now + REMEMBERED)
            self.troubles()

    def troubles(self) -> Mapping[str, str]:
        """Parts that do not do their work, each with the reason."""
        now = self._clock.monotonic()
        reasons = {
            "polls": self._of_polls(now),
            "rules": self._of_rules(now),
            "ledger": self._of_ledger(now),
            "database": self._of_database(now),
            "sender": self._of_sender(now),
            "event loop": self._of_loop(now),
        }
        for part, reason in reasons.items():
            self._metrics.working.labels(part).set(not reason)
        return {part: reason for part, reason in reasons.items() if reason}

    def _of_polls(self, now: float) -> str:
        at = self._polls.stored_at
        if at is None:
            return "nothing has been polled yet"
        return f"no poll has been stored for {now - at:.0f} s" if now - at > UNPOLLED else ""

    def _of_rules(self, now: float) -> str:
        silent = now - self._rules.last_tick
        return f"the rule loop has not moved for {silent:.0f} s" if silent > STUCK else ""

    def _of_ledger(self, now: float) -> str:
        if self._ledger.is_failing:
            return "the database does not take changes of alerts"
        commits = self._ledger.behind()
        waits = self._waits("ledger", commits, now)
        return f"changes of alerts have not been committed for {waits:.0f} s" if waits > BEHIND else ""

    def _of_database(self, now: float) -> str:
        if self._space.is_short_of_space:
            return "the disk is full"
        if self._pulse.error:
            return f"the database takes no writes: {self._pulse.error}"
        at = self._pulse.noted_at
        if at is None:
            return "nothing has been written yet"
        return f"the database has taken no write for {now - at:.0f} s" if now - at > UNWRITTEN else ""

    def _of_sender(self, now: float) -> str:
        behind = self._sender.behind()
        known = {key.partition("/")[2] for key in self._behind if key.startswith("sender/")}
        late = {}
        for name in known | behind.keys():
            waits = self._waits(f"sender/{name}", behind.get(name), now)
            if waits > BEHIND:
                late[name] = waits
        if not late:
            return ""
        names = ", ".join(sorted(late)[:3])
        return f"messages for {names} have not been looked at for {max(late.values()):.0f} s"

    def _of_loop(self, now: float) -> str:
        seconds, until = self._held_up
        return f"the event loop was held up for {seconds:.0f} s" if now < until else ""

    def _waits(self, what: str, progress: int | None, now: float) -> float:
        """Seconds for which something has waited without any progress."""
        if progress is None:
            self._behind.pop(what, None)
            return 0.0
        known = self._behind.get(what)
        if known is None or known[0] != progress:
            self._behind[what] = (progress, now)
            return 0.0
        return now - known[1]
