"""A receiver that is down for four hours, on a clock that runs two thousand times as fast."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from contextlib import AsyncExitStack
from pathlib import Path

from sentinel.notify.lane import LONGEST_PAUSE
from sentinel.notify.outbox import backlog
from sentinel.runtime.clock import SystemClock
from tests.integration.delivery import delivering, hook, routed
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
        self._began = self.monotonic()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(seconds / SPEED)

    def monotonic(self) -> float:
        return super().monotonic() * SPEED

    def now(self) -> float:
        return START + self.monotonic() - self._began


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


async def test_through_four_hours_down_the_fallback_is_told_what_waits_and_all_of_it_in_order(
    tmp_path: Path,
) -> None:
    down, instead, well, clock = WebhookSink(), WebhookSink(), WebhookSink(), FastClock()
    down.choose = lambda post: Answer(503)
    took: list[float] = []
    async with AsyncExitStack() as stack:
        for sink in (down, instead, well):
            await stack.enter_async_context(sink.serve())
        receivers = [
            hook(down.url, "down", fallback="instead", fallback_after="30m"),
            hook(instead.url, "instead"),
            hook(well.url, "well"),
        ]
        route = routed([receivers[0], receivers[2]])
        room = await stack.enter_async_context(delivering(tmp_path, receivers, route=route, clock=clock))
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
        assert sorted(took)[int(len(took) * 0.99)] < 2.0
        assert len(instead.posts) > 0
        # everything that has happened is told there within half an hour, while the receiver is still down
        await instead.until(lambda posts: len(posts) == changes)
        assert (await backlog(room.db))["down"].count == changes
        down.choose = lambda post: Answer(200)
        tried = len(down.posts)
        await room.told()
        for sink, posts in ((down, down.posts[tried:]), (instead, instead.posts)):
            told: dict[int, list[str]] = defaultdict(list)
            for post in posts:
                told[number_of(post)].append(post.json["status"])
            last = max(told)
            assert all(told[one] == ["firing", "resolved"] for one in told if one != last), sink
            assert told[last] == ["firing", "resolved"][: 2 - changes % 2]
            assert len({post.key for post in posts}) == len(posts)
        assert len(down.posts) - tried == changes
        assert not {post.key for post in instead.posts} & {post.key for post in down.posts}
        assert room.sample("sentinel_outbox_fallback_total", receiver="down") > 0
