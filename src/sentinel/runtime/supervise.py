"""Supervised tasks: long-running parts that restart after a bug instead of taking the daemon down."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping

from prometheus_client import CollectorRegistry, Counter

from sentinel.runtime.clock import Clock

log = logging.getLogger(__name__)

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0


def backoff(attempt: int, *, first: float = FIRST_PAUSE, longest: float = LONGEST_PAUSE) -> float:
    """Seconds to wait before a further try: doubled each time, with up to a quarter of jitter, bounded.

    Args:
        attempt: how many tries have failed, from 1.
    """
    pause = min(first * 2.0 ** min(attempt - 1, 30), longest)
    return pause * (1 - 0.25 * random.random())  # noqa: S311  spreads load, guards nothing


class Supervisor:
    """Runs named parts side by side until one of them says that the daemon should end."""

    def __init__(self, clock: Clock, registry: CollectorRegistry) -> None:
        self._clock = clock
        self._restarts = Counter(
            "sentinel_task_restarts", "Parts restarted after a bug.", ["task"], registry=registry
        )

    async def run(self, parts: Mapping[str, Callable[[], Awaitable[None]]], stop: asyncio.Event) -> None:
        """Run until `stop` is set, then cancel every part and wait for it."""
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._keep_running(name, part), name=name) for name, part in parts.items()
            ]
            await stop.wait()
            for task in tasks:
                task.cancel()

    async def _keep_running(self, name: str, part: Callable[[], Awaitable[None]]) -> None:
        failures = 0
        while True:
            started = self._clock.monotonic()
            try:
                await part()
                return
            except Exception:  # one part's bug must not end the others
                log.exception("part failed, restarting", extra={"facts": {"task": name}})
                self._restarts.labels(name).inc()
            failures = 1 if self._clock.monotonic() - started > LONGEST_PAUSE else failures + 1
            await self._clock.sleep(backoff(failures))
