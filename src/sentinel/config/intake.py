"""[intake]: samples and alerts that others send."""

from __future__ import annotations

from pydantic import Field, field_validator

from sentinel.config.document import Written
from sentinel.config.types import PositiveDuration


class IntakeSettings(Written):
    """[intake]: samples that others send to /api/v1/write, and alerts that they send to /api/v2/alerts."""

    enabled: bool = False
    """Take samples from Prometheus, vmagent, other Sentinels and whoever speaks remote write, with a token."""
    max_series: int = Field(default=500_000, ge=1, le=50_000_000)
    """How many received series are kept; further ones are refused."""
    max_alerts: int = Field(default=100_000, ge=1, le=1_000_000)
    """How many received alerts are kept; further ones are refused. Alerts are taken from whoever has a token."""
    lag: PositiveDuration = 600.0
    """How old samples may be, such as those that a sender kept while it could not reach this daemon; at most 1h."""

    @field_validator("lag")
    @classmethod
    def _fits(cls, seconds: float) -> float:
        if not 60 <= seconds <= 3600:
            raise ValueError("must be between 1m and 1h")
        return seconds
