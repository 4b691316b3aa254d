"""When a server wants to be asked again."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Final

MAX_RETRY_AFTER: Final = 3600.0
"""Seconds that are believed at most."""


def retry_after(header: str | None, *, now: float) -> float | None:
    """Seconds to wait; None without a usable header.

    Source: RFC 9110 §10.2.3: a number of seconds, or a date.
    """
    if not header:
        return None
    if header.strip().isdecimal():
        return min(float(header), MAX_RETRY_AFTER)
    try:
        at = parsedate_to_datetime(header).timestamp()
    except (ValueError, OverflowError):
        return None
    return min(max(at - now, 0.0), MAX_RETRY_AFTER)
