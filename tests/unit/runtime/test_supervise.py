"""A part that fails is started again; the others go on."""

from __future__ import annotations

import asyncio

from prometheus_client import CollectorRegistry

from sentinel.runtime.clock import ManualClock
from sentinel.runtime.supervise import Supervisor, backoff


async def test_a_failing_part_restarts_and_leaves_the_others_alone() -> None:
    clock, registry, stop = ManualClock(), CollectorRegistry(), asyncio.Event()
    starts = {"bad": 0, "good": 0}

    async def bad() -> None:
        starts["bad"] += 1
        raise RuntimeError("a bug")

    async def good() -> None:
        starts["good"] += 1
        await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        group.create_task(Supervisor(clock, registry).run({"bad": bad, "good": good}, stop))
        await clock.advance(10)
        stop.set()
    assert starts["good"] == 1
    assert 3 <= starts["bad"] <= 6
    assert registry.get_sample_value("sentinel_task_restarts_total", {"task": "bad"}) == starts["bad"]


def test_pauses_double_up_to_a_bound() -> None:
    pauses = [backoff(attempt, first=1.0, longest=60.0) for attempt in range(1, 2000)]
    assert 0.75 <= pauses[0] <= 1.0
    assert all(0.74 * 60 <= pause <= 60 for pause in pauses[8:])
