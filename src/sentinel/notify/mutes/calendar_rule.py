"""Which days a recurrence rule gives: the part of RFC 5545's RRULE that speaks of days.

A rule is asked about one day at a time, which costs the same for every rule: no text of people makes the daemon
search the calendar for a day that never comes (FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30).
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal, TypeVar

from sentinel.model.problem import did_you_mean

Frequency = Literal["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]
Item = TypeVar("Item")

MAX_TEXT = 500
MAX_INTERVALS = {"DAILY": 1000, "WEEKLY": 200, "MONTHLY": 60, "YEARLY": 5}
MAX_COUNT = 1000
LAST_YEAR = 9000
REACH = 7305
"""Days that are looked through for the next or the last one: twenty years."""

_DAYS = {name: number for number, name in enumerate(("MO", "TU", "WE", "TH", "FR", "SA", "SU"))}
_WORDS = {
    "daily": "FREQ=DAILY",
    "weekly": "FREQ=WEEKLY",
    "monthly": "FREQ=MONTHLY",
    "yearly": "FREQ=YEARLY",
    "workdays": "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR",
    "weekends": "FREQ=WEEKLY;BYDAY=SA,SU",
} | {name.lower(): f"FREQ=WEEKLY;BYDAY={name[:2].upper()}" for name in calendar.day_name}
_BY_DAY = re.compile(r"([+-]?[0-9]{1,2})?(MO|TU|WE|TH|FR|SA|SU)")
_NUMBER = re.compile(r"[+-]?[0-9]{1,4}")
_UNTIL = re.compile(r"([0-9]{8})(?:T([0-9]{6})(Z?))?")
_FREQUENCIES: tuple[Frequency, ...] = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_PARTS = (
    *("FREQ", "INTERVAL", "COUNT", "UNTIL", "BYDAY", "BYMONTHDAY", "BYMONTH", "BYSETPOS"),
    *("WKST", "BYHOUR", "BYMINUTE", "BYSECOND", "BYWEEKNO", "BYYEARDAY"),
)
_ELSEWHERE = ("BYHOUR", "BYMINUTE", "BYSECOND")
_UNSUPPORTED = ("BYWEEKNO", "BYYEARDAY")


class NotGivenError(ValueError):
    """The rule is a rule, and does not give the first day."""


@dataclass(frozen=True, slots=True)
class Until:
    """The last moment at which a window may begin."""

    at: datetime
    """In UTC, or without a zone: by the clock on the wall."""


@dataclass(frozen=True, slots=True)
class CalendarRule:
    """A rule with the day it counts from."""

    first: date
    """DTSTART's day, which the rule has to give."""
    frequency: Frequency
    interval: int = 1
    months: frozenset[int] = frozenset()
    month_days: frozenset[int] = frozenset()
    """Negative ones from the end of the month."""
    weekdays: frozenset[tuple[int, int]] = frozenset()
    """Which one of the month or year, negative from its end, 0 for every one; and the weekday, Monday 0."""
    positions: frozenset[int] = frozenset()
    """BYSETPOS: which of a month's days."""
    week_start: int = 0
    until: Until | None = None
    count: int = 0
    """How many days it gives; 0: no end."""

    @classmethod
    def parse(cls, text: str, first: date) -> CalendarRule:
        """
        Args:
            text: an RRULE ("FREQ=MONTHLY;BYDAY=1SU"), or a word: daily, weekly, monthly, yearly, workdays,
                weekends, or a day of the week.
            first: the day of the first window.
        Raises:
            ValueError: not a rule, one that is not supported, or one that does not give the first day.
        """
        rule = _parsed(text, first)
        if not rule.gives(first):
            named = f"{first.isoformat()}, {calendar.day_name[first.weekday()]}"
            raise NotGivenError(f"the first window begins on {named}, a day that {text!r} does not give")
        return rule

    def gives(self, day: date) -> bool:
        """Whether a window begins that day, apart from UNTIL's time of day and from COUNT."""
        if day < self.first or (self.until is not None and day > self.until.at.date() + timedelta(1)):
            return False
        if not self._is_in_period(day) or (self.months and day.month not in self.months):
            return False
        if not self.positions:
            return self._is_member(day)
        members = [one for one in _month(day) if self._is_member(one)]
        return any(day == _at(members, place) for place in self.positions)

    def days(self, start: date, reach: int = REACH) -> Iterator[date]:
        """Those from `start` on, looked for through so many days."""
        day, end = max(start, self.first), start.toordinal() + reach
        while day.toordinal() <= min(end, date.max.toordinal() - 32):
            if self._leaves_month_out(day):
                day = day.replace(day=1) + timedelta(calendar.monthrange(day.year, day.month)[1])
                continue
            if self.gives(day):
                yield day
            day += timedelta(1)

    def days_back(self, start: date, reach: int = REACH) -> Iterator[date]:
        """Those from `start` back, looked for through so many days."""
        day, end = start, max(self.first.toordinal(), start.toordinal() - reach)
        while day.toordinal() >= end:
            if self._leaves_month_out(day):
                day = day.replace(day=1) - timedelta(1)
                continue
            if self.gives(day):
                yield day
            day -= timedelta(1)

    def last_counted(self) -> date | None:
        """The last day by COUNT; None: there is no such end, or it is out of reach."""
        days = self.days(self.first) if self.count else iter(())
        return next((day for number, day in enumerate(days, 1) if number == self.count), None)

    def _leaves_month_out(self, day: date) -> bool:
        if self.months:
            return day.month not in self.months
        if self.frequency == "YEARLY" and not self.month_days and not self.weekdays:
            return day.month != self.first.month
        return self.frequency == "MONTHLY" and not self._is_in_period(day)

    def _is_in_period(self, day: date) -> bool:
        """Whether INTERVAL leaves the day's week, month or year in."""
        if self.frequency == "DAILY":
            gap = (day - self.first).days
        elif self.frequency == "WEEKLY":
            gap = (_week(day, self.week_start) - _week(self.first, self.week_start)) // 7
        elif self.frequency == "MONTHLY":
            gap = (day.year - self.first.year) * 12 + day.month - self.first.month
        else:
            gap = day.year - self.first.year
        return gap % self.interval == 0

    def _is_member(self, day: date) -> bool:
        """Whether the BY parts, or what follows from the first day where there are none, name the day."""
        if self.month_days:
            length = calendar.monthrange(day.year, day.month)[1]
            if not self.month_days & {day.day, day.day - length - 1}:
                return False
        if self.weekdays:
            return bool(self.weekdays & _names_of(day, in_year=self._counts_in_year))
        if self.month_days or self.frequency == "DAILY":
            return True
        if self.frequency == "WEEKLY":
            return day.weekday() == self.first.weekday()
        if self.frequency == "YEARLY" and not self.months and day.month != self.first.month:
            return False
        return day.day == self.first.day

    @property
    def _counts_in_year(self) -> bool:
        """Whether "the second Sunday" is the year's, not the month's."""
        return self.frequency == "YEARLY" and not self.months


