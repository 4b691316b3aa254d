"""Numbers for people, as Prometheus' template functions write them.

Source: Prometheus documentation, "Template reference", section Numbers.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from sentinel.model.durations import parse_duration
from sentinel.rules.template.errors import ExpansionError
from sentinel.rules.template.values import format_float, type_name

_LARGE = ("k", "M", "G", "T", "P", "E", "Z", "Y")
_SMALL = ("m", "u", "n", "p", "f", "a", "z", "y")
_BINARY = ("ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi")


def number(value: object) -> float:
    """The number that a humanizing function was given, possibly as text."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            raise ExpansionError(f"not a number: {value!r}") from None
    raise ExpansionError(f"can't convert {type_name(value)} to a number")


def _four(value: float) -> str:
    return format_float(value, "g", 4)


def _is_plain(value: float) -> bool:
    return value == 0 or not math.isfinite(value)


def humanize(value: object) -> str:
    """SI prefixes: 1234 → 1.234k, 0.01 → 10m."""
    figure = number(value)
    if _is_plain(figure):
        return _four(figure)
    prefix = ""
    if abs(figure) >= 1:
        for unit in _LARGE:
            if abs(figure) < 1000:
                break
            prefix, figure = unit, figure / 1000
        return _four(figure) + prefix
    return _shrunk(figure)


def _shrunk(figure: float) -> str:
    prefix = ""
    for unit in _SMALL:
        if abs(figure) >= 1:
            break
        prefix, figure = unit, figure * 1000
    return _four(figure) + prefix


def humanize1024(value: object) -> str:
    """Binary prefixes: 2048 → 2ki."""
    figure = number(value)
    if abs(figure) <= 1 or not math.isfinite(figure):
        return _four(figure)
    prefix = ""
    for unit in _BINARY:
        if abs(figure) < 1024:
            break
        prefix, figure = unit, figure / 1024
    return _four(figure) + prefix


def humanize_duration(value: object) -> str:
    """Seconds in days, hours, minutes, seconds, or a fraction with its prefix."""
    figure = number(value)
    if not math.isfinite(figure):
        return _four(figure)
    if figure == 0:
        return _four(figure) + "s"
    if abs(figure) < 1:
        return _shrunk(figure) + "s"
    sign, figure = ("-", -figure) if figure < 0 else ("", figure)
    minutes, seconds = divmod(int(figure), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{sign}{days}d {hours}h {minutes}m {seconds}s"
    if hours:
        return f"{sign}{hours}h {minutes}m {seconds}s"
    if minutes:
        return f"{sign}{minutes}m {seconds}s"
    return f"{sign}{_four(figure)}s"


def humanize_percentage(value: object) -> str:
    """A ratio as a percentage: 0.95 → 95%."""
    return _four(number(value) * 100) + "%"


def humanize_timestamp(value: object) -> str:
    """Unix seconds as a date in UTC, to the millisecond."""
    figure = number(value)
    if not math.isfinite(figure):
        return _four(figure)
    if abs(figure) * 1e9 >= 2**63:
        raise ExpansionError(f"{figure!r} is outside the range of timestamps")
    milliseconds = math.trunc(figure * 1000)
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    fraction = f".{milliseconds % 1000:03d}".rstrip("0") if milliseconds % 1000 else ""
    return f"{moment:%Y-%m-%d %H:%M:%S}{fraction} +0000 UTC"


def duration_seconds(text: object) -> float:
    """Prometheus' duration text in seconds."""
    if not isinstance(text, str):
        raise ExpansionError(f"expected string; got {type_name(text)}")
    try:
        return parse_duration(text)
    except ValueError as error:
        raise ExpansionError(str(error)) from None
