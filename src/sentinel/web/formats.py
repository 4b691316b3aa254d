"""How numbers and instants are written and read over HTTP, as Prometheus does."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from functools import lru_cache

from sentinel.model.durations import parse_duration

MAX_INSTANT = 253402300799.0
"""The end of the year 9999."""


def format_number(value: float) -> str:
    """A sample value: the shortest text that reads back, +Inf, -Inf or NaN.

    Source: Go's strconv.FormatFloat(v, 'f', -1, 64), which Prometheus' query API uses.
    """
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    text = repr(value)
    if "e" in text:
        text = _without_exponent(text)
    return text.removesuffix(".0")


def format_sample(value: float) -> str:
    """A sample of a vector or matrix: as format_number, and with an exponent where it is very small or large.

    Source: util/jsonutil of Prometheus, which follows Go's encoding/json.
    """
    size = abs(value)
    if size != 0 and math.isfinite(size) and not 1e-6 <= size < 1e21:
        return repr(value)
    return format_number(value)


def _without_exponent(text: str) -> str:
    sign = "-" if text.startswith("-") else ""
    mantissa, _, exponent = text.lstrip("-").partition("e")
    whole, _, fraction = mantissa.partition(".")
    point = len(whole) + int(exponent)
    digits = whole + fraction
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits.rstrip('0') or '0'}"
    if point >= len(digits):
        return sign + digits + "0" * (point - len(digits))
    return f"{sign}{digits[:point]}.{digits[point:]}"


@lru_cache(maxsize=16_384)
def format_instant(at: float | None) -> str:
    """RFC 3339 in UTC; Go's zero time where there is none, as Prometheus writes it."""
    if at is None:
        return "0001-01-01T00:00:00Z"
    text = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"


def parse_instant(text: str) -> float:
    """Unix seconds of an instant written as Unix seconds or RFC 3339.

    Raises:
        ValueError: neither, or beyond the year 9999.
    """
    try:
        at = float(text)
    except ValueError:
        at = _parse_rfc3339(text)
    if not math.isfinite(at) or not -MAX_INSTANT <= at <= MAX_INSTANT:
        raise ValueError(f'cannot parse "{text}" to a valid timestamp')
    return at


def _parse_rfc3339(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or "T" not in text.upper():
        raise ValueError(f'cannot parse "{text}" to a valid timestamp')
    return moment.timestamp()


def parse_seconds(text: str) -> float:
    """Seconds of a duration written as a number or as 1m30s.

    Raises:
        ValueError: neither.
    """
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parse_duration(text)
        except ValueError:
            seconds = math.nan
    if not math.isfinite(seconds):
        raise ValueError(f'cannot parse "{text}" to a valid duration')
    return seconds
