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
        f'{config}:7:    team="net"  – takes it: all',
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
