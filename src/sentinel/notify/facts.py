"""The facts of one message: plain JSON, committed with the incident and rendered only when it is sent."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NotRequired, TypedDict

from sentinel.incidents.news import Event, News
from sentinel.model.alert import Alert

MAX_ALERTS = 100
"""Alerts carried by one message; the rest is counted."""
MAX_VALUE = 1024
"""Characters of one annotation in a message."""


class AlertFacts(TypedDict):
    fingerprint: str
    labels: dict[str, str]
    annotations: dict[str, str]
    status: str
    """firing or resolved, as Alertmanager knows them."""
    unknown: bool
    """It cannot be read now; told as firing."""
    starts_at: float
    ends_at: float | None
    value: float | None


class DigestFacts(TypedDict):
    """Of a message in place of many."""

    alerts: int
    over: int
    """Of these alerts."""
    groups: int
    since: float
    """When the first of the messages was committed."""
    messages: list[int]
    """Rows of the outbox."""
    queues: list[str]
    """Theirs."""


class Facts(TypedDict):
    event: str
    reason: str
    at: float
    external_url: str
    incident: int
    key: str
    """Of the incident."""
    group_key: str
    """Of the notification group, as Alertmanager writes it."""
    incidents: list[int]
    """Further incidents that the message tells of."""
    state: str
    grade: str
    title: str
    target: str
    opened_at: float
    acknowledged_by: str
    resolved_at: float | None
    resolved_by: str
    grouping: dict[str, str]
    alerts: list[AlertFacts]
    truncated: int
    total: int
    """Alerts of the incident, or of the group, told here or not."""
    digest: NotRequired[DigestFacts]


def facts_of(
    news: News,
    alerts: Iterable[Alert],
    *,
    external_url: str,
    group_key: str = "",
    title: str = "",
    further: Iterable[int] = (),
) -> Facts:
    """
    Args:
        alerts: those that concern the receiver, the most important first.
        title: in place of the incident's.
        further: incidents beside the news' own.
    """
    chosen = list(alerts)
    incident = news.incident
    ended = incident.resolved_at if news.event is Event.RESOLVED else None
    return Facts(
        event=news.event.value,
        reason=news.reason,
        at=news.at,
        external_url=external_url,
        incident=incident.id,
        key=incident.key,
        group_key=group_key or f"{{}}:{incident.key}",
        incidents=list(further)[:MAX_ALERTS],
        state=incident.state.value,
        grade=incident.grade.value,
        title=title or incident.title,
        target=incident.target,
        opened_at=incident.opened_at,
        acknowledged_by=incident.acknowledged_by,
        resolved_at=incident.resolved_at,
        resolved_by=incident.resolved_by,
        grouping=dict(news.grouping.pairs),
        alerts=[_alert_facts(alert, ended) for alert in chosen[:MAX_ALERTS]],
        truncated=max(0, len(chosen) - MAX_ALERTS),
        total=len(news.alerts),
    )


def _alert_facts(alert: Alert, ended: float | None) -> AlertFacts:
    """An alert that still fires in an incident resolved by hand ends, for those who are told, with it."""
    ends_at = ended if alert.is_open else alert.resolved_at
    return AlertFacts(
        fingerprint=alert.fingerprint,
        labels=dict(alert.labels.pairs),
        annotations={name: value[:MAX_VALUE] for name, value in alert.annotations.pairs},
        status="firing" if ends_at is None else "resolved",
        unknown=alert.state.value == "unknown",
        starts_at=alert.fired_at if alert.fired_at is not None else alert.active_at,
        ends_at=ends_at,
        value=alert.value if math.isfinite(alert.value) else None,
    )
