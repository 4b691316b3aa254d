"""What stands in the way of telling, end to end: inhibition, parents that are down, flapping, times of the day."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sentinel.config.inhibition import InhibitSettings
from sentinel.config.intervals import TimeIntervalSettings
from sentinel.config.matchers import parse_matchers
from sentinel.config.receivers import AnyReceiver
from sentinel.config.receivers.local import FlappingSettings
from sentinel.config.receivers.pagers import PagerdutySettings
from sentinel.config.secret import Secret
from sentinel.db.database import Database
from sentinel.inventory.paths import Paths
from sentinel.model.incident import EntryKind
from sentinel.model.target import Target
from sentinel.notify.decision import Circumstances, Matter, Obstacle, Why
from sentinel.notify.flapping import MAX_KEYS, Flapping
from sentinel.notify.intervals import Intervals
from sentinel.notify.mutes.mutes import Mutes
from sentinel.notify.mutes.silence import Kind, Silence
from sentinel.notify.reminding import Reminder
from sentinel.notify.sending.sense import fetch
from sentinel.notify.standing import Standing
from sentinel.notify.texts import reason_in
from sentinel.runtime.clock import SystemClock
from tests.integration.delivery import hook
from tests.integration.telling import Telling, telling
from tests.unit.incidents.alerts import START, firing, resolved
from tests.unit.notify.news import news

RULE = InhibitSettings.model_validate(
    {
        "source_matchers": ['alertname="SiteDown"'],
        "target_matchers": ['alertname="Down"'],
        "equal": ["site"],
    }
)
LIMITS = FlappingSettings.model_validate({"times": 3, "within": "1h", "settle": "30m"})


def up(name: str, instance: str, at: float, **labels: Any) -> Any:
    return firing(name, instance, at=START + at, **labels)


def over(name: str, instance: str, at: float, **labels: Any) -> Any:
    return resolved(name, instance, at=START + at, **labels)


async def withheld(room: Telling, number: int) -> list[str]:
    entries = (await room.incidents.show(number)).entries
    return [entry.text for entry in entries if entry.kind is EntryKind.WITHHELD]


async def test_what_a_firing_alert_inhibits_is_told_when_that_is_over(tmp_path: Path) -> None:
    standing = Standing([RULE])
    circumstances = Circumstances(inhibitions=standing.inhibitions)
    async with telling(tmp_path, circumstances=circumstances, standing=standing) as room:
        told = await room.at(0, up("Down", "sw1", 0, site="hq"), up("SiteDown", "gw1", 0, site="hq"))
        assert [one.facts["target"] for one in told] == ["gw1"]
        assert await withheld(room, 1) == ["ops is not told now: inhibition: SiteDown on gw1"]
        told = await room.at(60, up("Down", "sw2", 60, site="branch"))
        assert [one.facts["target"] for one in told] == ["sw2"]
        (end,) = await room.at(300, over("SiteDown", "gw1", 300, site="hq"))
        assert (end.event, end.facts["target"]) == ("resolved", "gw1")
        (late,) = await room.at(400)
        assert (late.event, late.facts["target"]) == ("firing", "sw1")
        assert late.at <= 315


async def test_the_source_is_known_before_its_targets_of_the_same_tick_are_told(tmp_path: Path) -> None:
    standing = Standing([RULE])
    circumstances = Circumstances(inhibitions=standing.inhibitions)
    async with telling(tmp_path, circumstances=circumstances, standing=standing) as room:
        many = [up("Down", f"sw{number}", 0, site="hq") for number in range(50)]
        told = await room.at(0, *many, up("SiteDown", "gw1", 0, site="hq"))
        assert len(told) == 1


async def test_other_rules_hold_for_what_fires_already(tmp_path: Path) -> None:
    standing = Standing()
    standing.observe([up("SiteDown", "gw1", 0, site="hq")])
    target = up("Down", "sw1", 0, site="hq").alert
    assert standing.inhibitions(target) == []
    standing.use([RULE])
    assert [one.why for one in standing.inhibitions(target)] == [Why.INHIBITION]
    standing.observe([over("SiteDown", "gw1", 9, site="hq")])
    assert standing.inhibitions(target) == []


async def test_what_lies_behind_a_target_that_is_down_is_not_told(tmp_path: Path) -> None:
    down: set[str] = set()
    paths = Paths([target("sw1"), target("sw2"), target("acc", "sw1", "sw2"), target("ap", "acc")])

    def cut_off(name: str) -> list[Obstacle]:
        return [Obstacle(Why.DEPENDENCY, f"{one} is down") for one in paths.blockers(name, down.__contains__)]

    async with telling(tmp_path, circumstances=Circumstances(dependencies=cut_off)) as room:
        down |= {"sw1", "acc", "ap"}
        assert len(await room.at(0, up("Down", "acc", 0))) == 1  # sw2 leads there
        down.add("sw2")
        told = await room.at(60, up("Down", "ap", 60), up("Down", "sw2", 60))
        assert [one.facts["target"] for one in told] == ["sw2"]
        assert await withheld(room, 2) == ["ops is not told now: dependency: acc is down"]
        down -= {"sw1", "sw2"}
        assert await room.at(90, over("Down", "sw2", 90)) != []
        down.remove("acc")
        assert [one.facts["target"] for one in await room.at(120)] == ["ap"]


def test_ways_around_and_rings_of_parents() -> None:
    paths = Paths([target("a", "b"), target("b", "a"), target("c", "a", "d"), target("e", "c", "x")])
    assert list(paths.blockers("a", {"b"}.__contains__)) == ["b"]
    assert list(paths.blockers("a", {"a"}.__contains__)) == []
    assert list(paths.blockers("e", {"c"}.__contains__)) == []
    assert sorted(paths.blockers("e", {"a", "d", "x"}.__contains__)) == ["a", "d", "x"]
    assert set(paths.dependants(["a", "d"])) == {"b", "c"}
    assert set(paths.dependants(["x"])) == set()
    assert set(paths.dependants(["a", "d", "x"])) == {"b", "c", "e"}


async def test_what_comes_and_goes_is_told_once_as_that_and_once_when_it_has_settled(tmp_path: Path) -> None:
    flapping = Flapping(LIMITS)
    circumstances = Circumstances(flapping=flapping.obstacles)
    async with telling(tmp_path, circumstances=circumstances, flapping=flapping) as room:
        told = []
        for turn in range(10):
            told += await room.at(turn * 120, up("Down", "sw1", turn * 120))
            told += await room.at(turn * 120 + 60, over("Down", "sw1", turn * 120 + 60))
        assert [(one.event, one.reason) for one in told] == [
            ("firing", "opened"),
            ("resolved", "all alerts are over"),
            ("firing", "opened"),
            ("resolved", "all alerts are over"),
            ("firing", "flapping: opened 3 times within 1h"),
        ]
        assert [(one.at, one.event, one.reason) for one in await room.at(4000)] == [
            (9 * 120 + 1800, "resolved", "settled, all alerts are over")
        ]
        (calm,) = await room.at(8000, up("Down", "sw1", 8000))
        assert calm.reason == "opened"


async def test_what_flapped_and_goes_on_firing_is_told_when_it_has_settled(tmp_path: Path) -> None:
    flapping = Flapping(LIMITS)
    circumstances = Circumstances(flapping=flapping.obstacles)
    async with telling(tmp_path, circumstances=circumstances, flapping=flapping) as room:
        for turn in range(5):
            await room.at(turn * 120, up("Down", "sw1", turn * 120))
            if turn < 4:
                await room.at(turn * 120 + 60, over("Down", "sw1", turn * 120 + 60))
        told = await room.at(4000)
        assert [(one.event, one.reason, one.facts["incident"]) for one in told] == [
            ("resolved", "settled, all alerts are over", 3),
            ("firing", "settled, opened", 5),
        ]


async def test_a_restart_knows_what_flaps(tmp_path: Path) -> None:
    async with telling(tmp_path) as room:
        for turn in range(4):
            await room.at(turn * 120, up("Down", "sw1", turn * 120))
            await room.at(turn * 120 + 60, over("Down", "sw1", turn * 120 + 60))
        incident = (await room.incidents.show(4)).incident
    flapping = Flapping(LIMITS)
    async with (
        Database.open("sqlite:///sentinel.db", clock=SystemClock(), data_dir=tmp_path) as db,
        db.reading() as connection,
    ):
        await flapping.restore(connection, START + 500)
    assert flapping.obstacles(incident, Matter.RECOVERY, START + 500) != []
    assert not flapping.obstacles(incident, Matter.RECOVERY, START + 360 + 1800)


@pytest.mark.parametrize("times", [0, 3])
def test_many_kinds_of_incidents_take_bounded_room(times: int) -> None:
    flapping = Flapping(FlappingSettings.model_validate({"times": times}))
    incident = news().incident
    for number in range(MAX_KEYS + 1000):
        flapping._note(f"key {number}", number + 1, START + number)
    assert len(flapping._courses) <= MAX_KEYS
    assert flapping.obstacles(incident, Matter.FIRING, START) == ()


async def test_at_night_nobody_is_told_and_in_the_morning_what_still_fires(tmp_path: Path) -> None:
    # START is 22:13:20 UTC.
    night = TimeIntervalSettings.model_validate(
        {
            "name": "night",
            "time_intervals": [{"times": [{"start_time": "22:00", "end_time": "24:00"}]}],
        }
    )
    intervals = Intervals.of([night], ZoneInfo("UTC"))

    def times(route: Any, at: float) -> list[Obstacle]:
        closed = intervals.closed(route.grouping, at)
        return [Obstacle(Why.TIME, ", ".join(one.intervals), one.until) for one in closed]

    route = {
        "receiver": "ops",
        "routes": [{"mute_time_intervals": ["night"], "matchers": ['alertname="Down"']}],
    }
    async with telling(tmp_path, route, circumstances=Circumstances(times=times)) as room:
        told = await room.at(0, up("Down", "sw1", 0), up("Down", "sw2", 0), up("Hot", "sw1", 0))
        assert [one.facts["incident"] for one in told] == [3]
        assert await room.at(60, over("Down", "sw2", 60)) == []
        (morning,) = await room.at(7000)
        assert (morning.at, morning.facts["target"]) == (6400, "sw1")


async def test_people_are_reminded_of_what_fires_under_a_silence_before_it_ends(tmp_path: Path) -> None:
    mutes = Mutes()
    mutes.put([silence(START + 3600)], START)

    def muted(labels: Any, at: float) -> list[Obstacle]:
        return [Obstacle(Why.SILENCE, one.text, one.until) for one in mutes.muting(labels, at)]

    route = {"receiver": "ops", "routes": [{"receiver": "pager", "matchers": ['alertname="Hot"']}]}
    pager = PagerdutySettings(kind="pagerduty", name="pager", routing_key=Secret("k" * 32))
    receivers: list[AnyReceiver] = [hook("http://127.0.0.1:9/"), pager]
    async with telling(tmp_path, route, receivers, circumstances=Circumstances(mutes=muted)) as room:
        assert await room.at(0, up("Down", "sw1", 0), up("Slow", "sw1", 0), up("Hot", "sw1", 0)) == []
        await room.at(2700)
        reminder = Reminder(room.clock, mutes, lambda: room.dispatch)
        async with room.db.transaction() as connection:
            await reminder.remind(connection, silence(START + 3600))
        (told,) = await room.everything()
        assert (told.receiver, told.event, len(told.alerts)) == ("ops", "reminder", 2)
        assert told.reason == "silence ends in 15m: li.wei: works on it"
        assert told.facts["grouping"] == {"instance": "sw1", "severity": "critical"}
        found = await fetch(room.db, [1], room.clock.now())
        assert found[1][1] == ""  # it is sent, though nobody was told of the alerts
        assert reason_in("zh-CN", told.reason) == "静默将在 15m 后结束:li.wei: works on it"


def silence(ends_at: float) -> Silence:
    return Silence(
        id="s1",
        kind=Kind.SILENCE,
        matchers=parse_matchers('instance="sw1"'),
        targets=(),
        with_dependants=False,
        starts_at=START - 60,
        ends_at=ends_at,
        recurrence=None,
        over_at=ends_at,
        created_by="li.wei",
        comment="works on it",
        change="",
        created_at=START - 60,
        updated_at=START - 60,
    )


def target(name: str, *parents: str) -> Target:
    return Target(name=name, host=name, parents=parents)
