from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Sentinel

CONFIG = """\
[route]
receiver = "all"
[[route.routes]]
matchers = ['severity="critical"']
receiver = "pager"
continue = true
[[route.routes]]
matchers = ['team="net"']
[[route.routes.routes]]
matchers = ['site=~"hq|dc.*"', 'instance!=""']
receiver = "net-hq"
[[route.routes]]
matchers = ['team=~"net|db"']
[[receiver]]
name = "all"
kind = "webhook"
url = "http://127.0.0.1:1/"
[[receiver]]
name = "pager"
kind = "webhook"
url = "http://127.0.0.1:1/"
[[receiver]]
name = "net-hq"
kind = "webhook"
url = "http://127.0.0.1:1/"
"""


@pytest.fixture
def config(tmp_path: Path) -> str:
    file = tmp_path / "config.toml"
    file.write_text(CONFIG)
    return str(file)


async def test_the_way_of_an_alert_is_told_route_by_route(sentinel: Sentinel, config: str) -> None:
    told = await sentinel("explain", "route", '{severity="critical", team="net",site="dc1"}', "-c", config)
    assert told.exit_code == 0
    assert told.stdout.splitlines() == [
        f"{config}:1:  everything  – matches; see below",
        f'{config}:3:    severity="critical" (continue)  – takes it: pager',
        f"{config}:3:        a group for each incident; told at once, news at once, never repeated",
        f'{config}:7:    team="net"  – takes it: all',
        f"{config}:7:        a group for each incident; told at once, news at once, never repeated",
        f'{config}:9:      site=~"hq|dc.*", instance!=""  – no: instance is missing',
        f'{config}:12:    team=~"net|db"  – not looked at',
        "receivers: pager, all",
    ]


async def test_programs_get_the_same_as_json(sentinel: Sentinel, config: str) -> None:
    told = await sentinel("explain", "route", "team=net,site=x,instance=a", "--json", "-c", config)
    answer = json.loads(told.stdout)
    assert answer["receivers"] == ["all"]
    net = answer["route"]["routes"][1]
    assert (net["turn"], net["line"], net["receiver"]) == ("takes", 7, "all")
    assert net["routes"][0]["missed"] == [{"matcher": 'site=~"hq|dc.*"', "value": "x"}]


async def test_no_labels_go_to_the_top(sentinel: Sentinel, config: str) -> None:
    assert (await sentinel("explain", "route", "{}", "-c", config)).stdout.endswith("receivers: all\n")


GROUPS = """\
[daemon]
timezone = "Asia/Shanghai"
[route]
receiver = "all"
group_by = ["alertname", "site"]
repeat_interval = "90m"
[[route.routes]]
matchers = ['severity="info"']
active_time_intervals = ["office", "never"]
continue = true
[[route.routes]]
matchers = ['severity="info"']
receiver = "pager"
group_by = ["..."]
mute_time_intervals = ["night"]
[[time_interval]]
name = "office"
time_intervals = [{weekdays = ["monday:friday"], times = [{start_time = "09:00", end_time = "17:00"}]}]
[[time_interval]]
name = "night"
[[time_interval.time_intervals]]
times = [{start_time = "22:00", end_time = "24:00"}, {start_time = "00:00", end_time = "06:00"}]
[[time_interval]]
name = "never"
"""


@pytest.mark.parametrize(
    ("at", "office", "night", "told"),
    [
        (
            "2026-11-20T12:00:00+08:00",
            "now, until 2026-11-20 17:00 CST",
            "not now, from 2026-11-20 22:00 CST on",
            [],
        ),
        (
            "2026-11-20T23:00:00+08:00",
            "not now, from 2026-11-23 09:00 CST on",
            "now, until 2026-11-21 06:00 CST",
            ["told now: nobody"],
        ),
        (
            "2026-11-20T20:00:00+08:00",
            "not now, from 2026-11-23 09:00 CST on",
            "not now, from 2026-11-20 22:00 CST on",
            ["told now: pager"],
        ),
    ],
)
async def test_groups_and_times_of_who_takes_it_are_told(
    sentinel: Sentinel, tmp_path: Path, at: str, office: str, night: str, told: list[str]
) -> None:
    file = tmp_path / "config.toml"
    file.write_text(GROUPS + CONFIG[CONFIG.index("[[receiver]]") :])
    answer = await sentinel("explain", "route", "severity=info", "--time", at, "-c", str(file))
    assert answer.stdout.splitlines() == [
        f"{file}:3:  everything  – matches; see below",
        f'{file}:7:    severity="info" (continue)  – takes it: all',
        f"{file}:7:        grouped by alertname, site; told after 30s, news every 5m, repeated after 1h30m",
        f"{file}:7:        tells only during office: {office}",
        f"{file}:7:        tells only during never: not now, nor within a year",
        f'{file}:11:    severity="info"  – takes it: pager',
        f"{file}:11:        each alert by itself; told after 30s, news every 5m, repeated after 1h30m",
        f"{file}:11:        tells nobody during night: {night}",
        *told,
        "receivers: all, pager",
    ]


async def test_programs_get_groups_and_times_too(sentinel: Sentinel, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(GROUPS + CONFIG[CONFIG.index("[[receiver]]") :])
    asked = ("severity=info", "--time", "1795186800", "--json", "-c", str(file))
    answer = json.loads((await sentinel("explain", "route", *asked)).stdout)
    assert (answer["at"], answer["told_now"], answer["receivers"]) == (1795186800.0, [], ["all", "pager"])
    office, night = answer["route"]["routes"]
    assert (office["group_by"], night["group_by"]) == (["alertname", "site"], ["..."])
    assert [office[key] for key in ("group_wait", "group_interval", "repeat_interval")] == [
        30.0,
        300.0,
        5400.0,
    ]
    assert night["mute_time_intervals"] == [{"name": "night", "is_in": True, "until": 1795212000.0}]
    assert [one["is_in"] for one in office["active_time_intervals"]] == [False, False]
    assert answer["route"]["group_by"] == ["alertname", "site"]


async def test_what_is_no_instant_is_wrong_usage(sentinel: Sentinel, config: str) -> None:
    told = await sentinel("explain", "route", "a=b", "--time", "yesterday", "-c", config)
    assert told.exit_code == 2
    assert "valid timestamp" in told.stderr


@pytest.mark.parametrize(
    ("labels", "why"),
    [("severity", "not a matcher"), ("a!=b", "is not a label"), ("a=b,a=c", "given twice")],
)
async def test_what_is_no_label_is_wrong_usage(
    sentinel: Sentinel, config: str, labels: str, why: str
) -> None:
    told = await sentinel("explain", "route", labels, "-c", config)
    assert told.exit_code == 2
    assert why in told.stderr


async def test_a_route_to_an_unknown_receiver_is_told_with_its_place(sentinel: Sentinel, config: str) -> None:
    file = Path(config)
    file.write_text(file.read_text().replace('receiver = "pager"', 'receiver = "pagr"'))
    told = await sentinel("explain", "route", "a=b", "-c", config)
    assert told.exit_code == 78
    assert f"{config}:5:13: unknown receiver 'pagr' (did you mean 'pager'?)" in told.stderr


async def test_without_routes_nobody_is_told(sentinel: Sentinel, tmp_path: Path) -> None:
    file = tmp_path / "empty.toml"
    file.write_text("")
    told = await sentinel("explain", "route", "a=b", "-c", str(file))
    assert (told.exit_code, told.stdout) == (1, "")
