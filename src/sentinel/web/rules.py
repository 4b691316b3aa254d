"""Rules as Prometheus lists them: what is asked for, page by page.

Source of parameters and errors: Prometheus 3, HTTP API, "Rules".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sentinel.model.alert import AlertState
from sentinel.rules.rule import AlertingRule
from sentinel.rules.status import GroupStatus, RuleStatus
from sentinel.series.index.matcher import Matcher
from sentinel.web import parameters
from sentinel.web.formats import format_instant
from sentinel.web.parameters import ApiError, Given
from sentinel.web.states import alert_json

_GRAVITY = {AlertState.INACTIVE: 0, AlertState.PENDING: 1, AlertState.UNKNOWN: 2, AlertState.FIRING: 3}
_LARGEST = 2**31 - 1


def rules_json(groups: Iterable[GroupStatus], given: Given) -> dict[str, Any]:
    """
    Raises:
        ApiError: a parameter is wrong, or names a page that is not there.
    """
    wanted, page = _Wanted.of(given), _Page.of(given)
    shown: list[dict[str, Any]] = []
    is_found = not page.token
    for group in groups:
        token = _token(group)
        is_found = is_found or token == page.token
        if not is_found:
            continue
        one = _group(group, wanted)
        if one is None:
            continue
        if page.limit and len(shown) == page.limit:
            return {"groups": shown, "groupNextToken": token}
        shown.append(one)
    if not is_found:
        raise ApiError("bad_data", f"invalid group_next_token '{page.token}'. were rule groups changed?")
    return {"groups": shown}


@dataclass(frozen=True, slots=True)
class _Page:
    limit: int
    """Groups; 0: all."""
    token: str
    """Of the first group; empty: from the beginning."""

    @classmethod
    def of(cls, given: Given) -> _Page:
        limit, token = parameters.one(given, "group_limit"), parameters.one(given, "group_next_token")
        if not limit:
            if token:
                text = "group_limit needs to be present in order to paginate over the groups"
                raise parameters.invalid("group_next_token", text)
            return cls(0, "")
        try:
            number = int(limit)
        except ValueError:
            raise parameters.invalid("group_limit", "group_limit needs to be a valid number") from None
        if not 0 < number <= _LARGEST:
            raise parameters.invalid("group_limit", "group_limit needs to be greater than 0")
        return cls(number, token)


@dataclass(frozen=True, slots=True)
class _Wanted:
    kind: str
    """"alert", "record" or empty: both."""
    names: Sequence[str] | None
    groups: Sequence[str] | None
    files: Sequence[str] | None
    matchers: Sequence[tuple[Matcher, ...]]
    """On labels that no template fills in; one of them is enough."""
    with_alerts: bool

    @classmethod
    def of(cls, given: Given) -> _Wanted:
        kind = parameters.one(given, "type")
        if kind not in ("", "alert", "record"):
            raise ApiError("bad_data", f'invalid parameter "type": not supported value "{kind}"')
        return cls(
            kind,
            given.get("rule_name[]"),
            given.get("rule_group[]"),
            given.get("file[]"),
            parameters.selectors(given),
            (parameters.one(given, "exclude_alerts") or "false").lower() not in ("true", "1"),
        )

    def takes_group(self, status: GroupStatus) -> bool:
        group = status.group
        return _is_among(group.name, self.groups) and _is_among(group.file, self.files)

    def takes(self, status: RuleStatus) -> bool:
        rule = status.rule
        is_alerting = isinstance(rule, AlertingRule)
        if self.kind not in ("", "alert" if is_alerting else "record") or not _is_among(
            rule.name, self.names
        ):
            return False
        if not self.matchers:
            return True
        labels = rule.fixed_labels if isinstance(rule, AlertingRule) else dict(rule.labels)
        return any(
            all(matcher.accepts(labels.get(matcher.name, "")) for matcher in some) for some in self.matchers
        )


def _is_among(name: str, wanted: Sequence[str] | None) -> bool:
    return wanted is None or name in wanted


def _token(status: GroupStatus) -> str:
    """What a page that begins with the group is asked for by."""
    text = f"{status.group.file};{status.group.name}"
    return hashlib.sha1(text.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()


def _group(status: GroupStatus, wanted: _Wanted) -> dict[str, Any] | None:
    """None: nothing of it was asked for."""
    if not wanted.takes_group(status):
        return None
    rules = [_rule(rule, with_alerts=wanted.with_alerts) for rule in status.rules if wanted.takes(rule)]
    if not rules and status.rules:
        return None
    group = status.group
    return {
        "name": group.name,
        "file": group.file,
        "rules": rules,
        "interval": group.interval,
        "limit": group.limit,
        "evaluationTime": status.duration,
        "lastEvaluation": format_instant(status.last_evaluation),
    }


def _rule(status: RuleStatus, *, with_alerts: bool) -> dict[str, Any]:
    rule = status.rule
    shown: dict[str, Any] = {
        "name": rule.name,
        "query": rule.expression.text,
        "health": status.health,
        "evaluationTime": status.duration,
        "lastEvaluation": format_instant(status.last_evaluation),
    }
    if status.last_error:
        shown["lastError"] = status.last_error
    if not isinstance(rule, AlertingRule):
        return shown | {"labels": dict(rule.labels), "type": "recording"}
    worst = max(
        (alert.state for alert in status.alerts), key=_GRAVITY.__getitem__, default=AlertState.INACTIVE
    )
    return shown | {
        "labels": {name: template.text for name, template in rule.labels},
        "annotations": {name: template.text for name, template in rule.annotations},
        "type": "alerting",
        "state": "firing" if worst is AlertState.UNKNOWN else worst.value,
        "duration": rule.hold,
        "keepFiringFor": rule.keep,
        "alerts": [alert_json(alert) for alert in status.alerts] if with_alerts else [],
    }
