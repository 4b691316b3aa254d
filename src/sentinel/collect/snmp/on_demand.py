"""Polls on demand, apart from the poll loops: what /snmp answers.

Somebody who asks once asks again a minute later, so collectors are kept for a while and later polls are as cheap as
the daemon's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from prometheus_client import CollectorRegistry

from sentinel.collect.collector import Collector
from sentinel.collect.snmp.metrics import SnmpMetrics
from sentinel.model.batch import Reading
from sentinel.runtime.clock import Clock

KEPT = 600.0
"""Seconds for which a collector is kept after its last use."""
MOST_KEPT = 1000


@dataclass(frozen=True, slots=True)
class Scrape:
    """One poll and what it took."""

    reading: Reading
    duration: float
    """Seconds."""
    packets: int
    """Requests sent, repeated ones included."""
    retries: int
    values: int
    """Varbinds that were of use."""


class CountingCollector(Collector, Protocol):
    """A collector that knows how much the device has told it."""

    @property
    def values_read(self) -> int: ...


Open = Callable[[SnmpMetrics], CountingCollector]


@dataclass(slots=True)
class _Kept:
    """A collector that waits to be asked again."""

    recipe: object
    collector: CountingCollector
    registry: CollectorRegistry
    used_at: float = 0.0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def count(self, name: str) -> int:
        return int(self.registry.get_sample_value(f"sentinel_snmp_{name}_total") or 0)


class OnDemand:
    """Keeps a collector for everything that is asked on demand.

    Args:
        total: the daemon's own metrics, in which these polls count as well.
    """

    def __init__(self, clock: Clock, total: SnmpMetrics) -> None:
        self._clock, self._total = clock, total
        self._kept: dict[tuple[object, ...], _Kept] = {}

    async def scrape(self, key: tuple[object, ...], recipe: object, open_: Open, *, timeout: float) -> Scrape:
        """One poll.

        Args:
            key: device, module and auth.
            recipe: what the collector is made of: while this stays equal, so does the collector.
            open_: makes it.
        Raises:
            PollError: nothing could be read.
        """
        await self._clear_out()
        kept = self._kept.get(key)
        if kept is None or kept.recipe != recipe:
            registry = CollectorRegistry()
            kept = self._kept[key] = _Kept(recipe, open_(SnmpMetrics(registry)), registry)
        kept.used_at = self._clock.monotonic()
        async with kept.turn:
            return await self._poll(kept, timeout)

    async def close(self) -> None:
        kept, self._kept = list(self._kept.values()), {}
        for one in kept:
            await one.collector.close()

    async def _poll(self, kept: _Kept, timeout: float) -> Scrape:
        before = kept.count("requests"), kept.count("retries")
        started = self._clock.monotonic()
        try:
            reading = await kept.collector.poll(at=self._clock.now(), timeout=timeout)
        finally:
            packets, retries = kept.count("requests") - before[0], kept.count("retries") - before[1]
            self._total.requests.inc(packets)
            self._total.retries.inc(retries)
            kept.used_at = self._clock.monotonic()
        return Scrape(reading, kept.used_at - started, packets, retries, kept.collector.values_read)

    async def _clear_out(self) -> None:
        """Close what nobody has asked for lately, and the longest unused where there are too many."""
        oldest = self._clock.monotonic() - KEPT
        idle = [key for key, one in self._kept.items() if not one.turn.locked()]
        idle.sort(key=lambda key: self._kept[key].used_at)
        surplus = len(self._kept) - MOST_KEPT
        gone = [
            key for number, key in enumerate(idle) if number < surplus or self._kept[key].used_at < oldest
        ]
        for one in [self._kept.pop(key) for key in gone]:
            await one.collector.close()
