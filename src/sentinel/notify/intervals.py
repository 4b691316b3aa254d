"""Time intervals: whether an instant is in one, and when that changes next. Pure.

Source: Alertmanager timeinterval/timeinterval.go (ContainsTime) and notify (TimeMuteStage, TimeActiveStage). A
month is as long as the calendar says, also where it loses an hour to summer time.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sentinel.config.intervals import Range, SpanSettings, TimeIntervalSettings
from sentinel.notify.tree import Grouping

DAY = 86400
SEARCHED = 367
"""Days in which the next change is looked for."""


@dataclass(frozen=True, slots=True)
class Span:
    """One of an interval's parts; None: any. Minutes are those of the day, their end left out."""

    zone: ZoneInfo
    minutes: tuple[tuple[int, int], ...] | None = None
    weekdays: tuple[Range, ...] | None = None
    """0 is Sunday."""
    days: tuple[Range, ...] | None = None
    """Of the month; negative ones from its end."""
    months: tuple[Range, ...] | None = None
    years: tuple[Range, ...] | None = None

    @classmethod
    def of(cls, settings: SpanSettings, zone: ZoneInfo) -> Span:
        times = settings.times
        minutes = None if times is None else tuple((one.start_time, one.end_time) for one in times)
        ranges = (settings.weekdays, settings.days_of_month, settings.months, settings.years)
        return cls(settings.location or zone, minutes, *ranges)

    def contains(self, at: float) -> bool:
        return self.holds(datetime.fromtimestamp(at, self.zone))

    def holds(self, local: datetime) -> bool:
        """
        Args:
            local: on the clock of the zone.
        """
        minute = local.hour * 60 + local.minute
        return (
            (self.minutes is None or any(start <= minute < end for start, end in self.minutes))
            and _is_in(local.year, self.years)
            and _is_in(local.month, self.months)
            and _is_in(local.isoweekday() % 7, self.weekdays)
            and (self.days is None or _is_day_of(local, self.days))
        )

    @property
    def edges(self) -> set[int]:
        """Minutes of the day at which the answer may change."""
        return {0, *(minute for pair in self.minutes or () for minute in pair if minute < 24 * 60)}


@dataclass(frozen=True, slots=True)
class TimeInterval:
    """An instant is in it if it is in any of the spans."""

    spans: tuple[Span, ...]

    @classmethod
    def of(cls, settings: TimeIntervalSettings, zone: ZoneInfo) -> TimeInterval:
        """
        Args:
            zone: of the parts that name no location.
        """
        return cls(tuple(Span.of(one, zone) for one in settings.time_intervals))

    def contains(self, at: float) -> bool:
        """
        Args:
            at: Unix seconds.
        """
        return any(span.contains(at) for span in self.spans)

    def ends_after(self, at: float) -> float | None:
        """When being in it ends, or begins, after an instant; None: not within a year."""
        now = self.contains(at)
        moments = (moment for day in range(SEARCHED) for moment in self._moments(at, day))
        return next((moment for moment in moments if self.contains(moment) != now), None)

    def _moments(self, at: float, day: int) -> list[float]:
        """Where the answer may change in a day of UTC after the instant's, in order."""
        start = int(at // DAY + day) * DAY
        edges: dict[ZoneInfo, set[int]] = {}
        for span in self.spans:
            edges.setdefault(span.zone, set()).update(span.edges)
        found = {moment for zone, minutes in edges.items() for moment in _moments(zone, minutes, start)}
        return sorted(moment for moment in found if moment > at and start <= moment < start + DAY)


@dataclass(frozen=True, slots=True)
class Closed:
    """Why a route tells nobody now."""

    intervals: tuple[str, ...]
    """Names."""
    is_muted: bool
    """True: in a mute interval; False: in none of the active ones."""
    until: float | None
    """Unix seconds; None: for a year at least."""


class Intervals:
    """The time intervals of a configuration by name. Answers stay known for as long as they hold."""

    def __init__(self, intervals: Mapping[str, TimeInterval]) -> None:
        self._intervals = dict(intervals)
        self._known: dict[tuple[str, ...], _Answer] = {}

    @classmethod
    def of(cls, settings: Iterable[TimeIntervalSettings], zone: ZoneInfo) -> Intervals:
        return cls({one.name: TimeInterval.of(one, zone) for one in settings})

    def closed(self, grouping: Grouping, at: float) -> tuple[Closed, ...]:
        """What keeps a route from telling at an instant; nothing: it may."""
        found = []
        if grouping.mute and (muted := self._answer(grouping.mute, at)).is_in:
            names = tuple(name for name in grouping.mute if self._answer((name,), at).is_in)
            found.append(Closed(names, is_muted=True, until=muted.until))
        if grouping.active and not (open_ := self._answer(grouping.active, at)).is_in:
            found.append(Closed(grouping.active, is_muted=False, until=open_.until))
        return tuple(found)

    def state(self, name: str, at: float) -> tuple[bool, float | None]:
        """Whether an instant is in the interval, and when that changes next.

        Raises:
            KeyError: there is no such interval.
        """
        answer = self._answer((name,), at)
        return answer.is_in, answer.until

    def _answer(self, names: tuple[str, ...], at: float) -> _Answer:
        known = self._known.get(names)
        if known is None or not known.since <= at < known.before:
            together = TimeInterval(tuple(span for name in names for span in self._intervals[name].spans))
            known = self._known[names] = _Answer(at, together.contains(at), together.ends_after(at))
        return known


@dataclass(frozen=True, slots=True)
class _Answer:
    since: float
    is_in: bool
    until: float | None

    @property
    def before(self) -> float:
        """Up to here it holds."""
        return self.since + DAY if self.until is None else self.until


def _is_in(number: int, ranges: tuple[Range, ...] | None) -> bool:
    return ranges is None or any(one.first <= number <= one.last for one in ranges)


def _is_day_of(local: datetime, ranges: tuple[Range, ...]) -> bool:
    length = monthrange(local.year, local.month)[1]
    return any(_from_start(one.first, length) <= local.day <= _from_start(one.last, length) for one in ranges)


def _from_start(day: int, length: int) -> int:
    return day if day > 0 else length + day + 1


def _moments(zone: ZoneInfo, minutes: Iterable[int], start: int) -> Iterator[float]:
    """When clocks of the zone show these minutes of the day, or jump: in a day of UTC, and some around it."""
    yield from _jump(zone, start)
    first = datetime.fromtimestamp(start, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    for date in (first + timedelta(days=number) for number in range(3)):
        for minute in minutes:
            shown = date.replace(hour=minute // 60, minute=minute % 60)
            # Where clocks are put back they show it twice.
            yield shown.replace(fold=0).timestamp()
            yield shown.replace(fold=1).timestamp()


def _jump(zone: ZoneInfo, start: int) -> Iterator[float]:
    """When the zone's clocks are put forward or back in a day of UTC."""
    offset = datetime.fromtimestamp(start, zone).utcoffset()
    low, high = start, start + DAY
    if datetime.fromtimestamp(high, zone).utcoffset() == offset:
        return
    while high - low > 1:
        middle = (low + high) // 2
        is_before = datetime.fromtimestamp(middle, zone).utcoffset() == offset
        low, high = (middle, high) if is_before else (low, middle)
    yield float(high)
