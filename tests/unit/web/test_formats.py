from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.web.formats import format_instant, format_number, parse_instant, parse_seconds


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"),
        (0.1, "0.1"),
        (-0.0, "-0"),
        (1e21, "1000000000000000000000"),
        (1.5e-7, "0.00000015"),
        (123456.789, "123456.789"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
        (math.nan, "NaN"),
        (5e-324, "0." + "0" * 323 + "5"),
    ],
)
def test_numbers_look_as_in_prometheus(value: float, text: str) -> None:
    assert format_number(value) == text


@given(st.floats(allow_nan=False))
def test_numbers_read_back(value: float) -> None:
    text = format_number(value)
    assert "e" not in text
    assert float(text) == value


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("1435781451.781", 1435781451.781),
        ("2015-07-01T20:10:51.781Z", 1435781451.781),
        ("2015-07-02T04:10:51+08:00", 1435781451.0),
        ("-1", -1.0),
    ],
)
def test_instants(text: str, at: float) -> None:
    assert parse_instant(text) == pytest.approx(at)


@pytest.mark.parametrize("text", ["", "now", "2015-07-01", "2015-07-01T20:10:51", "NaN", "inf", "1e300"])
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="cannot parse"):
        parse_instant(text)


def test_an_instant_is_written_in_utc() -> None:
    assert format_instant(1435781451.781) == "2015-07-01T20:10:51.781Z"
    assert format_instant(None) == "0001-01-01T00:00:00Z"


@pytest.mark.parametrize(("text", "seconds"), [("15", 15.0), ("0.5", 0.5), ("1m30s", 90.0)])
def test_steps(text: str, seconds: float) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "fast", "nan", "inf"])
def test_what_is_no_step_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="cannot parse"):
        parse_seconds(text)
