"""[[history.remote_write]]: other stores that get every sample, by Prometheus' remote write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from sentinel.config.document import Written
from sentinel.config.secret import Secret
from sentinel.config.types import LabelName, PositiveDuration, Size


def _http_url(written: str) -> str:
    parts = urlsplit(written)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("write a whole address such as https://prometheus.example.org/api/v1/write")
    if parts.username or parts.password:
        raise ValueError("leave user and password out of it: there are username and password")
    return written


class RemoteWriteSettings(Written):
    """[[history.remote_write]]: one store, such as Prometheus, VictoriaMetrics or Mimir."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
    """Its name, in metrics and as the folder of what waits for it; unique."""
    url: Annotated[str, AfterValidator(_http_url)]
    """Where it takes samples, such as http://HOST:9090/api/v1/write."""
    username: str = ""
    """User, for HTTP's basic authentication."""
    password: Secret | None = None
    """The user's password."""
    bearer_token: Secret | None = None
    """Token, in place of user and password."""
    headers: Mapping[str, Secret] = Field(default_factory=dict)
    """Further headers, such as X-Scope-OrgID."""
    ca_file: str | None = None
    """Certificates of the authorities to trust, in place of the system's."""
    labels: Mapping[LabelName, str] = Field(default_factory=dict)
    """Labels added to every series that lacks them, to tell several Sentinels apart."""
    buffer: Size = 1 << 30
    """Bytes on disk that wait while the store is away; the oldest are given up first."""
    every: PositiveDuration = 5.0
    """Time for which samples are gathered into one request."""
    timeout: PositiveDuration = 30.0
    """How long one request may take."""

    @model_validator(mode="after")
    def _has_one_proof(self) -> Self:
        if self.bearer_token is not None and (self.username or self.password is not None):
            raise ValueError("give bearer_token, or username and password")
        if (self.password is not None) != bool(self.username):
            raise ValueError("username and password belong together")
        return self
