from __future__ import annotations

import math

import numpy as np
import pytest

from sentinel.model.batch import STALE
from sentinel.model.labels import Labels
from sentinel.series.head import Head
from sentinel.series.index.matcher import Matcher, MatchOperator
from tests.unit.series.feeding import (
    START,
    batch,
    down,
    fill,
    layout,
    named,
    newest,
    rule_source,
    source,
)


def test_a_poll_gives_its_series_the_labels_of_the_source() -> None:
    head = Head()
    at = fill(head, source(site="hq"), layout({"__name__": "ifInOctets", "ifName": "Gi0/1"}), [[5.0]])
    assert newest(head, at, "ifInOctets") == {
        'ifInOctets{ifName="Gi0/1", instance="sw1", job="if_mib", site="hq"}': 5.0
    }


def test_a_label_that_clashes_with_the_sources_moves_aside() -> None:
    head = Head()
    at = fill(head, source(), layout({"__name__": "x", "job": "inner", "exported_job": "older"}), [[1.0]])
    (text,) = newest(head, at, "x")
    assert 'job="if_mib"' in text
    assert "inner" in text
    assert "older" in text
    assert 'exported_job="' in text


def test_every_poll_reports_about_itself() -> None:
    head = Head()
    at = fill(head, source(), layout("a", "b"), [[1.0, 2.0]])
    own = '{instance="sw1", job="if_mib"}'
    assert newest(head, at, "up") == {f"up{own}": 1.0}
    assert newest(head, at, "sentinel_poll_samples") == {f"sentinel_poll_samples{own}": 2.0}
    assert newest(head, at, "sentinel_poll_duration_seconds") == {f"sentinel_poll_duration_seconds{own}": 0.1}


def test_recording_rules_report_nothing_about_themselves() -> None:
    head = Head()
    at = fill(head, rule_source(), layout({"__name__": "site:load:sum", "site": "hq"}), [[1.0]])
    assert newest(head, at, "site:load:sum") == {'site:load:sum{site="hq"}': 1.0}
    assert newest(head, at, "up") == {}


def test_a_source_that_is_down_ends_its_series_at_once_and_says_so() -> None:
    head = Head()
    at = fill(head, source(), layout("a"), [[1.0], [2.0]])
    head.append([down(source(), at + 15)])
    assert newest(head, at + 15, "a") == {}
    assert newest(head, at + 14, "a") == {'a{instance="sw1", job="if_mib"}': 2.0}
    assert list(newest(head, at + 15, "up").values()) == [0.0]


def test_a_source_that_comes_back_goes_on_in_its_columns() -> None:
    head = Head()
    shape = layout("a")
    at = fill(head, source(), shape, [[1.0]])
    before = head.series
    for step in range(1, 5):
        head.append([down(source(), at + 15 * step)])
    at = fill(head, source(), shape, [[9.0]], start=at + 75)
    assert list(newest(head, at, "a").values()) == [9.0]
    assert head.series == before


def test_a_target_that_was_never_up_still_reports_up() -> None:
    head = Head()
    head.append([down(source(), START), down(source(), START + 15)])
    assert list(newest(head, START + 15, "up").values()) == [0.0]


def test_a_series_that_leaves_the_layout_ends_at_once() -> None:
    head = Head()
    at = fill(head, source(), layout("a", "b"), [[1.0, 2.0]])
    at = fill(head, source(), layout("a"), [[3.0], [4.0]], start=at + 15)
    assert newest(head, at, "b") == {}
    assert list(newest(head, at, "a").values()) == [4.0]


def test_a_staleness_marker_among_the_values_ends_its_series_and_nan_does_not() -> None:
    head = Head()
    shape = layout("a", "b")
    fill(head, source(), shape, [[1.0, 1.0]])
    head.append([batch(source(), START + 15, shape, [STALE, math.nan])])
    assert newest(head, START + 15, "a") == {}
    assert math.isnan(next(iter(newest(head, START + 15, "b").values())))


def test_five_minutes_without_a_poll_end_a_series() -> None:
    head = Head()
    at = fill(head, source(), layout("a"), [[1.0]])
    assert newest(head, at + 299.9, "a")
    assert newest(head, at + 300, "a") == {}


def test_a_removed_source_ends_all_its_series() -> None:
    head = Head()
    at = fill(head, source(), layout("a"), [[1.0]])
    head.forget(source())
    assert newest(head, at + 1, "a") == {}
    assert newest(head, at + 1, "up") == {}


def test_a_source_that_was_removed_may_come_back() -> None:
    head = Head()
    at = fill(head, source(), layout("a"), [[1.0]])
    head.forget(source())
    at = fill(head, source(), layout("a"), [[2.0], [3.0]], start=at + 30)
    assert list(newest(head, at, "a").values()) == [3.0]


def test_a_late_or_repeated_poll_changes_nothing_and_is_counted() -> None:
    head = Head()
    shape = layout("a")
    at = fill(head, source(), shape, [[1.0], [2.0]])
    head.append([batch(source(), at, shape, [7.0]), batch(source(), at - 15, shape, [8.0])])
    assert list(newest(head, at, "a").values()) == [2.0]
    assert head.rejected == 2