def _parsed(text: str, first: date) -> CalendarRule:
    parts = _parts_of(text)
    frequency = parts["FREQ"]
    known = next((one for one in _FREQUENCIES if one == frequency), None)
    if known is None:
        raise ValueError(f"FREQ={frequency}: windows recur DAILY, WEEKLY, MONTHLY or YEARLY")
    rule = CalendarRule(
        first,
        known,
        interval=_one(parts, "INTERVAL", 1, MAX_INTERVALS[known]) or 1,
        months=_list(parts, "BYMONTH", lambda item: _number("BYMONTH", item, 1, 12)),
        month_days=_list(parts, "BYMONTHDAY", lambda item: _number("BYMONTHDAY", item, -31, 31)),
        weekdays=_list(parts, "BYDAY", _weekday),
        positions=_list(parts, "BYSETPOS", lambda item: _number("BYSETPOS", item, -31, 31)),
        week_start=_week_start(parts.get("WKST", "MO")),
        until=_until(parts["UNTIL"]) if "UNTIL" in parts else None,
        count=_one(parts, "COUNT", 1, MAX_COUNT),
    )
    _refuse_what_means_nothing(rule)
    return rule


def _parts_of(text: str) -> Mapping[str, str]:
    if len(text) > MAX_TEXT:
        raise ValueError(f"a recurrence rule of more than {MAX_TEXT} characters")
    written = text.strip()
    written = _WORDS.get(written.lower(), written).upper().removeprefix("RRULE:")
    if "=" not in written:
        hint = did_you_mean(text.strip().lower(), _WORDS)
        raise ValueError(
            f"not a recurrence: {text!r}{hint} (write daily, sunday, … or an RRULE: FREQ=MONTHLY;BYDAY=1SU)"
        )
    parts: dict[str, str] = {}
    for part in written.split(";"):
        name, _, value = part.partition("=")
        if name in _ELSEWHERE:
            raise ValueError(f"{name}: the time of day is that of the first window")
        if name in _UNSUPPORTED:
            raise ValueError(f"{name} is not supported: write BYDAY, BYMONTHDAY and BYMONTH")
        if name not in _PARTS:
            raise ValueError(f"not a part of an RRULE: {part!r}{did_you_mean(name, _PARTS)}")
        if name in parts:
            raise ValueError(f"{name} is given twice")
        parts[name] = value
    if "FREQ" not in parts:
        raise ValueError("FREQ is missing (DAILY, WEEKLY, MONTHLY or YEARLY)")
    if "COUNT" in parts and "UNTIL" in parts:
        raise ValueError("COUNT and UNTIL exclude each other")
    return parts


