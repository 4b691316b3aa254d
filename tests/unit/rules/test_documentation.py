"""What the documentation shows works, and it names everything that templates may call."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from sentinel.rules.template.functions import QUERIES, builtin_functions
from sentinel.rules.unittest import run_unit_tests
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


def test_the_reference_names_every_function() -> None:
    text = (DOCS / "reference" / "rules.md").read_text()
    missing = [name for name in {*builtin_functions(), *QUERIES} if f"`{name}`" not in text]
    assert not missing
