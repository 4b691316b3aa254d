"""Services that page people."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sentinel.config.receivers.base import HttpAddress, HttpReceiver, Token


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
