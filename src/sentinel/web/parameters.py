"""Parameters of requests to the Prometheus API, read and refused as Prometheus does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs

from starlette.requests import Request

from sentinel.promql.errors import ExpressionError
from sentinel.promql.selector import parse_selector
from sentinel.series.index.matcher import Matcher
from sentinel.web.formats import MAX_INSTANT, parse_instant, parse_seconds

MAX_FIELDS: Final = 200
MAX_STEPS: Final = 11_000
"""As in Prometheus."""

MIN_TIME: Final = "-292273086-05-16T16:47:06Z"
MAX_TIME: Final = "292277025-08-18T07:12:54.999999999Z"
"""What Prometheus' client library writes for the beginning and the end of all times."""

Given = Mapping[str, list[str]]


class ApiError(Exception):
    """A request that is answered with an error; `kind` is one of Prometheus' errorTypes."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text


async def parameters_of(request: Request) -> dict[str, list[str]]:
    """Parameters of the form of a POST, and of the query string."""
    given: dict[str, list[str]] = {}
    try:
        if request.method == "POST":
            form = (await request.body()).decode()
            given = parse_qs(form, keep_blank_values=True, max_num_fields=MAX_FIELDS)
        found = parse_qs(request.url.query, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        raise ApiError("bad_data", "error parsing form values: the form cannot be read") from None
    for name, values in found.items():
        given.setdefault(name, []).extend(values)
    return given


def one(given: Given, name: str) -> str:
    return given.get(name, [""])[0]


def invalid(name: str, text: object) -> ApiError:
    return ApiError("bad_data", f'invalid parameter "{name}": {text}')


def instant(given: Given, name: str, default: float | None) -> float:
    """Unix seconds.

    Args:
        default: where nothing is given; None: something has to be.
    """
    text = one(given, name)
    if not text and default is not None:
        return default
    if text in (MIN_TIME, MAX_TIME):
        return -MAX_INSTANT if text == MIN_TIME else MAX_INSTANT
    try:
        return parse_instant(text)
    except ValueError as error:
        optional = "" if default is None else f"Invalid time value for '{name}': "
        raise invalid(name, f"{optional}{error}") from None


def seconds(given: Given, name: str, default: float | None) -> float | None:
    text = one(given, name)
    if not text and default is not None:
        return default
    try:
        return parse_seconds(text)
    except ValueError as error:
        raise invalid(name, error) from None


def optional_seconds(given: Given, name: str) -> float | None:
    return seconds(given, name, None) if one(given, name) else None


def limit(given: Given, name: str = "limit") -> int:
    """0: none."""
    text = one(given, name) or "0"
    if not text.isdecimal():
        raise invalid(name, f'cannot parse "{text}" to a valid limit')
    return int(text)


def window(given: Given) -> tuple[float, float]:
    """Start and end of a search for series."""
    return instant(given, "start", -MAX_INSTANT), instant(given, "end", MAX_INSTANT)


def steps(given: Given) -> tuple[float, float, float]:
    """Start, end and step of a range query, in seconds."""
    start, end = instant(given, "start", None), instant(given, "end", None)
    if end < start:
        raise invalid("end", "end timestamp must not be before start time")
    step = seconds(given, "step", None) or 0.0
    if step <= 0:
        text = "zero or negative query resolution step widths are not accepted. Try a positive integer"
        raise invalid("step", text)
    if int((end - start) / step) > MAX_STEPS:
        raise ApiError(
            "bad_data",
            f"exceeded maximum resolution of {MAX_STEPS:,} points per timeseries. "
            "Try decreasing the query resolution (?step=XX)",
        )
    return start, end, step


def selectors(given: Given) -> list[tuple[Matcher, ...]]:
    """What match[] asks for."""
    found = []
    for text in given.get("match[]", []):
        try:
            matchers = parse_selector(text)
        except ExpressionError as error:
            if "non-empty matcher" in error.text:
                raise invalid("match[]", "match[] must contain at least one non-empty matcher") from None
            raise invalid("match[]", parse_error(text, error)) from None
        found.append(matchers)
    return found


def parse_error(text: str, error: ExpressionError) -> str:
    """With line:column, both from 1."""
    before = text[: error.offset]
    return f"{before.count(chr(10)) + 1}:{error.offset - before.rfind(chr(10))}: parse error: {error.text}"
