"""Answers in Alertmanager's two forms: JSON texts from its handlers, objects with a code from its framework.

Source: Alertmanager api/v2/openapi.yaml (responses), go-openapi/errors (ServeError) for the codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson
from starlette.responses import Response

REQUIRED: Final = 602
WRONG_FORM: Final = 601
TOO_FEW: Final = 612
"""Codes of what the framework refuses; the status of all of them is 422."""


class RefusedError(Exception):
    """A request that is answered with an error."""

    def __init__(self, answer: Response) -> None:
        super().__init__()
        self.answer = answer


def whole(body: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(body) + b"\n", status, media_type="application/json")


def said(status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    """What a handler of Alertmanager's says: a JSON text."""
    return Response(orjson.dumps(_clean(text)) + b"\n", status, headers, media_type="application/json")


def coded(status: int, text: str, code: int | None = None) -> Response:
    """What its framework says."""
    body = {"code": code if code is not None else status, "message": _clean(text)}
    return Response(orjson.dumps(body), status, media_type="application/json")


def bare(status: int) -> Response:
    return Response(status_code=status)


def required(name: str) -> RefusedError:
    return RefusedError(coded(422, f"{name} in body is required", REQUIRED))


def unreadable(what: str, why: str) -> RefusedError:
    return RefusedError(coded(400, f'parsing {what} body from "" failed, because {why}'))


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
