"""Time intervals hold when their words say so: by hand, and against a calendar walked minute by minute."""

from __future__ import annotations

import calendar
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from sentinel.config.intervals import MONTHS, WEEKDAYS, TimeIntervalSettings
from sentinel.notify.intervals import Closed, Intervals, TimeInterval
from sentinel.notify.tree import Grouping

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = (
    "UTC",
    "Europe/Berlin",
    "Asia/Shanghai",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
)


def interval(*spans: dict[str, Any], zone: str = "UTC") -> TimeInterval:
    written = TimeIntervalSettings.model_validate({"name": "x", "time_intervals": spans})
    return TimeInterval.of(written, ZoneInfo(zone))


def times(*pairs: str) -> list[dict[str, str]]:
    """Of texts such as 09:00-17:00."""
    return [dict(zip(("start_time", "end_time"), pair.split("-"), strict=True)) for pair in pairs]


def instant(text: str, zone: str = "UTC", fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


@pytest.mark.parametrize(
    ("span", "inside", "outside"),
    [
        ({}, ["2026-01-01 00:00"], []),
        (
            {"times": times("09:00-17:00")},
            ["2026-01-01 09:00", "2026-01-01 16:59:59.9"],
            ["2026-01-01 17:00"],
        ),
        ({"times": times("09:00-17:00")}, [], ["2026-01-01 08:59:59.9"]),
        ({"times": times("22:00-24:00", "00:00-06:00")}, ["2026-01-01 23:59", "2026-01-02 00:00"], []),
        ({"weekdays": ["monday:friday"]}, ["2026-11-20 00:00"], ["2026-11-21 00:00", "2026-11-22 23:59"]),
        (
            {"weekdays": ["Sunday", "saturday"]},
            ["2026-11-21 00:00", "2026-11-22 12:00"],
            ["2026-11-23 00:00"],
        ),
        ({"days_of_month": ["-3:-1"]}, ["2024-02-27 00:00", "2024-02-29 23:59"], ["2024-02-26 23:59"]),
        ({"days_of_month": ["-3:-1"]}, ["2026-02-26 00:00"], ["2026-02-25 23:59"]),
        ({"days_of_month": ["29"]}, ["2024-02-29 00:00", "2026-01-29 00:00"], ["2026-02-28 00:00"]),
        ({"days_of_month": ["28:31"]}, ["2026-02-28 00:00"], ["2026-02-27 00:00", "2026-03-01 00:00"]),
        ({"days_of_month": ["-31:-30"]}, ["2026-01-01 00:00", "2026-04-01 00:00"], ["2026-02-01 00:00"]),
        ({"days_of_month": ["10:-10"]}, ["2026-02-19 00:00"], ["2026-02-20 00:00", "2026-02-09 00:00"]),
        (
            {"months": ["january:March", "5", "11:12"]},
            ["2026-03-31 00:00", "2026-05-01 00:00"],
            ["2026-04-01"],
        ),
        ({"years": ["2026:2028", 2030]}, ["2028-12-31 23:59", "2030-01-01 00:00"], ["2029-01-01 00:00"]),
        ({"times": []}, [], ["2026-01-01 00:00"]),
        ({"years": []}, [], ["2026-01-01 00:00"]),
        (
            {"location": "Asia/Shanghai", "times": times("09:00-10:00")},
            ["2026-01-01 01:30"],
            ["2026-01-01 09:30"],
        ),
        ({"location": "Asia/Shanghai", "days_of_month": ["-1"]}, ["2026-01-30 16:00"], ["2026-01-31 16:00"]),
    ],
)
def test_an_instant_is_in_it_if_all_that_is_written_holds(
    span: dict[str, Any], inside: list[str], outside: list[str]
) -> None:
    found = interval(span)
    assert [found.contains(instant(text)) for text in inside] == [True] * len(inside)
    assert [found.contains(instant(text)) for text in outside] == [False] * len(outside)


def test_several_parts_are_any_of_them_and_none_is_never() -> None:
    either = interval({"years": ["2026"]}, {"months": ["may"]})
    assert either.contains(instant("2026-01-01"))
    assert either.contains(instant("2030-05-01"))
    assert not either.contains(instant("2030-01-01"))
    assert not interval().contains(0.0)
    assert interval().ends_after(0.0) is None


def test_a_part_without_location_has_the_zone_of_the_daemon() -> None:
    night = interval({"times": times("00:00-06:00")}, zone="Asia/Shanghai")
    assert night.contains(instant("2026-01-01 17:00"))
    assert not night.contains(instant("2026-01-01 01:00"))


def test_the_last_day_of_a_month_that_loses_an_hour_is_the_last_one() -> None:
    last = interval({"days_of_month": ["-1"], "location": "Europe/Berlin"})
    assert last.contains(instant("2026-03-31 12:00", "Europe/Berlin"))
    assert not last.contains(instant("2026-03-30 12:00", "Europe/Berlin"))


@pytest.mark.parametrize(
    ("span", "at", "changes"),
    [
        ({"times": times("09:00-17:00")}, "2026-01-01 12:00:30", "2026-01-01 17:00"),
        ({"times": times("09:00-17:00")}, "2026-01-01 17:00", "2026-01-02 09:00"),
        ({"times": times("00:00-12:00", "12:00-24:00")}, "2026-01-01 17:00", None),
        ({"weekdays": ["monday:friday"]}, "2026-11-20 23:59:59.5", "2026-11-21 00:00"),
        ({"months": ["january"], "days_of_month": ["1"]}, "2026-01-02 00:00", "2027-01-01 00:00"),
        ({"years": ["2030"]}, "2026-01-02 00:00", None),
        ({}, "2026-01-02 00:00", None),
    ],
)
def test_the_next_change_is_told_to_the_minute(span: dict[str, Any], at: str, changes: str | None) -> None:
    assert interval(span).ends_after(instant(at)) == (instant(changes) if changes else None)


@pytest.mark.parametrize(
    ("minutes", "at", "changes"),
    [
        # Put forward at 02:00 on 29 March 2026: 02:30 is not shown, and 03:00 comes after 01:59.
        ("02:30-04:00", "2026-03-29T00:00+01:00", "2026-03-29T03:00+02:00"),
        ("01:00-02:30", "2026-03-29T01:30+01:00", "2026-03-29T03:00+02:00"),
        ("02:10-02:50", "2026-03-29T00:00+01:00", "2026-03-30T02:10+02:00"),
        # Put back at 03:00 on 25 October 2026: the hour from 02:00 is shown twice.
        ("02:30-03:00", "2026-10-25T00:00+02:00", "2026-10-25T02:30+02:00"),
        ("02:30-03:00", "2026-10-25T02:30+02:00", "2026-10-25T02:00+01:00"),
        ("02:30-03:00", "2026-10-25T02:00+01:00", "2026-10-25T02:30+01:00"),
        ("02:30-03:00", "2026-10-25T02:30+01:00", "2026-10-25T03:00+01:00"),
    ],
)
def test_clocks_that_jump_are_followed(minutes: str, at: str, changes: str) -> None:
    found = interval({"times": times(minutes)}, zone="Europe/Berlin")
    at_, changes_ = (datetime.fromisoformat(text).timestamp() for text in (at, changes))
    assert found.ends_after(at_) == changes_


def test_a_day_that_a_zone_leaves_out_is_passed() -> None:
    """Samoa went over the date line: 29 December 2011 was followed by the 31st."""
    friday = interval({"days_of_month": ["30"]}, zone="Pacific/Apia")
    assert friday.ends_after(instant("2011-12-29 12:00", "Pacific/Apia")) == instant(
        "2012-01-30", "Pacific/Apia"
    )


def ranges(members: list[str], size: int = 2) -> st.SearchStrategy[list[str]]:
    """Rising ranges and single ones."""
    pair = st.tuples(st.integers(0, len(members) - 1), st.integers(0, len(members) - 1)).map(sorted)
    text = pair.map(
        lambda ends: members[ends[0]] if ends[0] == ends[1] else ":".join(members[i] for i in ends)
    )
    return st.lists(text, max_size=size)


@st.composite
def day_ranges(draw: st.DrawFn) -> list[str]:
    found = []
    for _ in range(draw(st.integers(0, 2))):
        first, last = sorted(draw(st.tuples(st.integers(1, 31), st.integers(1, 31))))
        form = draw(st.sampled_from(["up", "down", "both"]))
        if form == "both":
            first, last = min(first, 27), max(-31, min(-1, min(first, 27) - 28 + last % 5))
        elif form == "down":
            first, last = -last, -first
        found.append(f"{first}:{last}")
    return found


@st.composite
def part_of_day(draw: st.DrawFn) -> str:
    first, last = sorted(draw(st.lists(st.integers(0, 1440), min_size=2, max_size=2, unique=True)))
    return f"{first // 60:02}:{first % 60:02}-{last // 60:02}:{last % 60:02}"


@st.composite
def spans(draw: st.DrawFn) -> dict[str, Any]:
    kinds: dict[str, st.SearchStrategy[Any]] = {
        "times": st.lists(part_of_day(), max_size=2).map(lambda pairs: times(*pairs)),
        "weekdays": ranges(list(WEEKDAYS)),
        "days_of_month": day_ranges(),
        "months": ranges([*MONTHS, *map(str, range(1, 13))][:12]),
        "years": ranges(["2023", "2024", "2025", "2026"]),
        "location": st.sampled_from(ZONES),
    }
    chosen = draw(st.sets(st.sampled_from(sorted(kinds)), max_size=4))
    return {kind: draw(kinds[kind]) for kind in sorted(chosen)}


def is_in(written: dict[str, Any], at: float, zone: str) -> bool:
    """What Alertmanager's documentation says, on the texts themselves."""
    local = datetime.fromtimestamp(at, ZoneInfo(written.get("location", zone)))
    clock = f"{local.hour:02}:{local.minute:02}"
    if "times" in written and not any(o["start_time"] <= clock < o["end_time"] for o in written["times"]):
        return False
    length = calendar.monthrange(local.year, local.month)[1]
    numbers: dict[str, tuple[int, Callable[[str], int]]] = {
        "weekdays": (WEEKDAYS.index(local.strftime("%A").lower()), WEEKDAYS.index),
        "months": (local.month, lambda text: MONTHS.index(text) + 1),
        "years": (local.year, int),
        "days_of_month": (local.day, lambda text: int(text) if int(text) > 0 else length + 1 + int(text)),
    }
    for key, (number, of) in numbers.items():
        ends = [text.split(":") for text in written.get(key, [])]
        if key in written and not any(number in range(of(end[0]), of(end[-1]) + 1) for end in ends):
            return False
    return True


INSTANTS = st.integers(int(instant("2023-12-01")), int(instant("2026-03-31"))) | st.sampled_from(
    [
        int(instant(text) + shift)
        for text in (
            "2024-02-28",
            "2024-03-01",
            "2025-03-30",
            "2025-10-26",
            "2025-04-06",
            "2025-01-01",
            "2025-03-09",
        )
        for shift in (-86400, -1, 0, 3599, 50000)
    ]
)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(written=st.lists(spans(), max_size=3), at=INSTANTS, zone=st.sampled_from(ZONES))
def test_generated_intervals_hold_as_the_words_say(written: list[dict[str, Any]], at: int, zone: str) -> None:
    found = interval(*written, zone=zone)
    for moment in (at, at + 12345, at + 40 * 86400, at + 0.75):
        assert found.contains(moment) == any(is_in(one, moment, zone) for one in written)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(written=st.lists(spans(), min_size=1, max_size=2), at=INSTANTS, zone=st.sampled_from(ZONES))
def test_the_next_change_is_the_first_of_all_minutes(
    written: list[dict[str, Any]], at: int, zone: str
) -> None:
    found = interval(*written, zone=zone)
    now = found.contains(at)
    minutes = range(at // 60 * 60 + 60, at + 4 * 86400, 60)
    first = next((minute for minute in minutes if found.contains(minute) != now), None)
    told = found.ends_after(at)
    if first is None:
        assert told is None or told > minutes[-1]
        assert told is None or (found.contains(told) != now and found.contains(told - 1) == now)
    else:
        assert told == first


def test_intervals_with_nothing_in_a_year_are_searched_in_a_moment() -> None:
    """The longest search there is visits every day's edges once."""
    far = interval(*[{"times": times("01:00-02:00"), "years": ["2040"], "location": zone} for zone in ZONES])
    assert far.ends_after(instant("2026-01-01")) is None
    assert far.ends_after(instant("2039-01-01")) == instant("2040-01-01 01:00", "Australia/Lord_Howe")


WEEK = Intervals.of(
    [
        TimeIntervalSettings.model_validate(one)
        for one in (
            {"name": "night", "time_intervals": [{"times": times("00:00-06:00", "22:00-24:00")}]},
            {"name": "morning", "time_intervals": [{"times": times("06:00-09:00")}]},
            {
                "name": "office",
                "time_intervals": [{"times": times("09:00-17:00"), "weekdays": ["monday:friday"]}],
            },
            {"name": "never"},
        )
    ],
    ZoneInfo("UTC"),
)


@pytest.mark.parametrize(
    ("mute", "active", "at", "closed"),
    [
        ((), (), "2026-11-20 12:00", []),
        (("night",), (), "2026-11-20 12:00", []),
        (
            ("night", "morning"),
            (),
            "2026-11-20 23:00",
            [Closed(("night",), True, instant("2026-11-21 09:00"))],
        ),
        ((), ("office",), "2026-11-20 12:00", []),
        ((), ("office",), "2026-11-20 18:00", [Closed(("office",), False, instant("2026-11-23 09:00"))]),
        (
            (),
            ("office", "morning"),
            "2026-11-20 18:00",
            [Closed(("office", "morning"), False, instant("2026-11-21 06:00"))],
        ),
        ((), ("never",), "2026-11-20 18:00", [Closed(("never",), False, None)]),
        (
            ("night",),
            ("morning",),
            "2026-11-20 23:00",
            [
                Closed(("night",), True, instant("2026-11-21 06:00")),
                Closed(("morning",), False, instant("2026-11-21 06:00")),
            ],
        ),
    ],
)
def test_a_route_is_closed_in_mute_intervals_and_outside_of_active_ones(
    mute: tuple[str, ...], active: tuple[str, ...], at: str, closed: list[Closed]
) -> None:
    assert list(WEEK.closed(Grouping(mute=mute, active=active), instant(at))) == closed


def test_answers_that_are_known_are_those_that_are_found_anew() -> None:
    start = datetime(2026, 11, 20, tzinfo=UTC)
    for hours in [*range(0, 100, 3), 5, 40, 1, *range(60, 0, -7)]:
        at = (start + timedelta(hours=hours)).timestamp()
        for name in ("night", "office"):
            assert WEEK.state(name, at) == Intervals(WEEK._intervals).state(name, at)


def test_february_has_a_last_day_every_year() -> None:
    last = interval({"months": ["february"], "days_of_month": ["-1"]})
    for year in (2023, 2024, 2100):
        after = last.ends_after(instant(f"{year}-02-01"))
        assert after is not None
        assert datetime.fromtimestamp(after, UTC).date() == date(year, 3, 1) - timedelta(days=1)


@pytest.mark.parametrize(
    ("span", "why"),
    [
        ({"times": times("17:00-09:00")}, "start_time must be before end_time"),
        ({"times": times("24:00-24:00")}, "start_time must be before end_time"),
        ({"times": times("9:00-17:00")}, "not a time of day"),
        ({"times": times("09:00-24:01")}, "not a time of day"),
        ({"times": times("09:00-17:60")}, "not a time of day"),
        ({"times": [{"start_time": "09:00"}]}, "end_time"),
        ({"weekdays": ["friday:monday"]}, "before the first"),
        ({"weekdays": ["mon"]}, "did you mean 'monday'"),
        ({"weekdays": ["1"]}, "not a weekday"),
        ({"weekdays": ["monday:tuesday:friday"]}, "not a range"),
        ({"weekdays": ["monday: friday"]}, "not a weekday"),
        ({"days_of_month": ["0"]}, "not a day of the month"),
        ({"days_of_month": ["1:32"]}, "not a day of the month"),
        ({"days_of_month": ["-5:5"]}, "ends there too"),
        ({"days_of_month": ["-1:-3"]}, "always before"),
        ({"days_of_month": ["28:-2"]}, "always before"),
        ({"days_of_month": ["x"]}, "not a number"),
        ({"months": ["march:january"]}, "before the first"),
        ({"months": ["13"]}, "not a month"),
        ({"months": ["0:3"]}, "not a month"),
        ({"months": ["sept"]}, "not a month"),
        ({"years": ["2028:2026"]}, "before the first"),
        ({"years": ["20x"]}, "not a number"),
        ({"years": [True]}, "write a text"),
        ({"location": "Mars/North"}, "unknown time zone"),
    ],
)
def test_what_no_calendar_has_is_refused(span: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        interval(span)
