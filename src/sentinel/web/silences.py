"""Silences and maintenance windows in Sentinel's own API: written, previewed, listed, ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from sentinel.config.matchers import Matcher, parse_matchers
from sentinel.notify.mutes.drafts import (
    MAX_CHANGE,
    MAX_COMMENT,
    MAX_MATCHERS,
    MAX_NAME,
    MAX_PERSON,
    MAX_TARGETS,
    MAX_VALUE,
    InvalidSilenceError,
)
from sentinel.notify.mutes.silence import Draft, Kind, Silence, State, read_matchers, written_matchers
from sentinel.notify.mutes.silences import MAX_SILENCES
from sentinel.notify.mutes.times import Given, read_window
from sentinel.web.guard import actor_of
from sentinel.web.own import WRITE, AlertShown, Refused, Shown, alert_shown
from sentinel.web.seams.faces import Faces
from sentinel.web.seams.telling import Silences

LISTED = 1000
"""Silences that a list has unless it is asked for more or fewer."""
MAX_SHOWN = 200
"""Alerts that a preview names."""
WINDOWS_SHOWN = 5
"""Windows to come that are named."""

_FOUND: dict[int | str, dict[str, Any]] = {404: {"model": Refused}}
_REFUSED: dict[int | str, dict[str, Any]] = {422: {"model": Refused}}


class MatcherGiven(BaseModel):
    """As in Alertmanager's API v2."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=MAX_NAME)
    value: str = Field(max_length=MAX_VALUE)
    isRegex: bool = False  # noqa: N815  Alertmanager's word
    isEqual: bool = True  # noqa: N815  Alertmanager's word


MatcherText = Annotated[str, Field(max_length=MAX_NAME + MAX_VALUE)]
Instant = Annotated[float | Annotated[str, Field(max_length=50)] | None, Field()]


