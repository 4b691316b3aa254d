"""The same timetable through a real Alertmanager and through Sentinel: the same notifications at the same times."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sentinel.config.inhibition import InhibitSettings
from sentinel.config.intervals import TimeIntervalSettings
from sentinel.model.alert import Alert, AlertChange, AlertState
from sentinel.model.labels import Labels
from sentinel.notify.decision import Circumstances, Obstacle, Why
from sentinel.notify.intervals import Intervals
from sentinel.notify.standing import Standing
from tests.integration import timetable
from tests.integration.delivery import hook
from tests.integration.telling import telling
from tests.integration.timetable import Event
from tests.servers.alertmanager import Alertmanager
from tests.servers.sinks import Answer, Post, WebhookSink
from tests.unit.incidents.alerts import START

TICK = 1.0
"""Seconds by which the two may differ."""

Notices = dict[tuple[str, str], list[tuple[float, str, tuple[tuple[str, str], ...]]]]
"""By receiver and group: when, status, and each alert's instance and status."""


@pytest.mark.timeout(180)
@pytest.mark.parametrize("seeds", [(1, 2, 3)])
async def test_the_same_groups_at_the_same_times(tmp_path: Path, seeds: Sequence[int]) -> None:
    plans = {}
    for seed in seeds:
        (tmp_path / f"ours{seed}").mkdir()
        plans[seed] = await _ours(tmp_path / f"ours{seed}", timetable.drawn(seed))
    theirs = await asyncio.gather(
        *(_theirs(tmp_path / f"theirs{seed}", events) for seed, (events, _) in plans.items())
    )
    for (seed, (_, ours)), notices in zip(plans.items(), theirs, strict=True):
        assert sum(map(len, notices.values())) > 20, f"seed {seed}: too little happens"
        problems = list(_differences(ours, notices))
        assert not problems, f"seed {seed}:\n" + "\n".join(problems)


async def _ours(folder: Path, events: Sequence[Event]) -> tuple[list[Event], Notices]:
    """The events that keep clear of the looks at groups, and what Sentinel tells of them."""
    looks: list[float] = []
    for attempt in range(40):
        (folder / str(attempt)).mkdir()
        kept = timetable.apart(events, looks)
        notices, fresh = await _told(folder / str(attempt), kept)
        if timetable.apart(kept, fresh) == kept:
            return kept, notices
        looks, events = fresh, kept
    raise AssertionError("no timetable keeps clear of its looks")


async def _told(folder: Path, events: Sequence[Event]) -> tuple[Notices, list[float]]:
    standing = Standing([InhibitSettings.model_validate(rule) for rule in timetable.INHIBIT])
    always = [TimeIntervalSettings.model_validate(one) for one in timetable.INTERVALS]
    intervals = Intervals.of(always, ZoneInfo("UTC"))
    silences = [event for event in events if event.what == "silence"]

    def mutes(labels: Labels, at: float) -> list[Obstacle]:
        return [
            Obstacle(Why.SILENCE, "", START + one.until)
            for one in silences
            if one.at <= at - START < one.until
            and all(labels.get(name, "") == value for name, value in one.labels.items())
        ]

    def times(route: Any, at: float) -> list[Obstacle]:
        return [Obstacle(Why.TIME, "", one.until) for one in intervals.closed(route.grouping, at)]

    circumstances = Circumstances(mutes=mutes, times=times, inhibitions=standing.inhibitions)
    hooks = [
        hook("http://127.0.0.1:9/", name, send_resolved=name not in timetable.SILENT)
        for name in timetable.RECEIVERS
    ]
    async with telling(
        folder, timetable.ROUTE, hooks, circumstances=circumstances, standing=standing
    ) as room:
        for event in events:
            changes = [_change(event)] if event.what != "silence" else []
            await room.at(event.at, *changes)
        await room.at(timetable.LASTS)
        notices: Notices = defaultdict(list)
        for one in await room.everything():
            alerts = [(alert["labels"], alert["status"]) for alert in one.facts["alerts"]]
            status = "firing" if one.event == "firing" else "resolved"
            notices[one.receiver, one.facts["group_key"]].append((one.at, status, _listed(alerts)))
        return dict(notices), room.looks


