"""Warnings: each at its place in a file that bites, none in one that does not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sentinel.cli.known import known_from
from sentinel.promql.engine import Engine
from sentinel.rules.files import load_rules
from sentinel.rules.lint import CHECKS, Known, lint_rules
from sentinel.series.head import Head
from tests.servers.debian import ROOT

FILES = Path(__file__).parent / "lint"
KNOWN = Known(
    {"ifOperStatus": "gauge", "ifHCInOctets": "counter", "sysUpTime": "gauge", "up": "gauge"}, interval=60.0
)


def test_what_bites_is_told_with_its_place() -> None:
    file = FILES / "bites.yaml"
    load_rules([file], Engine(Head()), default_interval=60.0)
    expected = re.findall(r"^# finding: (\S+) (.*?)(\[[a-z-]+\])$", file.read_text(), re.MULTILINE)
    found = [str(finding).removeprefix(f"{file}:") for finding in lint_rules([file], KNOWN)]
    for place, text, check in expected:
        assert any(one.startswith(place) and text.strip() in one and one.endswith(check) for one in found), (
            place, text, check, found,
        )  # fmt: skip
    assert len(found) == len(expected), "\n".join(found)
    assert {check[1:-1] for _, _, check in expected} == set(CHECKS)


def test_what_is_right_or_meant_is_not_told() -> None:
    file = FILES / "quiet.yaml"
    load_rules([file], Engine(Head()), default_interval=60.0)
    assert [str(finding) for finding in lint_rules([file], KNOWN)] == []


def test_shipped_rules_are_clean() -> None:
    files = sorted((ROOT / "rules").glob("*.yml"))
    known = known_from(Path("/nonexistent/config.toml"))
    assert len(known.metrics) > 700
    assert [str(finding) for finding in lint_rules(files, Known(known.metrics, 60.0))] == []


def test_duplicates_are_found_across_files(tmp_path: Path) -> None:
    for name in ("a.yml", "b.yml"):
        (tmp_path / name).write_text("groups: [{name: g, rules: [{record: 'a:b', expr: up}]}]")
    (finding,) = lint_rules([tmp_path / "a.yml", tmp_path / "b.yml", tmp_path / "a.yml"], Known())
    assert finding.check == "duplicate-rule"
    assert finding.problem.file == str(tmp_path / "b.yml")
    assert f"{tmp_path / 'a.yml'}:1" in finding.problem.text


@pytest.mark.parametrize("check", CHECKS)
def test_every_warning_stands_in_the_reference(check: str) -> None:
    assert f"| `{check}` |" in (ROOT / "docs/reference/rules.md").read_text()
