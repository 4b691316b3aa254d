"""The routing tree chooses as Alertmanager does: checked against the real amtool."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

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


def generated(dice: random.Random, depth: int = 0) -> dict[str, Any]:
    values = ["", "a", "b", "ab"]
    node: dict[str, Any] = {}
    if depth:
        operators = ["=", "!=", "=~", "!~"]
        node["matchers"] = [
            f'{dice.choice("xyz")}{dice.choice(operators)}"{dice.choice([*values, "a.*", "a|b"])}"'
            for _ in range(dice.randint(1, 2))
        ]
        node["continue"] = dice.random() < 0.4
    if depth == 0 or dice.random() < 0.7:
        node["receiver"] = f"r{dice.randint(0, 9)}"
    if depth < 3:
        node["routes"] = [generated(dice, depth + 1) for _ in range(dice.randint(0, 3))]
    return node


def amtool(tree: dict[str, Any], labels: Mapping[str, str], folder: Path) -> tuple[str, ...]:
    """What amtool says; JSON is YAML."""
    file = folder / "alertmanager.yml"
    receivers = [{"name": name} for name in ("r", *(f"r{number}" for number in range(10)))]
    file.write_text(json.dumps({"route": tree, "receivers": receivers}))
    command = [program("amtool"), "config", "routes", "test", f"--config.file={file}"]
    told = subprocess.run(
        [*command, *(f"{name}={value}" for name, value in labels.items())],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return tuple(dict.fromkeys(told.stdout.strip().split(",")))


def test_generated_trees_choose_as_amtool_does(tmp_path: Path) -> None:
    dice = random.Random(20231)
    for _ in range(40):
        tree = generated(dice)
        labels = {name: dice.choice(["a", "b", "ab"]) for name in "xyz" if dice.random() < 0.7}
        ours = Route.of(RouteSettings.model_validate(tree)).receivers(labels)
        assert ours == amtool(tree, labels, tmp_path), (tree, labels)
