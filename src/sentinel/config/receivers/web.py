"""Webhooks, and whatever Apprise reaches by a URL."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from sentinel.config.receivers.base import FOR_PEOPLE, Cap, Headers, HttpReceiver, HttpSecret, Receiver
from sentinel.config.secret import Secret

SHORTEST_SECRET = 16
"""Characters of a signing secret: less can be guessed from one message."""


class WebhookSettings(HttpReceiver):
    """A [[receiver]] of kind webhook: Alertmanager's payload version 4 by HTTP POST."""

    kind: Literal["webhook"]
    url: HttpSecret
    """Where to post; a text or a secret, as it may carry a token."""
    headers: Headers = Field(default_factory=dict)
    """Further request headers, such as Authorization."""
    secret: Secret | None = None
    """Signs every message: the header X-Sentinel-Signature proves that it is yours; at least 16 characters."""

    @field_validator("secret")
    @classmethod
    def _is_long(cls, secret: Secret | None) -> Secret | None:
        if secret is not None and len(secret.reveal()) < SHORTEST_SECRET:
            raise ValueError(f"at least {SHORTEST_SECRET} characters")
        return secret


class AppriseSettings(Receiver):
    """A [[receiver]] of kind apprise: any other service that the Apprise library reaches by a URL."""

    kind: Literal["apprise"]
    cap: Cap = FOR_PEOPLE
    url: Secret
    """Apprise's URL of the service, such as discord://…; a text or a secret, as it carries a token."""

    @field_validator("url")
    @classmethod
    def _is_url(cls, url: Secret) -> Secret:
        scheme, colon, _ = url.reveal().partition("://")
        if not colon or not scheme.isalnum() or not url.reveal().isprintable():
            raise ValueError("not a URL of Apprise (write SERVICE://…)")
        return url
