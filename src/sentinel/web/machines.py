"""What machines ask: /metrics, federation, health, reload."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Collection, Iterator, Sequence
from typing import get_args

from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, Response

from sentinel.promql.errors import ExpressionError
from sentinel.series.text.exposition import Style
from sentinel.web.assets import accepts_gzip
from sentinel.web.negotiation import wants_openmetrics
from sentinel.web.seams.faces import Faces
from sentinel.web.seams.samples import Scope

SCOPES: tuple[Scope, ...] = get_args(Scope)
TURN = 0.01
"""Seconds of rendering after which other tasks get their turn."""


def machine_router(faces: Faces) -> APIRouter:
    """/metrics, /federate and /-/…"""
    router = APIRouter(include_in_schema=False)

    @router.get("/metrics")
    async def metrics(request: Request) -> Response:
        scope, matchers = request.query_params.get("scope"), request.query_params.getlist("match[]")
        if scope is not None and scope not in SCOPES:
            return PlainTextResponse(f"unknown scope; write one of {', '.join(SCOPES)}\n", 400)
        scopes = SCOPES if scope is None else [one for one in SCOPES if one == scope]
        is_dated = request.query_params.get("timestamps", "") in ("1", "true")
        return await _exposed(faces, request, scopes, matchers, has_timestamps=is_dated)

    @router.get("/federate")
    async def federate(request: Request) -> Response:
        matchers = request.query_params.getlist("match[]")
        scopes = SCOPES if matchers else ()  # Prometheus answers with nothing, too
        return await _exposed(faces, request, scopes, matchers, has_timestamps=True)

    @router.api_route("/-/healthy", methods=["GET", "HEAD"])
    async def healthy() -> Response:
        return _judged(faces.health.sick(), "Sentinel is healthy.")

    @router.api_route("/-/ready", methods=["GET", "HEAD"])
    async def ready() -> Response:
        return _judged(faces.health.unready(), "Sentinel is ready.")

    @router.post("/-/reload")
    async def reload() -> Response:
        problems = await faces.reload()
        if problems:
            return PlainTextResponse("".join(f"{problem}\n" for problem in problems), 400)
        return PlainTextResponse("")

    return router


async def _exposed(
    faces: Faces,
    request: Request,
    scopes: Collection[Scope],
    matchers: Sequence[str],
    *,
    has_timestamps: bool,
) -> Response:
    is_openmetrics = wants_openmetrics(request.headers.get("accept", ""))
    style = Style(is_openmetrics=is_openmetrics, has_timestamps=has_timestamps)
    try:
        text = await _collected(faces.exposition.parts(scopes, matchers, style))
    except ExpressionError as error:
        return PlainTextResponse(f"match[]: {error.text}\n", 400)
    headers = {"Vary": "Accept, Accept-Encoding"}
    if accepts_gzip(request):
        # Megabytes take longer than the event loop should stand still for.
        text = await asyncio.to_thread(gzip.compress, text, 1)
        headers["Content-Encoding"] = "gzip"
    return Response(text, headers=headers, media_type=style.content_type)


async def _collected(parts: Iterator[bytes]) -> bytes:
    """All parts, some milliseconds at a time."""
    loop = asyncio.get_running_loop()
    collected: list[bytes] = []
    turn = loop.time()
    for part in parts:
        collected.append(part)
        if loop.time() - turn > TURN:
            await asyncio.sleep(0)
            turn = loop.time()
    return b"".join(collected)


def _judged(reasons: Sequence[str], fine: str) -> Response:
    if reasons:
        return PlainTextResponse("".join(f"{reason}\n" for reason in reasons), 503)
    return PlainTextResponse(fine + "\n")
