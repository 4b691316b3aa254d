"""The part of Prometheus' HTTP API that Sentinel answers, in Prometheus' envelope.

Source: https://prometheus.io/docs/prometheus/latest/querying/api/
"""

from __future__ import annotations

import asyncio
import platform
import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

import sentinel
from sentinel.promql.errors import AbandonedError, EvaluationError, ExpressionError, QueryTimeoutError
from sentinel.promql.evaluation import Matrix
from sentinel.promql.service import LIMITS, Question, Reply
from sentinel.promql.value import Vector
from sentinel.web import parameters
from sentinel.web.answers import (
    PIECE,
    PiecewiseResponse,
    matrix_items,
    pieces_of,
    plain,
    track_items,
    vector_items,
)
from sentinel.web.formats import format_instant
from sentinel.web.parameters import ApiError, Given, parameters_of
from sentinel.web.rules import rules_json
from sentinel.web.seams.faces import Faces
from sentinel.web.states import AlertTexts, target_json

Result = TypeVar("Result")

SPEAKS: Final = "3.0.0"
"""The version of Prometheus whose API this is: clients such as Grafana decide by it what they may ask."""
_STATUS: Final = {
    "bad_data": 400,
    "not_found": 404,
    "execution": 422,
    "canceled": 499,
    "internal": 500,
    "timeout": 503,
    "unavailable": 503,
}
_TRUNCATED: Final = "results truncated due to limit"
_BOTH: Final = ["GET", "POST"]
_FEW: Final = 500
"""Samples of a vector that are turned into JSON at once."""


def failure(kind: str, text: str, status: int | None = None) -> Response:
    """An error in the envelope."""
    body = {"status": "error", "errorType": kind, "error": text}
    return Response(orjson.dumps(body), status or _STATUS[kind], media_type="application/json")


def answer_error(request: Request, error: Exception) -> Response:
    """Exception handler for ApiError."""
    assert isinstance(error, ApiError)
    return failure(error.kind, error.text)


def _success(data: Any, said: Mapping[str, list[str]] | None = None) -> Response:
    body = {"status": "success", "data": data}
    body |= {kind: texts for kind, texts in (said or {}).items() if texts}
    return Response(orjson.dumps(body), media_type="application/json")


def _truncated(is_so: bool) -> dict[str, list[str]]:
    return {"warnings": [_TRUNCATED]} if is_so else {}


def prometheus_router(faces: Faces) -> APIRouter:
    """Routes under /api/v1."""
    router = APIRouter(prefix="/api/v1", include_in_schema=False)
    _add_queries(router, faces)
    _add_catalogue(router, faces)
    _add_states(router, faces)
    _add_status(router, faces)

    @router.api_route("/{path:path}", methods=["GET"])
    async def unknown(path: str) -> Response:
        return failure("not_found", f"/api/v1/{path[:200]} is not served here")

    return router


def _add_queries(router: APIRouter, faces: Faces) -> None:
    @router.api_route("/query", methods=_BOTH)
    async def query(request: Request) -> Response:
        given = await parameters_of(request)
        at = parameters.instant(given, "time", faces.clock.now())
        return await _answered(faces, request, _question(given, at, at, 0.0), parameters.limit(given))

    @router.api_route("/query_range", methods=_BOTH)
    async def query_range(request: Request) -> Response:
        given = await parameters_of(request)
        question = _question(given, *parameters.steps(given))
        return await _answered(faces, request, question, parameters.limit(given))

    @router.api_route("/query_exemplars", methods=_BOTH)
    async def exemplars() -> Response:
        return _success([])


def _question(given: Given, start: float, end: float, step: float) -> Question:
    timeout = parameters.seconds(given, "timeout", LIMITS.seconds) or 0.0
    lookback = parameters.optional_seconds(given, "lookback_delta")
    if lookback is not None and lookback <= 0:
        lookback = None
    return Question(parameters.one(given, "query"), start, end, step, timeout=timeout, lookback=lookback)


async def _answered(faces: Faces, request: Request, question: Question, limit: int) -> Response:
    try:
        reply = await _unless_gone(request, lambda gone: faces.queries.ask(question, gone))
    except ExpressionError as error:
        text = parameters.parse_error(question.text, error)
        raise ApiError("bad_data", f'invalid parameter "query": {text}') from None
    return await _shown(faces, reply, question.start, limit)


async def _shown(faces: Faces, reply: Reply, at: float, limit: int) -> Response:
    answer, said = reply.answer, {"warnings": list(reply.warnings), "infos": list(reply.infos)}
    if isinstance(answer, float | str):
        return _success(plain(answer, at), said)
    kind, count, is_large = "matrix", 0, True
    if isinstance(answer, Vector):
        kind, count = "vector", len(answer)
        if limit and count > limit:
            answer = Vector(answer.series, answer.rows[:limit], answer.values[:limit])
        items, is_large = vector_items(answer, at), len(answer) > _FEW
    elif isinstance(answer, Matrix):
        count = int(answer.present.any(axis=1).sum())
        items = matrix_items(answer, limit)
    else:
        count, items = len(answer), track_items(answer, limit)
    if limit and count > limit:
        said["warnings"].append(_TRUNCATED)
    pieces = pieces_of(items, kind, said)
    first = await faces.queries.work(lambda: next(pieces)) if is_large else next(pieces)
    if len(first) < PIECE:
        return Response(first, media_type="application/json")
    return PiecewiseResponse(first, pieces, faces.queries.work)


