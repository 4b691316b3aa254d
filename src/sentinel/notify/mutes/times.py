"""Beginnings and ends as people give them: instants, times on the wall, durations."""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sentinel.model.durations import parse_duration
from sentinel.notify.mutes.calendar_rule import CalendarRule, NotGivenError
from sentinel.notify.mutes.drafts import InvalidSilenceError
from sentinel.notify.mutes.recurrence import Window, find_zone

Given = float | str | None
"""Unix seconds, RFC 3339 with or without an offset, or HH:MM; None: not given."""

LOOK_AHEAD = 366 * 5
"""Days looked through for the first one that a rule gives."""
_TIME = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")


def read_window(start: Given, end: Given, duration: str, *, rule: str, zone: str, at: float) -> Window:
    """The first window. A time without an offset is by the zone's clocks; HH:MM is the next such time.

    Args:
        start: None: now.
        duration: in place of the end, "1h30m"; empty: there is an end.
        rule: a recurrence; HH:MM is on the first day that it gives.
        at: now, Unix seconds.
    Raises:
        InvalidSilenceError
    """
    if (end is None) == (not duration):
        raise InvalidSilenceError("give either an end or a duration")
    try:
        found = find_zone(zone)
        seconds = parse_duration(duration) if duration else 0.0
        for day in range(LOOK_AHEAD if rule and _is_time(start) else 2):
            begin = at if start is None else _instant(start, at, day, found)
            over = begin + seconds if end is None else _instant(end, begin, 0, found, later=True)
            if not _is_time(start) or (over > at and _gives(rule, begin, found)):
                return Window(begin, over)
    except (ValueError, OverflowError) as error:
        raise InvalidSilenceError(str(error)) from None
    raise InvalidSilenceError(f"{rule!r} gives no day within {LOOK_AHEAD // 366} years")


def _is_time(given: Given) -> bool:
    return isinstance(given, str) and _TIME.fullmatch(given.strip()) is not None


def _instant(given: float | str, after: float, day: int, zone: ZoneInfo, *, later: bool = False) -> float:
    """
    Args:
        day: so many days after the one of `after`, for HH:MM.
        later: HH:MM is after `after`.
    """
    if not isinstance(given, str):
        if not math.isfinite(given):
            raise ValueError(f"not an instant: {given}")
        return float(given)
    match = _TIME.fullmatch(given.strip())
    if match is None:
        return _read(given.strip(), zone)
    midnight = datetime.fromtimestamp(after, zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    wall = midnight.replace(tzinfo=None) + timedelta(days=day, hours=int(match[1]), minutes=int(match[2]))
    found = wall.replace(tzinfo=zone).timestamp()
    if later and found <= after:
        found = (wall + timedelta(1)).replace(tzinfo=zone).timestamp()
    return found


def _read(text: str, zone: ZoneInfo) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        shown = text[:50]
        raise ValueError(
            f"not a time: {shown!r} (write 2026-11-29T02:00, with or without an offset, or 02:00)"
        ) from None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)).timestamp()


def _gives(rule: str, begin: float, zone: ZoneInfo) -> bool:
    """Whether the rule gives the day on which a window begins; a rule that is none is refused elsewhere."""
    if not rule:
        return True
    day = datetime.fromtimestamp(begin, zone).date()
    try:
        return CalendarRule.parse(rule, day).gives(day)
    except NotGivenError:
        return False
