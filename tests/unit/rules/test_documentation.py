"""What the documentation shows works, and it names everything that templates may call."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from sentinel.promql.engine import Engine
from sentinel.rules.files import load_rules
from sentinel.rules.lint import Known, lint_rules
from sentinel.rules.template.functions import QUERIES, SETTINGS, builtin_functions
from sentinel.rules.unittest import run_unit_tests
from sentinel.series.head import Head
from tests.servers.debian import ROOT

DOCS = ROOT / "docs"


def test_the_rule_of_the_how_to_passes_its_unit_test(tmp_path: Path) -> None:
    text = (DOCS / "how-to" / "write-a-rule.md").read_text()
    rule, test = (textwrap.dedent(block) for block in re.findall(r"```yaml\n(.+?)```", text, re.DOTALL))
    (tmp_path / "tests").mkdir()
    (tmp_path / "uplinks.yml").write_text(rule)
    (tmp_path / "tests" / "uplinks.yml").write_text(test)
    (result,) = run_unit_tests([tmp_path / "tests" / "uplinks.yml"])
    assert result.passed, result.differences


FORECAST_TESTS = """
rule_files: [forecast.yml, habits.yml, flaps.yml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {series: 'node_filesystem_avail_bytes{instance="h", mountpoint="/"}', values: '150000-500x100'}
      - {series: 'node_filesystem_size_bytes{instance="h", mountpoint="/"}', values: '1000000x100'}
      - {series: 'ifHCInOctets{instance="sw1"}', values: '0+60000000x60 3600000000+600000x40'}
      - {series: 'ifOperStatus{instance="sw1", ifName="Gi1"}', values: '1 2 1 2 1 2 1 1x30'}
    alert_rule_test:
      - {eval_time: 5m, alertname: DiskFullInFourHours}
      - eval_time: 90m
        alertname: DiskFullInFourHours
        exp_alerts:
          - exp_labels: {instance: h, mountpoint: /, severity: warning}
            exp_annotations:
              summary: / of h will be full within four hours
              description: At the pace of the last hour it lacks -14.65kiB by then.
      - {eval_time: 50m, alertname: TrafficUnusual}
      - eval_time: 80m
        alertname: TrafficUnusual
        exp_alerts:
          - exp_labels: {instance: sw1, severity: info}
            exp_annotations:
              summary: Traffic into sw1 is 99% off
              description: Against three quarters of an hour ago.
      - eval_time: 20m
        alertname: PortFlaps
        exp_alerts:
          - exp_labels: {instance: sw1, ifName: Gi1, severity: warning}
            exp_annotations: {summary: Gi1 of sw1 changed 6 times in 15 minutes}
      - {eval_time: 60m, alertname: PortFlaps}
"""


def test_the_rules_that_forecast_and_compare_do_what_is_said_of_them(tmp_path: Path) -> None:
    text = (DOCS / "how-to" / "forecast-and-compare.md").read_text()
    files = []
    for block in re.findall(r"```yaml\n(.+?)```", text, re.DOTALL):
        name = re.search(r"- name: (\w+)", block)
        assert name is not None
        files.append(tmp_path / f"{name[1]}.yml")
        files[-1].write_text(block)
    (tmp_path / "tests.yml").write_text(FORECAST_TESTS)
    (result,) = run_unit_tests([tmp_path / "tests.yml"])
    assert result.passed, "\n".join(result.differences)
    assert [str(finding) for finding in lint_rules(files, Known())] == []
    # As the daemon keeps them: an hour.
    assert len(load_rules(files, Engine(Head()), default_interval=60.0)) == 3


def test_the_reference_names_every_function() -> None:
    text = (DOCS / "reference" / "rules.md").read_text()
    missing = [name for name in {*builtin_functions(), *QUERIES, *SETTINGS} if f"`{name}`" not in text]
    assert not missing
