"""The webhook's body."""

from __future__ import annotations

import math
from dataclasses import replace

import orjson
import pytest

from sentinel.incidents.news import Event
from sentinel.model.alert import AlertState
from sentinel.notify.receivers.webhook import payload
from sentinel.runtime.retry import retry_after
from tests.unit.incidents.alerts import START, alert
from tests.unit.notify.news import delivery, news


def test_the_payload_is_alertmanagers_version_4() -> None:
    one = alert(ifName="ge-1", summary="port down")
    two = alert(ifName="ge-2", summary="port down")
    body = payload(delivery(news(alerts=[one, two])).facts, receiver="ops")
    assert set(body) == {
        "version",
        "groupKey",
        "truncatedAlerts",
        "status",
        "receiver",
        "groupLabels",
        "commonLabels",
        "commonAnnotations",
        "externalURL",
        "alerts",
        "sentinel",
    }
    assert (body["version"], body["status"], body["receiver"]) == ("4", "firing", "ops")
    assert body["groupLabels"] == {"alertname": "Down", "instance": "sw1"}
    assert body["commonLabels"] == {"alertname": "Down", "instance": "sw1", "severity": "critical"}
    assert body["commonAnnotations"] == {"summary": "port down"}
    assert body["alerts"][0] == {
        "status": "firing",
        "labels": dict(one.labels),
        "annotations": {"summary": "port down"},
        "startsAt": "2023-11-14T22:13:20.000Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "https://sentinel.example.org/incidents/7",
        "fingerprint": one.fingerprint,
    }
    assert body["sentinel"] == {
        "incident": 7,
        "grade": "II",
        "state": "open",
        "root": "sw1",
        "symptoms": 1,
        "url": "https://sentinel.example.org/incidents/7",
        "reason": "opened",
    }


def test_a_recovery_ends_every_alert() -> None:
    over = replace(alert(), state=AlertState.INACTIVE, resolved_at=START + 30)
    still = alert(ifName="ge-1")  # closed by hand
    body = payload(delivery(news(Event.RESOLVED, [over, still])).facts, receiver="ops")
    assert body["status"] == "resolved"
    assert [one["endsAt"] for one in body["alerts"]] == [
        "2023-11-14T22:13:50.000Z",
        "2023-11-14T22:14:20.000Z",
    ]


def test_an_unknown_alert_is_told_as_firing() -> None:
    lost = replace(alert(), state=AlertState.UNKNOWN, value=math.nan)
    body = payload(delivery(news(alerts=[lost])).facts, receiver="ops")
    assert body["alerts"][0]["status"] == "firing"
    orjson.dumps(body)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        ("99999", 3600.0),
        ("soon", None),
        ("Tue, 14 Nov 2023 22:13:40 GMT", 20.0),
        ("Tue, 14 Nov 2023 22:13:00 GMT", 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, now=START) == seconds
