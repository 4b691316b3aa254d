"""Rule files and unit tests of other people: promtool and Sentinel say the same of them, run side by side.

The files come with Debian's packages (tests/servers/fetch): Ceph's alerts, and what Prometheus tests promtool and
its rules with.
"""

from __future__ import annotations

import math
import re
import subprocess
from pathlib import Path

import pytest

from sentinel.model.problem import UnusableError
from sentinel.promql.engine import Engine
from sentinel.rules.files import load_rules
from sentinel.rules.unittest import run_unit_tests
from sentinel.series.head import Head
from tests.servers.debian import PREFIX, environment, program

PROMETHEUS = PREFIX / "sources/prometheus"
CEPH = PREFIX / "etc/prometheus/ceph"

# Prometheus 3 leaves the sample at a window's start out, promtool 2.42 counts it in.
OTHER_IN_VERSION_3 = {"unittest.yml"}


def of(folder: Path, pattern: str, first_key: str) -> list[Path]:
    """Files that have such a key at their top."""
    return [
        file for file in sorted(folder.glob(pattern)) if re.search(first_key, file.read_text(), re.MULTILINE)
    ]


def collections() -> list[Path]:
    return [
        *of(CEPH, "*.yml", "^groups:"),
        *of(PROMETHEUS / "cmd/promtool/testdata", "*.yml", "^groups:"),
        *of(PROMETHEUS / "rules/fixtures", "*.yaml", "^groups:"),
        *of(PROMETHEUS / "model/rulefmt/testdata", "*.yaml", "^groups:"),
    ]


def unit_tests() -> list[Path]:
    return of(PROMETHEUS / "cmd/promtool/testdata", "*.yml", "^(tests|rule_files|evaluation_interval):")


def promtool(*arguments: str, folder: Path) -> tuple[bool, str]:
    done = subprocess.run(
        [program("promtool"), *arguments],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode == 0, done.stdout + done.stderr


def test_the_collections_are_there() -> None:
    assert len(collections()) >= 24
    assert len(unit_tests()) >= 9


@pytest.mark.parametrize("file", collections(), ids=lambda file: file.name)
def test_rule_files_are_in_order_for_both_or_for_neither(file: Path) -> None:
    theirs, said = promtool("check", "rules", file.name, folder=file.parent)
    problems = ""
    try:
        # Windows of days are read from the history; how much of it is kept is not the file's fault.
        load_rules([file], Engine(Head(retention=math.inf)), default_interval=60.0)
    except UnusableError as error:
        problems = str(error)
    assert theirs == (not problems), said + problems


@pytest.mark.parametrize("file", unit_tests(), ids=lambda file: file.name)
def test_unit_tests_pass_for_both_or_for_neither(file: Path) -> None:
    theirs, said = promtool("test", "rules", file.name, folder=file.parent)
    differences = [result.differences for result in run_unit_tests([file]) if not result.passed]
    if file.name in OTHER_IN_VERSION_3:
        assert theirs
        assert all("count_over_time" in text or "timestamp" in text for some in differences for text in some)
        assert differences
    else:
        assert theirs == (not differences), f"{said}{differences}"
