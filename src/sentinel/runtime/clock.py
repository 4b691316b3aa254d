"""The only place that reads the clock."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Instants are Unix seconds; durations come from `monotonic` alone."""

    def now(self) -> float: ...

    def monotonic(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's clocks.

    `now` is the wall clock as it was at the start plus the time that has passed since on the monotonic clock:
    a step of the wall clock moves no timer. `follow` adopts the step once its listeners have been told.
    """

    def __init__(self) -> None:
        self._offset = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)

    def now(self) -> float:
        return self._offset + time.clock_gettime(time.CLOCK_BOOTTIME)

    def monotonic(self) -> float:
        """Seconds that also count while the machine is suspended."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def drift(self) -> float:
        """Seconds by which the wall clock has moved away from `now`."""
        return time.time() - self.now()

    def adopt(self, seconds: float) -> None:
        """Move `now` by that much."""
        self._offset += seconds


class ManualClock:
    """A clock that tests turn by hand; sleepers wake when their time has come."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self._now = now
        self._monotonic = 1000.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._monotonic + seconds, future))
        await future

    async def advance(self, seconds: float) -> None:
        """Let that much time pass, waking sleepers in the order of their times."""
        end = self._monotonic + seconds
        while True:
            await _settle()
            due = [sleeper for sleeper in self._sleepers if sleeper[0] <= end and not sleeper[1].done()]
            if not due:
                break
            first = min(due, key=lambda sleeper: sleeper[0])
            self._sleepers.remove(first)
            self._move(max(first[0] - self._monotonic, 0.0))
            first[1].set_result(None)
        self._move(end - self._monotonic)
        await _settle()

    def step(self, seconds: float) -> None:
        """The wall clock is set; what is monotonic does not notice."""
        self._now += seconds

    def _move(self, seconds: float) -> None:
        self._now += seconds
        self._monotonic += seconds


async def _settle() -> None:
    """Let every task that can run do so."""
    for _ in range(20):
        await asyncio.sleep(0)
