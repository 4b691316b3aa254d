"""Timers keep to the monotonic clock, whatever the wall clock does."""

from __future__ import annotations

import asyncio
import time

import pytest

from sentinel.runtime.clock import ManualClock, SystemClock


def test_a_step_of_the_wall_clock_moves_no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SystemClock()
    before, wall = clock.now(), time.time()
    monkeypatch.setattr(time, "time", lambda: wall + 3600)
    assert clock.now() - before < 5
    assert 3590 < clock.drift() < 3610


def test_an_adopted_step_shows_in_now_and_not_in_durations(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SystemClock()
    now, monotonic = clock.now(), clock.monotonic()
    clock.adopt(-3600)
    assert -3601 < clock.now() - now < -3590
    assert 0 <= clock.monotonic() - monotonic < 5


async def test_sleepers_of_the_manual_clock_wake_in_order() -> None:
    clock = ManualClock()
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.now()))

    start = clock.now()
    async with asyncio.TaskGroup() as group:
        for name, seconds in (("late", 30.0), ("soon", 10.0)):
            group.create_task(sleeper(name, seconds))
        await clock.advance(40)
    assert woken == [("soon", start + 10), ("late", start + 30)]
