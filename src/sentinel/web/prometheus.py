"""The part of Prometheus' HTTP API that Sentinel answers, in Prometheus' envelope.

Source: https://prometheus.io/docs/prometheus/latest/querying/api/
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qs

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

import sentinel
from sentinel.collect.poll import PollStatus
from sentinel.model.alert import Alert, AlertState
from sentinel.model.durations import format_duration
from sentinel.promql.errors import EvaluationError, ExpressionError
from sentinel.promql.value import Value, Vector
from sentinel.rules.rule import AlertingRule
from sentinel.rules.status import GroupStatus, RuleStatus
from sentinel.web.formats import format_instant, format_number, parse_instant, parse_seconds
from sentinel.web.ranges import MAX_STEPS, Line, evaluate_range, steps_between
from sentinel.web.seams import Expression, Faces

MAX_FIELDS = 200
_STATUS = {"bad_data": 400, "execution": 422, "not_found": 404, "internal": 500, "unavailable": 503}
_GRAVITY = {AlertState.INACTIVE: 0, AlertState.PENDING: 1, AlertState.UNKNOWN: 2, AlertState.FIRING: 3}


class ApiError(Exception):
    """A request that is answered with an error; `kind` is one of Prometheus' errorTypes."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text


def failure(kind: str, text: str) -> Response:
    """An error in the envelope."""
    body = {"status": "error", "errorType": kind, "error": text}
    return Response(orjson.dumps(body), _STATUS[kind], media_type="application/json")


def answer_error(request: Request, error: Exception) -> Response:
    """Exception handler for ApiError."""
    assert isinstance(error, ApiError)
    return failure(error.kind, error.text)


def _success(data: Any, warnings: Iterable[str] = ()) -> Response:
    body = {"status": "success", "data": data}
    if warnings := list(warnings):
        body["warnings"] = warnings
    return Response(orjson.dumps(body), media_type="application/json")


def prometheus_router(faces: Faces) -> APIRouter:
    """Routes under /api/v1."""
    router = APIRouter(prefix="/api/v1", include_in_schema=False)

    @router.api_route("/query", methods=["GET", "POST"])
    async def query(request: Request) -> Response:
        given = await _parameters(request)
        at = _instant(given, "time", faces.clock.now())
        limit = _limit(given)
        _refuse(given, "lookback_delta")
        value = _evaluate(_compiled(faces, given), at)
        if isinstance(value, Vector) and limit and len(value) > limit:
            value = Vector(value.series, value.rows[:limit], value.values[:limit])
            return _success(_result(value, at), ["results truncated due to limit"])
        return _success(_result(value, at))

    @router.api_route("/query_range", methods=["GET", "POST"])
    async def query_range(request: Request) -> Response:
        given = await _parameters(request)
        _refuse(given, "lookback_delta")
        start, end, step = _range(given)
        limit, expression = _limit(given), _compiled(faces, given)
        text = given.get("query", [""])[0]
        try:
            lines = await evaluate_range(expression, text, start=start, end=end, step=step, clock=faces.clock)
        except EvaluationError as error:
            raise ApiError("execution", str(error)) from None
        warnings = ["results truncated due to limit"] if limit and len(lines) > limit else []
        shown = [_line(line) for line in lines[: limit or None]]
        return _success({"resultType": "matrix", "result": shown}, warnings)

    @router.get("/alerts")
    async def alerts() -> Response:
        return _success({"alerts": [_alert(alert) for alert in faces.alerts.active()]})

    @router.get("/rules")
    async def rules(request: Request) -> Response:
        given = await _parameters(request)
        _refuse(given, "match[]", "group_limit", "group_next_token")
        groups = (_group(group, given) for group in faces.alerts.groups)
        return _success({"groups": [group for group in groups if group is not None]})

    @router.get("/targets")
    async def targets(state: str = "any") -> Response:
        if state not in ("any", "active", "dropped"):
            raise ApiError("bad_data", f'invalid parameter "state": unknown state {state!r}')
        active = [] if state == "dropped" else [_target(status) for status in faces.fleet.status()]
        return _success({"activeTargets": active, "droppedTargets": [], "droppedTargetCounts": {}})

    @router.get("/status/buildinfo")
    async def buildinfo() -> Response:
        facts = {"version": sentinel.__version__, "goVersion": f"python{platform.python_version()}"}
        return _success(facts | {"revision": "", "branch": "", "buildUser": "", "buildDate": ""})

    @router.api_route("/{path:path}", methods=["GET"])
    async def unknown(path: str) -> Response:
        return failure("not_found", f"/api/v1/{path[:200]} is not served here")

    return router


