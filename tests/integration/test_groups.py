"""Notification groups: who is told what together, and when."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from sentinel.db import tables as t
from sentinel.incidents import IncidentRecord
from sentinel.model.alert import AlertState
from sentinel.model.incident import EntryKind
from sentinel.notify.decision import Circumstances, Obstacle, Why
from sentinel.notify.facts import MAX_ALERTS
from tests.integration.delivery import hook
from tests.integration.telling import Telling, telling
from tests.unit.incidents.alerts import START, firing, resolved, unknown

URL = "http://127.0.0.1:9/"
BY_NAME = {"receiver": "ops", "group_by": ["alertname"], "group_wait": "30s", "group_interval": "5m"}
MINUTE = 60.0


def up(instance: str, at: float, **labels: Any) -> Any:
    return firing(instance=instance, at=START + at, **labels)


def over(instance: str, at: float, **labels: Any) -> Any:
    return resolved(instance=instance, at=START + at, **labels)


async def rows(room: Telling, table: Any) -> int:
    async with room.db.reading() as connection:
        return (await connection.execute(select(func.count()).select_from(table))).scalar_one()


class Mutes:
    """Whose labels are silenced now."""

    def __init__(self) -> None:
        self.instances: set[str] = set()
        self.until: float | None = None

    def __call__(self, labels: Any, at: float) -> list[Obstacle]:
        hit = labels.get("instance", "") in self.instances
        return [Obstacle(Why.SILENCE, "li.wei: works on it", self.until)] if hit else []


# By incident: what is news is told at once


async def test_each_receiver_gets_one_message_with_its_alerts(tmp_path: Path) -> None:
    route = {"receiver": "all", "routes": [{"receiver": "ports", "matchers": ['ifName=~".+"']}]}
    async with telling(tmp_path, route, [hook(URL, "all"), hook(URL, "ports")]) as room:
        told = await room.at(0, up("sw1", 0), up("sw1", 0, ifName="ge-1"), up("sw1", 0, ifName="ge-2"))
        assert {(one.receiver, len(one.alerts), one.event) for one in told} == {
            ("all", 1, "firing"),
            ("ports", 2, "firing"),
        }
        assert {one.queue for one in told} == {"incident/1"}
        assert await room.at(60, over("sw1", 60, ifName="ge-1")) == []
        told = await room.at(90, over("sw1", 90), over("sw1", 90, ifName="ge-2"))
        assert {(one.receiver, one.event, one.reason) for one in told} == {
            ("all", "resolved", "all alerts are over"),
            ("ports", "resolved", "all alerts are over"),
        }
        assert (await rows(room, t.notify_group), await rows(room, t.notify_member)) == (0, 0)


async def test_what_came_and_went_within_one_tick_is_told_as_both(tmp_path: Path) -> None:
    async with telling(tmp_path) as room:
        told = await room.at(0, up("sw1", 0), over("sw1", 1))
        assert [(one.event, list(one.alerts.values())) for one in told] == [
            ("firing", ["firing"]),
            ("resolved", ["resolved"]),
        ]


async def test_without_a_wish_for_recoveries_none_is_told(tmp_path: Path) -> None:
    async with telling(tmp_path, None, [hook(URL, send_resolved=False)]) as room:
        assert len(await room.at(0, up("sw1", 0))) == 1
        assert await room.at(60, over("sw1", 60)) == []
        assert await rows(room, t.notify_group) == 0


async def test_an_acknowledgement_goes_to_those_who_were_told_and_want_it(tmp_path: Path) -> None:
    route = {"receiver": "ops", "routes": [{"receiver": "desk", "matchers": ['instance="sw2"']}]}
    receivers = [hook(URL, send_acknowledged=True), hook(URL, "desk")]
    async with telling(tmp_path, route, receivers) as room:
        await room.at(0, up("sw1", 0), up("sw2", 0))
        await room.incidents.acknowledge(1, "li.wei")
        await room.incidents.acknowledge(2, "li.wei")
        told = (await room.everything())[2:]
        assert [(one.receiver, one.event, one.facts["incident"]) for one in told] == [
            ("ops", "acknowledged", 1)
        ]


async def test_resolved_by_hand_is_told_at_once_and_nothing_after_it(tmp_path: Path) -> None:
    async with telling(tmp_path) as room:
        await room.at(0, up("sw1", 0))
        await room.incidents.resolve(1, "li.wei")
        assert [one.reason for one in await room.everything()] == ["opened", "resolved by li.wei"]
        assert await room.at(60, over("sw1", 60)) == []


async def test_messages_are_bounded_and_say_what_they_leave_out(tmp_path: Path) -> None:
    async with telling(tmp_path) as room:
        many = [up("sw1", 0, ifName=f"ge-{number}") for number in range(MAX_ALERTS + 20)]
        (message,) = await room.at(0, *many)
        assert len(message.facts["alerts"]) == MAX_ALERTS
        assert (message.facts["truncated"], message.facts["total"]) == (20, MAX_ALERTS + 20)


async def test_an_incident_that_nobody_takes_is_told_again(tmp_path: Path) -> None:
    async with telling(tmp_path, {"receiver": "ops", "repeat_interval": "1h"}) as room:
        await room.at(0, up("sw1", 0))
        told = await room.at(3 * 3600)
        assert [(one.at, one.event, one.reason) for one in told] == [
            (3600 * hour, "firing", "still firing") for hour in (1, 2, 3)
        ]
        await room.incidents.acknowledge(1, "li.wei")
        assert await room.at(6 * 3600) == []
        (end,) = await room.at(7 * 3600, over("sw1", 7 * 3600))
        assert end.event == "resolved"


async def test_an_incident_waits_for_company_where_a_wait_is_written(tmp_path: Path) -> None:
    async with telling(tmp_path, {"receiver": "ops", "group_wait": "20s", "group_interval": "1m"}) as room:
        assert await room.at(0, up("sw1", 0)) == []
        assert await room.at(10, up("sw1", 10, ifName="ge-1"), up("sw2", 10)) == []
        told = await room.at(29, over("sw2", 29))
        assert [(one.at, sorted(one.alerts)) for one in told] == [(20, ["Down sw1", "Down sw1ge-1"])]
        assert await room.at(40, up("sw1", 40, ifName="ge-2")) == []
        told = await room.at(200)
        assert [(one.at, one.reason) for one in told] == [(80, "1 more alert")]


# By labels: Alertmanager's groups


async def test_alerts_with_the_same_labels_are_told_together(tmp_path: Path) -> None:
    async with telling(tmp_path, BY_NAME) as room:
        assert await room.at(0, up("sw1", 0), firing("Hot", "sw1", at=START)) == []
        assert await room.at(20, up("sw2", 20)) == []
        told = await room.at(31)
        assert [(one.at, sorted(one.alerts), one.facts["grouping"]) for one in told] == [
            (30, ["Down sw1", "Down sw2"], {"alertname": "Down"}),
            (30, ["Hot sw1"], {"alertname": "Hot"}),
        ]
        assert told[0].facts["group_key"] == '{}:{alertname="Down"}'
        assert told[0].facts["incidents"] == [3]
        assert told[0].queue != told[1].queue
        assert await room.at(60, up("sw3", 60)) == []
        (more,) = await room.at(331)
        assert (more.at, more.reason, sorted(more.alerts)) == (
            330,
            "1 more alert",
            ["Down sw1", "Down sw2", "Down sw3"],
        )


async def test_the_end_of_one_is_told_with_the_rest_and_then_forgotten(tmp_path: Path) -> None:
    async with telling(tmp_path, BY_NAME) as room:
        await room.at(31, up("sw1", 0), up("sw2", 0))
        assert await room.at(100, over("sw1", 100)) == []
        (partly,) = await room.at(400)
        assert (partly.event, partly.alerts) == ("firing", {"Down sw2": "firing", "Down sw1": "resolved"})
        assert await room.at(500, over("sw2", 500)) == []
        (end,) = await room.at(1000)
        assert (end.event, end.alerts, end.reason) == (
            "resolved",
            {"Down sw2": "resolved"},
            "all alerts are over",
        )
        assert (await rows(room, t.notify_group), await rows(room, t.notify_member)) == (0, 0)


async def test_what_was_over_before_anybody_heard_of_it_is_not_told(tmp_path: Path) -> None:
    async with telling(tmp_path, BY_NAME) as room:
        assert await room.at(0, up("sw1", 0)) == []
        assert await room.at(10, over("sw1", 10)) == []
        assert await room.at(1000) == []
        assert await rows(room, t.notify_group) == 0


async def test_what_fires_is_repeated(tmp_path: Path) -> None:
    async with telling(tmp_path, BY_NAME | {"repeat_interval": "1h"}) as room:
        await room.at(0, up("sw1", 0))
        told = await room.at(3 * 3600)
        # At the look after an hour has passed, as Alertmanager does it.
        assert [(one.at, one.reason) for one in told] == [
            (30, "opened"),
            (30 + 3900, "still firing"),
            (30 + 7800, "still firing"),
        ]


async def test_an_alert_that_cannot_be_read_goes_on_firing(tmp_path: Path) -> None:
    async with telling(tmp_path, BY_NAME) as room:
        await room.at(40, up("sw1", 0))
        assert await room.at(400, unknown(instance="sw1", at=START + 400)) == []
        assert await room.at(4000) == []


async def test_each_alert_alone_by_three_dots(tmp_path: Path) -> None:
    async with telling(tmp_path, BY_NAME | {"group_by": ["..."]}) as room:
        await room.at(0, up("sw1", 0), up("sw2", 0))
        assert [len(one.alerts) for one in await room.at(40)] == [1, 1]


async def test_recoveries_of_a_group_reach_the_timelines_of_all_its_incidents(tmp_path: Path) -> None:
    async with telling(tmp_path, BY_NAME) as room:
        await room.at(40, up("sw1", 0), up("sw2", 0))
        records: list[IncidentRecord] = [await room.incidents.show(number) for number in (1, 2)]
        assert [len(record.deliveries) for record in records] == [1, 1]
        assert records[0].deliveries[0].key == records[1].deliveries[0].key


# What stands in the way


async def test_what_is_silenced_is_told_when_the_silence_ends(tmp_path: Path) -> None:
    mutes = Mutes()
    mutes.instances, mutes.until = {"sw1"}, START + 600
    async with telling(tmp_path, circumstances=Circumstances(mutes=mutes)) as room:
        assert [one.facts["target"] for one in await room.at(0, up("sw1", 0), up("sw2", 0))] == ["sw2"]
        lines = [
            entry for entry in (await room.incidents.show(1)).entries if entry.kind is EntryKind.WITHHELD
        ]
        assert [entry.text for entry in lines] == ["ops is not told now: silence: li.wei: works on it"]
        assert await room.at(599) == []
        mutes.instances = set()
        (late,) = await room.at(601)
        assert (late.at, late.reason) == (600, "opened")


async def test_what_began_and_ended_in_a_silence_is_not_told(tmp_path: Path) -> None:
    mutes = Mutes()
    mutes.instances = {"sw1"}
    async with telling(tmp_path, circumstances=Circumstances(mutes=mutes)) as room:
        await room.at(0, up("sw1", 0))
        await room.at(100, over("sw1", 100))
        mutes.instances = set()
        assert await room.at(1000) == []
        assert await rows(room, t.notify_group) == 0


@pytest.mark.parametrize("route", [{"receiver": "ops"}, BY_NAME])
async def test_a_recovery_in_a_silence_is_told_after_it(tmp_path: Path, route: Any) -> None:
    mutes = Mutes()
    async with telling(tmp_path, route, circumstances=Circumstances(mutes=mutes)) as room:
        assert len(await room.at(0, up("sw1", 0)) + await room.at(40)) == 1
        mutes.instances = {"sw1"}
        assert await room.at(100, over("sw1", 100)) == []
        assert await room.at(1000) == []
        mutes.instances = set()
        (end,) = await room.at(2000)
        assert end.event == "resolved"
        assert await rows(room, t.notify_group) == 0


async def test_who_was_told_before_the_silence_is_told_after_it_what_still_fires(tmp_path: Path) -> None:
    mutes = Mutes()
    async with telling(tmp_path, circumstances=Circumstances(mutes=mutes)) as room:
        await room.at(0, up("sw1", 0))
        mutes.instances, mutes.until = {"sw1"}, START + 300
        room.keeper.look_at_all()
        assert await room.at(200) == []
        mutes.instances = set()
        room.keeper.look_at_all()
        assert [one.reason for one in await room.at(301)] == ["still firing after it was muted"]
        assert await room.at(4000) == []


async def test_a_group_tells_what_is_not_silenced_and_the_rest_later(tmp_path: Path) -> None:
    mutes = Mutes()
    mutes.instances = {"sw1"}
    async with telling(tmp_path, BY_NAME, circumstances=Circumstances(mutes=mutes)) as room:
        await room.at(0, up("sw1", 0), up("sw2", 0))
        (first,) = await room.at(31)
        assert first.alerts == {"Down sw2": "firing"}
        mutes.instances = set()
        (second,) = await room.at(331)
        assert second.alerts == {"Down sw1": "firing", "Down sw2": "firing"}


async def test_what_is_acknowledged_is_not_repeated_to_a_group(tmp_path: Path) -> None:
    async with telling(tmp_path, BY_NAME | {"repeat_interval": "10m"}) as room:
        await room.at(40, up("sw1", 0))
        await room.incidents.acknowledge(1, "li.wei")
        assert await room.at(3 * 3600) == []


# Another tree, another life


async def test_after_a_restart_nothing_is_told_again_and_waits_go_on(tmp_path: Path) -> None:
    async with telling(tmp_path, BY_NAME) as room:
        assert len(await room.at(40, up("sw1", 0))) == 1
        assert await room.at(100, up("sw2", 100), firing("Hot", "sw1", at=START + 100)) == []
        clock = room.clock
    async with telling(tmp_path, BY_NAME, clock=clock) as room:
        assert [(one.at, sorted(one.alerts)) for one in await room.at(1000)] == [
            (130, ["Hot sw1"]),
            (340, ["Down sw1", "Down sw2"]),
        ]


async def test_what_ended_while_nobody_ran_is_told_once(tmp_path: Path) -> None:
    async with telling(tmp_path, BY_NAME) as room:
        await room.at(40, up("sw1", 0))
        clock = room.clock
    clock.at = START + 7200
    async with telling(tmp_path, BY_NAME, clock=clock) as room:
        told = await room.at(7200, over("sw1", 7200)) + await room.at(9000)
        assert [one.event for one in told] == ["resolved"]


async def test_new_routes_are_told_what_fires_and_old_ones_its_end(tmp_path: Path) -> None:
    async with telling(tmp_path, BY_NAME, [hook(URL)]) as room:
        await room.at(40, up("sw1", 0))
        room.use({"receiver": "night"}, [hook(URL), hook(URL, "night")])
        assert [(one.receiver, one.event) for one in await room.at(50)] == [("night", "firing")]
        assert await room.at(4 * 3600) == []
        told = await room.at(4 * 3600, over("sw1", 4 * 3600)) + await room.at(5 * 3600)
        assert sorted((one.receiver, one.event) for one in told) == [
            ("night", "resolved"),
            ("ops", "resolved"),
        ]
        assert await rows(room, t.notify_group) == 0


async def test_a_step_of_the_clock_moves_the_waits(tmp_path: Path) -> None:
    async with telling(tmp_path, BY_NAME | {"repeat_interval": "1h"}) as room:
        await room.at(40, up("sw1", 0))
        room.clock.at += 3600
        room.keeper.shift(3600.0)
        assert await room.at(3600 + 3600) == []
        assert len(await room.at(3600 + 4000)) == 1


async def test_a_new_episode_in_the_same_incident_is_news(tmp_path: Path) -> None:
    async with telling(tmp_path) as room:
        await room.at(0, up("sw1", 0), up("sw1", 0, ifName="ge-1"))
        assert await room.at(60, over("sw1", 60, ifName="ge-1")) == []
        again = firing(instance="sw1", at=START + 90, before=AlertState.PENDING, ifName="ge-1")
        assert [one.reason for one in await room.at(90, again)] == ["1 more alert"]
