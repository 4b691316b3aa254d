"""Heartbeats to a real HTTP server: when they come, when they do not, and what they say."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from sentinel.config.settings import Settings
from sentinel.model.problem import UnusableError
from sentinel.notify.heartbeat.heart import Heart
from sentinel.runtime.clock import SystemClock
from tests.servers.sinks import Answer, WebhookSink


class QuickClock(SystemClock):
    """A second takes a twentieth of one."""

    def monotonic(self) -> float:
        return super().monotonic() * 20

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(seconds, 0.0) / 20)


@dataclass
class Room:
    heart: Heart
    registry: CollectorRegistry
    wrong: dict[str, str] = field(default_factory=dict)

    def use(self, *heartbeats: dict[str, Any], **notify: Any) -> None:
        settings = Settings.model_validate({"heartbeat": heartbeats, "notify": notify})
        self.heart.use(self.heart.built(settings))

    def count(self, result: str, name: str = "hc") -> float | None:
        return self.registry.get_sample_value("sentinel_heartbeats_total", {"name": name, "result": result})

    async def until(self, result: str, count: float) -> None:
        async with asyncio.timeout(10):
            while (self.count(result) or 0.0) < count:
                await asyncio.sleep(0.005)


@asynccontextmanager
async def beating() -> AsyncIterator[Room]:
    registry, wrong = CollectorRegistry(), dict[str, str]()
    heart = Heart(QuickClock(), registry, lambda: wrong)
    task = asyncio.create_task(heart.run())
    try:
        yield Room(heart, registry, wrong)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await heart.close()


def heartbeat(sink: WebhookSink, **more: Any) -> dict[str, Any]:
    return {"name": "hc", "url": sink.url, "every": "1s"} | more


async def test_it_is_called_again_and_again() -> None:
    async with WebhookSink().serve() as sink, beating() as room:
        room.use(heartbeat(sink, headers={"X-Own": "mine"}))
        posts = await sink.until(lambda posts: len(posts) >= 3)
        assert {(one.method, one.path, one.body) for one in posts} == {("GET", "/hook", b"")}
        assert {one.headers["x-own"] for one in posts} == {"mine"}
        at = room.registry.get_sample_value(
            "sentinel_heartbeat_last_success_timestamp_seconds", {"name": "hc"}
        )
        assert at is not None
        assert at == pytest.approx(SystemClock().now(), abs=30)


async def test_while_a_part_is_in_trouble_nobody_is_called_and_then_the_reason_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    async with WebhookSink().serve() as sink, beating() as room:
        room.wrong["database"] = "the disk is full"
        room.use(heartbeat(sink, method="POST"))
        await room.until("withheld", 2)
        room.wrong["ledger"] = "stuck"
        await room.until("withheld", 4)
        assert sink.posts == []
        room.wrong.clear()
        first, second, *_ = await sink.until(lambda posts: len(posts) >= 2)
        text = first.body.decode()
        assert text.startswith("working again after ")
        assert text.endswith(": database: the disk is full; ledger: stuck")
        assert second.body == b"working"
    records = [vars(one) for one in caplog.records if one.message == "heartbeat withheld"]
    assert [one["facts"]["reason"] for one in records] == ["database: the disk is full", "ledger: stuck"]


@pytest.mark.parametrize(
    ("answer", "success", "result"),
    [
        (Answer(body=b"OK"), "^OK$", "ok"),
        (Answer(body=b"OK (not found)"), "^OK$", "refused"),
        (Answer(202, body=b"Got it, thanks!"), "", "ok"),
        (Answer(404, body=b'{"ok":false}'), "", "refused"),
        (Answer(302, {"Location": "http://127.0.0.1:1/"}), "", "refused"),
        (Answer(500), "", "refused"),
        (Answer(hangs=True), "", "unreachable"),
        (Answer(body=b"x" * 20, drips=True), "x", "unreachable"),
    ],
)
async def test_what_counts_as_taken(answer: Answer, success: str, result: str) -> None:
    async with WebhookSink().serve() as sink, beating() as room:
        sink.choose = lambda _: answer
        room.use(heartbeat(sink, success=success))
        await room.until(result, 1)
        others = {"ok", "refused", "unreachable"} - {result}
        assert [room.count(one) for one in others] == [0, 0]


async def test_a_far_side_that_is_away_is_asked_at_most_twice_a_period() -> None:
    async with WebhookSink().serve() as sink, beating() as room:
        sink.choose = lambda _: Answer(500)
        room.use(heartbeat(sink, every="5s"))
        posts = await sink.until(lambda posts: len(posts) >= 6)
        seconds = [20 * (later.at - first.at) for first, later in zip(posts, posts[2:], strict=False)]
        assert all(each == pytest.approx(5, abs=1.5) for each in seconds)


async def test_nothing_secret_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with WebhookSink().serve() as sink, beating() as room:
        sink.choose = lambda post: Answer(500, body=f"no {post.path} {post.headers['x-key']}".encode())
        url = f"http://127.0.0.1:{sink.port}/canary-token-4711"
        room.use(heartbeat(sink, url=url, headers={"X-Key": "canary-key-4712"}))
        await room.until("refused", 1)
    assert caplog.records
    assert "canary-key" not in caplog.text + str([vars(one) for one in caplog.records])


async def test_a_reload_leaves_alone_what_stays_and_ends_what_is_gone() -> None:
    async with WebhookSink().serve() as sink, beating() as room:
        room.use(heartbeat(sink), heartbeat(sink, name="other", url=f"{sink.url}/other"))
        await sink.until(lambda posts: {"/hook", "/hook/other"} <= {one.path for one in posts})
        kept = room.heart._tasks["hc"]
        room.use(heartbeat(sink), heartbeat(sink, name="new", url=f"{sink.url}/new"))
        await sink.until(lambda posts: any(one.path == "/hook/new" for one in posts))
        assert room.heart._tasks["hc"] is kept
        assert room.heart._tasks.keys() == {"hc", "new"}
        assert room.count("ok", "other") is None
        count = sum(one.path == "/hook/other" for one in sink.posts)
        await sink.until(lambda posts: sum(one.path == "/hook/new" for one in posts) > 3)
        assert sum(one.path == "/hook/other" for one in sink.posts) == count


async def test_addresses_outside_the_networks_are_refused_also_by_name() -> None:
    async with WebhookSink().serve() as sink, beating() as room:
        with pytest.raises(UnusableError, match="may not send"):
            room.use(heartbeat(sink), networks=["192.0.2.0/24"])
        room.use(heartbeat(sink, url=f"http://localhost:{sink.port}/"), networks=["192.0.2.0/24"])
        await room.until("unreachable", 2)
        assert sink.posts == []
