"""A step of the wall clock is told once and moves every instant by as much; drift is followed slowly."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from sentinel.runtime import follow
from sentinel.runtime.clock import SystemClock

Turn = Callable[[float], None]


class Wall:
    """A wall clock that tests set, beside real timers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.offset = 0.0
        self._real = time.time
        monkeypatch.setattr(time, "time", lambda: self._real() + self.offset)


async def followed(
    monkeypatch: pytest.MonkeyPatch, clock: SystemClock, turns: dict[int, Turn]
) -> list[float]:
    """The steps told in as many turns of the follower as given; each turn first calls what it is given."""
    told: list[float] = []
    done = asyncio.Event()
    passed = 0

    async def sleep(_: float) -> None:
        nonlocal passed
        if passed == len(turns):
            done.set()
            await asyncio.Event().wait()
        turns[passed](clock.now())
        passed += 1

    monkeypatch.setattr(follow, "asyncio", SimpleNamespace(sleep=sleep))
    task = asyncio.create_task(follow.follow_wall_clock(clock, (told.append,)))
    await done.wait()
    task.cancel()
    return told


@pytest.mark.parametrize("step", [3600.0, -3600.0])
async def test_a_step_is_told_once_and_adopted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, step: float
) -> None:
    wall, clock = Wall(monkeypatch), SystemClock()
    before = clock.now()

    def set_clock(_: float) -> None:
        wall.offset = step

    told = await followed(monkeypatch, clock, {0: lambda _: None, 1: set_clock, 2: lambda _: None})
    assert told == [pytest.approx(step, abs=0.5)]
    assert clock.now() - before == pytest.approx(step, abs=0.5)
    assert caplog.messages == ["wall clock stepped"]


async def test_drift_is_followed_slowly_and_told_nobody(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    wall, clock = Wall(monkeypatch), SystemClock()
    wall.offset = 1.0
    told = await followed(monkeypatch, clock, dict.fromkeys(range(10), lambda _: None))
    assert told == []
    assert clock.drift() == pytest.approx(1.0 - 10 * follow.SLEW, abs=0.02)
    assert caplog.messages == []
