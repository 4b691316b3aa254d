from __future__ import annotations

import math
import time
from contextlib import suppress
from fractions import Fraction

import numpy as np
import pytest

from sentinel.model.labels import Labels
from sentinel.promql import Engine, EvaluationError, ExpressionError, LimitError, Limits
from sentinel.promql.value import Vector
from sentinel.series.head import Head
from tests.unit.series.feeding import START, batch, down, fill, layout, source


def samples(engine: Engine, text: str, at: float) -> dict[str, float]:
    value = engine.compile(text).instant(at)
    assert isinstance(value, Vector)
    return {str(labels): number for labels, number in value.samples()}


def counting(*rows: float) -> tuple[Engine, float]:
    """x polled every 15 s with these values; the instant of the last poll."""
    head = Head()
    at = fill(head, source(), layout("x"), [[row] for row in rows])
    return Engine(head), at


OWN = '{instance="sw1", job="if_mib"}'


class TestByHand:
    def test_a_rate_extrapolates_to_the_windows_edges(self) -> None:
        # Samples at 15, 30, 45, 60 of (0, 60]: 30 in 45 s; the start is 15 s off (under 1.1 × 15), so 60 s in all.
        engine, at = counting(100, 110, 120, 130, 140)
        assert samples(engine, "increase(x[1m])", at) == {OWN: pytest.approx(40.0)}
        assert samples(engine, "rate(x[1m])", at) == {OWN: pytest.approx(40.0 / 60)}

    def test_a_counter_is_not_extrapolated_below_zero(self) -> None:
        # 5 → 35 in 45 s; zero lies 7.5 s before the first sample.
        engine, at = counting(0, 5, 15, 25, 35)
        assert samples(engine, "increase(x[1m])", at) == {OWN: pytest.approx(30 * (45 + 7.5) / 45)}

    def test_a_reset_adds_what_was_there_before(self) -> None:
        engine, at = counting(100, 110, 5, 15, 25)
        # 25 − 110 + 110 = 25 in 45 s, extrapolated over 15 s more.
        assert samples(engine, "increase(x[1m])", at) == {OWN: pytest.approx(25 * 60 / 45)}
        assert samples(engine, "resets(x[1m])", at) == {OWN: 1.0}

    def test_windows_are_open_on_the_left(self) -> None:
        engine, at = counting(1, 2, 3, 4, 5)
        assert samples(engine, "count_over_time(x[30s])", at) == {OWN: 2.0}
        assert samples(engine, "count_over_time(x[30001ms])", at) == {OWN: 3.0}
        assert samples(engine, "x", at + 299.999) == {f"x{OWN}": 5.0}
        assert samples(engine, "x", at + 300) == {}

    def test_numbers_may_have_underscores_and_durations_fractions(self) -> None:
        engine, at = counting(1, 2, 3, 4, 5)
        assert engine.compile("1_000.5 + 0xf_f").instant(at) == 1255.5
        assert samples(engine, "count_over_time(x[30.001])", at) == {OWN: 3.0}
        assert samples(engine, "x offset 29.5", at) == {f"x{OWN}": 3.0}

    def test_offset_and_at_move_the_instant(self) -> None:
        engine, at = counting(1, 2, 3, 4, 5)
        assert samples(engine, "x offset 30s", at) == {f"x{OWN}": 3.0}
        assert samples(engine, f"x @ {START}", at) == {f"x{OWN}": 1.0}
        assert samples(engine, "x @ -5", at) == {}
        assert samples(engine, "x offset -15s", at - 15) == {f"x{OWN}": 5.0}

    def test_a_disk_that_fills_is_seen_ahead(self) -> None:
        engine, at = counting(*(1000.0 - 10 * step for step in range(20)))
        # −10 every 15 s: 810 now, and 600 s later 400 less.
        assert samples(engine, "predict_linear(x[5m], 600)", at) == {OWN: pytest.approx(410.0)}
        assert samples(engine, "deriv(x[5m])", at) == {OWN: pytest.approx(-10 / 15)}

    def test_a_forecast_that_ends_near_zero_keeps_its_digits(self) -> None:
        # A file system of 15.7 GB that falls by 300 KB/s, so that it comes to about nothing in four hours.
        head = Head()
        times = [1_732_000_000.123 + 15.001 * step for step in range(240)]
        values = [15_714_160_730.0 - 873_009.0 * (at - times[0]) for at in times]
        for at, value in zip(times, values, strict=True):
            head.append([batch(source(), at, layout("x"), [value])])
        ((_, found),) = samples(Engine(head), "predict_linear(x[1h], 14400)", times[-1]).items()
        x = [Fraction(round((at - times[-1]) * 1000), 1000) for at in times]
        y = [Fraction(value) for value in values]
        count = len(x)
        slope = (sum(a * b for a, b in zip(x, y, strict=True)) - sum(x) * sum(y) / count) / (
            sum(a * a for a in x) - sum(x) ** 2 / count
        )
        exact = float(slope * 14400 + (sum(y) - slope * sum(x)) / count)
        assert found == pytest.approx(exact, rel=1e-12, abs=1e-4)

    def test_comparison_keeps_the_name_and_arithmetic_drops_it(self) -> None:
        engine, at = counting(5)
        assert samples(engine, "x > 4", at) == {f"x{OWN}": 5.0}
        assert samples(engine, "x > bool 4", at) == {OWN: 1.0}
        assert samples(engine, "x * 2", at) == {OWN: 10.0}
        assert samples(engine, "4 < x", at) == {f"x{OWN}": 5.0}

    def test_absent_speaks_with_the_labels_it_asked_for(self) -> None:
        engine, at = counting(5)
        assert samples(engine, "absent(x)", at) == {}
        assert samples(engine, 'absent(y{job="a", site=~"b.*"})', at) == {'{job="a"}': 1.0}
        assert samples(engine, "absent_over_time(x[1m])", at + 600) == {"{}": 1.0}

    def test_minimum_and_maximum_prefer_numbers_to_nan(self) -> None:
        engine, at = counting(math.nan, 3, 7)
        assert samples(engine, "min_over_time(x[5m])", at) == {OWN: 3.0}
        assert samples(engine, "max_over_time(x[5m])", at) == {OWN: 7.0}

    def test_a_bare_number_and_a_text_are_values_too(self) -> None:
        engine, at = counting(1)
        assert engine.compile("1 + 2 * 3 ^ 2").instant(at) == 19.0
        assert engine.compile("'a\\'b'").instant(at) == "a'b"
        assert engine.compile("`a\\b`").instant(at) == "a\\b"
        assert engine.compile("time()").instant(at) == at


