"""Durations as Prometheus writes them: 30s, 5m, 1h30m."""

from __future__ import annotations

import re

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "y": 31536000.0}
_PATTERN = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?")


MAX_TEXT = 100
"""Characters; numbers of hundreds of digits are no float."""


def parse_duration(text: str) -> float:
    """Seconds of a duration such as 1h30m.

    Raises:
        ValueError: not a duration; units must go from large to small, each at most once.
    """
    if text == "0":
        return 0.0
    match = _PATTERN.fullmatch(text)
    if not text or match is None:
        raise ValueError(f"not a duration: {text!r} (write 30s, 5m, 1h30m; units y w d h m s ms)")
    if len(text) > MAX_TEXT:
        raise ValueError(f"too long a duration: {text[:MAX_TEXT]}…")
    amounts = zip(("y", "w", "d", "h", "m", "s", "ms"), match.groups(), strict=True)
    return sum(int(amount) * _UNITS[unit] for unit, amount in amounts if amount)


def format_duration(seconds: float) -> str:
    """The shortest duration text that parse_duration reads back, to the millisecond."""
    rest = round(seconds * 1000)
    if rest == 0:
        return "0s"
    sign, rest = ("-", -rest) if rest < 0 else ("", rest)
    parts = []
    for unit, size in (("d", 86400000), ("h", 3600000), ("m", 60000), ("s", 1000), ("ms", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return sign + "".join(parts)
