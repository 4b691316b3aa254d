"""The reference of metrics names what the daemon counts, and what the shipped rules judge is in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from docs.metrics import metrics_reference

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/metrics.md").read_text()
NAMES = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))


def test_the_page_says_what_the_metrics_say() -> None:
    """`make docs` writes it."""
    assert metrics_reference() == PAGE


@pytest.mark.parametrize("file", sorted((ROOT / "rules").glob("*.yml")), ids=lambda file: file.name)
def test_every_own_metric_that_shipped_rules_use_is_in_the_reference(file: Path) -> None:
    expressions = re.findall(r"^\s*expr: (.+(?:\n(?!\s*\w+:).+)*)", file.read_text(), re.MULTILINE)
    assert expressions
    used = set(re.findall(r"\bsentinel_\w+", "\n".join(expressions)))
    assert used - NAMES == set()


def test_every_metric_that_the_code_makes_is_in_the_reference() -> None:
    made = {
        name.removesuffix("_total")
        for file in (ROOT / "src").rglob("*.py")
        for name in re.findall(r'\b(?:Counter|Gauge|Histogram)\(\s*"(sentinel_\w+)"', file.read_text())
    }
    assert len(made) > 25
    assert made - {name.removesuffix("_total") for name in NAMES} == set()
