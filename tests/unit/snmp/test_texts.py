"""Values as texts and numbers, at the edges of what devices send."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sentinel.collect.snmp import texts


def date(year: int, month: int = 3, day: int = 1) -> bytes:
    return year.to_bytes(2, "big") + bytes((month, day, 4, 5, 6, 0))


@pytest.mark.parametrize("year", [1, 1900, 1970, 1999, 2000, 2024, 2100, 9999])
def test_dates_are_those_of_the_calendar(year: int) -> None:
    assert texts.date_and_time(date(year)) == datetime(year, 3, 1, 4, 5, 6, tzinfo=UTC).timestamp()


def test_a_date_beyond_pythons_calendar_is_read_all_the_same() -> None:
    year = 86400 * 146_097 / 400
    assert texts.date_and_time(date(65535)) == pytest.approx((65535 - 1970) * year, rel=1e-5)