class TestStaleness:
    def test_a_target_that_goes_down_ends_what_stands_on_it(self) -> None:
        head = Head()
        at = fill(head, source(), layout("x"), [[1.0], [2.0]])
        head.append([down(source(), at + 15)])
        engine = Engine(head)
        assert samples(engine, "x", at + 15) == {}
        assert samples(engine, "up == 0", at + 15) == {f"up{OWN}": 0.0}
        assert samples(engine, "last_over_time(x[1m])", at + 15) == {f"x{OWN}": 2.0}

    def test_a_reset_across_a_gap_is_seen(self) -> None:
        head = Head()
        shape = layout("x")
        at = fill(head, source(), shape, [[100.0], [110.0]])
        head.append([down(source(), at + 15)])
        at = fill(head, source(), shape, [[3.0], [13.0]], start=at + 30)
        # 100, 110, gone, 3, 13: 13 − 100 + 110 = 23 over 60 s; the window begins 15 s before.
        assert samples(Engine(head), "increase(x[75s])", at) == {OWN: pytest.approx(23 * 75 / 60)}


class TestPlans:
    def test_the_series_of_a_result_stay_the_same_object_until_the_metric_changes(self) -> None:
        head = Head()
        shape = layout({"__name__": "x", "a": "1"}, {"__name__": "x", "a": "2"}, "y")
        at = fill(head, source(), shape, [[1.0, 2.0, 3.0]])
        expressions = [
            Engine(head).compile(text)
            for text in ("x", "x > 1", "rate(x[1m])", "sum by (a) (x)", "x * on () group_left y", "-x or y")
        ]

        def identities(moment: float) -> list[int]:
            values = [expression.instant(moment) for expression in expressions]
            kept.extend(values)
            return [id(value.series) for value in values if isinstance(value, Vector)]

        kept: list[object] = []
        before = identities(at)
        head.append([batch(source(), at + 15, shape, [2.0, 3.0, 4.0])])
        head.append([batch(source("sw2"), at + 15, layout("unrelated"), [1.0])])
        assert identities(at + 15) == before
        head.append([batch(source("sw2"), at + 30, layout("x"), [1.0])])
        after = identities(at + 30)
        assert all(a != b for a, b in zip(before, after, strict=True))

    def test_rows_come_and_go_without_disturbing_a_compiled_expression(self) -> None:
        head = Head(retention=300.0)
        expression = Engine(head).compile("sum by (port) (rate(x[1m])) * 60 > 0")
        rng = np.random.default_rng(3)
        totals: dict[str, float] = {}
        shape = layout()
        at = START
        for step in range(400):
            at = START + 15 * step
            if step % 5 == 0:
                ports = sorted({str(port) for port in rng.integers(0, 12, 6)})
                shape = layout(*({"__name__": "x", "port": port} for port in ports))
                totals = dict.fromkeys(ports, 0.0)
            for port in totals:
                totals[port] += 10 + int(port)
            head.append([batch(source(), at, shape, list(totals.values()))])
            if step % 5 == 4:
                value = expression.instant(at)
                assert isinstance(value, Vector)
                found = {labels["port"]: number for labels, number in value.samples()}
                # Series that were there before this layout may still have a rate; those of it must be right.
                assert {port: found[port] for port in totals if port in found}.keys() == totals.keys()
        assert head.series < 12 + 3 + 1

    def test_names_tells_what_an_expression_reads(self) -> None:
        engine, _ = counting(1)
        assert engine.compile("rate(x[1m]) / on () y > scalar(z)").names == {"x", "y", "z"}
        assert "x" in engine.compile('{__name__=~"x|none"}').names


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("", 0),
        ("x[5m]", 1),
        ("sum(x", 3),
        ("x)", 1),
        ('x{a="b}', 4),
        ("1 + foo(x)", 4),
        ("x > ", 2),
        ("rate(x)", 0),
        ("info(x, y)", 0),
        ("rate(x[5m:1m] anchored)", 14),
        ("avg_over_time(x[5m] anchored)", 20),
        ("x anchored", 2),
        ("rate((x)[5m] anchored)", 13),
        ("rate(x[])", 6),
        ("rate(x[5m - 5m])", 7),
        ("rate(x[5m / 0])", 10),
        ("rate(x[5m * y])", 12),
        ("rate(x[:1m])", 7),
        ("rate(x[(-1) ^ 0.5])", 12),
        ('{x=~".*"}', 0),
        ('x{a="1" or b="2"}', 8),
        ('x{a=~"b{2000}"}', 5),
        ("x[1.5]", 1),
        ("rate(x[1e20])", 7),
        ("x and on() y[10m]", 12),
        ("x offset 2h", 0),
        ("rate(x[90m])", 6),
        ('label_replace(x, "a", "$1", "b", "b{2000}")', 33),
        ("§", 0),
        ('"\\xff"', 0),
        ("x @ foo", 2),
    ],
)
def test_what_is_wrong_or_not_supported_is_refused_with_its_place(text: str, offset: int) -> None:
    with pytest.raises(ExpressionError) as raised:
        Engine(Head()).compile(text)
    assert raised.value.text
    assert raised.value.offset == offset


