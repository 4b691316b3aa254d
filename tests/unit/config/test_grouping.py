"""How routes put alerts together: what they inherit, what they default to, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from sentinel.config.document import Document, Written, validated
from sentinel.config.grouping import ALL, INCIDENT, label_name, label_text, read_group_by
from sentinel.config.inhibition import InhibitSettings
from sentinel.config.intervals import TimeIntervalSettings
from sentinel.config.notify import ReceiverSettings, RouteSettings, routing_problems
from sentinel.config.toml import parse_toml
from sentinel.model.problem import UnusableError
from sentinel.notify.tree import Grouping, Route

HOOK = '[[receiver]]\nname = "ops"\nkind = "webhook"\nurl = "http://127.0.0.1:1/"\n'
HOW_TO = Path(__file__).parents[3] / "docs/how-to/route-and-group.md"
NIGHT = '[[time_interval]]\nname = "night"\n'
TOP = '[route]\nreceiver = "ops"\n'
BELOW = "[[route.routes]]\n"


class File(Written):
    route: RouteSettings | None = None
    receiver: tuple[ReceiverSettings, ...] = ()
    time_interval: tuple[TimeIntervalSettings, ...] = ()
    inhibit: tuple[InhibitSettings, ...] = ()


def problems(text: str) -> list[str]:
    document: Document = parse_toml(text, "c")
    try:
        file = validated(File, document)
    except UnusableError as error:
        return [str(problem) for problem in error.problems]
    found = routing_problems(document, file.route, file.receiver, file.time_interval)
    return [str(problem) for problem in found]


def grouping(*nodes: dict[str, Any]) -> Grouping:
    """Of the last of routes, each below the one before."""
    tree = nodes[-1]
    for node in reversed(nodes[:-1]):
        tree = node | {"routes": [tree]}
    route = Route.of(RouteSettings.model_validate(tree))
    while route.routes:
        route = route.routes[0]
    return route.grouping


@pytest.mark.parametrize(
    ("nodes", "by", "times"),
    [
        ([{}], INCIDENT, (0, 0, 0)),
        ([{"group_by": []}], (), (30, 300, 14400)),
        ([{"group_by": ["..."]}], ALL, (30, 300, 14400)),
        ([{"group_by": ["a", "b"]}, {}], ("a", "b"), (30, 300, 14400)),
        ([{"group_by": ["a"], "group_wait": "1s"}, {"repeat_interval": "1d"}], ("a",), (1, 300, 86400)),
        ([{"group_wait": "7s"}, {"group_by": ["a"]}], ("a",), (7, 300, 14400)),
        ([{"group_by": ["a"]}, {"group_by": ["incident"]}], INCIDENT, (0, 0, 0)),
        ([{"group_by": ["..."]}, {"group_by": []}], (), (30, 300, 14400)),
        ([{"group_by": ["a"]}, {"group_by": ["..."]}, {"group_by": ["b"]}], ("b",), (30, 300, 14400)),
        ([{"repeat_interval": "1h"}, {"group_interval": "1m"}], INCIDENT, (0, 60, 3600)),
    ],
)
def test_a_route_groups_as_the_one_above_unless_it_says_otherwise(
    nodes: list[dict[str, Any]], by: object, times: tuple[int, int, int]
) -> None:
    found = grouping(*nodes)
    assert (found.by, found.wait, found.interval, found.repeat) == (by, *times)


def test_time_intervals_are_not_handed_down() -> None:
    above = {"mute_time_intervals": ["night"], "active_time_intervals": ["day"]}
    assert (grouping({}, above).mute, grouping({}, above).active) == (("night",), ("day",))
    assert grouping({}, above, {}).mute == grouping({}, above, {}).active == ()


def test_keys_are_those_of_alertmanager() -> None:
    first = {"matchers": ['b="1"', 'a=~"x|\\"y"', 'a!="x"', 'a="x"']}
    second = {"matchers": ['"é b"="1"', 'é="2"']}
    route = Route.of(RouteSettings.model_validate({"routes": [{}, first | {"routes": [second, second]}]}))
    above, (one, other) = route.routes[1], route.routes[1].routes
    text = '{a="x",a!="x",a=~"x|\\"y",b="1"}'
    below = '{é="2","é b"="1"}'
    assert (route.grouping.key, route.grouping.id) == ("{}", "{}")
    assert (route.routes[0].grouping.key, route.routes[0].grouping.id) == ("{}/{}", "{}/{}/0")
    assert (above.grouping.key, above.grouping.id) == ("{}/" + text, "{}/" + text + "/1")
    assert one.grouping.key == other.grouping.key == f"{{}}/{text}/{below}"
    assert [one.grouping.id, other.grouping.id] == [f"{{}}/{text}/1/{below}/{place}" for place in (0, 1)]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (TOP + 'group_by = ["a", "b", "a"]\n', "c:3:12: group_by: the label 'a' stands there twice"),
        (TOP + 'group_by = ["...", "a"]\n', "c:3:12: group_by: '...' stands alone"),
        (TOP + 'group_by = ["incident", "a"]\n', "c:3:12: group_by: 'incident' stands alone"),
        (TOP + 'group_by = ["a b"]\n', "c:3:12: group_by: not a label name: 'a b'"),
        (TOP + 'group_by = "a"\n', "c:3:13: group_by: "),
        (TOP + 'group_wait = "soon"\n', "c:3:15: group_wait: not a duration"),
        (TOP + 'group_wait = "293y"\n', "c:3:15: group_wait: at most 292y"),
        (TOP + "group_wait = 30\n", "c:3:14: group_wait: write a duration as text"),
        (
            TOP + 'group_by = []\ngroup_interval = "0s"\n',
            "c:4:19: group_interval cannot be nothing where alerts are grouped by labels",
        ),
        (
            TOP + 'group_by = ["..."]\nrepeat_interval = "0s"\n',
            "c:4:20: repeat_interval cannot be nothing where",
        ),
        (
            TOP + 'group_interval = "0s"\n' + BELOW + 'group_by = ["a"]\n' + "[[route.routes.routes]]\n",
            "c:5:12: groups by labels need a group_interval: the route above says 0s",
        ),
        (
            TOP + BELOW + 'mute_time_intervals = ["night", "nihgt"]\n' + NIGHT,
            "c:4:34: unknown time interval 'nihgt' (did you mean 'night'?)",
        ),
        (TOP + BELOW + 'active_time_intervals = ["x"]\n', "c:4:27: unknown time interval 'x'"),
        (
            TOP + 'mute_time_intervals = ["night"]\n' + NIGHT,
            "c:3:1: the top route takes everything at any time",
        ),
        (
            TOP + 'active_time_intervals = ["night"]\n' + NIGHT,
            "c:3:1: the top route takes everything at any time",
        ),
        (TOP + NIGHT + NIGHT, "c:6:9: time interval 'night' is defined twice"),
        ("[[time_interval]]\n", "c:1:3: 'name' is missing"),
        ("[[inhibit]]\nequal = ['a b']\n", "c:2:11: "),
        ("[[inhibit]]\nsource_matchers = ['a']\n", "c:2:21: "),
        ("[[inhibit]]\ntarget_match_re = {a='b'}\n", "write target_matchers = "),
    ],
)
def test_what_does_not_fit_is_refused_at_its_place(text: str, problem: str) -> None:
    found = problems(text + HOOK)
    assert len(found) == 1
    assert problem in found[0]


def test_times_of_nothing_are_fine_where_incidents_are_told() -> None:
    times = 'group_wait = "0s"\ngroup_interval = "0s"\nrepeat_interval = "0s"\n'
    below = BELOW + 'group_by = ["a"]\ngroup_interval = "1s"\nrepeat_interval = "1s"\n'
    assert problems(TOP + times + below + HOOK) == []


@pytest.mark.parametrize("name", ["a", "_b1", "incident", "...", "a b", "é", '"', "__name__"])
def test_every_label_can_be_written(name: str) -> None:
    assert label_name(label_text(name)) == name
    assert read_group_by([label_text(name)]) == (name,)


def test_what_the_how_to_says_loads() -> None:
    blocks = re.findall(r"```toml\n(.*?)```", HOW_TO.read_text(), re.DOTALL)
    assert len(blocks) == 3
    hooks = "".join(HOOK.replace("ops", name) for name in ("duty", "pager", "network"))
    assert problems("\n".join(blocks) + hooks) == []
