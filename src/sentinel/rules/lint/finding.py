"""One warning, and what there is to be warned of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sentinel.model.problem import Problem

CHECKS: Final = {
    "absent-without-labels": "absent() of something without label values: the alert cannot say what is missing",
    "counter-as-gauge": "deriv(), delta() or predict_linear() of a counter: it falls at every restart",
    "duplicate-rule": "the same rule twice",
    "dropped-label": "a template names a label that the expression's result does not have",
    "flapping-label": "a label with the value in it: every new value is a new alert",
    "impossible-match": "matchers, or labels to match on, that no series can have",
    "missing-for": "no `for`: one odd poll fires the alert",
    "missing-severity": "no label `severity`: nobody can tell how grave it is",
    "rate-of-gauge": "rate(), increase() or irate() of a gauge: every fall counts as a reset",
    "rate-of-sum": "rate() over an aggregation: one member's restart looks like a reset of all",
    "record-name": "a recorded metric without a colon in its name hides a polled one",
    "short-range": "a range too short to hold two polls",
    "unknown-metric": "a metric that no module gives and no rule records, but nearly",
}
"""By the name with which a comment switches it off."""


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    problem: Problem
    check: str

    def __str__(self) -> str:
        return f"{self.problem} [{self.check}]"