async def _parameters(request: Request) -> dict[str, list[str]]:
    """Parameters of the query string and, in a POST, of the form."""
    try:
        given = parse_qs(request.url.query, keep_blank_values=True, max_num_fields=MAX_FIELDS)
        if request.method == "POST":
            form = (await request.body()).decode()
            for name, values in parse_qs(form, keep_blank_values=True, max_num_fields=MAX_FIELDS).items():
                given.setdefault(name, []).extend(values)
    except ValueError:
        raise ApiError("bad_data", "the form cannot be read") from None
    return given


def _refuse(given: Mapping[str, list[str]], *names: str) -> None:
    """A parameter that changes the answer is refused rather than ignored."""
    for name in names:
        if name in given:
            raise ApiError("bad_data", f'parameter "{name}" is not supported')


def _instant(given: Mapping[str, list[str]], name: str, default: float) -> float:
    text = given.get(name, [""])[0]
    if not text:
        return default
    try:
        return parse_instant(text)
    except ValueError as error:
        raise ApiError("bad_data", f'invalid parameter "{name}": {error}') from None


def _limit(given: Mapping[str, list[str]]) -> int:
    text = given.get("limit", ["0"])[0]
    if not text.isdecimal():
        raise ApiError("bad_data", f'invalid parameter "limit": cannot parse "{text}" to a valid limit')
    return int(text)


def _range(given: Mapping[str, list[str]]) -> tuple[float, float, float]:
    """Start, end and step of a range query, in seconds."""
    for name in ("start", "end"):
        if not given.get(name, [""])[0]:
            raise ApiError("bad_data", f'invalid parameter "{name}": cannot parse "" to a valid timestamp')
    start, end = _instant(given, "start", 0.0), _instant(given, "end", 0.0)
    if end < start:
        raise ApiError("bad_data", 'invalid parameter "end": end timestamp must not be before start time')
    try:
        step = parse_seconds(given.get("step", [""])[0])
    except ValueError as error:
        raise ApiError("bad_data", f'invalid parameter "step": {error}') from None
    if step <= 0:
        text = "zero or negative query resolution step widths are not accepted. Try a positive integer"
        raise ApiError("bad_data", f'invalid parameter "step": {text}')
    if steps_between(start, end, step) > MAX_STEPS:
        raise ApiError(
            "bad_data",
            f"exceeded maximum resolution of {MAX_STEPS:,} points per timeseries. "
            "Try decreasing the query resolution (?step=XX)",
        )
    return start, end, step


def _compiled(faces: Faces, given: Mapping[str, list[str]]) -> Expression:
    text = given.get("query", [""])[0]
    try:
        return faces.expressions.compile(text)
    except ExpressionError as error:
        place = _place(text, error.offset)
        raise ApiError("bad_data", f'invalid parameter "query": {place}: parse error: {error.text}') from None


def _evaluate(expression: Expression, at: float) -> Value:
    try:
        return expression.instant(at)
    except EvaluationError as error:
        raise ApiError("execution", str(error)) from None


def _line(line: Line) -> dict[str, Any]:
    points = zip(line.times, line.values, strict=True)
    return {
        "metric": dict(line.labels),
        "values": [[round(at, 3), format_number(value)] for at, value in points],
    }


def _place(text: str, offset: int) -> str:
    """line:column of an offset, both from 1."""
    before = text[:offset]
    return f"{before.count(chr(10)) + 1}:{offset - before.rfind(chr(10))}"


def _result(value: Value, at: float) -> dict[str, Any]:
    at = round(at, 3)
    if isinstance(value, Vector):
        result = [
            {"metric": dict(labels), "value": [at, format_number(sample)]}
            for labels, sample in value.samples()
        ]
        return {"resultType": "vector", "result": result}
    if isinstance(value, str):
        return {"resultType": "string", "result": [at, value]}
    return {"resultType": "scalar", "result": [at, format_number(value)]}


