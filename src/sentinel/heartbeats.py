"""The dead man's switch as one part of the daemon: vital signs, the pulse in the database, the calls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry

from sentinel.config.settings import Settings
from sentinel.db.database import Database
from sentinel.db.pulse import Pulse
from sentinel.notify.heartbeat.beat import Beat
from sentinel.notify.heartbeat.heart import Heart
from sentinel.runtime.clock import Clock
from sentinel.vitals import Ledger, Polls, Rules, Sender, Vitals


class Heartbeats:
    def __init__(self, heart: Heart, vitals: Vitals, pulse: Pulse) -> None:
        self._heart = heart
        self._vitals = vitals
        self._pulse = pulse

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        settings: Settings,
        db: Database,
        clock: Clock,
        registry: CollectorRegistry,
        *,
        polls: Polls,
        rules: Rules,
        ledger: Ledger,
        sender: Sender,
    ) -> AsyncIterator[Heartbeats]:
        """
        Raises:
            UnusableError: a certificate file cannot be used, or an address is forbidden.
        """
        pulse = Pulse(db)
        vitals = Vitals(
            clock, registry, polls=polls, rules=rules, ledger=ledger, pulse=pulse, space=db, sender=sender
        )
        heart = Heart(clock, registry, vitals.troubles)
        heart.use(heart.built(settings))
        try:
            yield cls(heart, vitals, pulse)
        finally:
            await heart.close()

    def built(self, settings: Settings) -> Sequence[Beat]:
        """The only step towards other settings that may fail.

        Raises:
            UnusableError: a certificate file cannot be used, or an address is forbidden.
        """
        return self._heart.built(settings)

    def use(self, beats: Sequence[Beat]) -> None:
        """These from now on."""
        self._heart.use(beats)

    @property
    def parts(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """What runs as long as the daemon does."""
        return {"pulse": self._pulse.run, "vitals": self._vitals.run, "heartbeats": self._heart.run}
