"""Impact × urgency."""

from __future__ import annotations

import pytest

from sentinel.incidents.grade import TABLE, grade, impact, urgency
from sentinel.model.incident import Grade


@pytest.mark.parametrize(
    ("criticality", "affected", "severity", "expected"),
    [
        (5, 1, "critical", Grade.I),  # a core service stops
        (4, 1, "critical", Grade.II),
        (3, 1, "critical", Grade.III),  # one ordinary device
        (3, 5, "critical", Grade.II),  # several of them
        (3, 20, "critical", Grade.I),  # many sites
        (3, 1, "warning", Grade.IV),  # a threshold, no user effect
        (5, 1, "warning", Grade.II),
        (5, 1, "info", Grade.III),
        (1, 1, "critical", Grade.IV),
    ],
)
def test_grades_follow_operations_practice(
    criticality: int, affected: int, severity: str, expected: Grade
) -> None:
    assert grade(criticality, affected, [severity]) is expected


def test_an_unknown_or_missing_severity_counts_as_medium() -> None:
    assert urgency(["purple"]) == urgency([]) == "medium"


def test_the_most_urgent_severity_counts() -> None:
    assert urgency(["info", "CRITICAL", "warning"]) == "high"


def test_impact_stays_between_one_and_five() -> None:
    assert (impact(5, 1000), impact(0, 1)) == (5, 1)


def test_graver_impact_never_lowers_the_grade() -> None:
    order = [Grade.I, Grade.II, Grade.III, Grade.IV]
    for row in TABLE.values():
        ranks = [order.index(value) for value in row]
        assert ranks == sorted(ranks, reverse=True)