def _alert(alert: Alert) -> dict[str, Any]:
    """Prometheus knows no unknown state: such an alert was firing and is not resolved, so it says firing,
    and one field more tells those who ask."""
    is_unknown = alert.state is AlertState.UNKNOWN
    shown: dict[str, Any] = {
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "state": "firing" if is_unknown else alert.state.value,
        "activeAt": format_instant(alert.active_at),
        "value": _scientific(alert.value),
    }
    return shown | {"sentinelState": "unknown"} if is_unknown else shown


def _scientific(value: float) -> str:
    """The shortest scientific text, as Go's strconv.FormatFloat(v, 'e', -1, 64)."""
    text = format_number(value)
    if not text.lstrip("-").replace(".", "").isdecimal():
        return text
    return next(shown for digits in range(17) if float(shown := f"{value:.{digits}e}") == value)


def _group(status: GroupStatus, given: Mapping[str, list[str]]) -> dict[str, Any] | None:
    """The group as asked for, or None when nothing of it was."""
    group = status.group
    if _is_left_out(group.name, given.get("rule_group[]")) or _is_left_out(group.file, given.get("file[]")):
        return None
    kind = given.get("type", [""])[0]
    if kind not in ("", "alert", "record"):
        raise ApiError("bad_data", f'invalid parameter "type": not supported value "{kind}"')
    with_alerts = given.get("exclude_alerts", ["false"])[0].lower() not in ("true", "1")
    rules = [
        _rule(rule, with_alerts=with_alerts)
        for rule in status.rules
        if kind in ("", "alert" if isinstance(rule.rule, AlertingRule) else "record")
        and not _is_left_out(rule.rule.name, given.get("rule_name[]"))
    ]
    if not rules and status.rules:
        return None
    return {
        "name": group.name,
        "file": group.file,
        "rules": rules,
        "interval": group.interval,
        "limit": group.limit,
        "evaluationTime": status.duration,
        "lastEvaluation": format_instant(status.last_evaluation),
    }


def _is_left_out(name: str, wanted: list[str] | None) -> bool:
    return wanted is not None and name not in wanted


def _rule(status: RuleStatus, *, with_alerts: bool) -> dict[str, Any]:
    rule = status.rule
    shown: dict[str, Any] = {
        "name": rule.name,
        "query": rule.expression.text,
        "health": status.health,
        "evaluationTime": status.duration,
        "lastEvaluation": format_instant(status.last_evaluation),
    }
    if status.last_error:
        shown["lastError"] = status.last_error
    if not isinstance(rule, AlertingRule):
        return shown | {"labels": dict(rule.labels), "type": "recording"}
    worst = max(
        (alert.state for alert in status.alerts), key=_GRAVITY.__getitem__, default=AlertState.INACTIVE
    )
    return shown | {
        "labels": {name: template.text for name, template in rule.labels},
        "annotations": {name: template.text for name, template in rule.annotations},
        "type": "alerting",
        "state": "firing" if worst is AlertState.UNKNOWN else worst.value,
        "duration": rule.hold,
        "keepFiringFor": rule.keep,
        "alerts": [_alert(alert) for alert in status.alerts] if with_alerts else [],
    }


def _target(status: PollStatus) -> dict[str, Any]:
    source, target = status.source, status.target
    place = target.host if target.port is None else f"{target.host}:{target.port}"
    health = {True: "up", False: "down", None: "unknown"}[status.up]
    return {
        "discoveredLabels": {"__address__": place} | dict(target.labels),
        "labels": dict(source.labels),
        "scrapePool": source.module,
        "scrapeUrl": f"poll://{place}/{source.module}",
        "globalUrl": f"poll://{place}/{source.module}",
        "lastError": "" if status.up else (status.detail or status.reason),
        "lastScrape": format_instant(status.at),
        "lastScrapeDuration": status.duration,
        "health": health,
        "scrapeInterval": format_duration(source.interval),
        "scrapeTimeout": format_duration(target.timeout),
    }
