"""Scales, words and pictures."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sentinel.model.batch import Floats
from sentinel.model.labels import Labels
from sentinel.notify.chart.charts import curves_of, span
from sentinel.notify.chart.draw import ALARM, COLOURS, HEIGHT, PAPER, WIDTH, draw
from sentinel.notify.chart.figure import Curve, Figure, names_of, short
from sentinel.notify.facts import AlertFacts
from sentinel.promql.evaluation import Track

START = 1_700_000_000.0  # 22:13:20 UTC


def figure(*series: Any, **more: Any) -> Figure:
    curves = []
    for number, values in enumerate(series or ([1.0, 2.0, 3.0],)):
        array: Floats = np.asarray(values, np.float64)
        curves.append(
            Curve(f"series={number}", START + 60.0 * np.arange(len(array), dtype=np.float64), array)
        )
    given: dict[str, Any] = {
        "title": "t",
        "start": START,
        "end": START + 3600,
        "step": 60.0,
        "zone": ZoneInfo("UTC"),
    }
    return Figure(curves=tuple(curves), **(given | more))


def picture(of: Figure) -> Image.Image:
    found = Image.open(io.BytesIO(draw(of)))
    assert found.format == "PNG"
    return found.convert("RGB")


def has(of: Image.Image, colour: str) -> int:
    """Pixels close to a colour: there are 64 in a picture."""
    wanted = np.array([int(colour[index : index + 2], 16) for index in (1, 3, 5)])
    distance = np.abs(np.asarray(of, np.int16) - wanted).max(axis=2)
    return int((distance <= 24).sum())


@pytest.mark.parametrize(
    ("series", "threshold", "ticks"),
    [
        ([10.0, 95.0], 90.0, [0, 25, 50, 75, 100]),
        ([0.0, 1.0], None, [0, 0.25, 0.5, 0.75, 1]),
        ([5.0, 5.0], None, [4.6, 4.8, 5.0, 5.2, 5.4]),
        ([0.0, 0.0], None, [-1, -0.5, 0, 0.5, 1]),
        ([-3.0, 4.0], None, [-2, 0, 2, 4]),
        ([1e9, 4e9], 5e8, [0, 1e9, 2e9, 3e9, 4e9]),
    ],
)
def test_ticks_are_round(series: list[float], threshold: float | None, ticks: list[float]) -> None:
    assert figure(series, threshold=threshold).value_ticks == pytest.approx(ticks)


def test_times_are_local_and_round() -> None:
    shanghai = figure(zone=ZoneInfo("Asia/Shanghai"))
    assert [text for _, text in shanghai.time_ticks] == ["06:20", "06:30", "06:40", "06:50", "07:00", "07:10"]
    kathmandu = figure(zone=ZoneInfo("Asia/Kathmandu"), end=START + 86400)
    assert all(text.endswith(":00") for _, text in kathmandu.time_ticks)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.25, "0.25"), (97.123, "97.12"), (1500, "1.5k"), (2.5e9, "2.5G"), (-3e6, "-3M"), (1e-7, "1.0e-07"),
     (1e20, "1.00e+20")],
)  # fmt: skip
def test_numbers_are_short(value: float, text: str) -> None:
    assert short(value) == text


def test_names_say_what_differs() -> None:
    one = {"instance": "w", "device": "a"}
    assert names_of([one]) == [""]
    assert names_of([one, {"instance": "w", "device": "b", "kind": "x"}]) == ["device=a", "device=b, kind=x"]


def test_the_picture_shows_the_curve_its_threshold_and_since_when_it_fires() -> None:
    plain = picture(figure([10.0] * 60))
    assert plain.size == (2 * WIDTH, 2 * HEIGHT)
    assert has(plain, COLOURS[0]) > 1000
    assert has(plain, ALARM) == 0
    assert has(plain, PAPER) > 0.8 * plain.width * plain.height
    full = picture(figure([10.0] * 60, threshold=5.0, fired_at=START + 1800))
    assert has(full, ALARM) > 1000
    assert (
        has(full, PAPER) < has(plain, PAPER) - 50_000
    )  # the time for which it fires has a ground of its own


def test_four_series_have_a_colour_and_a_line_of_the_legend_each() -> None:
    found = picture(figure(*([float(number)] * 60 for number in range(4))))
    assert found.height > 2 * HEIGHT
    assert all(has(found, colour) > 1000 for colour in COLOURS)


def test_a_gap_is_no_line() -> None:
    whole = figure([1.0] * 60)
    (curve,) = whole.curves
    keep = np.r_[0:20, 40:60]
    torn = replace(whole, curves=(Curve("", curve.times[keep], curve.values[keep]),))
    assert has(picture(torn), COLOURS[0]) < 0.75 * has(picture(whole), COLOURS[0])


VALUES = st.floats(-1e99, 1e99, allow_nan=False)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(VALUES, min_size=2, max_size=20), min_size=1, max_size=4),
    st.one_of(st.none(), VALUES),
    st.text(max_size=300),
    st.floats(-1e5, 1e5),
)
def test_any_numbers_and_texts_give_a_picture(
    series: list[list[float]], threshold: float | None, title: str, fired: float
) -> None:
    one = figure(
        *series, threshold=threshold, title=title, fired_at=START + fired, ended_at=START + fired + 60
    )
    assert picture(one).width == 2 * WIDTH
    assert len(one.description) <= 400


def alert(starts_at: float, ends_at: float | None = None) -> AlertFacts:
    return AlertFacts(
        fingerprint="f", labels={}, annotations={}, status="firing", unknown=False,
        starts_at=starts_at, ends_at=ends_at, value=1.0,
    )  # fmt: skip


def test_what_is_shown_begins_before_for_and_ends_with_the_message() -> None:
    now = START + 100_000
    assert span(alert(START), 0.0, at=START, now=now) == (START - 3600, START)
    assert span(alert(START), 7200.0, at=START, now=now) == (START - 7800, START)
    assert span(alert(START, START + 60), 0.0, at=START + 60, now=now) == (START - 3240, START + 360)
    assert span(alert(START, START + 60), 0.0, at=START + 60, now=START + 61)[1] == START + 61
    assert span(alert(START - 1e6), 0.0, at=START, now=now) == (START - 86400, START)


def test_what_cannot_be_drawn_is_left_out() -> None:
    def track(*values: float) -> Track:
        return Track(
            Labels(a=str(values[0])),
            START + np.arange(len(values), dtype=np.float64) * 15.0,
            np.array(values, np.float64),
        )

    assert curves_of([track(1.0), track(float("nan"), float("inf"), 2.0), track(1e300, 1e300)]) == ()
    found = curves_of([track(float(number), 1.0) for number in range(9)])
    assert [one.name for one in found] == ["a=0.0", "a=1.0", "a=2.0", "a=3.0"]