class SilenceGiven(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: str = Field(default="", max_length=100, description="Of the one to change; empty: a new one")
    matchers: list[MatcherText | MatcherGiven] = Field(
        default=[], max_length=MAX_MATCHERS, description='Texts such as severity="critical", or objects'
    )
    starts_at: Instant = Field(
        default=None,
        description="Unix seconds, RFC 3339, or HH:MM; without an offset by the zone's clocks; now",
    )
    ends_at: Instant = Field(default=None, description="As starts_at; of the first window, where it recurs")
    duration: str = Field(default="", max_length=50, description="In place of ends_at, such as 1h30m")
    recurring: str = Field(default="", max_length=500, description="daily, sunday, … or an RRULE of RFC 5545")
    zone: str = Field(default="", max_length=100, description="IANA name; else [daemon] timezone")
    comment: str = Field(min_length=1, max_length=MAX_COMMENT)
    created_by: str = Field(
        default="", max_length=MAX_PERSON, description="Who wants it; else the token's name"
    )


class MaintenanceGiven(SilenceGiven):
    targets: list[str] = Field(default=[], max_length=MAX_TARGETS)
    dependants: bool = Field(default=True, description="With targets that can only be reached through these")
    change: str = Field(default="", max_length=MAX_CHANGE, description="Reference of the change")


class SilenceChange(BaseModel):
    """What is left out stays."""

    model_config = ConfigDict(extra="forbid")

    ends_at: Instant = Field(default=None, description="As when it is written; not where it recurs")
    duration: str = Field(default="", max_length=50, description="From now on, in place of ends_at")
    comment: str = Field(default="", max_length=MAX_COMMENT)


class MaintenanceChange(SilenceChange):
    change: str = Field(default="", max_length=MAX_CHANGE, description="Reference of the change")


class Filters(BaseModel):
    """Which ones a list has."""

    state: list[State] = Field(default=[], description="In one of these; none: in any")
    matcher: list[MatcherText] = Field(
        default=[], max_length=MAX_MATCHERS, description="With all of these among their matchers"
    )
    created_by: str = Field(default="", max_length=MAX_PERSON)
    limit: int = Field(default=LISTED, ge=1, le=MAX_SILENCES)


class MatcherShown(Shown):
    name: str
    value: str
    isRegex: bool  # noqa: N815  Alertmanager's word
    isEqual: bool  # noqa: N815  Alertmanager's word


class RecurrenceShown(Shown):
    rule: str
    zone: str


class SilenceShown(Shown):
    id: str
    kind: Literal["silence", "maintenance"]
    state: State = Field(description="What recurs is pending between its windows")
    matchers: list[MatcherShown]
    text: str = Field(description="The matchers as people write them")
    starts_at: float = Field(description="Of the window that is now, or comes next, or was last")
    ends_at: float
    recurrence: RecurrenceShown | None
    over_at: float | None = Field(description="When the last window ends; null: it recurs without end")
    created_by: str
    comment: str
    created_at: float
    updated_at: float
    targets: list[str]
    dependants: list[str] = Field(description="Targets that are in the window because of others")
    change: str


class SilenceWritten(SilenceShown):
    warning: str = Field(description="Why one should look again; empty: no reason")


class PreviewShown(Shown):
    alerts: list[AlertShown] = Field(description=f"Open alerts that it matches, the first {MAX_SHOWN}")
    matched: int
    open: int = Field(description="Open alerts there are")
    targets: list[str] = Field(description="Targets in the window, with dependants")
    windows: list[tuple[float, float]] = Field(description=f"The next {WINDOWS_SHOWN} at most")
    warning: str


def silence_router(faces: Faces, silences: Silences) -> APIRouter:
    """Routes under /api/sentinel/v1/silences and /maintenance. Writing is guarded by the token check in front."""
    router = APIRouter(prefix="/api/sentinel/v1")

    @router.get("/silences", operation_id="listSilences", responses=_REFUSED)
    async def listed(filters: Annotated[Filters, Query()]) -> list[SilenceShown]:
        return _listed(Kind.SILENCE, filters, faces, silences)

    @router.get("/maintenance", operation_id="listMaintenance", responses=_REFUSED)
    async def windows(filters: Annotated[Filters, Query()]) -> list[SilenceShown]:
        return _listed(Kind.MAINTENANCE, filters, faces, silences)

    @router.get("/silences/{id}", operation_id="showSilence", responses=_FOUND)
    async def one(id: str) -> SilenceShown:  # noqa: A002
        return _shown(silences.get(id, Kind.SILENCE), faces, silences)

    @router.get("/maintenance/{id}", operation_id="showMaintenance", responses=_FOUND)
    async def window(id: str) -> SilenceShown:  # noqa: A002
        return _shown(silences.get(id, Kind.MAINTENANCE), faces, silences)

    _add_writing(router, faces, silences)
    return router


def _add_writing(router: APIRouter, faces: Faces, silences: Silences) -> None:
    @router.post("/silences/preview", operation_id="previewSilence", responses=WRITE)
    async def previewed(request: Request, given: SilenceGiven) -> PreviewShown:
        return _preview(_draft(given, faces), actor_of(request), faces, silences)

    @router.post("/maintenance/preview", operation_id="previewMaintenance", responses=WRITE)
    async def previewed_window(request: Request, given: MaintenanceGiven) -> PreviewShown:
        return _preview(_draft(given, faces), actor_of(request), faces, silences)

    @router.post("/silences", operation_id="writeSilence", responses=WRITE)
    async def write(request: Request, given: SilenceGiven) -> SilenceWritten:
        return await _write(_draft(given, faces), actor_of(request), faces, silences)

    @router.post("/maintenance", operation_id="writeMaintenance", responses=WRITE)
    async def write_window(request: Request, given: MaintenanceGiven) -> SilenceWritten:
        return await _write(_draft(given, faces), actor_of(request), faces, silences)

    @router.patch("/silences/{id}", operation_id="changeSilence", responses=WRITE)
    async def change(request: Request, id: str, given: SilenceChange) -> SilenceWritten:  # noqa: A002
        draft = _changed(silences.get(id, Kind.SILENCE), given, faces)
        return await _write(draft, actor_of(request), faces, silences)

    @router.patch("/maintenance/{id}", operation_id="changeMaintenance", responses=WRITE)
    async def change_window(request: Request, id: str, given: MaintenanceChange) -> SilenceWritten:  # noqa: A002
        draft = _changed(silences.get(id, Kind.MAINTENANCE), given, faces)
        return await _write(draft, actor_of(request), faces, silences)

    @router.delete("/silences/{id}", operation_id="expireSilence", responses=WRITE)
    async def expire(request: Request, id: str) -> SilenceShown:  # noqa: A002
        return _shown(await silences.expire(id, actor_of(request), Kind.SILENCE), faces, silences)

    @router.delete("/maintenance/{id}", operation_id="endMaintenance", responses=WRITE)
    async def end(request: Request, id: str) -> SilenceShown:  # noqa: A002
        return _shown(await silences.expire(id, actor_of(request), Kind.MAINTENANCE), faces, silences)


async def _write(draft: Draft, actor: str, faces: Faces, silences: Silences) -> SilenceWritten:
    warning = silences.preview(draft, actor).warning
    written = _shown(await silences.put(draft, actor), faces, silences)
    return SilenceWritten(**written.model_dump(), warning=warning)


def _preview(draft: Draft, actor: str, faces: Faces, silences: Silences) -> PreviewShown:
    found = silences.preview(draft, actor)
    return PreviewShown(
        alerts=[alert_shown(alert) for alert in found.matched[:MAX_SHOWN]],
        matched=len(found.matched),
        open=found.open,
        targets=sorted(silences.mutes.targets(found.silence)),
        windows=[(each.start, each.end) for each in found.silence.windows(faces.clock.now(), WINDOWS_SHOWN)],
        warning=found.warning,
    )


def _listed(kind: Kind, filters: Filters, faces: Faces, silences: Silences) -> list[SilenceShown]:
    found = silences.list(
        kind=kind,
        states=filters.state or tuple(State),
        matchers=_matchers(filters.matcher),
        created_by=filters.created_by,
    )
    return [_shown(one, faces, silences) for one in found[: filters.limit]]


def _shown(silence: Silence, faces: Faces, silences: Silences) -> SilenceShown:
    at = faces.clock.now()
    window, recurrence = silence.window(at), silence.recurrence
    return SilenceShown(
        id=silence.id,
        kind=silence.kind.value,
        state=silence.state(at),
        matchers=[MatcherShown(**one) for one in written_matchers(silence.matchers)],
        text=", ".join(map(str, silence.matchers)),
        starts_at=window.start,
        ends_at=window.end,
        recurrence=RecurrenceShown(rule=recurrence.rule, zone=recurrence.zone) if recurrence else None,
        over_at=silence.over_at,
        created_by=silence.created_by,
        comment=silence.comment,
        created_at=silence.created_at,
        updated_at=silence.updated_at,
        targets=list(silence.targets),
        dependants=sorted(set(silences.mutes.targets(silence)).difference(silence.targets)),
        change=silence.change,
    )


def _draft(given: SilenceGiven, faces: Faces) -> Draft:
    """Raises: InvalidSilenceError: matchers or times cannot be read."""
    zone = given.zone or str(faces.site.timezone)
    starts_at: Given = given.starts_at
    window = read_window(
        starts_at, given.ends_at, given.duration, rule=given.recurring, zone=zone, at=faces.clock.now()
    )
    more: dict[str, Any] = {}
    if isinstance(given, MaintenanceGiven):
        more = {"targets": tuple(given.targets), "with_dependants": given.dependants, "change": given.change}
    return Draft(
        _matchers(given.matchers),
        window.end,
        None if starts_at is None else window.start,
        comment=given.comment,
        created_by=given.created_by,
        id=given.id,
        kind=Kind.MAINTENANCE if isinstance(given, MaintenanceGiven) else Kind.SILENCE,
        rule=given.recurring,
        zone=zone,
        **more,
    )


def _changed(before: Silence, given: SilenceChange, faces: Faces) -> Draft:
    """Raises: InvalidSilenceError: a recurrence would change, or the end cannot be read."""
    recurrence, ends_at, at = before.recurrence, before.ends_at, faces.clock.now()
    if given.ends_at is not None or given.duration:
        if recurrence is not None:
            raise InvalidSilenceError("what recurs has no single end: end it, and write another")
        zone = str(faces.site.timezone)
        ends_at = read_window(None, given.ends_at, given.duration, rule="", zone=zone, at=at).end
    change = given.change if isinstance(given, MaintenanceChange) else ""
    return Draft(
        before.matchers,
        ends_at,
        before.starts_at,
        comment=given.comment or before.comment,
        created_by=before.created_by,
        id=before.id,
        kind=before.kind,
        rule=recurrence.rule if recurrence is not None else "",
        zone=recurrence.zone if recurrence is not None else "UTC",
        targets=before.targets,
        with_dependants=before.with_dependants,
        change=change or before.change,
    )


def _matchers(given: Sequence[str | MatcherGiven]) -> tuple[Matcher, ...]:
    found: list[Matcher] = []
    try:
        for one in given:
            found += parse_matchers(one) if isinstance(one, str) else read_matchers([one.model_dump()])
    except ValueError as error:
        raise InvalidSilenceError(str(error)) from None
    return tuple(found)
