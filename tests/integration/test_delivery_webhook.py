"""From an alert change to a real HTTP server, however it behaves."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sentinel.config.notify import RouteSettings
from sentinel.model.incident import EntryKind, IncidentState
from sentinel.notify import build_receivers, sender
from sentinel.notify.outbox import waiting
from sentinel.runtime.clock import SystemClock
from tests.integration.delivery import QuickClock, delivering, hook
from tests.servers.certificates import certificate
from tests.servers.debian import free_port
from tests.servers.sinks import Answer, Post, WebhookSink
from tests.unit.incidents.alerts import START, firing, resolved


def course(posts: list[Post]) -> list[tuple[int, str]]:
    return [(post.json["sentinel"]["incident"], post.json["status"]) for post in posts]


async def test_an_incident_and_its_recovery_are_told_once_each(tmp_path: Path) -> None:
    sink = WebhookSink()
    async with sink.serve(), delivering(tmp_path, [hook(sink.url, headers={"X-Site": "hq"})]) as room:
        await room.tick(firing(summary="sw1 is down"))
        await room.told()
        await room.tick(resolved(at=START + 60))
        await room.told()
        assert course(sink.posts) == [(1, "firing"), (1, "resolved")]
        assert len({post.key for post in sink.posts}) == 2
        assert sink.posts[0].headers["x-site"] == "hq"
        record = await room.show(1)
        assert record.incident.state is IncidentState.RESOLVED
        told = [entry.text for entry in record.entries if entry.kind is EntryKind.NOTIFIED]
        assert told == ["ops by webhook: firing", "ops by webhook: resolved"]
        assert [one.state for one in record.deliveries] == ["delivered", "delivered"]
        assert room.sample("sentinel_notifications_total", receiver="ops", result="delivered") == 2


async def test_a_commit_wakes_the_sender_at_once(tmp_path: Path) -> None:
    sink = WebhookSink()
    async with sink.serve(), delivering(tmp_path, [hook(sink.url)], clock=SystemClock()) as room:
        await room.tick(firing(instance="first"))
        await sink.until(lambda posts: len(posts) == 1)
        took: list[float] = []
        for number in range(5):
            began = time.monotonic()
            await room.tick(firing(instance=f"sw{number}"))
            await sink.until(lambda posts: len(posts) == len(took) + 2)
            took.append(time.monotonic() - began)
        assert min(took) < 0.2, took


async def test_a_server_error_is_tried_again_with_the_same_key(tmp_path: Path) -> None:
    sink = WebhookSink()
    sink.answers.extend([Answer(500), Answer(503), Answer(302, {"Location": "/other"}), Answer(200)])
    async with sink.serve(), delivering(tmp_path, [hook(sink.url)]) as room:
        await room.tick(firing())
        await room.told()
        assert len(sink.posts) == 4
        assert len({post.key for post in sink.posts}) == 1
        assert {post.path for post in sink.posts} == {"/hook"}
        (delivery,) = (await room.show(1)).deliveries
        assert (delivery.state, delivery.attempts) == ("delivered", 4)


async def test_retry_after_is_honoured(tmp_path: Path) -> None:
    sink, clock = WebhookSink(), QuickClock()
    sink.answers.append(Answer(429, {"Retry-After": "30"}))
    async with sink.serve(), delivering(tmp_path, [hook(sink.url)], clock=clock) as room:
        began = clock.monotonic()
        await room.tick(firing())
        await room.told()
        assert clock.monotonic() - began >= 30
        assert len(sink.posts) == 2
        assert max(clock.slept) > 29


async def test_a_refused_message_is_a_visible_dead_letter_and_its_recovery_is_not_sent(
    tmp_path: Path,
) -> None:
    sink = WebhookSink()
    sink.answers.append(Answer(400, body=b"no such <b>project</b>\r\nX: y"))
    async with sink.serve(), delivering(tmp_path, [hook(sink.url)]) as room:
        await room.tick(firing())
        await room.told()
        await room.tick(resolved(at=START + 60))
        await room.told()
        await room.tick(firing(instance="sw2"))
        await room.told()
        assert course(sink.posts) == [(1, "firing"), (2, "firing")]
        record = await room.show(1)
        assert [one.state for one in record.deliveries] == ["dead", "dropped"]
        assert record.deliveries[0].last_error == "400 no such <b>project</b> X: y"
        assert EntryKind.NOT_DELIVERED in [entry.kind for entry in record.entries]
        assert room.sample("sentinel_outbox_dead_total", receiver="ops") == 1


async def test_a_recovery_waiting_behind_a_refused_alert_is_dropped(tmp_path: Path) -> None:
    sink = WebhookSink()
    sink.answers.append(Answer(400))
    async with sink.serve(), delivering(tmp_path, [hook(sink.url)]) as room:
        await room.tick(firing(), resolved(at=START + 1))
        await room.told()
        assert course(sink.posts) == [(1, "firing")]
        assert [one.state for one in (await room.show(1)).deliveries] == ["dead", "dropped"]


@pytest.mark.parametrize("answer", [Answer(hangs=True), Answer(drips=True)])
async def test_a_far_side_that_hangs_meets_the_deadline_and_holds_up_nobody(
    tmp_path: Path, answer: Answer
) -> None:
    slow, quick = WebhookSink(), WebhookSink()
    slow.choose = lambda post: answer
    async with (
        slow.serve(),
        quick.serve(),
        delivering(tmp_path, [hook(slow.url, "slow", timeout="300ms"), hook(quick.url, "quick")]) as room,
    ):
        for number in range(3):
            await room.tick(firing(instance=f"sw{number}"))
        await quick.until(lambda posts: len(posts) == 3, within=2.0)
        await slow.until(lambda posts: len(posts) >= 2)
        slow.choose = lambda post: Answer()
        await room.told()
        assert {number for number, _ in course(slow.posts)} == {1, 2, 3}


async def test_order_is_kept_within_each_incident_while_attempts_fail(tmp_path: Path) -> None:
    sink = WebhookSink()
    failed: dict[str, int] = {}

    def every_message_fails_twice(post: Post) -> Answer:
        failed[post.key] = failed.get(post.key, 0) + 1
        return Answer(500 if failed[post.key] < 3 else 200)

    sink.choose = every_message_fails_twice
    async with sink.serve(), delivering(tmp_path, [hook(sink.url)]) as room:
        for number in range(10):
            await room.tick(firing(instance=f"sw{number}"))
        for number in range(10):
            await room.tick(firing(instance=f"sw{number}", ifName="ge-1", at=START + 5))
        for number in range(10):
            over = {"instance": f"sw{number}", "at": START + 9}
            await room.tick(resolved(**over), resolved(ifName="ge-1", **over))  # type: ignore[arg-type]
        await room.told(20)
        for number in range(1, 11):
            reasons = [
                p.json["sentinel"]["reason"] for p in sink.posts if p.json["sentinel"]["incident"] == number
            ]
            told = ["opened", "1 more alert", "all alerts are over"]
            assert reasons == [reason for reason in told for _ in range(3)]


async def test_a_recovery_goes_only_to_those_who_were_told(tmp_path: Path) -> None:
    one, two = WebhookSink(), WebhookSink()
    route = RouteSettings.model_validate(
        {"receiver": "one", "routes": [{"receiver": "two", "matchers": ['instance="sw2"']}]}
    )
    async with one.serve(), two.serve():
        receivers = [hook(one.url, "one"), hook(two.url, "two")]
        async with delivering(tmp_path, receivers, route=route) as room:
            await room.tick(firing(instance="sw1"), firing(instance="sw2"))
            await room.tick(resolved(instance="sw1", at=START + 9), resolved(instance="sw2", at=START + 9))
            await room.told()
        assert [post.json["alerts"][0]["labels"]["instance"] for post in one.posts] == ["sw1", "sw1"]
        assert [post.json["alerts"][0]["labels"]["instance"] for post in two.posts] == ["sw2", "sw2"]


async def test_acknowledging_and_closing_by_hand_are_told_where_wanted(tmp_path: Path) -> None:
    plain, chatty = WebhookSink(), WebhookSink()
    async with plain.serve(), chatty.serve():
        receivers = [hook(plain.url, "plain"), hook(chatty.url, "chatty", send_acknowledged=True)]
        async with delivering(tmp_path, receivers) as room:
            await room.tick(firing())
            await room.incidents.acknowledge(1, "li", "looking")
            await room.told()  # the end would overtake it
            await room.incidents.resolve(1, "li", "cable replaced")
            await room.told()
            await room.tick(resolved(at=START + 90))
            await room.told()
    assert course(plain.posts) == [(1, "firing"), (1, "resolved")]
    assert [post.json["sentinel"]["state"] for post in chatty.posts] == ["open", "acknowledged", "resolved"]
    assert chatty.posts[2].json["alerts"][0]["endsAt"] != "0001-01-01T00:00:00Z"


async def test_what_waited_when_the_daemon_ended_is_sent_at_the_next_start(tmp_path: Path) -> None:
    port = free_port()
    receivers = [hook(f"http://127.0.0.1:{port}/hook")]
    async with delivering(tmp_path, receivers) as room:
        await room.tick(firing())
        await room.tick(resolved(at=START + 9))
    sink = WebhookSink()
    async with sink.serve(port), delivering(tmp_path, receivers) as room:
        await room.told()
        assert course(sink.posts) == [(1, "firing"), (1, "resolved")]


async def test_a_stop_finishes_what_is_on_its_way(tmp_path: Path) -> None:
    sink = WebhookSink()
    async with sink.serve(), delivering(tmp_path, [hook(sink.url)], clock=SystemClock()) as room:
        await room.tick(*(firing(instance=f"sw{number}") for number in range(40)))
        await sink.until(lambda posts: len(posts) >= 10)
        room.sending.cancel()
        await asyncio.gather(room.sending, return_exceptions=True)
    async with sink.serve(sink.port), delivering(tmp_path, [hook(sink.url)]) as room:
        await room.told()
    assert len(sink.posts) == 40
    assert len({post.key for post in sink.posts}) == 40


async def test_messages_for_a_removed_receiver_are_dead_letters_and_its_successor_is_told(
    tmp_path: Path,
) -> None:
    sink = WebhookSink()
    async with sink.serve():
        down = hook(f"http://127.0.0.1:{free_port()}/", "gone")
        async with delivering(tmp_path, [down]) as room:
            await room.tick(firing())
        async with delivering(tmp_path, [hook(sink.url)]) as room:
            await room.told()
            async with asyncio.timeout(10):
                while not sink.posts:
                    await asyncio.sleep(0.01)
            await room.told()
            dead, delivered = (await room.show(1)).deliveries
            assert (dead.state, dead.last_error) == ("dead", "the receiver is no longer configured")
            assert (delivered.state, delivered.receiver) == ("delivered", "ops")


async def test_receivers_can_be_exchanged_while_messages_wait(tmp_path: Path) -> None:
    sink = WebhookSink()
    async with sink.serve():
        async with delivering(tmp_path, [hook(f"http://127.0.0.1:{free_port()}/")]) as room:
            await room.tick(firing())
            room.sender.use(
                build_receivers([hook(sink.url)], clock=room.clock, language="en", zone=ZoneInfo("UTC"))
            )
            await room.told()
        assert course(sink.posts) == [(1, "firing")]


async def test_a_database_locked_by_another_program_loses_nothing(tmp_path: Path) -> None:
    sink = WebhookSink()
    async with sink.serve(), delivering(tmp_path, [hook(sink.url)], clock=SystemClock()) as room:
        await room.tick(firing(instance="sw0"))
        await room.told()
        with closing(sqlite3.connect(room.db.path, isolation_level=None, timeout=0)) as other:
            await locked(other)
            lags = []
            for number in range(1, 8):
                room.ledger.submit([firing(instance=f"sw{number}")])
                began = time.monotonic()
                await asyncio.sleep(0.9)
                lags.append(time.monotonic() - began - 0.9)
            other.execute("ROLLBACK")
        await room.ledger.settled()
        await room.told(20)
        assert len(sink.posts) == 8
        assert len({post.key for post in sink.posts}) == 8
        assert room.sample("sentinel_ledger_commit_failures_total") >= 1
        assert sorted(lags)[len(lags) // 2] < 0.1, lags


async def test_messages_that_could_not_be_read_are_sent_without_further_news(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink, failures, read = WebhookSink(), [0], waiting

    async def fails_twice(*given: Any, **more: Any) -> Any:
        failures[0] += 1
        if 2 <= failures[0] <= 3:
            raise OSError("disk I/O error")
        return await read(*given, **more)

    monkeypatch.setattr(sender, "waiting", fails_twice)
    async with sink.serve(), delivering(tmp_path, [hook(sink.url)]) as room:
        await room.tick(firing())
        await room.told()
    assert course(sink.posts) == [(1, "firing")]
    assert failures[0] > 3


async def locked(other: sqlite3.Connection) -> None:
    """Once nobody else writes: who does needs the event loop to come to its end."""
    async with asyncio.timeout(10):
        while True:
            try:
                other.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError:
                await asyncio.sleep(0.005)


async def test_a_certificate_nobody_vouches_for_is_not_trusted(tmp_path: Path) -> None:
    files, sink = certificate(tmp_path), WebhookSink()
    async with sink.serve(tls=files.server()):
        url = sink.url.replace("http:", "https:")
        async with delivering(tmp_path / "a", [hook(url)]) as room:
            await room.tick(firing())
            assert "certificate" in (await room.tried(1)).deliveries[0].last_error
        assert sink.posts == []
        async with delivering(tmp_path / "b", [hook(url, ca_file=str(files.certificate))]) as room:
            await room.tick(firing())
            await room.told()
        assert len(sink.posts) == 1


async def test_one_alert_that_cannot_be_stored_leaves_the_others_alone(tmp_path: Path) -> None:
    sink = WebhookSink()
    async with sink.serve(), delivering(tmp_path, [hook(sink.url)]) as room:
        changes = [firing(instance=f"sw{number}") for number in range(7)]
        await room.tick(*changes, firing(instance="lone surrogate \ud800"))
        await room.told()
        assert len(sink.posts) == 7
        assert room.sample("sentinel_ledger_refused_changes_total") == 1


async def test_ten_thousand_alerts_are_committed_within_seconds(tmp_path: Path) -> None:
    sink = WebhookSink()
    route = RouteSettings.model_validate({"receiver": "ops"})
    async with sink.serve(), delivering(tmp_path, [hook(sink.url)], route=route) as room:
        room.sending.cancel()
        changes = [firing(instance=f"sw{number}") for number in range(10_000)]
        began = time.monotonic()
        await room.tick(*changes)
        assert time.monotonic() - began < 40  # seven on a quiet machine; it must not grow with the square
        assert len(await room.incidents.list(limit=1000)) == 1000
        began = time.monotonic()
        await room.incidents.acknowledge(5000, "li")
        assert time.monotonic() - began < 1.0
