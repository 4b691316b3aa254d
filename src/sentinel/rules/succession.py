"""Who takes over: state handed from rules to their successors at a reload, and alerts to rules after a restart."""

from __future__ import annotations

from collections.abc import Sequence

from sentinel.model.alert import Alert, AlertChange, AlertState
from sentinel.rules.rule import AlertingRule
from sentinel.rules.run import GroupRun, RuleRun


def take_over(run: GroupRun, old: GroupRun) -> list[RuleRun]:
    """Hand the state of a group's rules to their successors; returns those that have one."""
    if old.group.interval == run.group.interval:
        run.next_tick = old.next_tick
    run.last_evaluation, run.duration = old.last_evaluation, old.duration
    waiting: dict[tuple[object, ...], list[RuleRun]] = {}
    for rule in old.rules:
        waiting.setdefault(rule.rule.identity, []).append(rule)
    kept = []
    for rule in run.rules:
        same = waiting.get(rule.rule.identity)
        if same:
            kept.append(same.pop(0))
            rule.take_over(kept[-1], run.group)
    return kept


def rule_of(alert: Alert, runs: Sequence[GroupRun]) -> RuleRun | None:
    """The rule that an alert came from: in its own group, else in one of the same name elsewhere."""
    name = alert.group.rpartition(";")[2]
    same = [run for run in runs if run.group.identity == alert.group]
    moved = [run for run in runs if run.group.name == name and run not in same]
    for run in (*same, *moved):
        for rule in run.rules:
            if isinstance(rule.rule, AlertingRule) and _could_be(rule.rule, alert):
                return rule
    return None


def _could_be(rule: AlertingRule, alert: Alert) -> bool:
    fixed = rule.fixed_labels
    return rule.name == alert.name and all(alert.labels.get(name) == value for name, value in fixed.pairs)


def ended(alert: Alert, at: float, reason: str) -> AlertChange:
    """An alert that ends because nothing is left that could judge it."""
    resolved = Alert(
        fingerprint=alert.fingerprint,
        group=alert.group,
        labels=alert.labels,
        annotations=alert.annotations,
        state=AlertState.INACTIVE,
        value=alert.value,
        active_at=alert.active_at,
        fired_at=alert.fired_at,
        last_seen_at=alert.last_seen_at,
        resolved_at=at,
    )
    return AlertChange(alert.state, resolved, at, reason)
