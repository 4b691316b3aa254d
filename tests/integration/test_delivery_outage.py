"""A receiver that is down for four hours, on a clock that runs two thousand times as fast."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from pathlib import Path

from sentinel.notify.lane import LONGEST_PAUSE
from sentinel.runtime.clock import SystemClock
from tests.integration.delivery import delivering, hook
from tests.servers.sinks import Answer, Post, WebhookSink
from tests.unit.incidents.alerts import START, firing, resolved

SPEED = 2000
OUTAGE = 4 * 3600.0
EVERY = 60.0
"""Seconds between two changes."""


class FastClock(SystemClock):
    """Hours in seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(seconds / SPEED)

    def monotonic(self) -> float:
        return super().monotonic() * SPEED


def number_of(post: Post) -> int:
    return int(post.json["sentinel"]["incident"])


async def test_after_four_hours_down_everything_arrives_in_order_and_nobody_else_waited(
    tmp_path: Path,
) -> None:
    down, well, clock = WebhookSink(), WebhookSink(), FastClock()
    down.choose = lambda post: Answer(503)
    took: list[float] = []
    async with (
        down.serve(),
        well.serve(),
        delivering(tmp_path, [hook(down.url, "down"), hook(well.url, "well")], clock=clock) as room,
    ):
        ends = clock.monotonic() + OUTAGE
        changes = 0
        while clock.monotonic() < ends:
            name = f"sw{changes // 2}"
            began = time.monotonic()
            await room.tick(
                firing(instance=name) if changes % 2 == 0 else resolved(instance=name, at=START + 60)
            )
            changes += 1
            await well.until(lambda posts, wanted=changes: len(posts) == wanted)  # type: ignore[misc]
            took.append(time.monotonic() - began)
            await clock.sleep(EVERY)
        tried = len(down.posts)
        down.choose = lambda post: Answer(200)
        await room.told()
        arrived = down.posts[tried:]
        assert {post.key for post in down.posts[:tried]} <= {post.key for post in arrived}
        assert sorted(took)[int(len(took) * 0.99)] < 2.0
        assert max(clock.slept) <= LONGEST_PAUSE
        assert OUTAGE / LONGEST_PAUSE / 4 <= tried <= 200
        told: dict[int, list[str]] = defaultdict(list)
        for post in arrived:
            told[number_of(post)].append(post.json["status"])
        assert len(told) == (changes + 1) // 2 >= 10
        last = max(told)
        assert all(course == ["firing", "resolved"] for number, course in told.items() if number != last)
        assert told[last] == ["firing", "resolved"][: 2 - changes % 2]
        assert len({post.key for post in arrived}) == len(arrived) == changes
