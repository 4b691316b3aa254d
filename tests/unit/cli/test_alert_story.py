from __future__ import annotations

from typing import Any

from sentinel.cli.alert_story import alert_lines

FOUND: dict[str, Any] = {
    "labels": {"alertname": "Down", "instance": "sw1"},
    "verdict": "ops not told now: silence: li.wei: works on it",
    "state": "firing",
    "active_at": 1_700_000_000.0,
    "fired_at": 1_700_000_060.0,
    "resolved_at": None,
    "rule_group": "net.yml;links",
    "incident": 7,
    "incident_state": "open",
    "receivers": ["ops"],
    "groups": [
        {
            "receiver": "ops",
            "key": "incident 7",
            "alerts": 2,
            "told": "",
            "sent_at": None,
            "obstacles": [{"why": "silence", "text": "li.wei: works on it", "until": 1_700_003_600.0}],
            "next_at": 1_700_003_600.0,
            "next_event": "firing",
            "next_reason": "opened",
        }
    ],
    "messages": [
        {
            "receiver": "mail",
            "event": "firing",
            "reason": "opened",
            "state": "dead",
            "created_at": 1_700_000_060.0,
            "done_at": None,
            "last_error": "550 no such user",
        }
    ],
}


def test_what_people_read() -> None:
    lines = list(alert_lines(FOUND))
    assert lines[:2] == [
        'alertname="Down", instance="sw1"',
        "  ops not told now: silence: li.wei: works on it",
    ]
    text = "\n".join(lines)
    assert "ops, group incident 7 with 2 alerts" in text
    assert "withheld   silence: li.wei: works on it, until 20" in text
    assert "next       firing (opened) at 20" in text
    assert "mail: firing, opened – dead (550 no such user)" in text


def test_an_alert_without_an_incident() -> None:
    found = FOUND | {"incident": None, "groups": [], "messages": [], "receivers": []}
    text = "\n".join(alert_lines(found))
    assert "incident   none" in text
    assert "receivers  none" in text
