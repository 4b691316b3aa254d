"""`sentinel check rules` and `sentinel test rules`."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from sentinel.cli.main import app

RULES = """
groups:
  - name: g
    rules:
      - alert: Down
        expr: up == 0
"""
TESTS = """
rule_files: [rules.yml]
tests:
  - name: goes down
    input_series: [{series: 'up{a="\\x07"}', values: '0x5'}]
    alert_rule_test: [{eval_time: 1m, alertname: Down}]
  - name: stays up
    input_series: [{series: 'up', values: '1x5'}]
    promql_expr_test: [{expr: up, eval_time: 1m, exp_samples: [{labels: up, value: 1}]}]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules.yml").write_text(RULES)
    (tmp_path / "tests.yml").write_text(TESTS)
    return tmp_path


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.output


def test_warnings_leave_a_file_in_order_unless_they_are_to_be_errors(folder: Path) -> None:
    code, text = run("check", "rules", "rules.yml")
    assert code == 0
    assert "rules.yml:5:9: warning: add `for`, so that a single poll does not fire it [missing-for]" in text
    assert "in order (files: 1, groups: 1, rules: 1, warnings: 2)" in text
    code, text = run("check", "rules", "rules.yml", "--strict")
    assert code == 1
    assert "error: add the label `severity`" in text
    assert run("check", "rules", "rules.yml", "--strict", "--no-lint")[0] == 0


def test_a_mistake_is_told_with_its_group_its_rule_and_what_was_meant(folder: Path) -> None:
    (folder / "rules.yml").write_text(RULES.replace("up == 0", "rat(up[5m]) == 0"))
    code, text = run("check", "rules", "rules.yml")
    assert code == 1
    assert "rules.yml:6:15: unknown function 'rat' (did you mean 'rate'?) (group 'g', rule 'Down')" in text


def test_a_configuration_that_cannot_be_used_does_not_keep_rules_from_being_checked(folder: Path) -> None:
    (folder / "config.toml").write_text("[colect]")
    code, text = run("check", "rules", "rules.yml")
    assert code == 0
    assert "metrics are not checked" in text


def test_a_test_can_be_picked_by_its_name(folder: Path) -> None:
    code, text = run("test", "rules", "tests.yml", "--run", "^stays")
    assert (code, text) == (0, "tests.yml: stays up: passed\n1 passed, 0 failed\n")
    assert run("test", "rules", "tests.yml", "--run", "(")[0] == 2


def test_differences_can_be_shown_line_by_line(folder: Path) -> None:
    (folder / "tests.yml").write_text(TESTS.replace("value: 1}", "value: 2}"))
    code, text = run("test", "rules", "tests.yml", "--diff", "--run", "up")
    assert code == 1
    assert "  up at 1m\n    - up{} 2.0\n    + up{} 1.0\n" in text


def test_results_are_written_for_build_servers(folder: Path) -> None:
    code, _ = run("test", "rules", "tests.yml", "--junit", "out.xml")
    assert code == 1
    (suite,) = ElementTree.fromstring((folder / "out.xml").read_bytes())
    assert (suite.get("name"), suite.get("tests"), suite.get("failures")) == ("tests.yml", "2", "1")
    assert [(case.get("name"), len(case)) for case in suite] == [("goes down", 1), ("stays up", 0)]
    failure = suite[0][0]
    assert failure.get("message") == "alert Down at 1m"
    assert "there, not expected" in (failure.text or "")
    assert run("test", "rules", "tests.yml", "--junit", "none/out.xml")[0] == 1