@pytest.mark.parametrize(
    "text",
    [
        "(" * 10_000 + "x" + ")" * 10_000,
        "(" * 2000 + "x" + ")" * 2000,
        "-" * 4000 + "x",
        "x" + "+x" * 2000,
        "abs(" * 500 + "x" + ")" * 500,
        "x" + "[5m:1m]" * 200,
        "x{" + ",".join(f'a{i}="b"' for i in range(1000)) + "}",
        "x @ 1e400",
        "x @ 9999999999999999999999",
        "x[99999999999999999999y]",
        "\x00",
        "x" * 5000,
    ],
)
def test_hostile_text_is_answered_quickly(text: str) -> None:
    started = time.process_time()
    with suppress(ExpressionError, EvaluationError):
        Engine(Head()).compile(text).instant(START)
    assert time.process_time() - started < 8


class TestLimits:
    def test_a_query_over_too_many_samples_is_stopped(self) -> None:
        head = Head()
        at = fill(
            head, source(), layout(*({"__name__": "x", "i": str(i)} for i in range(100))), [range(100)] * 10
        )
        engine = Engine(head, limits=Limits(samples=5000))
        assert len(samples(engine, "sum_over_time(x[2m])", at)) == 100
        with pytest.raises(LimitError, match="5000 samples"):
            engine.compile("max_over_time(sum_over_time(x[2m])[10m:15s])").instant(at)

    def test_a_query_that_takes_too_long_is_stopped(self) -> None:
        moments = iter(range(1000))
        engine = Engine(Head(), limits=Limits(seconds=5), monotonic=lambda: float(next(moments)))
        with pytest.raises(LimitError, match="longer than 5 s"):
            engine.compile("x + x + x + x + x + x").instant(START)

    def test_a_cross_join_is_an_error_and_not_a_catastrophe(self) -> None:
        head = Head()
        at = fill(
            head, source(), layout(*({"__name__": "x", "i": str(i)} for i in range(3000))), [range(3000)]
        )
        with pytest.raises(EvaluationError, match="many-to-many"):
            Engine(head).compile("x * on () group_left x").instant(at)

    def test_a_range_query_has_a_greatest_number_of_steps(self) -> None:
        engine, at = counting(1)
        with pytest.raises(LimitError, match="11,000"):
            engine.compile("x").range(0, at, 1)
        with pytest.raises(EvaluationError, match="step"):
            engine.compile("x").range(at, at, 0)


