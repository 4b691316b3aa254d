"""Alerts and incidents as rows, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from sqlalchemy import RowMapping

from sentinel.model.alert import Alert, AlertState, Sent
from sentinel.model.incident import Entry, EntryKind, Grade, Incident, IncidentState
from sentinel.model.labels import Labels


def alert_row(alert: Alert) -> dict[str, Any]:
    return {
        "fingerprint": alert.fingerprint,
        "rule_group": alert.group,
        "labels": dict(alert.labels.pairs),
        "annotations": dict(alert.annotations.pairs),
        "state": alert.state.value,
        "value": None if math.isnan(alert.value) else alert.value,
        "active_at": alert.active_at,
        "fired_at": alert.fired_at,
        "last_seen_at": alert.last_seen_at,
        "resolved_at": alert.resolved_at,
        "sent": _sent_row(alert.sent) if alert.sent is not None else None,
    }


def _sent_row(sent: Sent) -> dict[str, Any]:
    return {"ends_at": sent.ends_at, "is_timeout": sent.is_timeout, "generator_url": sent.generator_url}


def alert_of(row: RowMapping) -> Alert:
    return Alert(
        fingerprint=row["fingerprint"],
        group=row["rule_group"],
        labels=Labels(row["labels"]),
        annotations=Labels.annotations(row["annotations"]),
        state=AlertState(row["state"]),
        value=math.nan if row["value"] is None else row["value"],
        active_at=row.get("active_at", row["fired_at"]),
        fired_at=row["fired_at"],
        last_seen_at=row.get("last_seen_at"),
        resolved_at=row["resolved_at"],
        sent=_sent_of(row["sent"]),
    )


def _sent_of(written: Mapping[str, Any] | None) -> Sent | None:
    return Sent(**written) if written is not None else None


def member_row(incident_id: int, alert: Alert) -> dict[str, Any]:
    row = alert_row(alert)
    del row["active_at"], row["last_seen_at"]
    if alert.is_open:
        row["resolved_at"] = None
    return row | {"incident_id": incident_id}


def incident_row(incident: Incident, grouping: Labels) -> dict[str, Any]:
    """Without the number."""
    return {
        "key": incident.key,
        "grouping": dict(grouping.pairs),
        "state": incident.state.value,
        "grade": incident.grade.value,
        "title": incident.title,
        "target": incident.target,
        "opened_at": incident.opened_at,
        "acknowledged_at": incident.acknowledged_at,
        "acknowledged_by": incident.acknowledged_by,
        "resolved_at": incident.resolved_at,
        "resolved_by": incident.resolved_by,
    }


def incident_of(row: RowMapping) -> Incident:
    return Incident(
        id=row["id"],
        key=row["key"],
        state=IncidentState(row["state"]),
        grade=Grade(row["grade"]),
        title=row["title"],
        target=row["target"],
        opened_at=row["opened_at"],
        acknowledged_at=row["acknowledged_at"],
        acknowledged_by=row["acknowledged_by"],
        resolved_at=row["resolved_at"],
        resolved_by=row["resolved_by"],
    )


def entry_row(incident_id: int, entry: Entry) -> dict[str, Any]:
    return {
        "incident_id": incident_id,
        "at": entry.at,
        "kind": entry.kind.value,
        "actor": entry.actor,
        "text": entry.text,
    }


def entry_of(row: RowMapping) -> Entry:
    return Entry(row["at"], EntryKind(row["kind"]), row["actor"], row["text"])
