"""Services that page people, and Alertmanagers, which tell others."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from sentinel.config.receivers.base import Headers, HttpAddress, HttpReceiver, HttpSecret, Token
from sentinel.config.types import PositiveDuration


class PagerdutySettings(HttpReceiver):
    """A [[receiver]] of kind pagerduty: events of version 2, one PagerDuty alert per incident."""

    kind: Literal["pagerduty"]
    routing_key: Token
    """Integration key of the service or ruleset (Events API v2)."""
    url: HttpAddress = "https://events.pagerduty.com/v2/enqueue"
    """Where events are taken; the European service is at events.eu.pagerduty.com."""
    send_acknowledged: bool = True
    """Acknowledge there what is acknowledged here."""


class OpsgenieSettings(HttpReceiver):
    """A [[receiver]] of kind opsgenie: alerts of version 2, one Opsgenie alert per incident."""

    kind: Literal["opsgenie"]
    api_key: Token
    """Key of an API integration."""
    url: HttpAddress = "https://api.opsgenie.com"
    """Where the API is: api.eu.opsgenie.com in Europe; https://api.atlassian.com/jsm/ops/integration for Jira
    Service Management."""
    teams: tuple[str, ...] = Field(default=(), max_length=50)
    """Names of teams that respond; without them the integration decides."""
    tags: tuple[str, ...] = Field(default=(), max_length=20)
    """Tags of the alerts there."""
    send_acknowledged: bool = True
    """Acknowledge there what is acknowledged here."""


class AlertmanagerSettings(HttpReceiver):
    """A [[receiver]] of kind alertmanager: a Prometheus Alertmanager that gets the alerts, while they fire."""

    kind: Literal["alertmanager"]
    url: HttpSecret
    """Where it is, such as http://alertmanager.example.org:9093, with its path prefix if it has one."""
    headers: Headers = Field(default_factory=dict)
    """Further request headers, such as Authorization."""
    every: PositiveDuration = 60.0
    """Time between two repeats of what fires; after four without any, the Alertmanager takes it for over."""

    @field_validator("every")
    @classmethod
    def _is_reasonable(cls, seconds: float) -> float:
        if not 10 <= seconds <= 3600:
            raise ValueError("must be between 10s and 1h")
        return seconds
