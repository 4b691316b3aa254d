"""Forms of Prometheus 3 beyond what its engine tests in the shared folder show, each worked out by hand."""

from __future__ import annotations

import math

import pytest

from sentinel.promql import Engine, EvaluationError, ExpressionError
from sentinel.promql.text.names import FUNCTIONS
from sentinel.series.head import Head
from tests.unit.promql.loading import asked, loaded, loaded_all, ranged


class TestDurations:
    @pytest.mark.parametrize(
        "written",
        ["120", "1m+1m", "2m * 1", "4m / 2", "(1m + 30s) * 2 - 60", "5m % 3m", "2 ^ 3 * 15s", "-1m + 3m",
         "max(1m, 2m)", "min_of(2m, 1h)", "1_20", "0x78", "- (-2m)"],
    )  # fmt: skip
    def test_are_worked_out(self, written: str) -> None:
        engine = loaded(60, x="0+1x10")
        assert asked(engine, f"count_over_time(x[{written}])", 600) == {"{}": 2.0}
        assert asked(engine, f"x offset ({written})", 600) == {"x{}": 8.0}

    def test_an_offset_ends_where_no_parenthesis_holds_it_together(self) -> None:
        engine = loaded(60, x="0+1x10")
        assert asked(engine, "x offset 1m * 2", 600) == {"{}": 18.0}
        assert asked(engine, "x offset (1m * 2)", 600) == {"x{}": 8.0}
        assert asked(engine, "x offset -(1m + 1m)", 300) == {"x{}": 7.0}
        assert asked(engine, "x offset - 1m", 300) == {"x{}": 6.0}

    def test_may_follow_the_query(self) -> None:
        engine = loaded(60, x="0+1x10")
        assert ranged(engine, "count_over_time(x[step()])", 300, 600, 120) == {"{}": [2.0, 2.0, 2.0]}
        assert ranged(engine, "x offset (step() / 2)", 300, 600, 120) == {"x{}": [4.0, 6.0, 8.0]}
        assert ranged(engine, "count_over_time(x[range()])", 300, 600, 300) == {"{}": [5.0, 5.0]}
        with pytest.raises(EvaluationError, match="greater than 0"):
            engine.compile("count_over_time(x[step()])").instant(600)

    def test_both_parts_of_a_subquery_may_be_arithmetic(self) -> None:
        engine = loaded(60, x="0+1x10")
        assert asked(engine, "sum_over_time(x[1m + 1m : 30s * 2])", 600) == {"{}": 19.0}
        assert asked(engine, "sum_over_time(x[2m:])", 600) == {"{}": 19.0}

    def test_an_instant_may_be_written_as_a_duration(self) -> None:
        engine = loaded(60, x="0+1x10")
        assert asked(engine, "x @ 3m", 600) == {"x{}": 3.0}
        assert asked(engine, "x @ 1m30s offset 30", 600) == {"x{}": 1.0}

    def test_offset_and_fill_are_also_names(self) -> None:
        engine = loaded(60, offset="1", fill="4")
        assert asked(engine, "offset + on () fill", 0) == {"{}": 5.0}
        assert asked(engine, "fill and on () offset", 0) == {"fill{}": 4.0}
        assert asked(engine, "fill + fill(1) fill", 0) == {"{}": 8.0}


class TestFill:
    def test_stands_in_for_what_one_side_lacks(self) -> None:
        engine = loaded_all(60, {'x{a="1"}': "1", 'x{a="2"}': "2", 'y{a="2"}': "20", 'y{a="3"}': "30"})
        assert asked(engine, "x + y", 0) == {'{a="2"}': 22.0}
        assert asked(engine, "x + fill(0) y", 0) == {'{a="2"}': 22.0, '{a="1"}': 1.0, '{a="3"}': 30.0}
        assert asked(engine, "x + fill_left(5) y", 0) == {'{a="2"}': 22.0, '{a="3"}': 35.0}
        assert asked(engine, "x - fill_right(5) y", 0) == {'{a="2"}': -18.0, '{a="1"}': -4.0}
        assert asked(engine, "x + fill_left(1) fill_right(2) y", 0) == {
            '{a="2"}': 22.0, '{a="1"}': 3.0, '{a="3"}': 31.0,
        }  # fmt: skip
        assert asked(engine, "x + fill(1) none", 0) == {'{a="1"}': 2.0, '{a="2"}': 3.0}

    def test_a_comparison_keeps_the_name_of_what_is_there(self) -> None:
        engine = loaded_all(60, {'x{a="1"}': "1", 'y{a="3"}': "30"})
        assert asked(engine, "x < fill(7) y", 0) == {'x{a="1"}': 1.0, '{a="3"}': 7.0}
        assert asked(engine, "x < bool fill(1) y", 0) == {'{a="1"}': 0.0, '{a="3"}': 1.0}

    def test_a_missing_one_side_hands_over_no_labels(self) -> None:
        engine = loaded_all(
            60,
            {
                'load{host="a", cpu="0"}': "1",
                'load{host="b", cpu="0"}': "2",
                'owner{host="a", team="x"}': "10",
                'owner{host="c", team="y"}': "30",
            },
        )
        assert asked(engine, "load + on (host) group_left (team) fill(0) owner", 0) == {
            '{cpu="0", host="a", team="x"}': 11.0,
            '{cpu="0", host="b"}': 2.0,
            '{host="c", team="y"}': 30.0,
        }
        assert asked(engine, "owner - on (host) group_right (team) fill_left(100) load", 0) == {
            '{cpu="0", host="a", team="x"}': 9.0,
            '{cpu="0", host="b"}': 98.0,
        }

    def test_two_series_for_one_result_are_an_error(self) -> None:
        engine = loaded_all(60, {'x{a="1", b="1"}': "1", 'x{a="1", b="2"}': "2", 'y{a="2"}': "2"})
        with pytest.raises(EvaluationError, match="many-to-one"):
            engine.compile("x + on (a) fill(0) y").instant(0)


