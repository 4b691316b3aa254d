"""Messages that no longer make sense, on a real database with a real far side."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any

from sqlalchemy import select

from sentinel.config.notify import RouteSettings
from sentinel.db import tables as t
from sentinel.incidents.news import REPEAT
from sentinel.notify.desk import Desk, MessageRecord
from sentinel.notify.outbox import UNTOLD
from sentinel.notify.sending.sense import EXPIRED, OVERTAKEN
from tests.integration.delivery import Room, delivering, hook, mail
from tests.integration.test_delivery_fallback import ScaledClock, down, refused, told, well
from tests.servers.sinks import Answer, WebhookSink, smtp_sink
from tests.unit.incidents.alerts import START, firing, resolved


async def messages(room: Room, *states: str) -> list[MessageRecord]:
    desk = Desk(room.db, room.clock, receivers=lambda: room.sender.receivers, again=room.sender.again)
    return list(reversed(await desk.list(states or ("pending", "delivered", "dead", "dropped"))))


async def lines(room: Room, number: int = 1) -> list[str]:
    return [entry.text for entry in (await room.show(number)).entries]


def again_and_again(every: str) -> RouteSettings:
    return RouteSettings.model_validate({"receiver": "ops", "repeat_interval": every})


async def test_an_alert_that_waited_for_too_long_is_dropped_with_its_end(tmp_path: Path) -> None:
    sink, clock = WebhookSink(), ScaledClock()
    sink.choose = down
    async with (
        sink.serve(),
        delivering(tmp_path, [hook(sink.url, expires_after="40s")], clock=clock) as room,
    ):
        await room.tick(firing())
        await room.tick(resolved(at=START + 60))
        await room.told()
        assert [(one.event, one.state, one.last_error) for one in await messages(room)] == [
            ("firing", "dropped", EXPIRED),
            ("resolved", "dropped", UNTOLD),
        ]
        assert f"ops: firing is not sent: {EXPIRED}" in await lines(room)
        assert room.sample("sentinel_outbox_dropped_total", receiver="ops", reason="expired") == 1
        assert room.sample("sentinel_outbox_dropped_total", receiver="ops", reason="untold") == 1
        sink.choose = well
        await room.tick(firing(instance="sw2"))
        await room.told()
        assert told(sink)[-1] == (2, "firing")


async def test_a_recovery_never_expires_once_its_alert_was_told(tmp_path: Path) -> None:
    sink, clock = WebhookSink(), ScaledClock()
    async with (
        sink.serve(),
        delivering(tmp_path, [hook(sink.url, expires_after="60s")], clock=clock) as room,
    ):
        await room.tick(firing())
        await room.told()
        sink.choose = down
        await room.tick(resolved(at=START + 60))
        await clock.sleep(120)
        sink.choose = well
        await room.told()
        assert told(sink) == [(1, "firing"), (1, "resolved")]


async def test_what_some_recipients_have_does_not_expire_and_all_hear_the_end(tmp_path: Path) -> None:
    clock = ScaledClock()
    async with smtp_sink() as sink:
        sink.refuse["b@x.org"] = deque(["451 later"])
        to: dict[str, Any] = {"to": ["a@x.org", "b@x.org"], "expires_after": "60s"}
        async with delivering(tmp_path, [mail(sink.port, "ops", **to)], clock=clock) as room:
            await room.tick(firing())
            await room.tried(1)
            await room.tick(resolved(at=START + 60))
            await clock.sleep(120)
            sink.refuse.clear()
            await room.told(20)
            assert [one.state for one in await messages(room)] == ["delivered", "delivered"]


async def test_repeats_that_wait_are_overtaken_by_later_ones(tmp_path: Path) -> None:
    sink, clock = WebhookSink(), ScaledClock()
    async with (
        sink.serve(),
        delivering(tmp_path, [hook(sink.url)], route=again_and_again("40s"), clock=clock) as room,
    ):
        await room.tick(firing())
        await sink.until(lambda posts: len(posts) == 1)
        sink.choose = down
        while len(await messages(room, "pending", "dropped")) < 4:
            await clock.sleep(5)
        sink.choose = well
        await room.tick(resolved(at=clock.now()))
        await room.told()
        found = await messages(room)
        assert found[0].state == found[-1].state == "delivered"
        assert {one.last_error for one in found if one.state == "dropped"} == {OVERTAKEN}
        assert sum(one.state == "dropped" for one in found) >= 2
        assert [one.event for one in found][-1] == "resolved"
        async with room.db.reading() as connection:
            reasons = [row[0]["reason"] for row in await connection.execute(select(t.outbox.c.payload))]
        assert REPEAT in reasons  # what the groups really say
        assert f"ops: firing is not sent: {OVERTAKEN}" in await lines(room)


async def test_an_acknowledgement_is_overtaken_by_a_later_one_and_by_the_end(tmp_path: Path) -> None:
    sink, clock = WebhookSink(), ScaledClock()
    async with (
        sink.serve(),
        delivering(tmp_path, [hook(sink.url, send_acknowledged=True)], clock=clock) as room,
    ):
        await room.tick(firing())
        await room.told()
        sink.choose = lambda post: Answer(500)
        await room.incidents.acknowledge(1, "li")
        await room.tried(1)
        await room.incidents.acknowledge(1, "wang")
        await room.tick(resolved(at=START + 60))
        sink.choose = well
        await room.told()
        states = [(one.event, one.state) for one in await messages(room)]
        assert states == [
            ("firing", "delivered"),
            ("acknowledged", "dropped"),
            ("acknowledged", "dropped"),
            ("resolved", "delivered"),
        ]


async def test_an_acknowledgement_is_told_although_the_alert_is_repeated_after_it(tmp_path: Path) -> None:
    sink, clock = WebhookSink(), ScaledClock()
    async with (
        sink.serve(),
        delivering(
            tmp_path, [hook(sink.url, send_acknowledged=True)], route=again_and_again("100s"), clock=clock
        ) as room,
    ):
        await room.tick(firing())
        await sink.until(lambda posts: len(posts) == 1)
        sink.choose = down
        await room.incidents.acknowledge(1, "li")
        await room.tick(firing(ifName="eth1"))
        sink.choose = well
        await sink.until(
            lambda posts: any(post.json["sentinel"]["state"] == "acknowledged" for post in posts), 20
        )
        await room.tick(resolved(at=START + 60), resolved(ifName="eth1", at=START + 60))
        await room.told()
        assert ("acknowledged", "delivered") in [(one.event, one.state) for one in await messages(room)]


async def test_a_repeat_still_tells_an_alert_that_was_refused_before(tmp_path: Path) -> None:
    sink, clock = WebhookSink(), ScaledClock()
    sink.choose = refused
    async with (
        sink.serve(),
        delivering(tmp_path, [hook(sink.url)], route=again_and_again("100s"), clock=clock) as room,
    ):
        await room.tick(firing())
        await room.told()
        sink.choose = well
        await sink.until(lambda posts: len(posts) >= 2)
        await room.tick(resolved(at=START + 60))
        await room.told()
        assert (await messages(room))[-1].state == "delivered"
