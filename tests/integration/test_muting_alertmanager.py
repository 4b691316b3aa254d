"""Time intervals, inhibition and the keys of routes, as a real Alertmanager has them at this moment."""

from __future__ import annotations

import asyncio
import json
import random
import time
import urllib.request
import zoneinfo
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sentinel.config.inhibition import InhibitSettings
from sentinel.config.intervals import MONTHS, WEEKDAYS, TimeIntervalSettings
from sentinel.config.notify import RouteSettings
from sentinel.model.alert import Alert, AlertState
from sentinel.model.labels import Labels
from sentinel.notify.inhibition import Inhibitor
from sentinel.notify.intervals import Intervals
from sentinel.notify.tree import Route
from tests.servers.alertmanager import Alertmanager
from tests.servers.sinks import WebhookSink

UTC = ZoneInfo("UTC")
ZONES = (
    "UTC",
    "Asia/Shanghai",
    "Asia/Kathmandu",
    "America/St_Johns",
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
)
ROUTES = 120
CASES = 80
EXTRAS = ['x!="z"', 'x!~"z.+"', 'y=~"|.*b"', 'y!="a \\"quoted\\" one"', 'z=""', 'y=~"b|c\\\\d?"']
"""Matchers that every alert here satisfies."""


class Prepared(Alertmanager):
    """One with a configuration of its own; JSON is YAML."""

    def __init__(self, folder: Path, config: Mapping[str, Any], url: str) -> None:
        super().__init__(folder, told=url)
        hook = {"name": "hook", "webhook_configs": [{"url": url}]}
        # Its /usr/share is its own, without time zones; Go looks for them here first.
        for name in ZONES:
            source = next(base for base in zoneinfo.TZPATH if Path(base, name).exists())
            file = folder / "zones" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(Path(source, name).read_bytes())
        (folder / "alertmanager.yml").write_text(json.dumps({**config, "receivers": [hook]}))

    async def post(self, alerts: list[dict[str, str]]) -> None:
        body = json.dumps([{"labels": labels} for labels in alerts]).encode()
        request = urllib.request.Request(
            f"{self.url}/api/v2/alerts", body, {"Content-Type": "application/json"}
        )
        await asyncio.to_thread(lambda: urllib.request.urlopen(request, timeout=20).close())


def span(dice: random.Random, now: float) -> dict[str, Any]:
    """A part that holds at this moment about every second time."""
    zone = ZoneInfo(dice.choice(ZONES))
    local = datetime.fromtimestamp(now, zone)
    found: dict[str, Any] = {"location": zone.key} if dice.random() < 0.8 or zone is not UTC else {}
    if dice.random() < 0.6:
        near = sorted(
            {max(0, min(1440, local.hour * 60 + local.minute + dice.randint(-300, 300))) for _ in "ab"}
        )
        if len(near) == 2:
            texts = [f"{minute // 60:02}:{minute % 60:02}" for minute in near]
            found["times"] = [dict(zip(("start_time", "end_time"), texts, strict=True))]
    if dice.random() < 0.5:
        found["weekdays"] = [around(dice, local.isoweekday() % 7, 0, 6, lambda day: WEEKDAYS[day])]
    if dice.random() < 0.5:
        length = ((local.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)).day
        if dice.random() < 0.5:
            found["days_of_month"] = [around(dice, local.day, 1, 31, str)]
        elif local.utcoffset() == (local + timedelta(days=40)).replace(day=1).utcoffset():
            # Where a month loses an hour to summer time, an Alertmanager counts a day less.
            found["days_of_month"] = [around(dice, local.day - length - 1, -31, -1, str)]
    if dice.random() < 0.4:
        found["months"] = [around(dice, local.month, 1, 12, lambda month: MONTHS[month - 1])]
    if dice.random() < 0.4:
        found["years"] = [around(dice, local.year, 1970, 2100, str)]
    return found


def around(dice: random.Random, number: int, least: int, most: int, text: Any) -> str:
    first, last = sorted(max(least, min(most, number + dice.randint(-2, 3))) for _ in "ab")
    return f"{text(first)}:{text(last)}"


