"""Warnings and infos beside results, in Prometheus' words."""

from __future__ import annotations

import pytest

from sentinel.promql import Engine
from sentinel.promql.notes import Collected
from tests.unit.promql.loading import loaded_all

AT = 300.0
COUNTER = "metric might not be a counter, name does not end in _total/_sum/_count/_bucket"
QUANTILE = "quantile value should be between 0 and 1, got"

LEVELLED = (
    "input to histogram_quantile needed to be fixed for monotonicity "
    "(see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)"
)


@pytest.fixture(scope="module")
def engine() -> Engine:
    return loaded_all(
        60,
        {
            "x": "0+1x10",
            "y_total": "0+1x10",
            'h_bucket{le="1"}': "0+1x10",
            'h_bucket{le="+Inf"}': "0+2x10",
            'h_bucket{le="many"}': "0+2x10",
            "h_bucket": "0+2x10",
            'bent_bucket{le="1"}': "0+5x10",
            'bent_bucket{le="2"}': "0+1x10",
            'bent_bucket{le="+Inf"}': "0+6x10",
            'even_bucket{le="1"}': "0+5x10",
            'even_bucket{le="2"}': "0+5x10",
            'even_bucket{le="+Inf"}': "0+6x10",
        },
    )


@pytest.mark.parametrize(
    ("text", "infos", "warnings"),
    [
        ("rate(x[5m])", [f'{COUNTER}: "x" (1:6)'], []),
        ("1 +\n  increase(x[5m])", [f'{COUNTER}: "x" (2:12)'], []),
        ("rate(x[5m]) + rate(x[4m])", [f'{COUNTER}: "x" (1:6)', f'{COUNTER}: "x" (1:20)'], []),
        ('rate({__name__=~"x|z"}[5m])', [f'{COUNTER}: "x" (1:6)'], []),
        ("rate(x[5m:1m])", [f'{COUNTER}: "x" (1:6)'], []),
        ("rate(x[5m] offset 1h)", [], []),
        ("rate(y_total[5m])", [], []),
        ("irate(x[5m]) + delta(x[5m])", [], []),
        ("quantile(1.5, x)", [], [f"{QUANTILE} 1.5 (1:10)"]),
        ("quantile by (le) (-2, x)", [], [f"{QUANTILE} -2 (1:19)"]),
        ("quantile(NaN, x) by (le)", [], [f"{QUANTILE} NaN (1:10)"]),
        ("quantile(0.5, quantile(7, x))", [], [f"{QUANTILE} 7 (1:24)"]),
        ("quantile_over_time(2, x[5m])", [], [f"{QUANTILE} 2 (1:20)"]),
        ("quantile(0.5, x)", [], []),
        ("histogram_quantile(0.5, bent_bucket)", [f'{LEVELLED} for metric name "bent_bucket" (1:25)'], []),
        ("histogram_quantile(0.5, sum by (le) (bent_bucket))", [f"{LEVELLED} (1:25)"], []),
        ("histogram_quantile(0.5, even_bucket)", [], []),
        (
            "limit_ratio(1.1, x)",
            [],
            ["ratio value should be between -1 and 1, got 1.1, capping to 1 (1:13)"],
        ),
        (
            "histogram_quantile(3, rate(h_bucket[5m]))",
            [],
            [
                f"{QUANTILE} 3 (1:20)",
                'bucket label "le" is missing or has a malformed value of "many" (1:23)',
                'bucket label "le" is missing or has a malformed value of "" (1:23)',
            ],
        ),
    ],
)
def test_what_is_said(engine: Engine, text: str, infos: list[str], warnings: list[str]) -> None:
    expression = engine.compile(text)
    over_head, over_snapshot = Collected(), Collected()
    expression.instant(AT, notes=over_head)
    evaluation = expression.over(AT - 60, AT, 60, notes=over_snapshot)
    for _ in evaluation.take():
        pass
    evaluation.matrix()
    for notes in (over_head, over_snapshot):
        assert list(notes.of("info")) == [f"PromQL info: {info}" for info in infos]
        assert sorted(notes.of("warning")) == sorted(f"PromQL warning: {said}" for said in warnings)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("sort(x)", "1:1"),
        ("1 + sort_desc(x)", "1:5"),
        ('sort_by_label(x, "a")', "1:1"),
        ('sort_by_label_desc(\n sort(x), "a")', "1:1"),
    ],
)
def test_sorting_is_said_to_be_in_vain_in_a_range(engine: Engine, text: str, place: str) -> None:
    said = "PromQL warning: sort is ineffective for range queries since results are always ordered by labels"
    expression = engine.compile(text)
    alone, ranged = Collected(), Collected()
    expression.instant(AT, notes=alone)
    evaluation = expression.over(AT - 60, AT, 60, notes=ranged)
    for _ in evaluation.take():
        pass
    evaluation.matrix()
    assert alone.of("warning") == []
    assert ranged.of("warning")[0] == f"{said} ({place})"


def test_nobody_has_to_listen(engine: Engine) -> None:
    engine.compile("quantile(2, rate(x[5m]))").instant(AT)


def test_many_are_counted_rather_than_shown() -> None:
    notes = Collected()
    for number in range(13):
        notes.warning(f"no {number}", "1:1")
        notes.warning(f"no {number}", "1:1")
    assert len(notes.of("warning")) == 11
    assert notes.of("warning")[-1] == "3 more warning annotations omitted"
    assert notes.of("info") == []
