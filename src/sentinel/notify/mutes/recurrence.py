"""Windows that come again: the same times on the wall, whatever the clocks there are put to.

Source: RFC 5545 §3.3.5: a time that the clocks skip is taken by the offset before they were put forward; of one
that they show twice the first is meant.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sentinel.notify.mutes.calendar_rule import CalendarRule

LONGEST = 31 * 86400.0
"""Seconds that one window of several may last."""
MAX_ZONE = 100


@dataclass(frozen=True, slots=True)
class Window:
    """From the start to just before the end, Unix seconds."""

    start: float
    end: float

    def holds(self, at: float) -> bool:
        return self.start <= at < self.end


@dataclass(frozen=True, slots=True)
class Recurrence:
    """The windows that a rule gives."""

    rule: str
    """As people wrote it: an RRULE, or a word."""
    zone: str
    """IANA name."""
    first: Window
    _days: CalendarRule = field(compare=False, repr=False)
    _zone: ZoneInfo = field(compare=False, repr=False)
    _last: date | None = field(default=None, compare=False, repr=False)
    """Day of the last window; None: there is none."""

    @classmethod
    def of(cls, rule: str, zone: str, first: Window) -> Recurrence:
        """
        Raises:
            ValueError: not a rule, not a zone, or not a first window of such a rule.
        """
        if first.end - first.start > LONGEST:
            raise ValueError("a window that recurs may last 31 days at most")
        found = find_zone(zone)
        days = CalendarRule.parse(rule, _wall(first.start, found).date())
        made = cls(rule.strip(), zone, first, days, found)
        if not made._begins_in_time(days.first):
            raise ValueError("UNTIL is before the first window")
        last = days.last_counted()
        if days.until is not None:
            back = days.days_back(days.until.at.date() + timedelta(1))
            last = next((day for day in back if made._begins_in_time(day)), days.first)
        return replace(made, _last=last)

    def at_or_after(self, at: float) -> Window | None:
        """The window that an instant is in, or else the next; None: the last one is over."""
        lasts = timedelta(seconds=self.first.end - self.first.start) + timedelta(days=2)
        for day in self._days.days(_wall(at, self._zone).date() - lasts):
            if self._last is not None and day > self._last:
                return None
            window = self._window(day)
            if window.end > at:
                return window
        return None

    def last_before(self, at: float) -> Window | None:
        """The window that ended last by then."""
        newest = _wall(at, self._zone).date() + timedelta(1)
        for day in self._days.days_back(newest if self._last is None else min(newest, self._last)):
            window = self._window(day)
            if window.end <= at:
                return window
        return None

    @property
    def over_at(self) -> float | None:
        """End of the last window by COUNT or UNTIL; None: there is none."""
        return None if self._last is None else self._window(self._last).end

    def _begins_in_time(self, day: date) -> bool:
        """As UNTIL has it."""
        until = self._days.until
        if until is None:
            return True
        if until.at.tzinfo is not None:
            return self._window(day).start <= until.at.timestamp()
        return self._begin(day) <= until.at

    def _begin(self, day: date) -> datetime:
        return datetime.combine(day, _wall(self.first.start, self._zone).time())

    def _window(self, day: date) -> Window:
        if day == self._days.first:
            return self.first
        begin = self._begin(day)
        lasts = _wall(self.first.end, self._zone) - _wall(self.first.start, self._zone)
        start, end = self._instant(begin), self._instant(begin + lasts)
        if end <= start:  # the clocks skip its end
            end = start + self.first.end - self.first.start
        return Window(start, end)

    def _instant(self, wall: datetime) -> float:
        return wall.replace(tzinfo=self._zone, fold=0).timestamp()


def _wall(at: float, zone: ZoneInfo) -> datetime:
    """What the clock on the wall shows."""
    return datetime.fromtimestamp(at, zone).replace(tzinfo=None, fold=0)


def find_zone(name: str) -> ZoneInfo:
    """Raises: ValueError: there is no such zone."""
    try:
        if len(name) > MAX_ZONE:
            raise ValueError
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        shown = name[:MAX_ZONE]
        raise ValueError(f"unknown time zone {shown!r} (write an IANA name such as Asia/Shanghai)") from None
