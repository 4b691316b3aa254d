"""[[time_interval]]: named times of the week and the year, in Alertmanager's words.

Source: Alertmanager timeinterval/timeinterval.go and docs/configuration.md (time_interval). A month that there is
not is refused here, where an Alertmanager takes it and never comes to it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from sentinel.config.document import Written
from sentinel.config.types import Zone
from sentinel.model.problem import did_you_mean

WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_TIME = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00")
_NUMBER = re.compile(r"[+-]?[0-9]{1,9}")
_DAYS = {name: number for number, name in enumerate(WEEKDAYS)}
_MONTHS = {name: number for number, name in enumerate(MONTHS, 1)}
_SHORTEST_MONTH = 28


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from the first to the last, both included."""

    first: int
    last: int


def _range(written: Any, member: Callable[[str], int]) -> Range:
    """FIRST:LAST, or a single one."""
    if isinstance(written, Range):
        return written
    if isinstance(written, bool) or not isinstance(written, (str, int)):
        raise ValueError("write a text such as 'FIRST:LAST'")
    parts = str(written).lower().split(":")
    if len(parts) > 2:
        raise ValueError(f"not a range: {written!r} (write 'FIRST:LAST')")
    return Range(member(parts[0]), member(parts[-1]))


def _rising(found: Range, what: str) -> Range:
    if found.first > found.last:
        raise ValueError(f"the last {what} is before the first; write two ranges")
    return found


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"not a number: {text!r}")
    return int(text)


def _named(text: str, known: Mapping[str, int], what: str) -> int:
    if text not in known:
        raise ValueError(f"not a {what}: {text!r}{did_you_mean(text, known)}")
    return known[text]


def _weekdays(written: Any) -> Range:
    return _rising(_range(written, lambda text: _named(text, _DAYS, "weekday")), "weekday")


def _month(text: str) -> int:
    number = int(text) if _NUMBER.fullmatch(text) else _named(text, _MONTHS, "month")
    if not 1 <= number <= 12:
        raise ValueError(f"not a month: {text!r} (1 to 12, or its name)")
    return number


def _months(written: Any) -> Range:
    return _rising(_range(written, _month), "month")


def _years(written: Any) -> Range:
    return _rising(_range(written, _number), "year")


def _days_of_month(written: Any) -> Range:
    found = _range(written, _number)
    for day in (found.first, found.last):
        if day == 0 or abs(day) > 31:
            raise ValueError(f"not a day of the month: {day} (1 to 31, or -1 to -31 from its end)")
    if found.first < 0 < found.last:
        raise ValueError("a range that begins from the end of the month ends there too: '-7:-1'")
    at_least = [day if day > 0 else _SHORTEST_MONTH + day for day in (found.first, found.last)]
    if at_least[0] > at_least[1]:
        raise ValueError(f"day {found.last} is always before day {found.first}")
    return found


def _minute(written: Any) -> int:
    """Of the day."""
    if not isinstance(written, str) or not _TIME.fullmatch(written):
        raise ValueError(f"not a time of day: {written!r} (write 00:00 to 24:00)")
    hours, minutes = written.split(":")
    return int(hours) * 60 + int(minutes)


Minute = Annotated[int, BeforeValidator(_minute)]


class TimesSettings(Written):
    """One of the times of a time interval: a part of the day."""

    start_time: Minute
    """From this time of day on, such as "09:00"."""
    end_time: Minute
    """Up to this time of day, without its minute; "24:00" is the end of the day."""

    @model_validator(mode="after")
    def _ends_later(self) -> Self:
        if self.start_time >= self.end_time:
            raise ValueError(
                "start_time must be before end_time; for a night write two: to 24:00, and from 00:00"
            )
        return self


class SpanSettings(Written):
    """One of the time_intervals of a [[time_interval]]: a time is in it if all that is written here holds."""

    times: tuple[TimesSettings, ...] | None = None
    """Parts of the day: `{start_time="09:00", end_time="17:00"}`; without it the whole day.
    Here and below an empty list is never."""
    weekdays: tuple[Annotated[Range, BeforeValidator(_weekdays)], ...] | None = None
    """Days of the week, "monday:friday" or "sunday"; the week begins with sunday."""
    days_of_month: tuple[Annotated[Range, BeforeValidator(_days_of_month)], ...] | None = None
    """Days of the month, "1:5"; negative ones count from its end: "-3:-1"."""
    months: tuple[Annotated[Range, BeforeValidator(_months)], ...] | None = None
    """Months, "january:march" or "5"."""
    years: tuple[Annotated[Range, BeforeValidator(_years)], ...] | None = None
    """Years, "2026:2028"."""
    location: Zone | None = None
    """Time zone as an IANA name; without it that of [daemon] timezone."""


class TimeIntervalSettings(Written):
    """[[time_interval]]: times by a name, for mute_time_intervals and active_time_intervals of routes."""

    name: str = Field(min_length=1, max_length=200)
    """Unique name."""
    time_intervals: tuple[SpanSettings, ...] = ()
    """A time is in the interval if it is in any of these."""
