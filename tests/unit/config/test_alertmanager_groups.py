"""Groups, time intervals and inhibit rules of an Alertmanager: amtool takes what Sentinel takes, nothing else."""

from __future__ import annotations

import json
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sentinel.config.alertmanager import convert
from sentinel.config.document import Document, validated
from sentinel.config.grouping import ALL, GroupBy
from sentinel.config.notify import RouteSettings, routing_problems
from sentinel.config.settings import Settings, load_document
from sentinel.config.toml import parse_toml
from sentinel.model.durations import parse_duration
from sentinel.model.problem import UnusableError
from sentinel.notify.tree import Route
from tests.servers.debian import environment, program
from tests.unit.notify.test_intervals import spans
from tests.unit.notify.test_tree import VALUES, matcher_texts, trees

RECEIVERS = [{"name": f"r{number}"} for number in range(10)]
HOOK = {"url": "http://127.0.0.1:9/hook"}
NIGHT = {"name": "night", "time_intervals": [{"times": [{"start_time": "20:00", "end_time": "24:00"}]}]}

TIMES = st.sampled_from(["0s", "1s", "30s", "5m", "1h30m", "1d", "2y"])
BAD_TIMES = st.sampled_from(["", "0", "x", "30", "1m1h", "-5s", "1.5h", "300y"])
LABELS = st.lists(st.sampled_from(["a", "b_1", "__c"]), max_size=3, unique=True) | st.just(["..."])
BAD_LABELS = st.sampled_from([["a", "a"], ["...", "a"], ["..."] * 2, [""]])
BAD_SPANS = st.sampled_from(
    [
        {"times": [{"start_time": "17:00", "end_time": "09:00"}]},
        {"times": [{"start_time": "00:00", "end_time": "24:01"}]},
        {"times": [{"start_time": "9:00", "end_time": "10:00"}]},
        {"times": [{"start_time": "09:00"}]},
        {"weekdays": ["friday:monday"]},
        {"weekdays": ["mon"]},
        {"weekdays": ["monday:"]},
        {"weekdays": ["monday: friday"]},
        {"days_of_month": ["0"]},
        {"days_of_month": ["-1:-3"]},
        {"days_of_month": ["-1:1"]},
        {"days_of_month": ["28:-1"]},
        {"days_of_month": ["27:-1"]},
        {"days_of_month": ["29:-1"]},
        {"days_of_month": ["32"]},
        {"days_of_month": ["+3:05"]},
        {"days_of_month": ["1 :2"]},
        {"months": ["march:1"]},
        {"months": ["MARCH:05"]},
        {"months": ["mar"]},
        {"years": ["2028:2026"]},
        {"years": ["-5:+2"]},
        {"years": ["2026-2028"]},
        {"location": "Mars/North"},
        {"hours": ["1"]},
    ]
)
BAD_MATCHERS = st.sampled_from(["a", 'a=~"["', 'a="b" c="d"', ""])


@st.composite
def nodes(draw: st.DrawFn, tree: dict[str, Any], names: tuple[str, ...], depth: int = 0) -> dict[str, Any]:
    """A tree with groups and times put on; seldom with something that cannot be."""
    node = dict(tree)
    if draw(st.booleans()):
        node["group_by"] = draw(BAD_LABELS if draw(st.integers(0, 30)) == 0 else LABELS)
    for key in ("group_wait", "group_interval", "repeat_interval"):
        if draw(st.integers(0, 3)) == 0:
            is_bad = draw(st.integers(0, 15)) == 0
            node[key] = draw(BAD_TIMES if is_bad else TIMES.filter(lambda text: text != "0s"))
            if draw(st.integers(0, 25)) == 0:
                node[key] = "0s"
    for key in ("mute_time_intervals", "active_time_intervals"):
        if draw(st.integers(0, 3)) == 0 and (depth or draw(st.integers(0, 15)) == 0):
            known = (*names, "unknown") if draw(st.integers(0, 25)) == 0 else names
            node[key] = draw(st.lists(st.sampled_from(known), max_size=2)) if known else []
    node["routes"] = [draw(nodes(one, names, depth + 1)) for one in node.get("routes", [])]
    return node


