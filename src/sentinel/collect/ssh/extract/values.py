"""Values as tools write them for people, as numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from sentinel.collect.ssh.extract.schema import Unit

_NUMBER: Final = re.compile(
    r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?)\s*(.*)", re.ASCII | re.DOTALL
)
_CLOCK: Final = re.compile(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)", re.ASCII)
_SPAN: Final = re.compile(
    r"(\d+(?:\.\d+)?)\s*(ms|us|µs|ns|years?|y|weeks?|w|days?|d|hours?|h|minutes?|min|m|seconds?|sec|s)\b"
)
_SECONDS: Final = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 604800.0,
    "y": 31536000.0,
}
_POWERS: Final = "KMGTPE"
_TRUE: Final = frozenset(["1", "true", "yes", "on", "up", "enabled", "active", "running", "ok"])
_FALSE: Final = frozenset(
    ["0", "false", "no", "off", "down", "disabled", "inactive", "stopped", "failed", "none"]
)
_DATES: Final = ("%b %d %H:%M:%S %Y %Z", "%a %b %d %H:%M:%S %Y", "%a, %d %b %Y %H:%M:%S %Z", "%Y%m%d%H%M%SZ")


def _number(text: str) -> float | None:
    match = _NUMBER.fullmatch(text)
    return float(match[1]) if match and not match[2].strip() else None


def _bytes(text: str) -> float | None:
    """1536, 1.5KiB, 1.5kB, 1.5K: a unit alone counts in 1,024, kB in 1,000 as its writers mean it."""
    match = _NUMBER.fullmatch(text)
    if not match:
        return None
    unit = match[2].strip().removesuffix("/s")
    if unit in ("", "B", "b", "bytes"):
        return float(match[1])
    power = _POWERS.find(unit[0].upper())
    rest = unit[1:]
    if power < 0 or rest not in ("", "B", "iB", "i"):
        return None
    return float(match[1]) * (1000.0 if rest == "B" else 1024.0) ** (power + 1)


def _percent(text: str) -> float | None:
    number = _number(text.strip().removesuffix("%"))
    return None if number is None else number / 100


def _duration(text: str) -> float | None:
    """Seconds of 90, 1:30, 1-02:03:04 (as ps writes it), 1d 2h, 3 weeks."""
    number = _number(text)
    if number is not None:
        return number
    clock = _CLOCK.fullmatch(text.strip())
    if clock:
        days, hours, minutes, seconds = clock.groups()
        return int(days or 0) * 86400 + int(hours or 0) * 3600 + int(minutes) * 60 + float(seconds)
    spans = _SPAN.findall(text)
    if not spans or _SPAN.sub("", text).replace(",", "").replace("and", "").replace("ago", "").strip():
        return None
    return sum(float(amount) * _SECONDS.get(unit, 0) or float(amount) * _long(unit) for amount, unit in spans)


def _long(unit: str) -> float:
    return _SECONDS["m" if unit == "min" else unit[0]]


def _timestamp(text: str) -> float | None:
    """Unix seconds, ISO 8601, or a date as openssl, ctime and HTTP write it; without a zone it is UTC."""
    number = _number(text)
    if number is not None:
        return number
    text = " ".join(text.split())
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        for form in _DATES:
            try:
                when = datetime.strptime(text, form)  # noqa: DTZ007 - the zone is set below
                break
            except ValueError:
                continue
        else:
            return None
    try:
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _boolean(text: str) -> float | None:
    word = text.strip().lower()
    return 1.0 if word in _TRUE else 0.0 if word in _FALSE else None


_READERS: Final[Mapping[Unit, Callable[[str], float | None]]] = {
    "number": _number,
    "bytes": _bytes,
    "percent": _percent,
    "duration": _duration,
    "timestamp": _timestamp,
    "boolean": _boolean,
}


def read_value(text: str, unit: Unit, words: Mapping[str, float]) -> float | None:
    """The number that a text stands for; None where it is none, or not finite."""
    if len(text) > 256:
        return None
    value = words.get(text.strip()) if words else _READERS[unit](text)
    return value if value is not None and math.isfinite(value) else None
