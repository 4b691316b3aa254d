"""The routing tree chooses as Alertmanager does: checked against the real amtool."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from sentinel.config.notify import RouteSettings
from sentinel.notify.tree import Route
from tests.servers.debian import environment, program

TREE: dict[str, Any] = {
    "receiver": "all",
    "routes": [
        {"matchers": ['severity="critical"'], "receiver": "pager", "continue": True},
        {
            "matchers": ['team="net"'],
            "receiver": "net",
            "routes": [
                {"matchers": ['site=~"hq|dc.*"'], "receiver": "net-hq"},
                {"matchers": ['site!=""'], "continue": True},
                {"matchers": ['job!~"if_.*"'], "receiver": "net-other"},
            ],
        },
        {"matchers": ['team="db"', 'site=""'], "receiver": "db"},
        {"matchers": ['team="db"'], "receiver": "db-remote"},
    ],
}


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        ({}, ("all",)),
        ({"severity": "critical"}, ("pager",)),
        ({"severity": "critical", "team": "net", "job": "if_mib"}, ("pager", "net")),
        ({"team": "net", "site": "dc1"}, ("net-hq",)),
        ({"team": "net", "site": "xhq", "job": "if_mib"}, ("net",)),
        ({"team": "net", "site": "x", "job": "ssh"}, ("net", "net-other")),
        ({"team": "db"}, ("db",)),
        ({"team": "db", "site": "x"}, ("db-remote",)),
    ],
)
def test_the_first_match_takes_it_unless_it_continues(
    labels: Mapping[str, str], receivers: tuple[str, ...]
) -> None:
    assert Route.of(RouteSettings.model_validate(TREE)).receivers(labels) == receivers


VALUES = st.sampled_from(
    ["", "a", "b", "ab", 'q"uo', "back\\slash", "two\nlines", "a b", "x,y", "中文", "é{1}"]
)
EXPRESSIONS = st.sampled_from(
    ["", "a.*", "a|b", "(?i)A", ".+", "b?", "two.lines", "[^a]*", r"\w+", "中.", "^a$"]
)


@st.composite
def matcher_texts(draw: st.DrawFn) -> str:
    """A matcher, its value written in one of the ways there are."""
    operator = draw(st.sampled_from(["=", "!=", "=~", "!~"]))
    value = draw(EXPRESSIONS if "~" in operator else VALUES)
    space = draw(st.sampled_from(["", " "]))
    quoted = quote(value) if draw(st.booleans()) else quote(value).replace("\\\\", "\\")
    bare = value if value and not set(value) & set('"\\\n,}') else quote(value)
    return f"{draw(st.sampled_from('xyz'))}{space}{operator}{space}{draw(st.sampled_from([quoted, bare]))}"


def quote(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


@st.composite
def trees(draw: st.DrawFn, depth: int = 0) -> dict[str, Any]:
    node: dict[str, Any] = {}
    if depth:
        node["matchers"] = draw(st.lists(matcher_texts(), max_size=2))
        node["continue"] = draw(st.booleans())
    if depth == 0 or draw(st.booleans()):
        node["receiver"] = f"r{draw(st.integers(0, 9))}"
    if depth < 3:
        node["routes"] = draw(st.lists(trees(depth + 1), max_size=3))
    return node


def amtool(tree: dict[str, Any], labels: Mapping[str, str], folder: Path) -> tuple[str, ...]:
    """What amtool says; JSON is YAML."""
    file = folder / "alertmanager.yml"
    file.write_text(
        json.dumps({"route": tree, "receivers": [{"name": f"r{number}"} for number in range(10)]})
    )
    return amtool_on(file, labels)


def amtool_on(file: Path, labels: Mapping[str, str]) -> tuple[str, ...]:
    """Which receivers amtool chooses by a configuration."""
    command = [program("amtool"), "config", "routes", "test", f"--config.file={file}"]
    told = subprocess.run(
        [*command, *(f"{name}={quote(value)}" for name, value in labels.items())],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return tuple(dict.fromkeys(told.stdout.strip().split(",")))


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(tree=trees(), labels=st.dictionaries(st.sampled_from("xyz"), VALUES))
def test_generated_trees_choose_as_amtool_does(
    tree: dict[str, Any], labels: dict[str, str], tmp_path: Path
) -> None:
    route = Route.of(RouteSettings.model_validate(tree))
    ours = route.receivers(labels)
    assert route.walk(labels).receivers == ours
    assert ours == amtool(tree, labels, tmp_path)


@pytest.mark.parametrize("text", ['a="x', "a", '="x"', 'a="b" c="d"', 'a=~"["', 'a=b"c', "a=b,,c=d"])
def test_amtool_refuses_these_matchers_too(text: str, tmp_path: Path) -> None:
    tree = {"receiver": "r1", "routes": [{"matchers": [text]}]}
    with pytest.raises(ValidationError):
        RouteSettings.model_validate(tree)
    with pytest.raises(subprocess.CalledProcessError):
        amtool(tree, {}, tmp_path)
