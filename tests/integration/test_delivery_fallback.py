"""Receivers that are told in place of others, on a real database with real far sides."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

from sqlalchemy import select

from sentinel.db import tables as t
from sentinel.notify.desk import Desk
from sentinel.notify.sending.standins import key_of
from tests.integration.delivery import QuickClock, Room, delivering, hook, routed
from tests.servers.sinks import Answer, Post, WebhookSink
from tests.unit.incidents.alerts import START, firing, resolved


class ScaledClock(QuickClock):
    """Its instants run as fast as its pauses."""

    def __init__(self) -> None:
        super().__init__()
        self._began = super().now(), super().monotonic()
        self.step = 0.0

    def now(self) -> float:
        at, monotonic = self._began
        return at + self.monotonic() - monotonic + self.step


def refused(post: Post) -> Answer:
    return Answer(400)


def down(post: Post) -> Answer:
    return Answer(503)


def well(post: Post) -> Answer:
    return Answer(200)


def told(sink: WebhookSink) -> list[tuple[int, str]]:
    """Incident and status of what was taken, without repeats."""
    posts = {post.key: post.json for post in sink.posts}
    return [(int(json["sentinel"]["incident"]), json["status"]) for json in posts.values()]


async def rows(room: Room) -> list[tuple[str, str, str]]:
    async with room.db.reading() as connection:
        query = select(t.outbox.c.receiver, t.outbox.c.event, t.outbox.c.state).order_by(t.outbox.c.id)
        return [(receiver, event, state) for receiver, event, state in await connection.execute(query)]


async def test_what_is_refused_goes_to_the_fallback_at_once_and_so_does_its_recovery(tmp_path: Path) -> None:
    ops, duty = WebhookSink(), WebhookSink()
    ops.choose = refused
    async with ops.serve(), duty.serve():
        receivers = [hook(ops.url, fallback="duty", fallback_after="1h"), hook(duty.url, "duty")]
        async with delivering(tmp_path, receivers, route=routed(receivers[:1])) as room:
            await room.tick(firing())
            await duty.until(lambda posts: len(posts) == 1)
            await room.told()
            ops.choose = well
            await room.tick(resolved(at=START + 60))
            await duty.until(lambda posts: len(posts) == 2)
            await room.told()
            assert told(duty) == [(1, "firing"), (1, "resolved")]
            assert len(ops.posts) == 1  # who was not told the alert is not told its end
            assert sorted(await rows(room)) == [
                ("duty", "firing", "delivered"),
                ("duty", "resolved", "delivered"),
                ("ops", "firing", "dead"),
                ("ops", "resolved", "dropped"),
            ]
            assert room.sample("sentinel_outbox_fallback_total", receiver="ops") == 1
            texts = [entry.text for entry in (await room.show(1)).entries]
            assert "duty is told in place of ops: firing" in texts
            assert "duty by webhook: firing" in texts
            desk = Desk(room.db, room.clock, receivers=lambda: room.sender.receivers, again=room.sender.again)
            by_number = {one.id: one for one in await desk.list(["delivered", "dead", "dropped"])}
            for one in by_number.values():
                if one.receiver == "duty":
                    assert one.origin is not None
                    assert by_number[one.origin].receiver == "ops"
                    assert one.key == key_of(by_number[one.origin].key, "duty")


async def test_what_waits_for_too_long_goes_to_the_fallback_too_and_both_hear_the_end(tmp_path: Path) -> None:
    ops, duty, clock = WebhookSink(), WebhookSink(), ScaledClock()
    ops.choose = down
    async with ops.serve(), duty.serve():
        receivers = [hook(ops.url, fallback="duty", fallback_after="20s"), hook(duty.url, "duty")]
        async with delivering(tmp_path, receivers, route=routed(receivers[:1]), clock=clock) as room:
            committed = clock.now()
            await room.tick(firing())
            await duty.until(lambda posts: len(posts) == 1)
            assert clock.now() - committed >= 20
            await room.tick(resolved(at=START + 60))
            await duty.until(lambda posts: len(posts) == 2)
            assert [state for receiver, _, state in await rows(room) if receiver == "ops"] == ["pending"] * 2
            ops.choose = well
            await room.told()
            assert told(ops) == told(duty) == [(1, "firing"), (1, "resolved")]


async def test_a_receiver_that_takes_messages_in_time_needs_no_fallback(tmp_path: Path) -> None:
    ops, duty, clock = WebhookSink(), WebhookSink(), ScaledClock()
    async with ops.serve(), duty.serve():
        receivers = [hook(ops.url, fallback="duty", fallback_after="60s"), hook(duty.url, "duty")]
        async with delivering(tmp_path, receivers, route=routed(receivers[:1]), clock=clock) as room:
            await room.tick(firing())
            await room.told()
            await clock.sleep(90)
            await room.tick(resolved(at=START + 60))
            await room.told()
            assert told(ops) == [(1, "firing"), (1, "resolved")]
            assert duty.posts == []


async def test_a_recovery_alone_that_is_not_taken_goes_to_nobody_else(tmp_path: Path) -> None:
    ops, duty, clock = WebhookSink(), WebhookSink(), ScaledClock()
    async with ops.serve(), duty.serve():
        receivers = [hook(ops.url, fallback="duty", fallback_after="60s"), hook(duty.url, "duty")]
        async with delivering(tmp_path, receivers, route=routed(receivers[:1]), clock=clock) as room:
            await room.tick(firing())
            await room.told()
            ops.choose = refused
            await room.tick(resolved(at=START + 60))
            await room.told()
            assert duty.posts == []
            assert ("ops", "resolved", "dead") in await rows(room)


async def test_fallbacks_of_fallbacks_take_over_in_turn(tmp_path: Path) -> None:
    sinks = [WebhookSink(), WebhookSink(), WebhookSink()]
    sinks[0].choose, sinks[1].choose = refused, down
    clock = ScaledClock()
    async with AsyncExitStack() as stack:
        for sink in sinks:
            await stack.enter_async_context(sink.serve())
        receivers = [
            hook(sinks[0].url, "a", fallback="b", fallback_after="1h"),
            hook(sinks[1].url, "b", fallback="c", fallback_after="10s"),
            hook(sinks[2].url, "c"),
        ]
        room = await stack.enter_async_context(
            delivering(tmp_path, receivers, route=routed(receivers[:1]), clock=clock)
        )
        await room.tick(firing())
        await sinks[2].until(lambda posts: len(posts) == 1)
        await room.tick(resolved(at=START + 60))
        await sinks[2].until(lambda posts: len(posts) == 2)
        sinks[1].choose = well
        await room.told()
        assert told(sinks[1]) == told(sinks[2]) == [(1, "firing"), (1, "resolved")]
        assert len(sinks[0].posts) == 1


async def test_a_fallback_hears_what_follows_in_order_also_when_alerts_join_meanwhile(tmp_path: Path) -> None:
    ops, duty, clock = WebhookSink(), WebhookSink(), ScaledClock()
    ops.choose = down
    async with ops.serve(), duty.serve():
        receivers = [hook(ops.url, fallback="duty", fallback_after="20s"), hook(duty.url, "duty")]
        async with delivering(tmp_path, receivers, route=routed(receivers[:1]), clock=clock) as room:
            await room.tick(firing(ifName="eth0"))
            await duty.until(lambda posts: len(posts) == 1)
            # the receiver is behind: the fallback hears at once what joins, and cannot hear it after the end
            await room.tick(firing(ifName="eth1"))
            await room.tick(resolved(ifName="eth0", at=START + 60), resolved(ifName="eth1", at=START + 60))
            await duty.until(lambda posts: len(posts) == 3)
            ops.choose = well
            await room.told()
            for sink in (ops, duty):
                assert told(sink) == [(1, "firing"), (1, "firing"), (1, "resolved")]


async def test_an_end_that_waits_behind_its_alert_goes_to_the_fallback_with_it(tmp_path: Path) -> None:
    ops, duty, clock = WebhookSink(), WebhookSink(), ScaledClock()
    ops.choose = down
    async with ops.serve(), duty.serve():
        receivers = [hook(ops.url, fallback="duty", fallback_after="30s"), hook(duty.url, "duty")]
        async with delivering(tmp_path, receivers, route=routed(receivers[:1]), clock=clock) as room:
            await room.tick(firing())
            await room.tick(resolved(at=START + 60))
            await duty.until(lambda posts: len(posts) == 2)
            assert told(duty) == [(1, "firing"), (1, "resolved")]
            assert room.sample("sentinel_outbox_fallback_total", receiver="ops") == 2
            ops.choose = well
            await room.told()


async def test_a_message_that_died_twice_is_handed_on_once(tmp_path: Path) -> None:
    ops, duty = WebhookSink(), WebhookSink()
    ops.choose = refused
    async with ops.serve(), duty.serve():
        receivers = [hook(ops.url, fallback="duty"), hook(duty.url, "duty")]
        async with delivering(tmp_path, receivers, route=routed(receivers[:1])) as room:
            await room.tick(firing())
            await duty.until(lambda posts: len(posts) == 1)
            await room.told()
            desk = Desk(room.db, room.clock, receivers=lambda: room.sender.receivers, again=room.sender.again)
            await desk.retry([], "ops", "li.wei")
            await room.told()
            assert len(ops.posts) == 2
            assert len(duty.posts) == 1


async def test_a_clock_that_is_set_forward_calls_no_fallback(tmp_path: Path) -> None:
    ops, duty, clock = WebhookSink(), WebhookSink(), ScaledClock()
    ops.choose = down
    async with ops.serve(), duty.serve():
        receivers = [hook(ops.url, fallback="duty", fallback_after="30s"), hook(duty.url, "duty")]
        async with delivering(tmp_path, receivers, route=routed(receivers[:1]), clock=clock) as room:
            began = clock.monotonic()
            await room.tick(firing())
            clock.step += 3600
            room.sender.shift(3600)
            await duty.until(lambda posts: len(posts) == 1)
            assert clock.monotonic() - began >= 30
            ops.choose = well
            await room.told()
