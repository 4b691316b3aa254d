"""Alerts: what a rule says about one label set, and how that changed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sentinel.model.labels import EMPTY, Labels


class AlertState(StrEnum):
    """inactive → pending → firing; unknown: was firing and what it reads cannot be read now."""

    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Sent:
    """What an alert has that somebody sends, in place of a rule that is asked again and again."""

    ends_at: float
    """Unix seconds at which it is over, unless its sender says otherwise before."""
    is_timeout: bool = False
    """The sender gave no end: that is how long we believe it."""
    generator_url: str = ""
    """Where the sender says that it comes from. Anybody's text: shown, never followed."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert; instants are Unix seconds.

    `labels` are the result's labels without the metric name, then the rule's expanded labels, then alertname.
    """

    fingerprint: str
    """Of the labels: the identity across restarts."""
    group: str
    """Rule group, as "FILE;GROUP"; of received alerts "api;SENDER"."""
    labels: Labels
    annotations: Labels = EMPTY
    state: AlertState = AlertState.INACTIVE
    value: float = 0.0
    active_at: float = 0.0
    """Since when the expression returns it: what `for` counts from."""
    fired_at: float | None = None
    last_seen_at: float | None = None
    """When the expression last returned it: what `keep_firing_for` counts from."""
    resolved_at: float | None = None
    sent: Sent | None = None
    """None: it comes from a rule of ours."""

    @property
    def name(self) -> str:
        return self.labels.get("alertname", "")

    @property
    def is_open(self) -> bool:
        """Somebody has to look at it: firing, or unknown after firing."""
        return self.state in (AlertState.FIRING, AlertState.UNKNOWN)


@dataclass(frozen=True, slots=True)
class AlertChange:
    """One step of one alert, as one rule tick saw it."""

    before: AlertState
    alert: Alert
    """As it is now; `alert.state` is where the step led."""
    at: float
    reason: str = ""
    """Why, where it is not the plain course: "unreadable", "target removed", "rule removed", …"""
