"""/api/v1/write: samples from others, by Prometheus' remote write 1.0.

The answers are the specification's: 204 when everything was taken, 400 when a retry would not help (what could be
taken has been), 415 for protocols that are not spoken here.
Source: https://prometheus.io/docs/specs/prw/remote_write_spec/
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sentinel.series.remote.wire import TooLargeError, WireError
from sentinel.web.guard import WRITE, actor_of
from sentinel.web.seams.faces import Faces

_PROTOCOL = "prometheus.WriteRequest"


def receiving_route(faces: Faces) -> Route:
    """A plain route: senders ask often, and nothing of the request is for the API's schema."""

    async def write(request: Request) -> Response:
        if faces.receiving is None:
            return _answer(404, "samples are not taken here: see [intake] enabled")
        fault = not_spoken(request.headers)
        if fault:
            return _answer(415, fault)
        try:
            verdict = await faces.receiving.take(await request.body(), actor_of(request))
        except TooLargeError as error:
            return _answer(413, str(error))
        except WireError as error:
            return _answer(400, str(error))
        return _answer(400, str(verdict)) if verdict.refused else Response(status_code=204)

    return Route(WRITE, write, methods=["POST"], include_in_schema=False)


def not_spoken(headers: Headers) -> str:
    """Why a request with these headers cannot be read; empty where it can."""
    kind, *parameters = (part.strip() for part in headers.get("content-type", "").split(";"))
    if kind.lower() not in ("", "application/x-protobuf"):
        return f"content type {kind[:100]!r} is not spoken here: send application/x-protobuf"
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "proto" and value.strip(' "') != _PROTOCOL:
            return f"{value[:100]} is not spoken here: send {_PROTOCOL} (remote write 1.0)"
    encoding = headers.get("content-encoding", "snappy").strip().lower()
    return (
        "" if encoding == "snappy" else f"content encoding {encoding[:100]!r} is not spoken here: send snappy"
    )


def _answer(status: int, text: str) -> Response:
    return PlainTextResponse(text + "\n", status)
