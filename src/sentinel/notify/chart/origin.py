"""The rule that an alert comes from, found by what a message says of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sentinel.rules.rule import AlertingRule, RuleGroup


@dataclass(frozen=True, slots=True)
class Origin:
    """See the protocol Rule."""

    text: str
    hold: float
    own_labels: frozenset[str]


def origin_of(labels: Mapping[str, str], groups: Iterable[RuleGroup]) -> Origin | None:
    """The rule with this alert's name whose own labels fit best; None: no rule of ours."""
    best: tuple[int, AlertingRule] | None = None
    for group in groups:
        for rule in group.rules:
            if not isinstance(rule, AlertingRule) or rule.name != labels.get("alertname"):
                continue
            fixed = dict(rule.fixed_labels.pairs)
            fits = all(labels.get(name, "") == value for name, value in fixed.items())
            if fits and (best is None or len(fixed) > best[0]):
                best = (len(fixed), rule)
    if best is None:
        return None
    rule = best[1]
    return Origin(rule.expression.text, rule.hold, frozenset(name for name, _ in rule.labels))
