"""Which windows a rule gives, beside python-dateutil's reading of RFC 5545."""

from __future__ import annotations

import time
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sentinel.notify.mutes.calendar_rule import CalendarRule
from sentinel.notify.mutes.recurrence import Recurrence, Window

DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


def instant(text: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def recurrence(rule: str, start: str, end: str, zone: str = "Asia/Shanghai") -> Recurrence:
    return Recurrence.of(rule, zone, Window(instant(start, zone), instant(end, zone)))


def shown(window: Window | None, zone: str) -> tuple[str, str] | None:
    if window is None:
        return None
    begin, end = (datetime.fromtimestamp(at, ZoneInfo(zone)) for at in (window.start, window.end))
    return begin.strftime("%F %H:%M"), end.strftime("%F %H:%M")


@st.composite
def rules(draw: st.DrawFn) -> str:
    frequency = draw(st.sampled_from(("DAILY", "WEEKLY", "MONTHLY", "YEARLY")))
    parts = [f"FREQ={frequency}"]
    if draw(st.booleans()):
        parts.append(f"INTERVAL={draw(st.integers(1, 5))}")
    if draw(st.booleans()):
        months = draw(st.sets(st.integers(1, 12), min_size=1, max_size=4))
        parts.append("BYMONTH=" + ",".join(map(str, months)))
    has_month_days = frequency != "WEEKLY" and draw(st.booleans())
    if has_month_days:
        numbers = st.integers(-31, 31).filter(bool)
        parts.append("BYMONTHDAY=" + ",".join(map(str, draw(st.sets(numbers, min_size=1, max_size=5)))))
    has_days = draw(st.booleans())
    if has_days:
        names = st.sampled_from(DAYS)
        if frequency in ("MONTHLY", "YEARLY") and not has_month_days and draw(st.booleans()):
            numbers = st.integers(-5, 5).filter(bool)
            names = st.builds(lambda number, name: f"{number}{name}", numbers, st.sampled_from(DAYS))
        parts.append("BYDAY=" + ",".join(draw(st.sets(names, min_size=1, max_size=3))))
    if frequency == "MONTHLY" and (has_days or has_month_days) and draw(st.booleans()):
        parts.append(f"BYSETPOS={draw(st.sampled_from((1, 2, 3, -1, -2)))}")
    if draw(st.booleans()):
        parts.append(f"WKST={draw(st.sampled_from(DAYS))}")
    end = draw(st.sampled_from(("", "COUNT=7", "UNTIL=20290101T120000")))
    return ";".join([*parts, end] if end else parts)


@settings(deadline=None, max_examples=300)
@given(rules(), st.dates(date(2024, 1, 1), date(2026, 12, 31)))
def test_the_same_days_as_dateutil(text: str, near: date) -> None:
    begin = datetime.combine(near, datetime.min.time())
    # A first day that the rule gives: dateutil counts the first day it is told, whatever the rule says.
    reference = rrulestr(text, dtstart=begin).after(begin, inc=True)
    assume(reference is not None and reference.year < 2029)
    first = reference.date()
    begin = datetime.combine(first, datetime.min.time())
    expected = [
        found.date()
        for found in rrulestr(text, dtstart=begin).between(begin, begin + timedelta(1500), inc=True)
    ]
    rule = CalendarRule.parse(text, first)
    last = rule.last_counted() or (rule.until.at.date() if rule.until else date.max)
    assert [day for day in rule.days(first, 1500) if day <= last] == expected
    back = [day for day in rule.days_back(first + timedelta(1500), 1500) if day <= last]
    assert back[::-1] == expected


def test_every_sunday_night_holds_over_the_change_of_the_clocks() -> None:
    weekly = recurrence("sunday", "2026-03-15T02:00", "2026-03-15T04:00", "Europe/Berlin")
    at, found = weekly.first.start - 1, []
    for _ in range(4):
        window = weekly.at_or_after(at)
        assert window is not None
        found.append(shown(window, "Europe/Berlin"))
        at = window.end
    # On 2026-03-29 the clocks go from 02:00 to 03:00: what begins at 02:00 begins at 03:00 then.
    assert found == [
        ("2026-03-15 02:00", "2026-03-15 04:00"),
        ("2026-03-22 02:00", "2026-03-22 04:00"),
        ("2026-03-29 03:00", "2026-03-29 04:00"),
        ("2026-04-05 02:00", "2026-04-05 04:00"),
    ]


@pytest.mark.parametrize(
    ("start", "end", "on", "expected"),
    [
        ("2026-10-24T01:00", "2026-10-24T04:00", "2026-10-25", (1.0, 4 * 3600)),  # an hour is shown twice
        ("2026-03-28T02:15", "2026-03-28T02:45", "2026-03-29", (3.25, 1800)),  # both are skipped
        ("2026-03-28T02:45", "2026-03-28T03:15", "2026-03-29", (3.75, 1800)),  # would end before it begins
        ("2026-03-28T01:30", "2026-03-28T02:30", "2026-03-29", (1.5, 3600)),
        ("2026-03-27T22:00", "2026-03-28T06:00", "2026-03-28", (22.0, 7 * 3600)),
    ],
)
def test_windows_on_days_when_the_clocks_change(
    start: str, end: str, on: str, expected: tuple[float, float]
) -> None:
    end_of_last = instant(on, "Europe/Berlin") - 2 * 86400
    begin = datetime.fromtimestamp(0, ZoneInfo("UTC"))
    while begin.date().isoformat() < on:
        window = recurrence("daily", start, end, "Europe/Berlin").at_or_after(end_of_last)
        assert window is not None
        end_of_last = window.end
        begin = datetime.fromtimestamp(window.start, ZoneInfo("Europe/Berlin"))
    assert window is not None
    assert (begin.date().isoformat(), begin.hour + begin.minute / 60) == (on, expected[0])
    assert window.end - window.start == expected[1]


@settings(deadline=None)
@given(
    st.sampled_from(
        ("Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")
    ),
    st.integers(0, 24 * 60 - 1),
    st.integers(1, 30 * 60),
    st.floats(0, 400 * 86400),
    st.sampled_from(("daily", "weekly", "FREQ=DAILY;INTERVAL=3", "FREQ=MONTHLY;BYMONTHDAY=-1,1,15")),
)
def test_an_instant_is_in_a_window_or_before_the_next(
    zone: str, minute: int, minutes: int, later: float, rule: str
) -> None:
    day = date(2026, 1, 1)
    begin = datetime.combine(day, datetime.min.time()) + timedelta(minutes=minute)
    start = begin.replace(tzinfo=ZoneInfo(zone)).timestamp()
    made = Recurrence.of(rule, zone, Window(start, start + minutes * 60))
    at = start + later
    found, before = made.at_or_after(at), made.last_before(at)
    assert found is not None
    assert found.start < found.end
    assert found.end > at
    if before is not None:
        assert before.end <= at
        assert before.start < found.start
    wall = datetime.fromtimestamp(found.start, ZoneInfo(zone))
    is_skipped = wall.replace(tzinfo=None).time() != begin.time()
    if is_skipped:  # the time on the wall was not there that day
        there = datetime.combine(wall.date(), begin.time(), ZoneInfo(zone))
        assert there.astimezone(ZoneInfo("UTC")).astimezone(ZoneInfo(zone)).time() != begin.time()


def test_counted_and_ended_rules_are_over_after_their_last_window() -> None:
    thrice = recurrence("FREQ=WEEKLY;BYDAY=SU;COUNT=3", "2026-11-01T02:00", "2026-11-01T04:00")
    assert thrice.over_at == instant("2026-11-15T04:00", "Asia/Shanghai")
    assert thrice.at_or_after(thrice.over_at) is None
    assert shown(thrice.last_before(thrice.over_at + 1e6), "Asia/Shanghai") == (
        "2026-11-15 02:00",
        "2026-11-15 04:00",
    )
    until = recurrence("FREQ=DAILY;UNTIL=20261103T015959", "2026-11-01T02:00", "2026-11-01T04:00")
    assert until.over_at == instant("2026-11-02T04:00", "Asia/Shanghai")
    utc = recurrence("FREQ=DAILY;UNTIL=20261102T180000Z", "2026-11-01T02:00", "2026-11-01T04:00")
    assert utc.over_at == instant("2026-11-03T04:00", "Asia/Shanghai")
    assert recurrence("daily", "2026-11-01T02:00", "2026-11-01T04:00").over_at is None


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ("", "not a recurrence"),
        ("sundy", "did you mean 'sunday'"),
        ("FREQ=HOURLY", "windows recur DAILY"),
        ("BYDAY=SU", "FREQ is missing"),
        ("FREQ=DAILY;FREQ=DAILY", "twice"),
        ("FREQ=DAILY;BYHOUR=3", "time of day is that of the first"),
        ("FREQ=YEARLY;BYWEEKNO=3", "not supported"),
        ("FREQ=DAILY;INTERVALL=2", "did you mean 'INTERVAL'"),
        ("FREQ=DAILY;INTERVAL=0", "write 1 to 1000"),
        ("FREQ=DAILY;INTERVAL=99999999999999999999", "write 1 to 1000"),
        ("FREQ=YEARLY;INTERVAL=6", "write 1 to 5"),
        ("FREQ=DAILY;COUNT=2;UNTIL=20270101", "exclude each other"),
        ("FREQ=DAILY;UNTIL=20261301", "write 20261231"),
        ("FREQ=DAILY;UNTIL=99991231", "write 20261231"),
        ("FREQ=DAILY;UNTIL=20261031", "UNTIL is before|does not give"),
        ("FREQ=MONTHLY;BYDAY=MO", "does not give"),
        ("FREQ=WEEKLY;BYDAY=1SU", "goes with FREQ=MONTHLY"),
        ("FREQ=MONTHLY;BYDAY=99SU", "write SU, 1SU"),
        ("FREQ=WEEKLY;BYMONTHDAY=1", "does not go with"),
        ("FREQ=MONTHLY;BYMONTHDAY=0", "write -31 to -1, or 1 to 31"),
        ("FREQ=MONTHLY;BYMONTHDAY=١", "write"),
        ("FREQ=WEEKLY;BYDAY=SU;BYSETPOS=1", "BYSETPOS is supported"),
        ("FREQ=DAILY;WKST=XX", "WKST"),
        ("FREQ=DAILY;" * 100, "characters"),
    ],
)
def test_what_is_not_a_rule_is_refused_with_a_reason(rule: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        recurrence(rule, "2026-11-01T02:00", "2026-11-01T04:00")


@pytest.mark.parametrize(
    "zone", ["", "Mars/Olympus", "../../etc/passwd", "/etc/localtime", "Europe", "x" * 5000, "\ud800", "a\0b"]
)
def test_what_is_not_a_zone_is_refused(zone: str) -> None:
    with pytest.raises(ValueError, match="time zone"):
        Recurrence.of("daily", zone, Window(0.0, 3600.0))


def test_a_window_that_recurs_is_shorter_than_its_month() -> None:
    with pytest.raises(ValueError, match="31 days"):
        recurrence("yearly", "2026-11-01T02:00", "2026-12-31T04:00")


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=DAILY;INTERVAL=1000;BYMONTH=11;BYMONTHDAY=1",
        "FREQ=YEARLY;INTERVAL=5;BYMONTH=11;BYDAY=1SU;COUNT=1000",
        "FREQ=MONTHLY;INTERVAL=60;BYDAY=SU;BYSETPOS=1",
    ],
)
def test_no_rule_costs_much(rule: str) -> None:
    began = time.process_time()
    made = recurrence(rule, "2026-11-01T02:00", "2026-11-01T04:00")
    made.at_or_after(made.first.end)
    assert time.process_time() - began < 2.0