def _refuse_what_means_nothing(rule: CalendarRule) -> None:
    """Source: RFC 5545 §3.3.10."""
    is_counted = any(number for number, _ in rule.weekdays)
    if is_counted and (rule.frequency not in ("MONTHLY", "YEARLY") or rule.month_days):
        raise ValueError("BYDAY with a number goes with FREQ=MONTHLY or YEARLY, and without BYMONTHDAY")
    if rule.month_days and rule.frequency == "WEEKLY":
        raise ValueError("BYMONTHDAY does not go with FREQ=WEEKLY")
    if rule.positions and (rule.frequency != "MONTHLY" or not (rule.weekdays or rule.month_days)):
        raise ValueError("BYSETPOS is supported with FREQ=MONTHLY and BYDAY or BYMONTHDAY")


def _list(parts: Mapping[str, str], name: str, read: Callable[[str], Item]) -> frozenset[Item]:
    return frozenset(read(item) for item in parts[name].split(",")) if name in parts else frozenset()


def _number(name: str, text: str, least: int, most: int) -> int:
    if not _NUMBER.fullmatch(text) or not least <= int(text) <= most or (least < 0 and int(text) == 0):
        between = f"{least} to -1, or 1 to {most}" if least < 0 else f"{least} to {most}"
        raise ValueError(f"{name}={text}: write {between}")
    return int(text)


def _one(parts: Mapping[str, str], name: str, least: int, most: int) -> int:
    return _number(name, parts[name], least, most) if name in parts else 0


def _weekday(text: str) -> tuple[int, int]:
    match = _BY_DAY.fullmatch(text)
    number = int(match[1]) if match and match[1] else 0
    if match is None or (match[1] and not 1 <= abs(number) <= 53):
        raise ValueError(f"BYDAY={text}: write SU, 1SU (the first) or -1SU (the last)")
    return number, _DAYS[match[2]]


def _week_start(text: str) -> int:
    if text not in _DAYS:
        raise ValueError(f"WKST={text}: write MO, TU, …")
    return _DAYS[text]


def _until(text: str) -> Until:
    match = _UNTIL.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        at = datetime.strptime(match[1] + (match[2] or "235959"), "%Y%m%d%H%M%S")  # noqa: DTZ007  wall clock
        if at.year > LAST_YEAR:
            raise ValueError
    except ValueError:
        raise ValueError(f"UNTIL={text}: write 20261231, 20261231T040000 or 20261231T040000Z") from None
    return Until(at.replace(tzinfo=UTC) if match[3] else at)


def _week(day: date, start: int) -> int:
    """Ordinal of the first day of the day's week."""
    return day.toordinal() - (day.weekday() - start) % 7


def _names_of(day: date, *, in_year: bool) -> set[tuple[int, int]]:
    """As which weekday BYDAY may name it: every one, the n-th, the n-th from the end."""
    if in_year:
        place, length = day.timetuple().tm_yday, 366 if calendar.isleap(day.year) else 365
    else:
        place, length = day.day, calendar.monthrange(day.year, day.month)[1]
    weekday = day.weekday()
    return {(0, weekday), ((place - 1) // 7 + 1, weekday), (-((length - place) // 7 + 1), weekday)}


def _month(day: date) -> list[date]:
    return [day.replace(day=number + 1) for number in range(calendar.monthrange(day.year, day.month)[1])]


def _at(days: list[date], place: int) -> date | None:
    index = place - 1 if place > 0 else len(days) + place
    return days[index] if 0 <= index < len(days) else None
