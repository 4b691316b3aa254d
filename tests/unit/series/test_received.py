"""Received sources in the head: their polls are somebody else's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sentinel.model.batch import ABSENT_BITS, STALE, Batch, Layout, Reading, Source
from sentinel.model.labels import Labels
from sentinel.promql import Engine
from sentinel.promql.value import Vector
from sentinel.series.head import Head
from tests.unit.series.feeding import START, batch, fill, layout, newest, source

ABSENT = float(np.uint64(ABSENT_BITS).view(np.float64))
NAMES = frozenset({"a", "b"})


def sent(number: int = 0, *, interval: float = 15.0) -> Source:
    labels = Labels(instance="web1", job="node")
    return Source("web1", f"node #{number}", labels, interval, is_received=True)


def put(head: Head, where: Source, at: float, shape: Layout, *values: float) -> None:
    head.append([Batch(where, at, Reading(shape, np.array(values)), up=True, duration=0.0)])


def count(head: Head, query: str, at: float) -> dict[str, float]:
    value = Engine(head).compile(query).instant(at)
    assert isinstance(value, Vector)
    return {str(labels): number for labels, number in value.samples()}


def test_nothing_is_added_about_the_poll() -> None:
    head = Head()
    put(head, sent(), START, layout("a", "up"), 1.0, 0.0)
    assert newest(head, START, "up") == {'up{instance="web1", job="node"}': 0.0}
    assert newest(head, START, "sentinel_poll_samples") == {}


def test_series_that_part_keep_their_samples_and_their_newest_one() -> None:
    head = Head()
    both, one, other = layout("a", "b"), layout("a"), layout("b")
    for tick in range(4):
        put(head, sent(), START + 15 * tick, both, tick, 10.0 + tick)
    head.split(sent(), sent(1), np.array([1]))
    put(head, sent(), START + 60, one, 4.0)
    at = START + 60
    assert newest(head, at, "a") == {'a{instance="web1", job="node"}': 4.0}
    assert newest(head, at, "b") == {'b{instance="web1", job="node"}': 13.0}
    assert list(count(head, "count_over_time(b[5m])", at).values()) == [4.0]
    put(head, sent(1), START + 67, other, 14.0)
    assert list(count(head, "sum_over_time(b[5m])", START + 67).values()) == [10 + 11 + 12 + 13 + 14]
    assert list(count(head, "timestamp(b)", START + 67).values()) == [START + 67]
    assert list(count(head, "timestamp(a)", START + 67).values()) == [START + 60]
    assert newest(head, START + 67 + 301, "b") == {}


def test_a_part_that_came_alone_leaves_the_others_as_they_were() -> None:
    head = Head()
    both = layout("a", "b")
    put(head, sent(), START, both, 1.0, 2.0)
    put(head, sent(), START + 15, both, 1.0, STALE)
    put(head, sent(), START + 30, both, 1.0, ABSENT)
    head.split(sent(), sent(1), np.array([0]))
    put(head, sent(1), START + 45, layout("a"), 5.0)
    assert newest(head, START + 45, "b") == {}
    assert list(count(head, "count_over_time(a[5m])", START + 45).values()) == [4.0]
    assert list(count(head, "count_over_time(b[5m])", START + 45).values()) == [1.0]


def test_what_is_sent_together_again_can_be_united() -> None:
    head = Head()
    put(head, sent(), START, layout("a", "b"), 1.0, 2.0)
    head.split(sent(), sent(1), np.array([1]))
    for tick in range(1, 4):
        put(head, sent(), START + 15 * tick, layout("a"), 1.0)
        if tick > 1:
            put(head, sent(1), START + 15 * tick, layout("b"), 2.0)
    assert head.unite(sent(), sent(1))
    put(head, sent(), START + 60, layout("a", "b"), 1.0, 2.0)
    assert list(count(head, "count_over_time(a[5m])", START + 60).values()) == [5.0]
    assert list(count(head, "count_over_time(b[5m])", START + 60).values()) == [4.0]
    assert list(count(head, "rate(b[5m])", START + 60).values()) == [0.0]


def test_series_with_polls_of_their_own_stay_apart() -> None:
    head = Head()
    put(head, sent(), START, layout("a"), 1.0)
    put(head, sent(1), START + 7, layout("b"), 1.0)
    assert not head.unite(sent(), sent(1))
    assert newest(head, START + 8, "b") == {'b{instance="web1", job="node"}': 1.0}


def test_another_interval_loses_no_sample() -> None:
    head = Head()
    shape = layout("a")
    for tick in range(4):
        put(head, sent(), START + 5 * tick, shape, tick)
    for tick in range(4, 12):
        put(head, sent(interval=5.0), START + 5 * tick, shape, tick)
    at = START + 55
    assert list(count(head, "count_over_time(a[5m])", at).values()) == [12.0]
    assert list(count(head, "sum_over_time(a[5m])", at).values()) == [66.0]


def test_a_senders_clock_moves_nobody_elses_ticks() -> None:
    head = Head()
    at = fill(head, source(), layout("x"), [[1.0]] * 10)
    put(head, sent(), at + 3600, layout("a"), 1.0)
    put(head, sent(1), at - 500, layout("b"), 1.0)
    head.append([batch(source(), at + 15, layout("x"), [2.0])])
    assert list(newest(head, at + 15, "x").values()) == [2.0]
    assert list(count(head, "count_over_time(x[5m])", at + 15).values()) == [11.0]


def test_whether_it_can_be_read_is_for_others_to_judge() -> None:
    head = Head()
    labels = Labels(instance="web1", job="node", alertname="x")
    put(head, sent(), START, layout("a"), 1.0)
    assert not head.readability(labels, NAMES)
    head.judge(sent(), is_up=False)
    assert head.readability(labels, NAMES)
    assert not head.readability(labels.updated({"instance": "web2"}), NAMES)
    assert not head.readability(labels, frozenset({"c"}))
    put(head, sent(), START + 15, layout("a"), 1.0)
    assert head.readability(labels, NAMES)
    head.judge(sent(), is_up=True)
    assert not head.readability(labels, NAMES)


def test_a_step_of_our_clock_leaves_their_instants_alone() -> None:
    head = Head()
    fill(head, source(), layout("x"), [[1.0]])
    put(head, sent(), START, layout("a"), 1.0)
    head.shift(3600)
    assert list(newest(head, START + 3600, "x").values()) == [1.0]
    assert list(newest(head, START, "a").values()) == [1.0]
    put(head, sent(), START + 15, layout("a"), 2.0)
    assert list(newest(head, START + 15, "a").values()) == [2.0]


def test_a_forgotten_part_frees_its_columns() -> None:
    head = Head(retention=600)
    put(head, sent(), START, layout("a", "b"), 1.0, 2.0)
    head.split(sent(), sent(1), np.array([1]))
    head.forget(sent(1))
    for tick in range(1, 120):
        put(head, sent(), START + 15 * tick, layout("a"), 1.0)
    assert head.series == 1
    assert newest(head, START + 15 * 119, "b") == {}


def test_a_received_source_is_the_same_whatever_its_interval() -> None:
    assert replace(sent(), interval=5.0) == sent()
