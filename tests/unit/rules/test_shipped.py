"""The shipped rules: complete, documented, tested, and judged the same by promtool."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from sentinel.promql.engine import Engine
from sentinel.rules.files import load_rules
from sentinel.rules.rule import AlertingRule
from sentinel.rules.unittest import run_unit_tests
from sentinel.series.head import Head
from tests.servers.debian import ROOT, environment, program

RULES = sorted((ROOT / "rules").glob("*.yml"))
TESTS = sorted((ROOT / "rules" / "tests").glob("*.yml"))
RUNBOOKS = ROOT / "docs" / "runbooks"
SUBJECTS = (
    "Host|Interface|Device|Firewall|Ups|Printer|Storage|Bgp|Ospf|Sentinel|Module|Probe|Ssh|Postgresql|Mysql|Redis|"
    "Nginx|Apache|Haproxy|Container|Process|Certificate|Backup|Log|Security|Package|Port"
)
HEADINGS = ["Meaning", "Impact", "Check", "Do", "Escalate"]


def alerts() -> list[AlertingRule]:
    groups = load_rules(RULES, Engine(Head()), default_interval=30.0)
    return [rule for group in groups for rule in group.rules if isinstance(rule, AlertingRule)]


def name(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("file", TESTS, ids=name)
def test_their_unit_tests_pass_here(file: Path) -> None:
    failed = [result for result in run_unit_tests([file]) if not result.passed]
    assert not failed, "\n".join(f"{result.name}: {result.differences}" for result in failed)


@pytest.mark.parametrize("file", TESTS, ids=name)
def test_their_unit_tests_pass_in_promtool(file: Path) -> None:
    done = subprocess.run(
        [program("promtool"), "test", "rules", file.name],
        cwd=file.parent,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_rule_file_has_its_unit_tests() -> None:
    assert [path.name for path in TESTS] == [path.name for path in RULES]


def test_every_alert_is_seen_firing_in_a_unit_test() -> None:
    tested = set()
    for file in TESTS:
        cases = re.split(r"^      - eval_time: ", file.read_text(), flags=re.MULTILINE)
        for case in cases[1:]:
            found = re.search(r"alertname: (\w+)", case)
            if found and "exp_labels" in case:
                tested.add(found[1])
    assert {alert.name for alert in alerts()} == tested


def test_every_alert_says_how_grave_it_is_and_what_to_do() -> None:
    for alert in alerts():
        assert alert.fixed_labels.get("severity") in ("critical", "warning", "info"), alert.origin
        annotations = dict(alert.annotations)
        assert set(annotations) == {"summary", "description", "runbook_url"}, alert.origin
        assert annotations["runbook_url"].constant == f"runbooks/{alert.name}", alert.origin


def test_alerts_have_names_of_their_own() -> None:
    names = [alert.name for alert in alerts()]
    assert len(set(names)) == len(names)


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == {alert.name for alert in alerts()}


def test_runbooks_have_one_form() -> None:
    for path in sorted(RUNBOOKS.glob("*.md")):
        text = path.read_text()
        assert text.startswith(f"# {path.stem}\n"), path
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == HEADINGS, path


def test_runbooks_name_only_alerts_that_exist() -> None:
    names = {alert.name for alert in alerts()}
    for path in sorted(RUNBOOKS.glob("*.md")):
        named = set(re.findall(rf"\b(?:{SUBJECTS})[A-Z]\w+", path.read_text()))
        assert named <= names, (path.name, named - names)
