"""Follows the wall clock and the event loop: steps of the one, delays of the other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Gauge

from sentinel.runtime.clock import SystemClock

log = logging.getLogger(__name__)

STEP = 2.0
"""Seconds from which a difference to the wall clock is a step; below it is drift."""
SLEW = 0.01
"""Seconds by which drift is followed, once a second: slow enough for rates."""
TICK = 0.5


async def follow_wall_clock(clock: SystemClock, shift: Sequence[Callable[[float], None]]) -> None:
    """Keep `clock.now()` at the wall clock; what holds instants is shifted together with a step.

    Args:
        shift: told by how many seconds instants move, in the same moment as the clock itself.
    """
    while True:
        await asyncio.sleep(1.0)
        drift = clock.drift()
        if abs(drift) < STEP:
            clock.adopt(max(-SLEW, min(SLEW, drift)))
            continue
        for tell in shift:
            tell(drift)
        clock.adopt(drift)
        log.warning("wall clock stepped", extra={"facts": {"seconds": drift}})


class LoopMetrics:
    """How late the event loop is."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.lag = Gauge(
            "sentinel_event_loop_lag_seconds",
            "How late the event loop woke its last sleeper.",
            registry=registry,
        )
        self.worst = Gauge(
            "sentinel_event_loop_lag_max_seconds", "The worst of these in the last minute.", registry=registry
        )


async def watch_event_loop(registry: CollectorRegistry) -> None:
    """Measure how late the event loop wakes a sleeper."""
    metrics = LoopMetrics(registry)
    loop = asyncio.get_running_loop()
    recent: list[float] = []
    try:
        while True:
            due = loop.time() + TICK
            await asyncio.sleep(TICK)
            late = max(loop.time() - due, 0.0)
            recent = [*recent, late][-int(60 / TICK) :]
            metrics.lag.set(late)
            metrics.worst.set(max(recent))
    finally:
        registry.unregister(metrics.lag)
        registry.unregister(metrics.worst)
