"""Sentinel's own API, /api/sentinel/v1: targets, alerts, incidents."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Annotated, Any, Final, Literal, TypeVar

import orjson
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from sentinel.collect.watch import PollStatus
from sentinel.model.alert import Alert, AlertState
from sentinel.model.incident import Entry, Grade, Incident, IncidentState
from sentinel.web.formats import format_number
from sentinel.web.guard import actor_of
from sentinel.web.live import Live
from sentinel.web.seams.faces import Faces
from sentinel.web.topology import TopologyShown, topology_shown

MAX_NOTE = 2000
MAX_LISTED = 1000
TURN: Final = 500
"""Items that are put down before others have their turn."""

Item = TypeVar("Item")


class Shown(BaseModel):
    """Instants are Unix seconds, durations seconds."""


class PollShown(Shown):
    module: str
    state: Literal["up", "down", "waiting"]
    at: float | None = Field(description="Start of the last poll")
    since: float | None = Field(description="Since when it has been up or down")
    duration: float
    samples: int
    interval: float
    reason: str
    detail: str


class TargetShown(Shown):
    name: str
    host: str
    port: int | None
    labels: Mapping[str, str]
    owner: str
    team: str
    criticality: int
    parents: tuple[str, ...]
    origin: str = Field(description="File and line where it is declared")
    polls: list[PollShown]


class AlertShown(Shown):
    fingerprint: str
    name: str
    state: AlertState
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    value: float | Literal["NaN", "+Inf", "-Inf"]
    active_at: float
    fired_at: float | None
    resolved_at: float | None
    group: str = Field(description="Of the rule, as FILE;GROUP; of received alerts api;SENDER")
    generator_url: str = Field(description="Where a received alert comes from, by its sender's word")


class IncidentShown(Shown):
    id: int
    state: IncidentState
    grade: Grade
    title: str
    target: str
    opened_at: float
    acknowledged_at: float | None
    acknowledged_by: str
    resolved_at: float | None
    resolved_by: str = Field(description="Empty where its alerts cleared by themselves")


class EntryShown(Shown):
    at: float
    kind: str
    actor: str
    text: str


class DeliveryShown(Shown):
    key: str = Field(description="Idempotency-Key that every attempt carries")
    receiver: str
    event: str
    state: str = Field(
        description="pending, merged (told by a digest that waits), delivered, dead or dropped"
    )
    attempts: int
    created_at: float
    done_at: float | None
    last_error: str


class StoryShown(Shown):
    incident: IncidentShown
    alerts: list[AlertShown]
    timeline: list[EntryShown]
    deliveries: list[DeliveryShown]


class Refused(Shown):
    error: str


class Word(BaseModel):
    """What a person says with an act."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(default="", max_length=MAX_NOTE)


class Note(Word):
    text: str = Field(min_length=1, max_length=MAX_NOTE)


_READ: dict[int | str, dict[str, Any]] = {404: {"model": Refused}}
WRITE = _READ | {401: {"description": "No valid token"}, 409: {"model": Refused}, 422: {"model": Refused}}