@st.composite
def configs(draw: st.DrawFn) -> dict[str, Any]:
    names = draw(st.lists(st.sampled_from(["night", "office", "n 1"]), max_size=3))
    if draw(st.integers(0, 15)):
        names = list(dict.fromkeys(names))
    bad = draw(st.integers(0, 3)) == 0
    intervals = [
        {"name": name, "time_intervals": draw(st.lists(BAD_SPANS if bad else spans(), max_size=2))}
        for name in names
    ]
    sides = (
        st.lists(matcher_texts(), max_size=2)
        if draw(st.integers(0, 8))
        else st.lists(BAD_MATCHERS, max_size=1)
    )
    rule = st.fixed_dictionaries(
        {
            "source_matchers": sides,
            "target_matchers": sides,
            "equal": st.lists(st.sampled_from("xyz"), max_size=2),
        }
    )
    return {
        "route": draw(nodes(draw(trees()), tuple(names))),
        "time_intervals": intervals,
        "inhibit_rules": draw(st.lists(rule, max_size=2)),
    }


def amtool_takes(config: dict[str, Any], folder: Path) -> bool:
    file = folder / "alertmanager.yml"
    file.write_text(json.dumps({**config, "receivers": RECEIVERS}))
    told = subprocess.run(
        [program("amtool"), "check-config", file],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode in (0, 1)
    return told.returncode == 0


def written_here(config: dict[str, Any]) -> Document:
    """The same in Sentinel's words; only the default of the top route differs."""
    route = {"group_by": [], **config["route"]}
    data = {"route": route, "time_interval": config["time_intervals"], "inhibit": config["inhibit_rules"]}
    hooks = [{"name": one["name"], "kind": "webhook", **HOOK} for one in RECEIVERS]
    return Document("c", {**data, "receiver": hooks})


def sentinel_takes(document: Document) -> bool:
    try:
        found = validated(Settings, document)
    except UnusableError:
        return False
    return not routing_problems(document, found.route, found.receiver, found.time_interval)


def taken_over(config: dict[str, Any]) -> str | None:
    try:
        return convert(json.dumps({**config, "receivers": RECEIVERS}), "alertmanager.yml").text
    except UnusableError:
        return None


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(config=configs())
def test_amtool_takes_what_sentinel_takes(config: dict[str, Any], tmp_path: Path) -> None:
    wanted = amtool_takes(config, tmp_path)
    assert sentinel_takes(written_here(config)) == wanted
    text = taken_over(config)
    assert (text is not None) == wanted
    if text is not None:
        assert sentinel_takes(parse_toml(text, "config.toml"))


@pytest.mark.parametrize("span", BAD_SPANS.elements)  # type: ignore[attr-defined]
def test_each_span_is_taken_or_refused_as_by_amtool(span: dict[str, Any], tmp_path: Path) -> None:
    config = {
        "route": {"receiver": "r1"},
        "time_intervals": [{"name": "x", "time_intervals": [span]}],
        "inhibit_rules": [],
    }
    wanted = amtool_takes(config, tmp_path)
    assert sentinel_takes(written_here(config)) == wanted
    assert (taken_over(config) is not None) == wanted


@pytest.mark.parametrize(
    "change",
    [
        *({"group_by": labels} for labels in BAD_LABELS.elements),  # type: ignore[attr-defined]
        *(
            {key: text}
            for key in ("group_wait", "group_interval", "repeat_interval")
            for text in ["0s", *BAD_TIMES.elements]  # type: ignore[attr-defined]
        ),
        {"mute_time_intervals": ["x"]},
        {"active_time_intervals": ["night"]},
    ],
)
@pytest.mark.parametrize("is_top", [True, False])
def test_each_route_is_taken_or_refused_as_by_amtool(
    change: dict[str, Any], is_top: bool, tmp_path: Path
) -> None:
    route = {"receiver": "r1", **change} if is_top else {"receiver": "r1", "routes": [change]}
    config = {"route": route, "time_intervals": [NIGHT], "inhibit_rules": []}
    wanted = amtool_takes(config, tmp_path)
    assert sentinel_takes(written_here(config)) == wanted
    assert (taken_over(config) is not None) == wanted


Said = tuple[str, GroupBy, float, float, float, tuple[str, ...], tuple[str, ...]]
"""Receiver, group_by, times, and the names of time intervals."""


def alertmanagers(
    node: Mapping[str, Any], labels: Mapping[str, str], above: Mapping[str, Any]
) -> list[Mapping[str, Any]]:
    """The routes that take an alert with what they inherit, as Alertmanager's route.go has it."""
    matchers = RouteSettings.model_validate({"matchers": node.get("matchers", [])}).parsed()
    if not all(matcher.matches(labels) for matcher in matchers):
        return []
    own = {key: value for key, value in node.items() if key != "group_by" or value}
    inherited = {key: value for key, value in above.items() if not key.endswith("time_intervals")}
    here = {**inherited, **own}
    found: list[Mapping[str, Any]] = []
    for child in node.get("routes", []):
        below = alertmanagers(child, labels, {**here, "routes": [], "matchers": []})
        found += below
        if below and not child.get("continue"):
            break
    return found or [here]


def said(routes: list[Mapping[str, Any]], counts: Mapping[str, int]) -> Iterator[Said]:
    for route in routes:
        by = tuple(route.get("group_by", ()))
        defaults = (("group_wait", "30s"), ("group_interval", "5m"), ("repeat_interval", "4h"))
        wait, interval, repeat = (parse_duration(route.get(key, default)) for key, default in defaults)
        closings = [tuple(route.get(f"{key}_time_intervals", ())) for key in ("mute", "active")]
        for number in range(counts[route["receiver"]]):
            name = route["receiver"] if counts[route["receiver"]] == 1 else f"{route['receiver']} webhook"
            name += f" {number + 1}" if number else ""
            yield name, ALL if by == ("...",) else by, wait, interval, repeat, closings[0], closings[1]


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(config=configs(), labels=st.dictionaries(st.sampled_from("xyz"), VALUES))
def test_who_is_told_is_told_in_the_same_groups_at_the_same_times(
    config: dict[str, Any], labels: dict[str, str]
) -> None:
    """Also where one receiver there is several here."""
    counts = {one["name"]: number % 3 for number, one in enumerate(RECEIVERS)}
    receivers = [{**one, "webhook_configs": [HOOK] * counts[one["name"]]} for one in RECEIVERS]
    try:
        text = convert(json.dumps({**config, "receivers": receivers}), "alertmanager.yml").text
    except UnusableError:
        return
    tree = Route.of(RouteSettings.model_validate(tomllib.loads(text)["route"]))
    ours = {
        (one.receiver, g.by, g.wait, g.interval, g.repeat, g.mute, g.active)
        for one in tree.match(labels)
        if one.receiver != "nobody"
        for g in (one.grouping,)
    }
    assert ours == set(said(alertmanagers(config["route"], labels, {}), counts))


def test_what_is_said_in_yaml_is_said_in_toml(tmp_path: Path) -> None:
    config = {
        "route": {
            "receiver": "r",
            "group_by": ["incident", "é b", "a"],
            "group_wait": "10s",
            "routes": [{"group_by": [], "repeat_interval": "10y", "mute_time_intervals": ["old", "night"]}],
        },
        "mute_time_intervals": [{"name": "old"}],
        "time_intervals": [
            NIGHT,
            {
                "name": "days",
                "time_intervals": [
                    {"weekdays": ["Monday:friday"], "years": [2026], "location": "Asia/Shanghai"},
                    {"months": ["1:3"], "days_of_month": ["-1"], "location": "Local"},
                ],
            },
        ],
        "inhibit_rules": [
            {
                "name": "covers",
                "source_match": {"severity": "critical"},
                "target_match_re": {"severity": "warn.*|info"},
                "target_matchers": ["x!=y"],
                "equal": ["site", "é b"],
            },
            {"sources": [{"source_matchers": ["a=b"]}], "target_matchers": ["c=d"]},
        ],
        "receivers": [{"name": "r", "webhook_configs": [HOOK]}],
    }
    made = convert(json.dumps(config, ensure_ascii=False), "alertmanager.yml")
    file = tmp_path / "config.toml"
    file.write_text(made.text)
    found, document = load_document(file)
    assert routing_problems(document, found.route, found.receiver, found.time_interval) == []
    tables = tomllib.loads(made.text)
    assert tables["route"] == {
        "receiver": "r",
        "group_by": ['"incident"', '"é b"', "a"],
        "group_wait": "10s",
        "routes": [{"receiver": "r", "repeat_interval": "10y", "mute_time_intervals": ["old", "night"]}],
    }
    night = {"times": [{"start_time": "20:00", "end_time": "24:00"}], "location": "UTC"}
    assert tables["time_interval"] == [
        {"name": "old"},
        {"name": "night", "time_intervals": [night]},
        {
            "name": "days",
            "time_intervals": [
                {"weekdays": ["Monday:friday"], "years": ["2026"], "location": "Asia/Shanghai"},
                {"months": ["1:3"], "days_of_month": ["-1"]},
            ],
        },
    ]
    assert tables["inhibit"] == [
        {
            "name": "covers",
            "source_matchers": ['severity="critical"'],
            "target_matchers": ['severity=~"warn.*|info"', 'x!="y"'],
            "equal": ["site", '"é b"'],
        }
    ]
    told = [problem.text for problem in made.findings]
    assert any("time zone of [daemon]" in text for text in told)
    assert any("several sources" in text for text in told)