def test_a_share_of_the_series_is_the_same_every_time_and_fits_its_opposite() -> None:
    head = Head()
    at = fill(head, source(), layout(*({"__name__": "x", "i": str(i)} for i in range(400))), [range(400)])
    engine = Engine(head)
    some, others = samples(engine, "limit_ratio(0.3, x)", at), samples(engine, "limit_ratio(-0.7, x)", at)
    assert 80 < len(some) < 160
    assert some == samples(engine, "limit_ratio(0.3, x)", at)
    assert some.keys().isdisjoint(others)
    assert len(some) + len(others) == 400
    assert len(samples(engine, "limit_ratio(2, x)", at)) == 400
    assert samples(engine, "limit_ratio(0, x)", at) == {}


def test_two_series_that_become_the_same_are_an_error() -> None:
    head = Head()
    at = fill(head, source(), layout("x", "y"), [[1.0, 2.0]])
    with pytest.raises(EvaluationError, match="same labelset"):
        Engine(head).compile('-{__name__=~"x|y"}').instant(at)


def test_sorting_decides_the_order_of_the_result() -> None:
    head = Head()
    at = fill(
        head, source(), layout(*({"__name__": "x", "i": str(i)} for i in range(4))), [[3, 1, math.nan, 2]]
    )
    value = Engine(head).compile("sort_desc(x)").instant(at)
    assert isinstance(value, Vector)
    assert [labels["i"] for labels, _ in value.samples()] == ["0", "3", "1", "2"]
    assert isinstance(value.samples()[0][0], Labels)
