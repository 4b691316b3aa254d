"""Alerts to a real Alertmanager, which forgets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from sentinel.notify.receiver import Result
from tests.integration.delivery import QuickClock, delivering
from tests.integration.services import built, message, settings
from tests.servers.alertmanager import Alertmanager
from tests.servers.sinks import WebhookSink
from tests.unit.incidents.alerts import firing, resolved


@pytest.fixture
def now() -> float:
    return datetime.now().astimezone().timestamp()


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[Alertmanager]:
    with Alertmanager(tmp_path, told="http://127.0.0.1:1/") as running:
        yield running


async def test_it_holds_what_fires_and_tells_when_it_ends(tmp_path: Path, now: float) -> None:
    sink = WebhookSink()
    async with sink.serve():
        with Alertmanager(tmp_path, told=sink.url) as running:
            async with delivering(tmp_path, [settings("alertmanager", url=running.url)]) as room:
                await room.tick(firing(at=now, summary="sw1 is down"), firing(instance="sw2", at=now))
                await room.told()
                held = await running.until({"sw1", "sw2"})
                assert held[0]["annotations"].get("summary", "") in ("sw1 is down", "")
                assert re.fullmatch(r"http://sentinel.example.org/incidents/\d", held[0]["generatorURL"])
                await room.tick(resolved(at=now + 0.1))
                await room.told()
                await running.until({"sw2"})
                posts = await sink.until(
                    lambda posts: any(post.json["status"] == "resolved" for post in posts), within=20
                )
    told = [(post.json["alerts"][0]["labels"]["instance"], post.json["status"]) for post in posts]
    assert ("sw1", "firing") in told
    assert ("sw1", "resolved") in told
    assert ("sw2", "resolved") not in told


async def test_after_its_restart_it_holds_again_what_still_fires(
    tmp_path: Path, alertmanager: Alertmanager, now: float
) -> None:
    clock = QuickClock()
    one = settings("alertmanager", url=alertmanager.url, every="1m")
    async with delivering(tmp_path, [one], clock=clock) as room:
        await room.tick(*(firing(instance=name, at=now) for name in ("sw1", "sw2", "sw3")))
        await room.told()
        await alertmanager.until({"sw1", "sw2", "sw3"})
        alertmanager.kill()
        await room.tick(resolved(instance="sw3", at=now + 1))
        alertmanager.start()
        await room.told()
        held = await alertmanager.until({"sw1", "sw2"})
        ends = datetime.fromisoformat(held[0]["endsAt"]).timestamp()
        assert 0 < ends - now <= 4 * 60 + 60


async def test_what_is_told_again_never_overtakes_a_recovery(
    tmp_path: Path, alertmanager: Alertmanager, now: float
) -> None:
    """A round every few hundredths of a second while incidents open and end."""
    one = settings("alertmanager", url=alertmanager.url, every="10s")
    async with delivering(tmp_path, [one], clock=QuickClock()) as room:
        for number in range(40):
            await room.tick(firing(instance=f"sw{number}", at=now))
            await room.tick(resolved(instance=f"sw{number}", at=now + 0.001 * number))
        await room.tick(firing(instance="last", at=now))
        await room.told()
        seen: set[str] = set()
        while len(seen) < 4:  # three rounds after the last end
            held = await alertmanager.firing()
            assert {alert["labels"]["instance"] for alert in held} == {"last"}
            seen.add(held[0]["updatedAt"])


async def test_what_no_longer_fires_ends_there_when_sentinel_is_gone(tmp_path: Path, now: float) -> None:
    with Alertmanager(tmp_path, told="http://127.0.0.1:1/") as running:
        async with built(settings("alertmanager", url=running.url, every="10s")) as receiver:
            assert (await receiver.send(message())).result is Result.DELIVERED
        (alert,) = await running.firing()
        ends = datetime.fromisoformat(alert["endsAt"]).timestamp()
        assert 30 < ends - now < 50
