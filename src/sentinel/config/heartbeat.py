"""[[heartbeat]]: who is called for as long as the daemon does its work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from sentinel.config.document import Written
from sentinel.config.receivers.base import Headers, HttpSecret
from sentinel.config.types import PositiveDuration
from sentinel.model.pattern import Pattern

LONGEST = 600.0
"""Seconds between two calls at most: what is called less often than that notices too late."""


def _pattern(written: str) -> str:
    Pattern.of(written)
    return written


class HeartbeatSettings(Written):
    """[[heartbeat]]: an outside service that is called for as long as the daemon does its work, and tells people
    when the calls stay away."""

    name: str = Field(min_length=1, max_length=200)
    """Unique name, for log and metrics."""
    url: HttpSecret
    """Address to call; it usually carries a token, so keep it where secrets are kept."""
    every: PositiveDuration = 60.0
    """Time between two calls; 1s to 10m."""
    method: Literal["GET", "POST"] = "GET"
    """How it is called; a POST says in its body what was wrong before, if anything was."""
    timeout: PositiveDuration = 10.0
    """How long the far side has to answer; at most `every`, and 30s."""
    success: Annotated[str, AfterValidator(_pattern)] = ""
    """Regular expression that a good answer contains; without it any 2xx is good."""
    headers: Headers = Field(default_factory=dict)
    """Further request headers, such as Authorization."""
    proxy: HttpSecret | None = None
    """HTTP proxy to go through, such as http://proxy.example.org:3128; may carry USER:PASSWORD@."""
    ca_file: str | None = None
    """PEM file of certificate authorities to trust in place of the system's."""
    client_certificate: str | None = None
    """PEM file of the certificate that Sentinel shows to the far side; may hold its key too."""
    client_key: str | None = None
    """PEM file of that certificate's key, without a passphrase."""

    @property
    def concurrency(self) -> int:
        """Connections at the same time."""
        return 1

    @property
    def secrets(self) -> list[str]:
        """What no log may show."""
        proxy = [self.proxy] if self.proxy else []
        return [one.reveal() for one in (self.url, *proxy, *self.headers.values())]

    @property
    def plain_headers(self) -> Mapping[str, str]:
        return {name: value.reveal() for name, value in self.headers.items()}

    @field_validator("name")
    @classmethod
    def _is_one_line(cls, name: str) -> str:
        if not name.isprintable():
            raise ValueError("may not contain control characters")
        return name

    @field_validator("every")
    @classmethod
    def _is_often_enough(cls, seconds: float) -> float:
        if not 1 <= seconds <= LONGEST:
            raise ValueError("must be between 1s and 10m")
        return seconds

    @model_validator(mode="after")
    def _is_answered_in_time(self) -> Self:
        if "timeout" not in self.model_fields_set:
            self.__dict__["timeout"] = min(self.timeout, self.every)
        if self.timeout > min(self.every, 30.0):
            raise ValueError("timeout: at most as long as 'every', and 30s")
        if self.client_key and not self.client_certificate:
            raise ValueError("client_key needs client_certificate")
        return self
