"""The engine beside a naive evaluator, on random series with gaps, resets, ends and beginnings."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentinel.model.batch import STALE, Batch, Layout, Reading, Source
from sentinel.model.labels import Labels
from sentinel.promql import Engine, EvaluationError
from sentinel.promql.value import Vector
from sentinel.series.head import Head
from tests.unit.promql import reference
from tests.unit.promql.reference import Series

START = 1_700_000_000.0
_CELLS = st.one_of(
    st.integers(0, 40).map(float),
    st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: round(value, 3)),
    st.just(None),
)


@st.composite
def fleets(draw: st.DrawFn) -> tuple[Head, list[Series], float]:
    """A head fed by some sources, the same series as lists of samples, and the instant of the newest poll.

    None among the drawn cells is a series that is not there in that poll: it ends with a staleness marker.
    """
    polls = draw(st.integers(1, 12))
    head = Head(recent=3600.0)  # one source after the other
    everything: list[Series] = []
    for number in range(draw(st.integers(1, 3))):
        rows = draw(st.integers(1, 4))
        interval = draw(st.sampled_from([15.0, 15.0, 60.0]))
        phase = draw(st.integers(0, 14_000)) / 1000
        labels = {"instance": f"h{number}", "job": "node"}
        where = Source(f"h{number}", "node", Labels(labels), interval)
        series = [Series({**labels, "row": str(row), "odd": str(row % 2)}, []) for row in range(rows)]
        everything.extend(series)
        names = [Labels(__name__="x", row=str(row), odd=str(row % 2)) for row in range(rows)]
        kept: tuple[tuple[int, ...], Layout] = ((), Layout(()))
        alive: set[int] = set()
        for poll in range(polls):
            if draw(st.integers(0, 7)) == 0:
                continue
            at = round(START + phase + poll * interval, 3)
            cells = draw(st.lists(_CELLS, min_size=rows, max_size=rows))
            there = tuple(row for row, cell in enumerate(cells) if cell is not None)
            if kept[0] != there:
                kept = (there, Layout(tuple(names[row] for row in there)))
            values = np.array([cells[row] for row in there], np.float64)
            head.append([Batch(where, at, Reading(kept[1], values), up=True, duration=0.1)])
            for row, cell in enumerate(cells):
                if cell is not None:
                    series[row].points.append((at, cell))
                    alive.add(row)
                elif row in alive:
                    series[row].points.append((at, None))
                    alive.discard(row)
    return head, everything, START + draw(st.integers(0, polls * 60 + 60))


def by_labels(value: object) -> dict[tuple[str, ...], float]:
    assert isinstance(value, Vector)
    return {
        tuple(labels.get(name, "") for name in ("instance", "row")): number
        for labels, number in value.samples()
    }


def same(got: dict[tuple[str, ...], float], want: dict[tuple[str, ...], float]) -> None:
    assert got.keys() == want.keys()
    for key, value in want.items():
        assert got[key] == pytest.approx(value, rel=1e-9, abs=1e-6), key


def key(series: Series) -> tuple[str, ...]:
    return (series.labels["instance"], series.labels["row"])


@settings(max_examples=60, deadline=None)
@given(fleets(), st.sampled_from([30, 45, 90, 300]), st.sampled_from(["rate", "increase", "delta"]))
def test_rates_agree(fleet: tuple[Head, list[Series], float], seconds: int, function: str) -> None:
    head, everything, at = fleet
    want = {}
    for series in everything:
        points = reference.window(series, at - seconds, at)
        value = reference.extrapolated(
            points, at - seconds, at, counter=function != "delta", rate=function == "rate"
        )
        if value is not None:
            want[key(series)] = value
    same(by_labels(Engine(head).compile(f"{function}(x[{seconds}s])").instant(at)), want)


@settings(max_examples=60, deadline=None)
@given(fleets(), st.sampled_from([20, 60, 300]), st.sampled_from(sorted(reference.OVER_TIME)))
def test_functions_over_time_agree(
    fleet: tuple[Head, list[Series], float], seconds: int, function: str
) -> None:
    head, everything, at = fleet
    want = {
        key(series): reference.OVER_TIME[function](points)
        for series in everything
        if (points := reference.window(series, at - seconds, at))
    }
    same(by_labels(Engine(head).compile(f"{function}(x[{seconds}s])").instant(at)), want)


@settings(max_examples=40, deadline=None)
@given(fleets(), st.sampled_from([0.0, 0.3, 0.5, 0.99, 1.0]))
def test_quantiles_and_slopes_agree(fleet: tuple[Head, list[Series], float], q: float) -> None:
    head, everything, at = fleet
    windows = {key(series): reference.window(series, at - 300, at) for series in everything}
    engine = Engine(head)
    want = {k: reference.quantile(q, [v for _, v in points]) for k, points in windows.items() if points}
    same(by_labels(engine.compile(f"quantile_over_time({q}, x[5m])").instant(at)), want)
    slopes = {k: slope for k, points in windows.items() if (slope := reference.slope(points)) is not None}
    same(by_labels(engine.compile("deriv(x[5m])").instant(at)), slopes)


@settings(max_examples=60, deadline=None)
@given(
    fleets(), st.sampled_from(sorted(reference.AGGREGATIONS)), st.sampled_from([("odd",), ("instance",), ()])
)
def test_aggregations_agree(
    fleet: tuple[Head, list[Series], float], operator: str, by: tuple[str, ...]
) -> None:
    head, everything, at = fleet
    vector = [
        (series.labels, value) for series in everything if (value := reference.newest(series, at)) is not None
    ]
    got = Engine(head).compile(f"{operator} by ({', '.join(by)}) (x)").instant(at)
    assert isinstance(got, Vector)
    found = {tuple(labels.get(name, "") for name in by): value for labels, value in got.samples()}
    same(found, reference.aggregate(vector, operator, by=by))


@settings(max_examples=60, deadline=None)
@given(fleets(), st.integers(0, 40))
def test_matching_agrees(fleet: tuple[Head, list[Series], float], limit: int) -> None:
    head, everything, at = fleet
    engine = Engine(head)
    vector = {key(s): value for s in everything if (value := reference.newest(s, at)) is not None}
    odd = {key(s): s.labels["odd"] for s in everything}
    total: dict[tuple[str, str], float] = {}
    for k, value in vector.items():
        total[k[0], odd[k]] = math.fsum([total.get((k[0], odd[k]), 0.0), value])
    got = engine.compile("x - on(instance, odd) group_left sum by (instance, odd) (x)").instant(at)
    same(by_labels(got), {k: value - total[k[0], odd[k]] for k, value in vector.items()})
    above = {k: value for k, value in vector.items() if value > limit}
    same(by_labels(engine.compile(f"x > {limit}").instant(at)), above)
    same(by_labels(engine.compile(f"x and (x > {limit})").instant(at)), above)
    rest = {k: value for k, value in vector.items() if k not in above}
    same(by_labels(engine.compile(f"x unless (x > {limit})").instant(at)), rest)
    same(by_labels(engine.compile(f"(x > {limit}) or x").instant(at)), vector)
    pairs: dict[str, int] = {}
    for k in vector:
        pairs[k[0]] = pairs.get(k[0], 0) + 1
    many = engine.compile("x + on(instance) x")
    if any(count > 1 for count in pairs.values()):
        with pytest.raises(EvaluationError, match="many-to-many"):
            many.instant(at)
    else:
        assert len(by_labels(many.instant(at))) == len(vector)


@settings(max_examples=30, deadline=None)
@given(fleets(), st.sampled_from(["x", "rate(x[2m])", "sum by (odd) (x)", "x > 5 or -x", "topk(1, x)"]))
def test_a_range_query_is_its_instants_one_by_one(fleet: tuple[Head, list[Series], float], text: str) -> None:
    head, _, at = fleet
    expression = Engine(head).compile(text)
    tracks = expression.range(at - 120, at, 40)
    got = {
        (track.labels, moment): value
        for track in tracks
        for moment, value in zip(track.times.tolist(), track.values.tolist(), strict=True)
    }
    want = {}
    for step in range(4):
        value = expression.instant(at - 120 + 40 * step)
        assert isinstance(value, Vector)
        want.update({(labels, at - 120 + 40 * step): number for labels, number in value.samples()})
    assert got == want


def test_a_marker_given_as_a_value_ends_the_series_in_windows_too() -> None:
    head = Head()
    where = Source("h", "m", Labels(instance="h"), 15.0)
    shape = Layout.of([Labels(__name__="x")])
    for step, value in enumerate([1.0, 2.0, STALE, 10.0, 11.0]):
        head.append(
            [Batch(where, START + 15 * step, Reading(shape, np.array([value])), up=True, duration=0.1)]
        )
    got = Engine(head).compile("count_over_time(x[5m])").instant(START + 60)
    assert isinstance(got, Vector)
    assert got.values.tolist() == [4.0]
