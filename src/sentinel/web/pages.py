"""The pages that people look at, and the stream that keeps them live."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse

from sentinel.collect.watch import PollStatus
from sentinel.model.alert import Alert
from sentinel.model.incident import IncidentState
from sentinel.model.labels import Labels, quote
from sentinel.promql.errors import EvaluationError, ExpressionError
from sentinel.promql.value import Vector
from sentinel.shipped import shipped
from sentinel.web.assets import Assets, accepts_gzip
from sentinel.web.board import read_board, tile
from sentinel.web.live import Live
from sentinel.web.rendering import Rendering
from sentinel.web.runbooks import Runbooks, parse_blocks
from sentinel.web.seams.faces import Faces
from sentinel.web.texts import LANGUAGES, choose_language

MAX_SAMPLES = 500
MAX_INCIDENTS = 200


class Pages:
    """Answers pages in the reader's language."""

    def __init__(self, faces: Faces, rendering: Rendering) -> None:
        self._faces = faces
        self._rendering = rendering

    def language(self, request: Request) -> str:
        asked = request.query_params.get("lang") or request.cookies.get("lang")
        accepted = request.headers.get("accept-language", "")
        return choose_language(asked, accepted, self._faces.site.language)

    async def overview(self, request: Request) -> Response:
        board = await read_board(self._faces)
        html = self._rendering.overview(board, self.language(request), now=self._faces.clock.now())
        return self._answer(request, html)

    def page(self, request: Request, template: str, *, status: int = 200, **values: Any) -> Response:
        now = self._faces.clock.now()
        html = self._rendering.page(template, self.language(request), now=now, **values)
        return self._answer(request, html, status)

    def missing(self, request: Request) -> Response:
        return self.page(request, "missing.html", status=404)

    def _answer(self, request: Request, html: str, status: int = 200) -> Response:
        # A lone surrogate in a device's text must not cost the whole page.
        content, headers = html.encode(errors="replace"), {"Vary": "Accept-Encoding, Accept-Language, Cookie"}
        if accepts_gzip(request):
            content, headers["Content-Encoding"] = gzip.compress(content, 4), "gzip"
        answer = HTMLResponse(content, status, headers)
        asked = request.query_params.get("lang")
        if (
            asked in LANGUAGES
            and request.cookies.get("lang") != asked
            and "hx-request" not in request.headers
        ):
            answer.set_cookie("lang", asked, max_age=31536000, samesite="lax", httponly=True)
        return answer


def page_router(faces: Faces, pages: Pages, live: Live, assets: Assets) -> APIRouter:
    """/, /incidents, /targets, /runbooks, /live, /static"""
    router = APIRouter(include_in_schema=False)
    runbooks = Runbooks(shipped("runbooks"))

    @router.get("/")
    async def overview(request: Request) -> Response:
        return await pages.overview(request)

    @router.get("/incidents")
    async def incidents(request: Request) -> Response:
        listed = await faces.incidents.list(tuple(IncidentState), limit=MAX_INCIDENTS)
        return pages.page(request, "incidents.html", incidents=listed)

    @router.get("/incidents/{number}")
    async def incident(request: Request, number: int) -> Response:
        story = await faces.incidents.show(number)
        return pages.page(request, "incident.html", story=story, runbooks=_runbooks(story.alerts))

    @router.get("/targets/{name:path}")
    async def target(request: Request, name: str) -> Response:
        polls = [status for status in faces.fleet.status() if status.source.target == name]
        if not polls:
            return pages.missing(request)
        return pages.page(request, "target.html", **_target(faces, name, polls))

    @router.get("/runbooks/{name}")
    async def runbook(request: Request, name: str) -> Response:
        text = runbooks.read(name)
        if text is None:
            return pages.missing(request)
        return pages.page(request, "runbook.html", name=name, blocks=parse_blocks(text))

    @router.get("/live")
    async def stream(request: Request, seen: str = "", only: str = "") -> Response:
        frames = live.watch(pages.language(request), wants_regions=only != "changes", seen=seen)
        if frames is None:
            return PlainTextResponse("too many live pages are open\n", 503, {"Retry-After": "30"})
        return StreamingResponse(frames, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})

    @router.get("/static/{path:path}")
    async def static(request: Request) -> Response:
        return assets.answer(request)

    @router.get("/favicon.ico")
    async def favicon() -> Response:
        return Response(status_code=301, headers={"Location": assets.url("favicon.svg")})

    return router


def _runbooks(alerts: Sequence[Alert]) -> list[str]:
    """Addresses that the alerts' rules name, each once."""
    named = (alert.annotations.get("runbook_url", "") for alert in alerts)
    return list(dict.fromkeys(address for address in named if address))


def _target(faces: Faces, name: str, polls: Sequence[PollStatus]) -> Mapping[str, Any]:
    alerts = [alert for alert in faces.alerts.active() if alert.labels.get("instance") == name]
    samples, problem = _samples(faces, name)
    return {
        "target": polls[0].target,
        "polls": polls,
        "alerts": alerts,
        "tile": tile(name, polls, [alert for alert in alerts if alert.is_open]),
        "samples": samples[:MAX_SAMPLES],
        "is_cut": len(samples) > MAX_SAMPLES,
        "problem": problem,
    }


def _samples(faces: Faces, name: str) -> tuple[list[tuple[Labels, float]], str]:
    """The target's newest samples, without the labels that all of them share; or why there are none to show."""
    try:
        value = faces.expressions.compile(f"{{instance={quote(name)}}}").instant(faces.clock.now())
    except (ExpressionError, EvaluationError) as error:
        return [], str(error)
    if not isinstance(value, Vector):
        return [], ""
    found = value.samples()
    return sorted((labels.without("instance"), sample) for labels, sample in found), ""
