"""What machines ask: /metrics, health, reload."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Sequence
from typing import get_args

from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, Response

from sentinel.promql.errors import ExpressionError
from sentinel.web.assets import accepts_gzip
from sentinel.web.seams import Faces, Scope

EXPOSITION_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SCOPES: tuple[Scope, ...] = get_args(Scope)


def machine_router(faces: Faces) -> APIRouter:
    """/metrics and /-/…"""
    router = APIRouter(include_in_schema=False)

    @router.get("/metrics")
    async def metrics(request: Request) -> Response:
        scope, matchers = request.query_params.get("scope"), request.query_params.getlist("match[]")
        if scope is not None and scope not in SCOPES:
            return PlainTextResponse(f"unknown scope; write one of {', '.join(SCOPES)}\n", 400)
        try:
            text = b"".join(
                faces.exposition.render(one, matchers) for one in SCOPES if scope is None or one == scope
            )
        except ExpressionError as error:
            return PlainTextResponse(f"match[]: {error.text}\n", 400)
        headers = {"Vary": "Accept-Encoding"}
        if accepts_gzip(request):
            # Megabytes take longer than the event loop should stand still for.
            text = await asyncio.to_thread(gzip.compress, text, 1)
            headers["Content-Encoding"] = "gzip"
        return Response(text, headers=headers, media_type=EXPOSITION_TYPE)

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


def _judged(reasons: Sequence[str], fine: str) -> Response:
    if reasons:
        return PlainTextResponse("".join(f"{reason}\n" for reason in reasons), 503)
    return PlainTextResponse(fine + "\n")