class TestInfo:
    SERIES = {
        'x{instance="a", job="j"}': "1 2 3",
        'x{instance="b", job="j"}': "4 5 6",
        'target_info{instance="a", job="j", version="1", site="n"}': "1 1 stale",
        'target_info{instance="a", job="j", version="2", site="n"}': "_ _ 1",
        'build_info{instance="b", job="j", commit="c"}': "1 1 1",
    }

    def test_adds_the_labels_of_the_target(self) -> None:
        engine = loaded_all(60, self.SERIES)
        assert ranged(engine, "info(x)", 0, 120, 60) == {
            'x{instance="a", job="j", site="n", version="1"}': [1.0, 2.0],
            'x{instance="a", job="j", site="n", version="2"}': [3.0],
            'x{instance="b", job="j"}': [4.0, 5.0, 6.0],
        }

    def test_adds_only_what_is_asked_for(self) -> None:
        engine = loaded_all(60, self.SERIES)
        assert asked(engine, 'info(x, {version=~".+"})', 0) == {'x{instance="a", job="j", version="1"}': 1.0}
        assert asked(engine, 'info(x, {__name__="build_info"})', 0) == {
            'x{instance="a", job="j"}': 1.0,
            'x{commit="c", instance="b", job="j"}': 4.0,
        }
        assert asked(engine, 'info(x, {__name__!="target_info"})', 0) == {
            'x{instance="a", job="j"}': 1.0,
            'x{commit="c", instance="b", job="j"}': 4.0,
        }

    def test_an_info_series_stays_as_it_is(self) -> None:
        engine = loaded_all(60, self.SERIES)
        assert asked(engine, 'info(build_info, {__name__=~".*_info"})', 0) == {
            'build_info{commit="c", instance="b", job="j"}': 1.0
        }

    def test_info_series_that_contradict_each_other_are_an_error(self) -> None:
        two = {'x{instance="a"}': "1", 'target_info{instance="a", v="1"}': "1"}
        engine = loaded_all(60, two | {'target_info{instance="a", v="2"}': "1"})
        with pytest.raises(EvaluationError, match="duplicate series for info metric"):
            engine.compile("info(x)").instant(0)
        engine = loaded_all(60, two | {'build_info{instance="a", v="2"}': "1"})
        with pytest.raises(EvaluationError, match="conflicting label: v"):
            engine.compile('info(x, {__name__=~".+_info"})').instant(0)