def _add_catalogue(router: APIRouter, faces: Faces) -> None:
    catalogue = faces.catalogue

    @router.api_route("/series", methods=_BOTH)
    async def series(request: Request) -> Response:
        given = await parameters_of(request)
        if "match[]" not in given:
            raise ApiError("bad_data", "no match[] parameter provided")
        start, end = parameters.window(given)
        wanted, limit = parameters.selectors(given), parameters.limit(given)
        found = await _unless_gone(request, lambda gone: catalogue.series(wanted, start, end, gone))
        shown = found[: limit or None]
        body = await faces.queries.work(lambda: orjson.dumps([dict(labels.pairs) for labels in shown]))
        return _success(orjson.Fragment(body), _truncated(len(shown) < len(found)))

    @router.api_route("/labels", methods=_BOTH)
    async def labels(request: Request) -> Response:
        given = await parameters_of(request)
        start, end = parameters.window(given)
        wanted, limit = parameters.selectors(given), parameters.limit(given)
        found = await _unless_gone(request, lambda gone: catalogue.names(wanted, start, end, gone))
        return _success(found[: limit or None], _truncated(0 < limit < len(found)))

    @router.get("/label/{name:path}/values")
    async def values(request: Request, name: str) -> Response:
        given = await parameters_of(request)
        if not name or "\x00" in name:
            raise ApiError("bad_data", f'invalid label name: "{name}"')
        start, end = parameters.window(given)
        wanted, limit = parameters.selectors(given), parameters.limit(given)
        found = await _unless_gone(request, lambda gone: catalogue.values(name, wanted, start, end, gone))
        return _success(found[: limit or None], _truncated(0 < limit < len(found)))

    @router.get("/metadata")
    async def metadata(request: Request) -> Response:
        given = await parameters_of(request)
        limit, wanted = parameters.limit(given), parameters.one(given, "metric")
        found = {
            name: [{"type": family.type, "help": family.help, "unit": family.unit}]
            for name, family in sorted(catalogue.families().items())
            if wanted in ("", name)
        }
        return _success(dict(list(found.items())[: limit or None]))


def _add_states(router: APIRouter, faces: Faces) -> None:
    texts = AlertTexts()

    @router.get("/alerts")
    async def alerts() -> Response:
        return _success({"alerts": await texts.of(faces.alerts.active())})

    @router.get("/rules")
    async def rules(request: Request) -> Response:
        given = await parameters_of(request)
        return _success(rules_json(faces.alerts.groups, given))

    @router.get("/targets")
    async def targets(state: str = "any") -> Response:
        if state not in ("any", "active", "dropped"):
            raise ApiError("bad_data", f'invalid parameter "state": unknown state {state!r}')
        active = [] if state == "dropped" else [target_json(status) for status in faces.fleet.status()]
        return _success({"activeTargets": active, "droppedTargets": [], "droppedTargetCounts": {}})

    @router.get("/alertmanagers")
    async def alertmanagers() -> Response:
        return _success({"activeAlertmanagers": [], "droppedAlertmanagers": []})


def _add_status(router: APIRouter, faces: Faces) -> None:
    @router.get("/status/buildinfo")
    async def buildinfo() -> Response:
        facts = {"version": SPEAKS, "goVersion": f"python{platform.python_version()}"}
        named = {"application": "Sentinel", "sentinelVersion": sentinel.__version__}
        return _success(facts | named | {"revision": "", "branch": "", "buildUser": "", "buildDate": ""})

    @router.get("/status/config")
    async def config() -> Response:
        return _success(
            {"yaml": "# Sentinel is configured by TOML files; `sentinel check` shows them.\n{}\n"}
        )

    @router.get("/status/flags")
    async def flags() -> Response:
        return _success({})

    @router.get("/status/runtimeinfo")
    async def runtimeinfo() -> Response:
        started = format_instant(faces.health.vitals().started_at)
        return _success(
            {
                "startTime": started,
                "CWD": "",
                "reloadConfigSuccess": True,
                "lastConfigTime": started,
                "corruptionCount": 0,
                "goroutineCount": threading.active_count(),
                "GOMAXPROCS": 1,
                "GOMEMLIMIT": 0,
                "GOGC": "",
                "GODEBUG": "",
                "storageRetention": "",
            }
        )

    @router.get("/status/tsdb")
    async def tsdb(request: Request) -> Response:
        top = parameters.limit(await parameters_of(request)) or 10
        return _success(_head_facts(faces.catalogue.counts(), faces.catalogue.times(), top))


def _head_facts(counts: Mapping[str, int], times: tuple[float, float], top: int) -> dict[str, Any]:
    largest = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:top]
    return {
        "headStats": {
            "numSeries": sum(counts.values()),
            "numLabelPairs": 0,
            "chunkCount": 0,
            "minTime": round(times[0] * 1000),
            "maxTime": round(times[1] * 1000),
        },
        "seriesCountByMetricName": [{"name": name, "value": count} for name, count in largest],
        "labelValueCountByLabelName": [],
        "memoryInBytesByLabelName": [],
        "seriesCountByLabelValuePair": [],
    }


async def _unless_gone(request: Request, ask: Callable[[threading.Event], Awaitable[Result]]) -> Result:
    """What is asked, as long as the client waits for it."""
    gone = threading.Event()

    async def watch() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        gone.set()

    async with asyncio.TaskGroup() as group:
        watching = group.create_task(watch())
        try:
            found: Result | ExpressionError | EvaluationError = await ask(gone)
        except (ExpressionError, EvaluationError) as error:
            found = error
        finally:
            watching.cancel()
    match found:
        case ExpressionError():
            raise found
        case AbandonedError():
            raise ApiError("canceled", str(found))
        case QueryTimeoutError():
            raise ApiError("timeout", str(found))
        case EvaluationError():
            raise ApiError("execution", str(found))
    return found
