"""Unit tests of rules: the same verdicts as promtool, and differences that people can read."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from sentinel.rules.unittest import Result, run_unit_tests
from tests.servers.debian import environment, program

RULES = """
groups:
  - name: second
    rules:
      - alert: High
        expr: job:temperature:max > 30
        for: 2m
        annotations: {summary: "{{ $labels.job }} has {{ $value }} since {{ $externalLabels.site }}"}
  - name: first
    interval: 5m
    rules:
      - record: job:temperature:max
        expr: max by (job) (temperature)
"""

TESTS = """
rule_files: [rules.yml]
evaluation_interval: 1m
group_eval_order: [first, second]
tests:
  - name: rises
    interval: 1m
    external_labels: {site: hq}
    input_series:
      - {series: 'temperature{job="a", instance="1"}', values: '20+5x10'}
      - {series: 'temperature{job="a", instance="2"}', values: '_ _ 90 stale'}
      - {series: 'temperature{job="b", instance="3"}', values: '20 _x4 20x5'}
    alert_rule_test:
      - eval_time: 3m
        alertname: High
      - eval_time: 5m30s
        alertname: High
        exp_alerts:
          - exp_labels: {job: a}
            exp_annotations: {summary: a has 45 since hq}
    promql_expr_test:
      - expr: job:temperature:max
        eval_time: 2m
        exp_samples:
          - {labels: 'job:temperature:max{job="a"}', value: 90}
          - {labels: 'job:temperature:max{job="b"}', value: 20}
      - expr: sum(ALERTS)
        eval_time: 5m
        exp_samples: [{labels: '{}', value: 1}]
      - expr: 1 + 1
        eval_time: 5m
        exp_samples: [{labels: '{}', value: 2}]
"""


def write(folder: Path, tests: str, rules: str = RULES) -> Path:
    (folder / "rules.yml").write_text(rules)
    file = folder / "tests.yml"
    file.write_text(tests)
    return file


def promtool_passes(file: Path) -> bool:
    done = subprocess.run(
        [program("promtool"), "test", "rules", str(file)],
        env=environment(),
        capture_output=True,
        timeout=60,
        check=False,
    )
    return done.returncode == 0


def ours(file: Path) -> list[Result]:
    return run_unit_tests([file])


def test_what_passes_in_promtool_passes_here(tmp_path: Path) -> None:
    file = write(tmp_path, TESTS)
    assert promtool_passes(file)
    assert [(result.name, result.differences) for result in ours(file)] == [("rises", ())]


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        ("has 45 since", "has 46 since", "a has 46 since hq"),
        ("eval_time: 3m", "eval_time: 4m", "there, not expected"),
        ("{job: a}", "{job: c}", "expected, not there"),
        ("value: 90}", "value: 91}", "91.0"),
        ("{labels: '{}', value: 1}", "", "there, not expected: {} 1.0"),
        ("group_eval_order: [first, second]", "group_eval_order: [second, first]", "High"),
        ("expr: 1 + 1", "expr: 1 +", "1 +"),
    ],
)
def test_what_fails_in_promtool_fails_here_and_shows_the_difference(
    tmp_path: Path, old: str, new: str, shown: str
) -> None:
    assert old in TESTS
    file = write(tmp_path, TESTS.replace(old, new))
    assert not promtool_passes(file)
    (result,) = ours(file)
    assert not result.passed
    assert any(shown in difference for difference in result.differences), result.differences


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("rule_files:", "rule_file:", "2:1: unknown key 'rule_file' (did you mean 'rule_files'?)"),
        ("values: '20+5x10'", "values: '20+5y10'", "not in the notation of series"),
        ("alertname: High", "alertnam: High", "unknown key 'alertnam'"),
        ("[first, second]", "[first, first]", "is given twice"),
    ],
)
def test_mistakes_in_the_test_file_are_told_with_their_place(
    tmp_path: Path, old: str, new: str, problem: str
) -> None:
    file = write(tmp_path, TESTS.replace(old, new))
    (result,) = ours(file)
    assert any(problem in difference for difference in result.differences), result.differences


def test_a_rule_that_fails_while_it_is_tested_is_told(tmp_path: Path) -> None:
    rules = RULES.replace("max by (job) (temperature)", "temperature * on (job) temperature")
    file = write(tmp_path, TESTS, rules)
    assert not promtool_passes(file)
    (result,) = ours(file)
    assert "job:temperature:max at " in result.differences[0]


def test_mistakes_in_the_rule_file_are_told(tmp_path: Path) -> None:
    file = write(tmp_path, TESTS, RULES.replace("expr: max", "exp: max"))
    (result,) = ours(file)
    assert any("did you mean 'expr'?" in difference for difference in result.differences)


def test_a_rule_file_that_is_not_there_is_noted(tmp_path: Path) -> None:
    file = write(tmp_path, TESTS.replace("[rules.yml]", "[rules.yml, other.yml]"))
    assert promtool_passes(file)
    (result,) = ours(file)
    assert result.passed
    assert result.notes == (f"{file}:2:25: no such file: other.yml",)


def test_a_sample_without_labels_is_expected_without_any(tmp_path: Path) -> None:
    file = write(tmp_path, TESTS.replace("{labels: '{}', value: 2}", "{value: 2}"))
    assert promtool_passes(file)
    assert all(result.passed for result in ours(file))
