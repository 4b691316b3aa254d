"""What people do with messages, on a real database with real far sides."""

from __future__ import annotations

from pathlib import Path

import pytest

from sentinel.db.audit import read_audit
from sentinel.incidents.incidents import NotPossibleError
from sentinel.notify.desk import Desk, NoSuchMessageError
from tests.integration.delivery import Room, delivering, hook
from tests.servers.sinks import Answer, WebhookSink
from tests.unit.incidents.alerts import START, firing, resolved


def desk_of(room: Room) -> Desk:
    return Desk(room.db, room.clock, receivers=lambda: room.sender.receivers, again=room.sender.again)


async def test_a_dead_message_is_tried_again_at_once_with_its_key_and_leaves_a_trace(tmp_path: Path) -> None:
    sink = WebhookSink()
    sink.answers.append(Answer(400))
    async with sink.serve(), delivering(tmp_path, [hook(sink.url)]) as room:
        desk = desk_of(room)
        await room.tick(firing(), firing(instance="sw2"))
        await room.told()
        (dead,) = await desk.list(["dead"])
        (tried,) = await desk.retry([dead.id], "", "li.wei")
        assert (tried.state, tried.key, tried.last_error) == ("pending", dead.key, "")
        await room.told()
        assert [post.key for post in sink.posts].count(dead.key) == 2
        assert await desk.list() == []
        record = await room.show(dead.incident)
        assert (record.entries[-2].actor, record.entries[-2].text) == (
            "li.wei",
            f"message {dead.id} to ops (firing) is tried again",
        )
        assert record.entries[-1].text == "ops by webhook: firing"
        (entry, *_) = await read_audit(room.db)
        assert (entry.actor, entry.action, entry.subject) == ("li.wei", "outbox.retry", f"messages {dead.id}")


async def test_a_recovery_that_was_dropped_with_its_alert_goes_along_and_after_it(tmp_path: Path) -> None:
    sink = WebhookSink()
    sink.answers.append(Answer(400))
    async with sink.serve(), delivering(tmp_path, [hook(sink.url)]) as room:
        await room.tick(firing(), resolved(at=START + 1))
        await room.told()
        tried = await desk_of(room).retry([], "ops", "li.wei")
        assert [one.event for one in tried] == ["firing", "resolved"]
        await room.told()
        assert [post.json["status"] for post in sink.posts] == ["firing", "firing", "resolved"]


async def test_an_alert_that_is_over_is_not_told_without_its_recovery(tmp_path: Path) -> None:
    sink = WebhookSink()
    sink.answers.append(Answer(400))
    async with sink.serve(), delivering(tmp_path, [hook(sink.url, send_resolved=False)]) as room:
        desk = desk_of(room)
        await room.tick(firing())
        await room.told()
        await room.tick(resolved(at=START + 60))
        (dead,) = await desk.list()
        for numbers, receiver in (([dead.id], ""), ([], "ops")):
            with pytest.raises(NotPossibleError, match="tells an alert that is over"):
                await desk.retry(numbers, receiver, "li.wei")
        assert [one.state for one in await desk.list()] == ["dead"]


async def test_what_was_delivered_waits_or_is_unknown_cannot_be_tried_again(tmp_path: Path) -> None:
    sink = WebhookSink()
    sink.choose = lambda post: Answer(400 if "sw2" in post.body.decode() else 200)
    async with sink.serve(), delivering(tmp_path, [hook(sink.url)]) as room:
        desk = desk_of(room)
        await room.tick(firing(), firing(instance="sw2"))
        await room.told()
        (dead,), (good,) = await desk.list(), await desk.list(["delivered"])
        with pytest.raises(NotPossibleError, match="same Idempotency-Key"):
            await desk.retry([dead.id, good.id], "", "li.wei")
        with pytest.raises(NoSuchMessageError, match="no message 99"):
            await desk.retry([dead.id, 99], "", "li.wei")
        with pytest.raises(NoSuchMessageError, match="no message to nobody"):
            await desk.retry([], "nobody", "li.wei")
        with pytest.raises(NotPossibleError, match="either"):
            await desk.retry([dead.id], "ops", "li.wei")
        assert [one.state for one in await desk.list()] == ["dead"]
        room.sender.use({})
        with pytest.raises(NotPossibleError, match="no longer configured"):
            await desk.retry([dead.id], "", "li.wei")


async def test_a_message_that_waits_can_be_dropped_and_its_recovery_is_not_sent(tmp_path: Path) -> None:
    sink = WebhookSink()
    sink.choose = lambda post: Answer(500)
    async with sink.serve(), delivering(tmp_path, [hook(sink.url)]) as room:
        desk = desk_of(room)
        await room.tick(firing())
        await room.tried(1)
        (waiting,) = await desk.list(["pending"])
        with pytest.raises(NotPossibleError, match="needs a reason"):
            await desk.drop([waiting.id], "li.wei", " ")
        (dropped,) = await desk.drop([waiting.id], "li.wei", "a drill\nonly")
        assert (dropped.state, dropped.last_error) == ("dropped", "a drill only")
        sink.choose = lambda post: Answer(200)
        sent = len(sink.posts)
        await room.tick(resolved(at=START + 60), firing(instance="sw2"))
        await room.told()
        assert {post.json["sentinel"]["incident"] for post in sink.posts[sent:]} == {2}
        with pytest.raises(NotPossibleError, match="is dropped"):
            await desk.drop([waiting.id], "li.wei", "again")
        recovery, again = await desk.list(["dropped"])
        assert (again.id, recovery.event) == (waiting.id, "resolved")


async def test_dropping_what_is_on_its_way_keeps_the_truth(tmp_path: Path) -> None:
    sink = WebhookSink()
    sink.choose = lambda post: Answer(hangs=True)
    async with sink.serve(), delivering(tmp_path, [hook(sink.url, timeout="500ms")]) as room:
        desk = desk_of(room)
        await room.tick(firing())
        await sink.until(lambda posts: len(posts) == 1)
        await desk.drop([1], "li.wei", "a drill")
        record = await room.tried(1, 0)
        assert record.deliveries[0].state == "dropped"
        await room.tick(firing(instance="sw2"))
        sink.choose = lambda post: Answer(200)
        await room.told()
        assert [one.state for one in (await room.show(1)).deliveries] == ["dropped"]
