"""Rule files: each *.good.yaml loads, each *.bad.yaml gives the problems its comments name; promtool agrees."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from sentinel.model.problem import UnusableError
from sentinel.promql.engine import Engine
from sentinel.rules.files import load_rules, parse_rules
from sentinel.rules.rule import AlertingRule, RecordingRule
from sentinel.series.head import Head
from tests.servers.debian import environment, program

FILES = Path(__file__).parent / "files"
GOOD = sorted(FILES.glob("*.good.yaml"))
BAD = sorted(FILES.glob("*.bad.yaml"))


def engine() -> Engine:
    return Engine(Head())


def name(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("file", GOOD, ids=name)
def test_good_files_load(file: Path) -> None:
    load_rules([file], engine(), default_interval=60.0)


@pytest.mark.parametrize("file", BAD, ids=name)
def test_bad_files_give_every_problem_at_its_place(file: Path) -> None:
    expected = re.findall(r"^# problem: (.+)$", file.read_text(), re.MULTILINE)
    with pytest.raises(UnusableError) as caught:
        load_rules([file], engine(), default_interval=60.0)
    found = [str(problem).removeprefix(f"{file}:") for problem in caught.value.problems]
    assert len(found) == len(expected), "\n".join(found)
    for text in expected:
        assert any(one.startswith(text) for one in found), f"{text} is not among\n" + "\n".join(found)


@pytest.mark.parametrize("file", [*GOOD, *BAD], ids=name)
def test_promtool_agrees(file: Path) -> None:
    says_otherwise = "# promtool: " in file.read_text()
    done = subprocess.run(
        [program("promtool"), "check", "rules", str(file)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    accepted = done.returncode == 0
    assert accepted == ((file in GOOD) != says_otherwise), done.stdout + done.stderr


def test_what_a_rule_file_says_is_what_is_loaded() -> None:
    (group, empty) = load_rules([FILES / "complete.good.yaml"], engine(), default_interval=60.0)
    assert (group.name, group.interval, group.limit, empty.interval) == ("every key", 30.0, 100, 60.0)
    record, alert = group.rules
    assert isinstance(record, RecordingRule)
    assert (record.name, record.labels) == ("job:up:sum", (("source", "rule"),))
    assert isinstance(alert, AlertingRule)
    assert (alert.name, alert.hold, alert.keep) == ("InstanceDown", 5400.0, 300.0)
    assert [label for label, _ in alert.labels] == ["severity", "where"]
    assert alert.origin == f"{FILES / 'complete.good.yaml'}:10"


def test_group_labels_stand_below_the_rules_own() -> None:
    text = "groups: [{name: g, labels: {a: '1', b: '1'}, rules: [{alert: A, expr: up, labels: {b: '2'}}]}]"
    ((rule,),) = (group.rules for group in parse_rules(text, "f", engine(), default_interval=1.0))
    assert isinstance(rule, AlertingRule)
    assert dict(rule.fixed_labels) == {"a": "1", "b": "2"}


def test_problems_of_all_files_come_together(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("groups: 5")
    (tmp_path / "b.yml").write_bytes(b"groups: []\n# \xff\n")
    with pytest.raises(UnusableError) as caught:
        load_rules(
            [tmp_path / "a.yml", tmp_path / "b.yml", tmp_path / "c.yml"], engine(), default_interval=1.0
        )
    lines = [str(problem).removeprefix(f"{tmp_path}/") for problem in caught.value.problems]
    assert lines[0].startswith("a.yml:1:9: groups:")
    assert lines[1] == "b.yml:2:3: not UTF-8 text"
    assert lines[2] == "c.yml: cannot be read: No such file or directory"


@pytest.mark.parametrize(
    "expression",
    ["(" * 10_000 + "up" + ")" * 10_000, "up" + " + up" * 10_000, "up{a=~'((a{99}){99}){99}'}"],
)
def test_hostile_expressions_are_refused(expression: str) -> None:
    text = f'groups: [{{name: g, rules: [{{alert: A, expr: "{expression}"}}]}}]'
    with pytest.raises(UnusableError):
        parse_rules(text, "f", engine(), default_interval=1.0)