async def test_routes_tell_and_keep_quiet_when_an_alertmanager_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every route has an interval of its own; what arrives is compared with what should, by name and group key."""
    dice = random.Random(6)
    now = time.time()
    intervals = [
        {"name": f"i{number}", "time_intervals": [span(dice, now) for _ in range(dice.randint(0, 2))]}
        for number in range(ROUTES)
    ]
    routes: list[dict[str, Any]] = []
    for number in range(ROUTES):
        names = [f"i{number}", *dice.sample([one["name"] for one in intervals], dice.randint(0, 1))]
        key = dice.choice(["mute_time_intervals", "active_time_intervals"])
        matchers = [f'case="{number}"', *dice.sample(EXTRAS, dice.randint(0, 3))]
        routes.append({"matchers": dice.sample(matchers, len(matchers)), key: names})
    routes.append({"matchers": ['case="last"']})
    times = {"group_wait": "0s", "group_interval": "1s", "repeat_interval": "1h", "group_by": ["case"]}
    top = {"receiver": "hook", "routes": routes, **times}
    tree = Route.of(RouteSettings.model_validate(top))
    known = Intervals.of([TimeIntervalSettings.model_validate(one) for one in intervals], UTC)
    alerts = [{"case": str(number), "y": "b"} for number in range(ROUTES)]

    def told(at: float) -> set[tuple[str, str]]:
        return {
            (labels["case"], route.grouping.key)
            for labels in [*alerts, {"case": "last", "y": "b"}]
            for route in tree.match(labels)
            if not known.closed(route.grouping, at)
        }

    monkeypatch.setenv("ZONEINFO", str(tmp_path / "zones"))
    sink = WebhookSink()
    async with sink.serve():
        with Prepared(tmp_path, {"route": top, "time_intervals": intervals}, sink.url) as running:
            began = told(time.time())
            await running.post(alerts)
            await sink.until(lambda posts: len(posts) >= len(began) - 1, within=20)
            await running.post([{"case": "last", "y": "b"}])
            await sink.until(lambda posts: any(post.json["groupLabels"]["case"] == "last" for post in posts))
            ended = told(time.time())
    arrived = {
        (post.json["groupLabels"]["case"], post.json["groupKey"].partition(":{")[0]) for post in sink.posts
    }
    # At the minute's end either answer is right.
    assert began & ended <= arrived <= began | ended
    assert ROUTES / 4 < len(began) < ROUTES * 3 / 4


def matcher(dice: random.Random) -> str:
    value = dice.choice(["", "a", "b", "a|b", ".+"])
    return f'{dice.choice("xyz")}{dice.choice(["=", "!=", "=~", "!~"])}"{value}"'


async def test_alerts_are_inhibited_when_an_alertmanager_says_so(tmp_path: Path) -> None:
    dice = random.Random(66)
    rules: list[dict[str, Any]] = []
    alerts: list[dict[str, str]] = []
    for case in range(CASES):
        for _ in range(dice.randint(1, 2)):
            sides = {
                f"{side}_matchers": [f'case="{case}"', *(matcher(dice) for _ in range(dice.randint(0, 2)))]
                for side in ("source", "target")
            }
            rules.append({**sides, "equal": dice.sample("xyz", dice.randint(0, 2))})
        found = {
            Labels({"case": str(case)} | {name: dice.choice(["", "a", "b"]) for name in "xyz"})
            for _ in range(4)
        }
        alerts += [dict(labels) for labels in sorted(found)]
    inhibitor = Inhibitor([InhibitSettings.model_validate(rule) for rule in rules])
    for labels in map(Labels, alerts):
        inhibitor.add(Alert(labels.fingerprint(), "g", labels, state=AlertState.FIRING))
    ours = {str(Labels(labels)) for labels in alerts if inhibitor.inhibitors_of(labels)}
    config = {"route": {"receiver": "hook"}, "inhibit_rules": rules}
    with Prepared(tmp_path, config, "http://127.0.0.1:1/") as running:
        await running.post(alerts)
        theirs: set[str] = set()
        deadline = time.monotonic() + 15
        # It takes alerts in beside the answer to the post.
        while theirs != ours and time.monotonic() < deadline:
            held = await running.firing()
            theirs = {str(Labels(one["labels"])) for one in held if one["status"]["inhibitedBy"]}
            await asyncio.sleep(0.05)
        assert len(held) == len(alerts)
    assert theirs == ours
    assert len(alerts) / 10 < len(ours) < len(alerts) / 2
