"""/api/v2: what Alertmanager answers there, asked by amtool, by Prometheus and by other people's dashboards.

Source: Alertmanager api/v2/openapi.yaml and api/v2/api.go.
"""

from __future__ import annotations

import asyncio
from typing import Final
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from sentinel.incidents.received.received import NotCommittedError
from sentinel.notify.mutes.drafts import InvalidSilenceError
from sentinel.notify.mutes.silence import Draft, State
from sentinel.notify.mutes.silences import NoSuchSilenceError
from sentinel.web.alertmanager import filters
from sentinel.web.alertmanager.alerts import Listing
from sentinel.web.alertmanager.answers import WRONG_FORM, RefusedError, bare, coded, said, whole
from sentinel.web.alertmanager.reading import read_alerts, read_silence
from sentinel.web.alertmanager.silences import silence_json
from sentinel.web.alertmanager.status import receiver_names, status_json
from sentinel.web.guard import actor_of
from sentinel.web.seams.faces import Faces
from sentinel.web.seams.telling import AlertIntake, Arranged, Silences

PREFIX: Final = "/api/v2"
LARGE: Final = 32 * 1024
"""Bytes from which a body is read in a thread."""
NO_SUCH_SILENCE: Final = "silence not found"


def alertmanager_router(faces: Faces) -> APIRouter:
    """Routes under /api/v2. Writing is guarded by the token check in front of all routes."""
    router = APIRouter(prefix=PREFIX, include_in_schema=False)
    if faces.arranged is not None:
        _add_alerts(router, faces, faces.arranged)
        _add_status(router, faces, faces.arranged)
    if faces.alert_intake is not None:
        _add_intake(router, faces.alert_intake)
    if faces.silences is not None:
        _add_silences(router, faces, faces.silences)

    @router.api_route("/{path:path}", methods=["GET"])
    async def unknown(path: str) -> Response:
        return coded(404, f"path {PREFIX}/{path[:200]} was not found")

    return router


def refuse(request: Request, status: int, text: str) -> Response:
    """An error that none of these routes has answered itself."""
    if status == 405:
        return coded(405, f"method {request.method} is not allowed")
    if status == 404:
        return coded(404, f"path {request.url.path[:200]} was not found")
    return coded(status, text)


def answer_refused(request: Request, error: Exception) -> Response:
    """Exception handler for RefusedError."""
    assert isinstance(error, RefusedError)
    return error.answer


def _add_alerts(router: APIRouter, faces: Faces, arranged: Arranged) -> None:
    listing = Listing()

    @router.get("/alerts")
    async def alerts(request: Request) -> Response:
        wanted = filters.wanted(filters.given(request))
        return await listing.alerts(faces.alerts.active(), wanted, arranged(), faces.clock.now())

    @router.get("/alerts/groups")
    async def groups(request: Request) -> Response:
        wanted = filters.wanted(filters.given(request))
        return await listing.groups(faces.alerts.active(), wanted, arranged(), faces.clock.now())


def _add_intake(router: APIRouter, intake: AlertIntake) -> None:
    @router.post("/alerts")
    async def post(request: Request) -> Response:
        body = await _json_of(request)
        posted = await asyncio.to_thread(read_alerts, body) if len(body) > LARGE else read_alerts(body)
        try:
            verdict = await intake.take(posted, actor_of(request))
        except NotCommittedError:
            return said(503, "the database does not take this now; try again", {"Retry-After": "5"})
        if verdict.left_out:
            return said(429, f"too many alerts: {verdict.left_out} of these are left out")
        if verdict.invalid:
            more = verdict.invalid - len(verdict.faults)
            return said(400, "; ".join([*verdict.faults, *([f"{more} more"] if more else [])]))
        return bare(200)


def _add_status(router: APIRouter, faces: Faces, arranged: Arranged) -> None:
    @router.get("/status")
    async def status() -> Response:
        return whole(status_json(arranged().settings, faces.health.vitals().started_at))

    @router.get("/receivers")
    async def receivers() -> Response:
        return whole([{"name": name} for name in receiver_names(arranged().settings)])


def _add_silences(router: APIRouter, faces: Faces, silences: Silences) -> None:
    @router.get("/silences")
    async def listed(request: Request) -> Response:
        wanted = filters.matchers(filters.given(request))
        found = silences.list(kind=None, states=tuple(State), matchers=wanted, created_by="")
        at = faces.clock.now()
        return whole([silence_json(one, silences, at) for one in found])

    @router.post("/silences")
    async def write(request: Request) -> Response:
        draft = read_silence(await _json_of(request))
        return await _written(draft, actor_of(request), faces.clock.now(), silences)

    @router.get("/silence/{id}")
    async def one(id: str) -> Response:  # noqa: A002
        try:
            return whole(silence_json(silences.get(_uuid(id), None), silences, faces.clock.now()))
        except NoSuchSilenceError:
            return bare(404)

    @router.delete("/silence/{id}")
    async def expire(request: Request, id: str) -> Response:  # noqa: A002
        try:
            await silences.expire(_uuid(id), actor_of(request), None)
        except NoSuchSilenceError:
            return bare(404)
        return bare(200)


async def _written(draft: Draft, actor: str, at: float, silences: Silences) -> Response:
    if (draft.starts_at or 0.0) >= draft.ends_at:
        return said(400, "Failed to create silence: start time must be before end time")
    if draft.ends_at < at:
        return said(400, "Failed to create silence: end time can't be in the past")
    try:
        made = await silences.put(draft, actor)
    except InvalidSilenceError as error:
        return said(400, f"silence invalid: {error}")
    except NoSuchSilenceError:
        return said(404, NO_SUCH_SILENCE)
    return whole({"silenceID": made.id})


async def _json_of(request: Request) -> bytes:
    """Raises: RefusedError: it is of another type."""
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip()
    if kind.lower() != "application/json":
        text = f'unsupported media type "{kind[:100]}", only [application/json] are allowed'
        raise RefusedError(coded(415, text))
    return await request.body()


def _uuid(text: str) -> str:
    """Raises: RefusedError: it is none."""
    try:
        return str(UUID(text))
    except ValueError:
        problem = f'silenceID in path must be of type uuid: "{text[:100]}"'
        raise RefusedError(coded(422, problem, WRONG_FORM)) from None
