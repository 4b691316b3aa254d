"""Range queries over a snapshot give at every step what an instant query over the head gives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import numpy as np
import pytest

from sentinel.model.batch import Batch, Layout, Reading, Source
from sentinel.model.labels import Labels
from sentinel.promql import Engine, EvaluationError, LimitError, Limits
from sentinel.promql.errors import AbandonedError, QueryTimeoutError
from sentinel.promql.evaluation import Evaluation, Track
from sentinel.promql.frame import Budget
from sentinel.promql.value import Vector
from sentinel.series.head import Head
from sentinel.series.reading.archive import Panes
from tests.unit.series.shelf import Shelf

START = 1_700_000_000.0
EXPRESSIONS = (
    "x",
    "-x",
    "x offset 2m",
    "x @ 1700000900",
    "x @ end()",
    "timestamp(x)",
    "x + on (instance, row) y",
    "x / ignoring (odd) group_left y",
    "x > 20 or y",
    "x unless y > 10",
    "sum by (instance) (x)",
    "avg without (row) (x)",
    "topk(2, x)",
    "quantile(0.9, x)",
    'count_values("value", y)',
    "absent(z)",
    "absent_over_time(gone[2m])",
    "scalar(y{row='0',instance='h0'})",
    "vector(time())",
    "rate(x[2m])",
    "rate(x[2m] offset 1m)",
    "rate(x[2m] @ end())",
    "increase(x[90s])",
    "delta(y[2m])",
    "irate(x[2m])",
    "idelta(y[2m])",
    "sum by (job) (rate(x[2m]))",
    "avg_over_time(y[2m])",
    "max_over_time(y[100s])",
    "count_over_time(x[2m])",
    "last_over_time(x[3m])",
    "quantile_over_time(scalar(count(x)) / 100, y[2m])",
    "predict_linear(y[5m] @ end(), 600)",
    "deriv(y[5m])",
    "changes(y[4m])",
    "resets(x[4m])",
    "stddev_over_time(y[2m])",
    "max_over_time(rate(x[1m])[5m:30s])",
    "avg_over_time(sum(x)[3m:])",
    "max_over_time(y[1m:15s] offset 1m)",
    "sum_over_time(sum_over_time(y[1m])[2m:20s])",
    'label_replace(x, "row", "r$1", "row", "(.*)")',
    "histogram_quantile(0.9, sum by (le) (rate(h_bucket[2m])))",
    '{__name__=~"x|y", instance!="h1"}',
    "gone",
    "late",
    "rate(late[2m])",
    "rate(x[2m] anchored)",
    "changes(y[2m] anchored offset 1m)",
    "increase(x[2m] smoothed)",
    "y smoothed",
    "x - on (instance, row) fill(0) y",
    "nothing",
    "1 + 2",
)


@dataclass(frozen=True)
class Fleet:
    head: Head
    end: float
    shelf: Shelf


def fleet(
    *,
    retention: float = 7200.0,
    recent: float = 300.0,
    polls: int = 120,
    until: float = np.inf,
    parts: int = 1,
    base: float = 0.0,
) -> Fleet:
    """Sources with phases, two intervals, missed polls, series that come, go, have gaps and are reset.

    Args:
        base: what counters begin with; they fall to half of it.
    """
    head, rng = Head(retention=retention, recent=recent), np.random.default_rng(3)
    shelf = Shelf(head, until=until, parts=parts)
    sources = [
        Source(f"h{n}", "node", Labels(instance=f"h{n}", job="node"), 15.0 if n < 4 else 60.0)
        for n in range(5)
    ]
    phases = rng.uniform(0, 14, 5).round(3)
    counters = np.full(8, base)
    kept: dict[tuple[str, ...], Layout] = {}
    for poll in range(polls):
        for number, source in enumerate(sources):
            if (source.interval == 60 and poll % 4) or rng.random() < 0.04:
                continue
            at = round(START + poll * 15 + float(phases[number]), 3)
            if rng.random() < 0.02:
                head.append([Batch.down(source, at=at, duration=0.1, reason="timeout")])
                continue
            counters += rng.uniform(0, 10, 8).round(3)
            counters[rng.random(8) < 0.03] = base / 2
            values = {f"x {row} {row % 2}": counters[row] for row in range(4)}
            values |= {f"y {row}": float(rng.integers(0, 30)) for row in range(3)}
            values |= {f"h_bucket {le}": float(poll * k) for k, le in enumerate(("0.1", "1", "+Inf"), 1)}
            if poll < polls // 3:
                values["gone"] = 5.0
            if poll > polls // 2:
                values["late"] = float(poll)
            values = {name: value for name, value in values.items() if rng.random() > 0.01}
            layout = kept.setdefault(tuple(values), Layout.of([_labels(name) for name in values]))
            head.append([Batch(source, at, Reading(layout, np.array(list(values.values()))), True, 0.1)])
    return Fleet(head, START + polls * 15, shelf)


def _labels(text: str) -> Labels:
    name, *rest = text.split()
    if name == "h_bucket":
        return Labels(__name__=name, le=rest[0])
    return Labels({"__name__": name} | dict(zip(("row", "odd"), rest, strict=False)))


def by_step(tracks: list[Track]) -> dict[tuple[float, Labels], float]:
    return {
        (round(at, 3), track.labels): value
        for track in tracks
        for at, value in zip(track.times.tolist(), track.values.tolist(), strict=True)
    }


def evaluated(evaluation: Evaluation) -> Evaluation:
    for _ in evaluation.take():
        pass
    return evaluation


@pytest.fixture(scope="module")
def whole() -> Fleet:
    return fleet()


@pytest.mark.parametrize("step", [15.0, 47.0])
@pytest.mark.parametrize("text", EXPRESSIONS)
def test_every_step_is_what_an_instant_query_gives(whole: Fleet, text: str, step: float) -> None:
    engine = Engine(whole.head)
    start = whole.end - 1200
    got = by_step(engine.compile(text).range(start, whole.end, step))
    want: dict[tuple[float, Labels], float] = {}
    single = engine.compile(text.replace("@ end()", f"@ {whole.end:.0f}"))
    for number in range(int(1200 / step) + 1):
        at = round(start + number * step, 3)
        value = single.instant(at)
        assert not isinstance(value, str)
        pairs = value.samples() if isinstance(value, Vector) else [(Labels(), value)]
        want.update({(at, labels): number for labels, number in pairs})
    same(got, want)


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_an_instant_over_a_snapshot_is_the_same(whole: Fleet, text: str) -> None:
    engine = Engine(whole.head)
    expression = engine.compile(text)
    for at in (whole.end, whole.end - 777.7):
        value, want = evaluated(expression.over(at, at)).value(), expression.instant(at)
        if isinstance(want, Vector):
            assert isinstance(value, Vector)
            same(dict(value.samples()), dict(want.samples()))
        else:
            assert value == want


@pytest.fixture(scope="module", params=[1, 3])
def short(request: pytest.FixtureRequest) -> Fleet:
    """The same samples, of which the head keeps the last eight minutes."""
    return fleet(retention=480.0, parts=request.param)


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_the_archive_goes_on_where_the_head_ends(whole: Fleet, short: Fleet, text: str) -> None:
    start = short.end - 1200
    expression = Engine(short.head, short.shelf).compile(text)
    got = by_step(expression.range(start, short.end, 30))
    want = by_step(Engine(whole.head).compile(text).range(start, whole.end, 30))
    assert len(want) == 0 or text in ("vector(time())", "1 + 2") or short.shelf.asked
    same(got, want)


def test_steps_beyond_the_head_are_evaluated_a_stretch_at_a_time(
    whole: Fleet, short: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sentinel.promql.evaluation._FIRST_STRETCH", 60.0)
    monkeypatch.setattr("sentinel.promql.evaluation.CELLS", 200)
    for text in ("x", "count_values('value', y)", "rate(x[2m])", "gone or late", "sum by (job) (y)"):
        start = short.end - 1700
        got = by_step(Engine(short.head, short.shelf).compile(text).range(start, short.end, 20))
        same(got, by_step(Engine(whole.head).compile(text).range(start, whole.end, 20)))


def test_the_archive_is_asked_for_nothing_that_no_window_needs(short: Fleet) -> None:
    engine, start = Engine(short.head, short.shelf), short.end - 1800
    first = round(start * 1000)
    for text, step, panes in (
        ("x", 120.0, Panes(first, 120_000, 120_000, True)),
        ("x", 600.0, Panes(first, 600_000, 300_000, True)),
        ("x offset 1m", 600.0, Panes(first - 60_000, 600_000, 300_000, True)),
        ("rate(x[20m])", 120.0, None),
        ("rate(x[1m])", 120.0, Panes(first, 120_000, 60_000, False)),
        ("avg_over_time(x[1m])", 120.0, Panes(first, 120_000, 60_000, False)),
        ("x @ start()", 120.0, None),
    ):
        short.shelf.asked.clear()
        engine.compile(text, within_head=False).range(start, short.end, step)
        assert {_based(asked) for asked in short.shelf.asked} == {_based(panes)}, text


def _based(panes: Panes | None) -> Panes | None:
    """Whichever of them is called the first."""
    return panes and replace(panes, first=panes.first % panes.step)


@pytest.mark.parametrize("step", [15.0, 47.0, 77.7, 400.0])
@pytest.mark.parametrize(
    "text",
    [
        "x",
        "gone or late",
        "timestamp(x)",
        "rate(x[2m])",
        "avg_over_time(x[20m])",
        "x offset 3m",
        "deriv(y[5m])",
    ],
)
def test_samples_between_the_windows_are_not_missed(
    whole: Fleet, short: Fleet, text: str, step: float
) -> None:
    start = short.end - 1700
    got = by_step(
        Engine(short.head, short.shelf).compile(text, within_head=False).range(start, short.end, step)
    )
    same(got, by_step(Engine(whole.head).compile(text).range(start, whole.end, step)))


def test_a_range_of_samples_over_a_snapshot(whole: Fleet) -> None:
    expression = Engine(whole.head).compile("gone[1h]", allow_range=True)
    got = evaluated(expression.over(whole.end, whole.end)).ranges()
    same(by_step(got), by_step(expression.matrix(whole.end)))


def test_what_the_head_gets_meanwhile_does_not_matter() -> None:
    growing = fleet()
    engine = Engine(growing.head)
    start = growing.end - 1200
    want = by_step(engine.compile("x").range(start, growing.end, 15))
    evaluation = engine.compile("x").over(start, growing.end, 15)
    source = Source("h0", "node", Labels(instance="h0", job="node"), 15.0)
    layout = Layout.of([Labels(__name__="x", row="9")])
    for number, _ in enumerate(evaluation.take()):
        at = growing.end + 15 * number
        growing.head.append([Batch(source, at, Reading(layout, np.array([1.0])), True, 0.1)])
    for number in range(200):
        at = growing.end + 600 + 15 * number
        growing.head.append([Batch(source, at, Reading(layout, np.array([1.0])), True, 0.1)])
    same(by_step(evaluation.matrix().tracks()), want)


def test_a_stepped_clock_in_between_starts_the_copying_anew() -> None:
    stepping = fleet()
    engine = Engine(stepping.head)
    evaluation = engine.compile("x").over(stepping.end - 600, stepping.end, 15)
    steps = evaluation.take()
    next(steps)
    stepping.head.shift(-300.0)
    for _ in steps:
        pass
    same(
        by_step(evaluation.matrix().tracks()),
        by_step(engine.compile("x").range(stepping.end - 600, stepping.end, 15)),
    )


class TestLimits:
    def test_samples(self, whole: Fleet) -> None:
        engine = Engine(whole.head, limits=Limits(samples=1000))
        with pytest.raises(LimitError, match="1000 samples"):
            engine.compile("rate(x[2m])").range(whole.end - 1200, whole.end, 15)

    def test_points(self, whole: Fleet) -> None:
        engine = Engine(whole.head, limits=Limits(points=100))
        with pytest.raises(LimitError, match="100 points"):
            engine.compile("x").range(whole.end - 1200, whole.end, 15)

    def test_time(self, whole: Fleet) -> None:
        moments = iter(range(10_000))
        engine = Engine(whole.head, limits=Limits(seconds=30), monotonic=lambda: float(next(moments)))
        with pytest.raises(QueryTimeoutError, match="30 s"):
            engine.compile("max_over_time(x[2m:1s])").range(whole.end - 1200, whole.end, 15)

    def test_nobody_waits(self, whole: Fleet) -> None:
        engine, asked = Engine(whole.head), count()
        budget = Budget(Limits(), lambda: 0.0, is_abandoned=lambda: next(asked) == 5)
        evaluation = evaluated(engine.compile("x").over(whole.end - 1200, whole.end, 15, budget=budget))
        with pytest.raises(AbandonedError):
            evaluation.matrix()
        assert next(asked) == 6

    def test_an_archive_is_read_within_the_limits(self, short: Fleet) -> None:
        engine = Engine(short.head, short.shelf, limits=Limits(samples=100))
        with pytest.raises(LimitError):
            engine.compile("x").range(short.end - 1700, short.end, 15)

    def test_a_pattern_that_cannot_be_used(self, whole: Fleet) -> None:
        labels = Labels(__name__="x", row="\ud800")
        source = Source("odd", "node", Labels(), 15.0)
        odd = Head()
        odd.append([Batch(source, whole.end, Reading(Layout.of([labels]), np.ones(1)), True, 0.1)])
        try:
            got = Engine(odd).compile('x{row=~".*"}').range(whole.end, whole.end, 15)
        except EvaluationError:
            return
        assert len(got) == 1


def same(got: dict[Any, float], want: dict[Any, float]) -> None:
    assert got.keys() == want.keys()
    for key, value in want.items():
        assert got[key] == pytest.approx(value, rel=1e-9, abs=1e-9, nan_ok=True), key