def _change(event: Event) -> AlertChange:
    labels = Labels(dict(event.labels))
    fires = event.what == "fires"
    alert = Alert(
        labels.fingerprint(),
        "g",
        labels,
        state=AlertState.FIRING if fires else AlertState.INACTIVE,
        value=1.0,
        active_at=START + event.at,
        fired_at=START + event.at,
    )
    return AlertChange(AlertState.INACTIVE if fires else AlertState.FIRING, alert, START + event.at)


async def _theirs(folder: Path, events: Sequence[Event]) -> Notices:
    folder.mkdir()
    sink, arrived = WebhookSink(), []

    def note(post: Post) -> Answer:
        arrived.append((time.time(), post))
        return Answer()

    sink.choose = note
    async with sink.serve():
        with Alertmanager(folder, told=sink.url) as server:
            # Asked to read another configuration, it knows its templates already.
            (folder / "alertmanager.yml").write_text(json.dumps(_config(sink.url)))
            await _ask(f"{server.url}/-/reload", None)
            start = time.time() + 0.5
            for event in events:
                await asyncio.sleep(start + event.at - time.time())
                await _say(server.url, event, start)
            await asyncio.sleep(start + timetable.LASTS - time.time())
    notices: Notices = defaultdict(list)
    for at, post in arrived:
        told = post.json
        alerts = [(alert["labels"], alert["status"]) for alert in told["alerts"]]
        notices[told["receiver"], told["groupKey"]].append((at - start, told["status"], _listed(alerts)))
    return dict(notices)


def _config(url: str) -> dict[str, Any]:
    return {
        "route": timetable.ROUTE,
        "time_intervals": timetable.INTERVALS,
        "inhibit_rules": timetable.INHIBIT,
        "receivers": [
            {"name": name, "webhook_configs": [{"url": url, "send_resolved": name not in timetable.SILENT}]}
            for name in timetable.RECEIVERS
        ],
    }


async def _say(url: str, event: Event, start: float) -> None:
    if event.what == "silence":
        matchers = [{"name": name, "value": value, "isRegex": False} for name, value in event.labels.items()]
        body: Any = {
            "matchers": matchers,
            "startsAt": _rfc3339(start + event.at),
            "endsAt": _rfc3339(start + event.until),
            "createdBy": "t",
            "comment": "t",
        }
        await _ask(f"{url}/api/v2/silences", body)
        return
    now = start + event.at
    alert: dict[str, Any] = {"labels": dict(event.labels)}
    if event.what == "fires":
        alert |= {"startsAt": _rfc3339(now), "endsAt": _rfc3339(now + 3600)}
    else:
        alert |= {"endsAt": _rfc3339(now)}
    await _ask(f"{url}/api/v2/alerts", [alert])


async def _ask(url: str, body: Any) -> None:
    data = json.dumps(body).encode() if body is not None else b""
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    await asyncio.to_thread(lambda: urllib.request.urlopen(request, timeout=20).close())


def _rfc3339(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()


def _listed(alerts: Sequence[tuple[Mapping[str, str], str]]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((labels.get("instance", labels["alertname"]), status) for labels, status in alerts))


def _differences(ours: Notices, theirs: Notices) -> list[str]:
    problems = []
    for key in sorted(ours.keys() | theirs.keys()):
        # What is told in the last moment may be there on one side only.
        mine, other = _before_the_end(ours.get(key, [])), _before_the_end(theirs.get(key, []))
        for index in range(max(len(mine), len(other))):
            one = mine[index] if index < len(mine) else None
            two = other[index] if index < len(other) else None
            if one is None or two is None or one[1:] != two[1:] or abs(one[0] - two[0]) > TICK:
                problems.append(f"{key}: {index}: Sentinel {one}, Alertmanager {two}")
                break
    return problems


def _before_the_end(notices: Sequence[Any]) -> Sequence[Any]:
    return [notice for notice in notices if notice[0] < timetable.LASTS - TICK]