class TestEdges:
    """x counts 1, 2, 4, 8, 16, 2, 4 a minute."""

    def test_an_anchored_window_begins_with_the_sample_before_it(self) -> None:
        engine = loaded(60, x="1 2 4 8 16 2 4")
        assert asked(engine, "increase(x[2m] anchored)", 240) == {"{}": 12.0}
        assert asked(engine, "increase(x[2m] anchored)", 250) == {"{}": 12.0}
        assert asked(engine, "rate(x[2m] anchored)", 240) == {"{}": 0.1}
        # 8 → 16 and, after the reset, 2.
        assert asked(engine, "increase(x[2m] anchored)", 300) == {"{}": 10.0}
        assert asked(engine, "delta(x[2m] anchored)", 300) == {"{}": -6.0}
        assert asked(engine, "changes(x[2m] anchored)", 300) == {"{}": 2.0}
        assert asked(engine, "resets(x[2m] anchored)", 300) == {"{}": 1.0}
        assert asked(engine, "increase(x[2m] anchored)", 700) == {}

    def test_a_smoothed_window_is_interpolated_at_its_edges(self) -> None:
        engine = loaded(60, x="1 2 4 8 16 2 4")
        # At 90 s half way from 2 to 4, at 210 s half way from 8 to 16.
        assert asked(engine, "increase(x[2m] smoothed)", 210) == {"{}": 9.0}
        # At 270 s the counter, reset since 240 s, stands at 16 + 1.
        assert asked(engine, "increase(x[1m] smoothed)", 270) == {"{}": pytest.approx(5.0)}
        assert asked(engine, "x smoothed", 90) == {"x{}": 3.0}
        assert asked(engine, "x smoothed offset 1m", 150) == {"x{}": 3.0}
        assert asked(engine, "x smoothed", 370) == {"x{}": 4.0}
        assert asked(engine, 'x{a=""} smoothed + x', 60) == {"{}": 4.0}

    def test_a_window_without_samples_has_no_result(self) -> None:
        engine = loaded(60, x="1")
        assert asked(engine, "increase(x[2m] smoothed)", 3000) == {}
        assert asked(engine, "x smoothed", 3000) == {}


class TestNames:
    def test_metrics_and_labels_may_have_any_characters(self) -> None:
        engine = loaded_all(
            60,
            {
                '{"http.requests", "status code"="200"}': "1 2",
                '{"http.requests", "status code"="500"}': "3 4",
            },
        )
        name = '{"http.requests", "status code"="200"}'
        assert asked(engine, '{"http.requests", "status code"="200"}', 60) == {name: 2.0}
        assert asked(engine, 'sum by ("status code") ({"http.requests"})', 0) == {
            '{"status code"="200"}': 1.0,
            '{"status code"="500"}': 3.0,
        }
        assert asked(engine, "sum without ('status code') ({\"http.requests\"})", 60) == {"{}": 6.0}
        both = '{"http.requests"} * on ("status code") group_left ("a.b") {"http.requests"}'
        assert asked(engine, both, 60) == {'{"status code"="200"}': 4.0, '{"status code"="500"}': 16.0}
        assert asked(engine, 'label_replace({"http.requests"}, "a.b", "$1", "status code", "(.).*")', 60) == {
            '{"http.requests", "a.b"="2", "status code"="200"}': 2.0,
            '{"http.requests", "a.b"="5", "status code"="500"}': 4.0,
        }

    def test_a_name_in_quotes_is_a_name_once(self) -> None:
        with pytest.raises(ExpressionError):
            loaded(60, x="1").compile('x{"y"}')


def test_histograms_of_different_names_are_not_mixed() -> None:
    buckets = {f'{name}_bucket{{le="{le}"}}': str(n) for name in "xy" for le, n in (("1", 5), ("+Inf", 10))}
    engine = loaded_all(60, buckets)
    assert asked(engine, "histogram_quantile(0.25, x_bucket)", 0) == {"{}": 0.5}
    with pytest.raises(EvaluationError, match="same labelset"):
        engine.compile('histogram_quantile(0.25, {__name__=~"._bucket"})').instant(0)


def test_a_value_to_fill_in_may_be_no_number() -> None:
    engine = loaded_all(60, {'x{a="1"}': "1", 'y{a="2"}': "1"})
    found = asked(engine, "x + fill(NaN) y", 0)
    assert found.keys() == {'{a="1"}', '{a="2"}'}
    assert all(math.isnan(value) for value in found.values())
    assert asked(engine, "x + fill(-Inf) y", 0)['{a="1"}'] == -math.inf


def test_a_function_of_prometheus_2_has_its_new_name() -> None:
    engine = loaded(60, x="1 2 3 4")
    new = asked(engine, "double_exponential_smoothing(x[5m], 0.5, 0.1)", 180)
    assert asked(engine, "holt_winters(x[5m], 0.5, 0.1)", 180) == new != {}


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_names_that_are_suggested_exist(name: str) -> None:
    try:
        loaded(60, x="1").compile(f"{name}(x)")
    except ExpressionError as error:
        assert "unknown function" not in error.text
        assert "not supported" not in error.text


@pytest.mark.parametrize(
    "text",
    ["rate(x[1y])", "rate(x[100y])", "x offset -50y", "x[1y:50d]", "x[1y3ms]", "x offset 49d17h2m47s296ms"],
)
def test_durations_are_longer_than_the_parser_counts_in_milliseconds(text: str) -> None:
    Engine(Head(), horizon=200 * 365 * 86400.0).compile(text, allow_range=True, within_head=False)