def test_two_sources_with_the_same_series_do_not_give_it_twice() -> None:
    head = Head()
    shape = layout({"__name__": "x", "a": "1"})
    head.append([batch(rule_source("first"), START, shape, [1.0])])
    head.append([batch(rule_source("second"), START, shape, [2.0])])
    assert newest(head, START, "x") == {'x{a="1"}': 1.0}
    assert head.rejected == 1


def test_a_series_passes_to_another_source_once_the_first_has_ended() -> None:
    head = Head()
    shape = layout({"__name__": "x", "a": "1"})
    head.append([batch(rule_source("first"), START, shape, [1.0])])
    head.append([batch(rule_source("second"), START, shape, [2.0])])
    head.forget(rule_source("first"))
    head.append([batch(rule_source("second"), START + 15, shape, [3.0])])
    assert newest(head, START + 15, "x") == {'x{a="1"}': 3.0}


def test_a_source_that_lost_a_series_while_down_leaves_it_to_the_new_owner() -> None:
    head = Head()
    shape, wider = layout({"__name__": "x", "a": "1"}), layout({"__name__": "x", "a": "1"}, "y")
    first, second = rule_source("first"), rule_source("second")
    head.append([batch(first, START, wider, [1.0, 5.0])])
    head.append([down(first, START + 15)])
    head.append([batch(second, START + 15, shape, [2.0])])
    head.append([batch(first, START + 30, wider, [9.0, 6.0]), batch(second, START + 30, shape, [3.0])])
    assert newest(head, START + 30, "x") == {'x{a="1"}': 3.0}
    assert newest(head, START + 30, "y") == {"y{}": 6.0}


def test_another_interval_takes_the_series_along_without_doubling_them() -> None:
    head = Head()
    shape = layout("a")
    at = fill(head, source(), shape, [[1.0]])
    at = fill(head, source(interval=60.0), shape, [[2.0]], start=at + 60)
    assert list(newest(head, at, "a").values()) == [2.0]


def test_changed_labels_of_a_target_end_the_old_series() -> None:
    head = Head()
    shape = layout("a")
    at = fill(head, source(site="hq"), shape, [[1.0]])
    at = fill(head, source(site="lab"), shape, [[2.0]], start=at + 15)
    assert newest(head, at, "a") == {'a{instance="sw1", job="if_mib", site="lab"}': 2.0}


def test_polls_that_jitter_keep_every_sample() -> None:
    head = Head()
    shape = layout("a")
    jitter = [0.0, 6.9, -6.9, 7.2, -7.2, 0.1, 3.0, -3.0]
    for step, off in enumerate(jitter):
        head.append([batch(source(), START + 15 * step + off, shape, [float(step)])])
    (piece,) = head.select(named("a")).pieces
    samples = piece.samples(START - 10, START + 200)
    assert samples.count.tolist() == [len(jitter)]
    assert samples.values[:, 0].tolist() == [float(step) for step in range(len(jitter))]


def test_samples_older_than_the_retention_are_gone() -> None:
    head = Head(retention=300.0)
    at = fill(head, source(), layout("a"), [[float(i)] for i in range(100)])
    (piece,) = head.select(named("a")).pieces
    samples = piece.samples(START - 1, at)
    assert 20 <= samples.count[0] <= 24
    assert samples.values[-1, 0] == 99.0


def test_a_clock_step_keeps_the_age_of_samples() -> None:
    head = Head()
    shape = layout("a")
    at = fill(head, source(), shape, [[1.0], [2.0]])
    head.shift(-3600.0)
    head.append([batch(source(), at + 15 - 3600, shape, [3.0])])
    (piece,) = head.select(named("a")).pieces
    assert piece.samples(at - 3600 - 60, at - 3600 + 60).values[:, 0].tolist() == [1.0, 2.0, 3.0]


def test_matchers_of_all_four_kinds_choose_series() -> None:
    head = Head()
    fill(
        head, source(), layout(*({"__name__": "x", "d": d} for d in ("a1", "a2", "b1")), "x"), [[1, 2, 3, 4]]
    )

    def values(operator: MatchOperator, value: str) -> list[float]:
        chosen = head.select((*named("x"), Matcher("d", operator, value)))
        return sorted(chosen.instant(START, 300.0)[0].tolist())

    assert values(MatchOperator.EQUAL, "a1") == [1.0]
    assert values(MatchOperator.NOT_EQUAL, "a1") == [2.0, 3.0, 4.0]
    assert values(MatchOperator.MATCH, "a.") == [1.0, 2.0]
    assert values(MatchOperator.NOT_MATCH, "a.|b.") == [4.0]
    assert values(MatchOperator.EQUAL, "") == [4.0]


def test_a_selection_stays_the_same_object_while_its_metric_keeps_its_series() -> None:
    head = Head()
    shape = layout("a")
    fill(head, source(), shape, [[1.0]])
    before = head.select(named("a"))
    fill(head, source("sw2"), layout("b"), [[1.0]])
    assert head.select(named("a")) is before
    fill(head, source("sw3"), layout("a"), [[1.0]])
    assert head.select(named("a")) is not before


