"""Why an alert was told or not, in Sentinel's own API."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from sentinel.notify.explaining import Explanation
from sentinel.web.seams.telling import Explaining


class ObstacleShown(BaseModel):
    why: str = Field(
        description="silence, maintenance, inhibition, dependency, uplink, time, flapping or acknowledged"
    )
    text: str
    until: float | None = Field(description="Unix seconds, as far as is known")
    source: str


class PlaceShown(BaseModel):
    receiver: str
    key: str
    alerts: int
    told: str = Field(description="Of this alert: nothing (empty), firing or muted")
    sent_at: float | None
    obstacles: list[ObstacleShown]
    next_at: float | None = Field(description="When the group is looked at next, Unix seconds")
    next_event: str = Field(description="What would be told then if nothing changes; empty: nothing")
    next_reason: str


class HeardShown(BaseModel):
    id: int
    receiver: str
    event: str
    reason: str
    state: str
    created_at: float
    done_at: float | None
    attempts: int
    last_error: str


class ExplanationShown(BaseModel):
    at: float
    fingerprint: str
    labels: dict[str, str]
    state: str
    rule_group: str
    active_at: float
    fired_at: float | None
    resolved_at: float | None
    incident: int | None
    incident_state: str
    receivers: list[str]
    groups: list[PlaceShown]
    messages: list[HeardShown]
    verdict: str


def explaining_router(explaining: Explaining) -> APIRouter:
    """Routes under /api/sentinel/v1/explain."""
    router = APIRouter(prefix="/api/sentinel/v1/explain")

    @router.get("/alert/{fingerprint}", operation_id="explainAlert")
    async def alert(fingerprint: Annotated[str, Path(max_length=64)]) -> ExplanationShown:
        return _shown(await explaining.explain(fingerprint))

    return router


def _shown(found: Explanation) -> ExplanationShown:
    alert, incident = found.alert, found.incident
    return ExplanationShown(
        at=found.at,
        fingerprint=alert.fingerprint,
        labels=dict(alert.labels.pairs),
        state=alert.state.value,
        rule_group=alert.group,
        active_at=alert.active_at,
        fired_at=alert.fired_at,
        resolved_at=alert.resolved_at,
        incident=incident.id if incident is not None else None,
        incident_state=incident.state.value if incident is not None else "",
        receivers=list(found.receivers),
        groups=[PlaceShown(**asdict(one)) for one in found.places],
        messages=[HeardShown(**asdict(one)) for one in found.heard],
        verdict=found.verdict,
    )