def own_router(faces: Faces, live: Live) -> APIRouter:
    """Routes under /api/sentinel/v1. Writing is guarded by the token check in front of all routes."""
    router = APIRouter(prefix="/api/sentinel/v1")

    @router.get("/topology", operation_id="showTopology")
    async def topology() -> TopologyShown:
        return await topology_shown(faces)

    @router.get("/targets", operation_id="listTargets")
    async def targets() -> list[TargetShown]:
        return _targets(faces)

    @router.get("/alerts", operation_id="listAlerts", response_model=list[AlertShown])
    async def alerts(state: Annotated[list[AlertState] | None, Query()] = None) -> Response:
        wanted = (alert for alert in faces.alerts.active() if not state or alert.state in state)
        return await _listed(wanted, _alert_facts)

    @router.get("/incidents", operation_id="listIncidents", response_model=list[IncidentShown])
    async def incidents(
        state: Annotated[list[IncidentState] | None, Query()] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_LISTED)] = 200,
        after: Annotated[int | None, Query(ge=1, description="Go on below this number")] = None,
    ) -> Response:
        wanted = state or [IncidentState.OPEN, IncidentState.ACKNOWLEDGED]
        return await _listed(await faces.incidents.list(wanted, limit=limit, after=after), _incident_facts)

    @router.get("/incidents/{number}", operation_id="showIncident", responses=_READ)
    async def incident(number: int) -> StoryShown:
        story = await faces.incidents.show(number)
        return StoryShown(
            incident=_incident(story.incident),
            alerts=[alert_shown(alert) for alert in story.alerts],
            timeline=[_entry(entry) for entry in story.entries],
            deliveries=[DeliveryShown(**asdict(one)) for one in story.deliveries],
        )

    def told(changed: Incident) -> IncidentShown:
        live.poke()
        return _incident(changed)

    @router.post("/incidents/{number}/acknowledge", operation_id="acknowledgeIncident", responses=WRITE)
    async def acknowledge(request: Request, number: int, word: Word | None = None) -> IncidentShown:
        text = word.text if word else ""
        return told(await faces.incidents.acknowledge(number, actor_of(request), text))

    @router.post("/incidents/{number}/resolve", operation_id="resolveIncident", responses=WRITE)
    async def resolve(request: Request, number: int, word: Word | None = None) -> IncidentShown:
        text = word.text if word else ""
        return told(await faces.incidents.resolve(number, actor_of(request), text))

    @router.post("/incidents/{number}/note", operation_id="noteIncident", responses=WRITE)
    async def note(request: Request, number: int, word: Note) -> IncidentShown:
        return told(await faces.incidents.note(number, actor_of(request), word.text))

    return router


def _targets(faces: Faces) -> list[TargetShown]:
    shown: dict[str, TargetShown] = {}
    for status in faces.fleet.status():
        target = status.target
        if target.name not in shown:
            shown[target.name] = TargetShown(
                name=target.name,
                host=target.host,
                port=target.port,
                labels=dict(target.labels),
                owner=target.owner,
                team=target.team,
                criticality=target.criticality,
                parents=target.parents,
                origin=target.origin,
                polls=[],
            )
        shown[target.name].polls.append(_poll(status))
    return list(shown.values())


def _poll(status: PollStatus) -> PollShown:
    return PollShown(
        module=status.source.module,
        state="waiting" if status.up is None else "up" if status.up else "down",
        at=status.at,
        since=status.since,
        duration=status.duration,
        samples=status.samples,
        interval=status.source.interval,
        reason=status.reason,
        detail=status.detail,
    )


async def _listed(items: Iterable[Item], facts_of: Callable[[Item], dict[str, Any]]) -> Response:
    """Many of them, without holding others up: models would take ten times as long."""
    facts = []
    for count, item in enumerate(items, 1):
        facts.append(facts_of(item))
        if count % TURN == 0:
            await asyncio.sleep(0)
    return Response(orjson.dumps(facts), media_type="application/json")


def _alert_facts(alert: Alert) -> dict[str, Any]:
    return {
        "fingerprint": alert.fingerprint,
        "name": alert.name,
        "state": alert.state,
        "labels": dict(alert.labels.pairs),
        "annotations": dict(alert.annotations.pairs),
        "value": _number(alert.value),
        "active_at": alert.active_at,
        "fired_at": alert.fired_at,
        "resolved_at": alert.resolved_at,
        "group": alert.group,
        "generator_url": alert.sent.generator_url if alert.sent is not None else "",
    }


def alert_shown(alert: Alert) -> AlertShown:
    return AlertShown(**_alert_facts(alert))


def _number(value: float) -> Any:
    """JSON has no NaN and no infinity: they go as text."""
    return value if math.isfinite(value) else format_number(value)


def _incident_facts(incident: Incident) -> dict[str, Any]:
    return {
        "id": incident.id,
        "state": incident.state,
        "grade": incident.grade,
        "title": incident.title,
        "target": incident.target,
        "opened_at": incident.opened_at,
        "acknowledged_at": incident.acknowledged_at,
        "acknowledged_by": incident.acknowledged_by,
        "resolved_at": incident.resolved_at,
        "resolved_by": incident.resolved_by,
    }


def _incident(incident: Incident) -> IncidentShown:
    return IncidentShown(**_incident_facts(incident))


def _entry(entry: Entry) -> EntryShown:
    return EntryShown(at=entry.at, kind=entry.kind.value, actor=entry.actor, text=entry.text)
