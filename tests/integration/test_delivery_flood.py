"""More messages than a receiver is to get, on a real database with real far sides."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from sqlalchemy import select

from sentinel.db import tables as t
from sentinel.notify.desk import Desk
from sentinel.notify.lane import Lane
from sentinel.notify.outbox import waiting
from sentinel.notify.sending.digest import PREFIX
from sentinel.notify.sending.digests import put_together
from tests.integration.delivery import QuickClock, Room, delivering, hook, mail, routed
from tests.integration.test_delivery_fallback import ScaledClock, down, refused, well
from tests.servers.sinks import Answer, Post, WebhookSink, smtp_sink
from tests.unit.incidents.alerts import START, firing, resolved

CAP = {"messages": 3, "per": "1m"}


def instances(*posts: Post) -> list[tuple[str, str]]:
    """What was told of whom, in its order."""
    return [(alert["labels"]["instance"], alert["status"]) for post in posts for alert in post.json["alerts"]]


async def states(room: Room, receiver: str = "ops") -> Counter[tuple[str, str]]:
    async with room.db.reading() as connection:
        query = select(t.outbox.c.queue, t.outbox.c.state).where(t.outbox.c.receiver == receiver)
        return Counter(
            ("digest" if queue.startswith(PREFIX) else "message", state)
            for queue, state in await connection.execute(query)
        )


async def test_a_flood_becomes_one_message_and_so_does_its_end(tmp_path: Path) -> None:
    sink, clock = WebhookSink(), ScaledClock()
    async with sink.serve(), delivering(tmp_path, [hook(sink.url, cap=CAP)], clock=clock) as room:
        await room.tick(*(firing(instance=f"sw{number}") for number in range(40)))
        await room.told()
        assert len(sink.posts) == 1
        assert sorted(instances(*sink.posts)) == sorted((f"sw{n}", "firing") for n in range(40))
        assert await states(room) == {("digest", "delivered"): 1, ("message", "delivered"): 40}
        await room.tick(*(resolved(instance=f"sw{number}", at=START + 60) for number in range(40)))
        await room.told()
        assert len(sink.posts) == 2
        assert sink.posts[-1].json["status"] == "resolved"
        assert sorted(instances(sink.posts[-1])) == sorted((f"sw{n}", "resolved") for n in range(40))
        record = await room.show(7)
        assert "ops by webhook: firing, 40 messages put together" in [one.text for one in record.entries]
        assert any(one.state == "delivered" and one.event == "resolved" for one in record.deliveries)
        assert room.sample("sentinel_outbox_digests_total", receiver="ops") == 2


async def test_no_more_messages_than_the_cap_leave_in_its_time_and_none_is_lost(tmp_path: Path) -> None:
    sink, clock = WebhookSink(), ScaledClock()
    arrived: list[float] = []

    def counted(post: Post) -> Answer:
        arrived.append(clock.monotonic())
        return Answer()

    sink.choose = counted
    async with sink.serve(), delivering(tmp_path, [hook(sink.url, cap=CAP)], clock=clock) as room:
        for burst in range(12):
            await room.tick(*(firing(instance=f"sw{burst}-{number}") for number in range(3)))
            await clock.sleep(10)
        await room.told(20)
    assert len({name for name, _ in instances(*sink.posts)}) == len(instances(*sink.posts)) == 36
    assert 3 < len(arrived) < 36
    assert all(later - earlier >= 60 for earlier, later in zip(arrived, arrived[3:], strict=False))


async def test_a_mail_to_people_says_how_many_alerts_in_how_many_groups_since_when(tmp_path: Path) -> None:
    async with smtp_sink() as sink:
        receivers = [mail(sink.port, "ops"), mail(sink.port, "zh", language="zh-CN")]
        async with delivering(tmp_path, receivers) as room:
            await room.tick(*(firing(instance=f"sw{number}") for number in range(130)))
            await room.told(20)
        english, chinese = sorted(sink.mails, key=lambda one: "组共" in str(one.message["Subject"]))
        assert "130 alerts in 130 groups since " in str(english.message["Subject"])
        assert "以来 130 组共 130 条告警" in str(chinese.message["Subject"])
        assert "130 messages put together" in english.text()
        assert "130 条消息合并为一条" in chinese.text()
        assert "and 30 more" in english.text()
        assert english.text("html").count("border-left:3px") == 100


async def test_what_follows_waits_for_the_digest_and_comes_after_it(tmp_path: Path) -> None:
    sink, clock = WebhookSink(), ScaledClock()
    sink.choose = lambda post: Answer(500)  # of this message, not of the receiver
    async with sink.serve(), delivering(tmp_path, [hook(sink.url, cap=CAP)], clock=clock) as room:
        await room.tick(*(firing(instance=f"sw{number}") for number in range(10)))
        await sink.until(lambda posts: len(posts) >= 1)
        await room.tick(resolved(instance="sw3", at=START + 60))
        await sink.until(lambda posts: len(posts) >= 3)
        assert {post.key for post in sink.posts} == {sink.posts[0].key}
        assert await states(room) == {
            ("digest", "pending"): 1,
            ("message", "merged"): 10,
            ("message", "pending"): 1,
        }
        sink.choose = well
        await room.told(20)
        assert instances(sink.posts[-1]) == [("sw3", "resolved")]
        assert await states(room) == {("digest", "delivered"): 1, ("message", "delivered"): 11}


async def test_a_digest_that_is_refused_costs_no_alert(tmp_path: Path) -> None:
    ops, duty = WebhookSink(), WebhookSink()
    ops.choose = refused
    async with ops.serve(), duty.serve():
        receivers = [hook(ops.url, cap=CAP, fallback="duty"), hook(duty.url, "duty", cap=CAP)]
        async with delivering(tmp_path, receivers, route=routed(receivers[:1]), clock=ScaledClock()) as room:
            await room.tick(*(firing(instance=f"sw{number}") for number in range(20)))
            await duty.until(lambda posts: len(posts) >= 1)
            await room.told(20)
            assert await states(room) == {("digest", "dead"): 1, ("message", "dead"): 20}
            assert sorted(instances(*duty.posts)) == sorted((f"sw{n}", "firing") for n in range(20))
            assert room.sample("sentinel_outbox_fallback_total", receiver="ops") == 20
            assert room.sample("sentinel_outbox_dead_total", receiver="ops") == 20
            ops.choose = well
            await room.tick(*(resolved(instance=f"sw{number}", at=START + 60) for number in range(20)))
            await room.told(20)
            assert len(ops.posts) == 1  # was told nothing, and hears of no end
            over = {name for name, status in instances(*duty.posts) if status == "resolved"}
            assert len(over) == 20
            desk = Desk(room.db, room.clock, receivers=lambda: room.sender.receivers, again=room.sender.again)
            tried = await desk.retry([], "ops", "li.wei")
            assert {one.event for one in tried} == {"firing", "resolved"}  # of the alerts, not the digest


async def test_messages_in_a_digest_that_is_not_taken_go_to_the_fallback(tmp_path: Path) -> None:
    ops, duty, clock = WebhookSink(), WebhookSink(), ScaledClock()
    async with ops.serve(), duty.serve():
        receivers = [
            hook(ops.url, cap=CAP, fallback="duty", fallback_after="60s"),
            hook(duty.url, "duty", cap=CAP),
        ]
        ops.choose = down
        async with delivering(tmp_path, receivers, route=routed(receivers[:1]), clock=clock) as room:
            await room.tick(*(firing(instance=f"sw{number}") for number in range(20)))
            await duty.until(lambda posts: len(posts) >= 1)
            assert ("digest", "pending") in await states(room)
            ops.choose = well
            await room.told(20)
            for sink in (ops, duty):
                assert {name for name, _ in instances(*sink.posts)} == {f"sw{n}" for n in range(20)}


async def test_a_digest_dropped_by_hand_takes_its_messages_along(tmp_path: Path) -> None:
    sink = WebhookSink()
    sink.choose = down
    async with sink.serve(), delivering(tmp_path, [hook(sink.url, cap=CAP)]) as room:
        desk = Desk(room.db, room.clock, receivers=lambda: room.sender.receivers, again=room.sender.again)
        await room.tick(*(firing(instance=f"sw{number}") for number in range(5)))
        await sink.until(lambda posts: len(posts) >= 1)
        (digest,) = await desk.list(["pending"])
        dropped = await desk.drop([digest.id], "li.wei", "a drill")
        assert len(dropped) == 6
        assert await states(room) == {("digest", "dropped"): 1, ("message", "dropped"): 5}


async def test_what_was_put_together_is_whole_after_a_kill_at_any_moment(tmp_path: Path) -> None:
    """Before the commit nothing has happened; after it the digest waits, and the queues it tells of wait for it."""
    sink = WebhookSink()
    async with sink.serve():
        sink.choose = down
        async with delivering(tmp_path, [hook(sink.url)], clock=QuickClock()) as room:
            await room.tick(*(firing(instance=f"sw{number}") for number in range(10)))
            room.sending.cancel()  # as if killed
            merged = await put_together(room.db, "ops", (), room.clock.now())
            assert merged is not None
            assert merged.digest is not None
            rows = await waiting(room.db, "ops", after=0, limit=100)
            assert rows == [merged.digest]
            lane = Lane("ops", 4)
            lane.add(rows)
            assert len(rows[0].holds) == 10
        sent = len(sink.posts)
        sink.choose = well
        async with delivering(tmp_path, [hook(sink.url)], clock=QuickClock()) as room:
            await room.tick(resolved(instance="sw3", at=START + 60))
            await room.told()
            first, second = sink.posts[sent:]
            assert len(instances(first)) == 10
            assert instances(second) == [("sw3", "resolved")]


async def test_ends_of_what_was_never_told_stay_out_of_digests(tmp_path: Path) -> None:
    sink, clock = WebhookSink(), ScaledClock()
    sink.choose = refused
    async with sink.serve(), delivering(tmp_path, [hook(sink.url, cap=CAP)], clock=clock) as room:
        await room.tick(firing(instance="sw0"))
        await room.told()
        sink.choose = well
        sent = len(sink.posts)
        await room.tick(
            resolved(instance="sw0", at=START + 60),
            *(firing(instance=f"sw{number}") for number in range(1, 9)),
        )
        await room.told()
        assert ("sw0", "resolved") not in instances(*sink.posts[sent:])
        assert (await states(room))["message", "dropped"] == 1


async def test_what_came_and_went_while_it_waited_is_told_as_over(tmp_path: Path) -> None:
    sink, clock = WebhookSink(), ScaledClock()
    sink.choose = down
    async with sink.serve(), delivering(tmp_path, [hook(sink.url, cap=CAP)], clock=clock) as room:
        await room.tick(firing(instance="first"))
        await room.tried(1)
        await room.tick(*(firing(instance=f"sw{number}") for number in range(10)))
        await room.tick(*(resolved(instance=f"sw{number}", at=START + 60) for number in range(4)))
        sent = len(sink.posts)
        sink.choose = well
        await room.told(20)
        told = dict(instances(*sink.posts[sent:]))
        assert Counter(told.values()) == {"firing": 7, "resolved": 4}
        assert len(sink.posts) - sent <= 3