def test_passing_queries_do_not_pile_up() -> None:
    head = Head()
    fill(head, source(), layout(*({"__name__": "x", "i": str(i)} for i in range(1000))), [range(1000)])
    kept = head.select(named("x"))
    for number in range(3000):
        head.select((*named("x"), Matcher("i", MatchOperator.NOT_EQUAL, f"{number}-")))
        assert head.select(named("x")) is kept
    assert sum(len(selection) for selection in head.directory._selections._kept.values()) <= 1_000_000


class TestReadability:
    labels = Labels(instance="sw1", severity="critical")

    def test_a_source_that_can_be_read_is_readable(self) -> None:
        head = Head()
        fill(head, source(), layout("a"), [[1.0]])
        assert not head.readability(self.labels, frozenset({"a"}))

    def test_a_source_that_is_down_is_not(self) -> None:
        head = Head()
        at = fill(head, source(), layout("a"), [[1.0]])
        head.append([down(source(), at + 15)])
        assert head.readability(self.labels, frozenset({"a"}))
        assert not head.readability(Labels(instance="sw2"), frozenset({"a"}))
        assert not head.readability(self.labels, frozenset({"other"}))

    def test_a_source_that_was_down_from_the_start_is_not(self) -> None:
        head = Head()
        head.append([down(source(), 1_700_000_000.0)])
        assert head.readability(self.labels, frozenset({"a"}))

    def test_an_unread_metric_of_a_source_that_is_up_is_not(self) -> None:
        head = Head()
        at = fill(head, source(), layout("a", "b"), [[1.0, 2.0]])
        head.append([batch(source(), at + 15, layout("a"), [1.0], unread=["b"])])
        assert newest(head, at + 15, "b") == {}
        assert head.readability(self.labels, frozenset({"b"}))
        assert not head.readability(self.labels, frozenset({"a"}))
        head.append([batch(source(), at + 30, layout("a"), [1.0])])
        assert not head.readability(self.labels, frozenset({"b"}))

    def test_one_source_that_can_be_read_is_enough(self) -> None:
        head = Head()
        at = fill(head, source(module="snmp"), layout("a"), [[1.0]])
        fill(head, source(module="ssh"), layout("a"), [[1.0]])
        head.append([down(source(module="snmp"), at + 15)])
        assert not head.readability(Labels(instance="sw1"), frozenset({"a"}))
        assert head.readability(Labels(instance="sw1", job="snmp"), frozenset({"a"}))


class TestBoundedMemory:
    def test_a_thousand_layouts_leave_no_more_columns_than_two(self) -> None:
        head = Head(retention=300.0)
        for step in range(1000):
            shape = layout(*({"__name__": "x", "port": f"{step // 2}-{i}"} for i in range(10)))
            head.append([batch(source(), START + 15 * step, shape, range(10))])
        # What ended within the retention, with as much again until the vacuum comes round.
        assert head.series < 10 * 2 * (300 + 300 + 75) / 15 / 2 + 50
        assert head.nbytes < 3_000_000
        assert len(head.symbols) < 4000

    def test_forgotten_sources_give_everything_back(self) -> None:
        head = Head(retention=60.0)
        for step in range(200):
            where = source(f"host{step}")
            head.append([batch(where, START + 15 * step, layout("a", "b"), [1.0, 2.0])])
            head.forget(where)
        head.append([batch(source("last"), START + 15 * 300, layout("a"), [1.0])])
        assert head.series == 4
        assert newest(head, START + 15 * 300, "a") == {'a{instance="last", job="if_mib"}': 1.0}

    def test_a_target_long_down_keeps_only_the_series_about_its_polls(self) -> None:
        head = Head(retention=60.0)
        shape = layout("a")
        at = fill(head, source(), shape, [[1.0]])
        for step in range(1, 60):
            head.append([down(source(), at + 15 * step)])
        assert head.series == 3
        at = fill(head, source(), shape, [[2.0]], start=at + 15 * 60)
        assert list(newest(head, at, "a").values()) == [2.0]


def test_series_of_many_targets_keep_their_values_apart() -> None:
    head = Head()
    shapes = [layout(*({"__name__": "x", "i": str(i)} for i in range(7)), "y") for _ in range(40)]
    rng = np.random.default_rng(1)
    expected: dict[str, float] = {}
    for step in range(4):
        for number, shape in enumerate(shapes):
            values = rng.integers(0, 1000, len(shape)).astype(float)
            where = source(f"h{number}")
            head.append([batch(where, START + 15 * step, shape, values.tolist())])
            for i in range(7):
                expected[f'x{{i="{i}", instance="h{number}", job="if_mib"}}'] = values[i]
    assert newest(head, START + 45, "x") == expected


@pytest.mark.parametrize("interval", [0.1, 1.0, 15.0, 300.0])
def test_any_interval_works(interval: float) -> None:
    head = Head()
    at = fill(head, source(interval=interval), layout("a"), [[float(i)] for i in range(10)])
    assert list(newest(head, at, "a").values()) == [9.0]
