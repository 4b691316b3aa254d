"""What alerting rules read in the end, through recording rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from sentinel.rules.rows import ALERT_METRICS
from sentinel.rules.rule import RecordingRule
from sentinel.rules.run import GroupRun
from sentinel.rules.seams import Expression
from sentinel.rules.windows import settle_time


def link(runs: Sequence[GroupRun]) -> None:
    """Tell every alerting rule which polled metrics it is made of."""
    recorded: dict[str, list[Expression]] = {}
    for run in runs:
        for rule in run.rules:
            if isinstance(rule.rule, RecordingRule):
                recorded.setdefault(rule.rule.name, []).append(rule.rule.expression)
    for run in runs:
        for rule in run.rules:
            if rule.alerts is not None:
                makers = _made_of(rule.rule.expression, recorded)
                settle = max(settle_time(one.text) for one in makers)
                rule.alerts.feed_from(partial(_roots, makers, frozenset(recorded)), settle)


def _made_of(expression: Expression, recorded: Mapping[str, Sequence[Expression]]) -> list[Expression]:
    """The expression and those of the recording rules that it reads, directly or not."""
    found = [expression]
    for one in found:
        for name in one.names:
            found += [maker for maker in recorded.get(name, ()) if maker not in found]
    return found


def _roots(expressions: Sequence[Expression], recorded: frozenset[str]) -> frozenset[str]:
    """The polled metrics that these expressions read."""
    names = frozenset[str]().union(*(one.names for one in expressions))
    # What rules themselves record can always be read: it would hide that what it is made of cannot.
    return names - recorded - ALERT_METRICS
