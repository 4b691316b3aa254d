"""Alerts and their changes, short to write."""

from __future__ import annotations

from dataclasses import replace

from sentinel.model.alert import Alert, AlertChange, AlertState
from sentinel.model.labels import Labels

START = 1_700_000_000.0


def alert(name: str = "Down", instance: str = "sw1", *, summary: str = "", **labels: str) -> Alert:
    """A firing one."""
    everything = Labels({"alertname": name, "instance": instance, "severity": "critical"} | labels)
    annotations = Labels(summary=summary) if summary else Labels()
    return Alert(
        everything.fingerprint(),
        "rules.yml;g",
        everything,
        annotations,
        AlertState.FIRING,
        1.0,
        START - 60,
        START,
    )


def firing(
    name: str = "Down",
    instance: str = "sw1",
    *,
    at: float = START,
    before: AlertState = AlertState.INACTIVE,
    summary: str = "",
    **labels: str,
) -> AlertChange:
    fresh = replace(alert(name, instance, summary=summary, **labels), fired_at=at)
    return AlertChange(before, fresh, at)


def unknown(name: str = "Down", instance: str = "sw1", *, at: float = START, **labels: str) -> AlertChange:
    lost = replace(alert(name, instance, **labels), state=AlertState.UNKNOWN, fired_at=None)
    return AlertChange(AlertState.FIRING, lost, at, "unreadable")


def resolved(
    name: str = "Down",
    instance: str = "sw1",
    *,
    at: float = START,
    before: AlertState = AlertState.FIRING,
    **labels: str,
) -> AlertChange:
    over = replace(alert(name, instance, **labels), state=AlertState.INACTIVE)
    return AlertChange(before, over, at)
