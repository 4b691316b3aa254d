from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentinel.model.batch import STALE, Family
from sentinel.model.labels import Labels
from sentinel.series.head import Head
from tests.unit.series.feeding import START, batch, down, fill, layout, named, newest, rule_source, source
from tests.unit.series.history.keeping import Keeper, dump, restored

SHAPES = [
    layout("a", "b"),
    layout("a"),
    layout({"__name__": "b", "port": "1"}, {"__name__": "b", "port": "2"}, "a"),
    layout({"__name__": "a", "instance": "other"}, "c"),
]


def same(head: Head, other: Head, at: float) -> None:
    """The same samples, and the same answers of what is worked out beforehand."""
    assert dump(other, 0, at) == dump(head, 0, at)
    same_answers(head, other, at)


def same_answers(head: Head, other: Head, at: float) -> None:
    for name in head:
        for back in (0, 30, 600):
            one, two = head.select(named(name)), other.select(named(name))
            order = [str(row) for row in one.table]
            place = {str(row): number for number, row in enumerate(two.table)}
            chosen = [place[row] for row in order if row in place]
            values, held = one.instant(at - back, 300.0)
            values_, held_ = two.instant(at - back, 300.0)
            missing = np.array([row not in place for row in order])
            assert not held[missing].any()
            assert held_[chosen].tolist() == held[~missing].tolist()
            assert np.array_equal(
                values_[chosen][held[~missing]], values[~missing][held[~missing]], equal_nan=True
            )


def test_a_restored_head_has_the_same_samples(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path)
    rows = [[float(n), 1e9 - n * 7.5] for n in range(400)]
    at = fill(keeper.head, source(), layout("a", "b"), rows)
    keeper.flush()
    same(keeper.head, restored(tmp_path, at), at)


def test_several_segments_make_one_past(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path)
    shape, at = layout("a", "b"), START
    for number in range(200):
        at = START + 15 * number
        keeper.head.append(
            [batch(source(target), at, shape, [number, number % 7]) for target in ("x", "y", "z")]
        )
        if number % 40 == 39:
            keeper.turn()
    keeper.flush()
    same(keeper.head, restored(tmp_path, at), at)


@pytest.mark.parametrize("interval", [5.0, 60.0, 300.0, 1800.0])
def test_pools_of_every_interval_come_back(tmp_path: Path, interval: float) -> None:
    keeper = Keeper(tmp_path)
    where = source(interval=interval)
    at = fill(keeper.head, where, layout("a"), [[math.sin(n)] for n in range(int(5400 / interval) + 2)])
    keeper.flush()
    same(keeper.head, restored(tmp_path, at), at)


def test_the_first_poll_after_a_restart_goes_on_with_the_same_series(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path)
    shape = layout("a", "b")
    at = fill(keeper.head, source(), shape, [[n, 2.0 * n] for n in range(50)])
    keeper.flush()
    head = restored(tmp_path, at)
    series = head.series
    for each in (keeper.head, head):
        fill(each, source(), layout("a", "b"), [[60.0, 120.0], [61.0, 122.0]], start=at + 120)
    assert head.series == series
    same(keeper.head, head, at + 135)


def test_a_series_that_is_gone_after_a_restart_is_stale_with_the_first_poll(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path)
    at = fill(keeper.head, source(), layout("a", "b"), [[1.0, 2.0]])
    keeper.flush()
    head = restored(tmp_path, at)
    fill(head, source(), layout("a"), [[3.0]], start=at + 15)
    assert newest(head, at + 15, "b") == {}
    assert len(newest(head, at + 15, "a")) == 1


def test_resets_and_gaps_are_known_again(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path)
    shape = layout("a", "b")
    rows = [[n if n < 30 else n - 30, 5.0 if n != 20 else math.nan] for n in range(60)]
    fill(keeper.head, source(), shape, rows)
    at = fill(keeper.head, source(), shape, [[40.0, STALE], [41.0, 5.0]], start=START + 15 * 60)
    keeper.flush()
    head = restored(tmp_path, at)
    for name in ("a", "b"):
        (one,), (two,) = keeper.head.select(named(name)).pieces, head.select(named(name)).pieces
        for start in (at - 600, at - 420, at - 30):
            assert two.ends(start, at).is_exact.tolist() == one.ends(start, at).is_exact.tolist()


def test_a_series_belongs_to_the_source_that_gave_it_last(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path)
    labels = {"instance": "same", "job": "j"}
    one, two = source("one"), source("two")
    object.__setattr__(one, "labels", Labels(labels))
    object.__setattr__(two, "labels", Labels(labels))
    at = fill(keeper.head, one, layout("a"), [[1.0], [2.0]])
    keeper.head.append([batch(one, at + 15, layout("b"), [1.0])])
    at = fill(keeper.head, two, layout("a"), [[7.0], [8.0]], start=at + 16)
    keeper.flush()
    head = restored(tmp_path, at)
    assert list(newest(head, at, "a").values()) == [8.0]
    assert (
        dump(head, 0, at)['a{instance="same", job="j"}']
        == dump(keeper.head, 0, at)['a{instance="same", job="j"}']
    )


def test_a_forgotten_source_stays_forgotten_and_one_that_came_back_does_not(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path)
    for target in ("gone", "back"):
        at = fill(keeper.head, source(target), layout("a"), [[1.0], [2.0]])
        keeper.head.forget(source(target))
    at = fill(keeper.head, source("back"), layout("a"), [[3.0]], start=at + 15)
    keeper.flush()
    head = restored(tmp_path, at)
    assert newest(head, at, "a") == newest(keeper.head, at, "a")
    assert list(newest(head, at, "a").values()) == [3.0]


def test_a_changed_interval_leaves_the_newest_polls(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path)
    at = fill(keeper.head, source(interval=15), layout("a"), [[1.0], [2.0]])
    at = fill(keeper.head, source(interval=60), layout("a"), [[3.0], [4.0]], start=at + 60)
    keeper.flush()
    same(keeper.head, restored(tmp_path, at), at)


def test_a_source_that_is_down_is_known_to_be(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path)
    at = fill(keeper.head, source(), layout("a"), [[1.0]])
    for poll in (1, 2, 3):
        keeper.head.append([down(source(), at + 15 * poll)])
    keeper.flush()
    head = restored(tmp_path, at + 45)
    same(keeper.head, head, at + 45)
    about = Labels(source().labels)
    assert head.readability(about, frozenset({"a"})) is True
    fill(head, source(), layout("a"), [[5.0]], start=at + 60)
    assert list(newest(head, at + 60, "a").values()) == [5.0]
    assert head.readability(about, frozenset({"a"})) is False


def test_steps_of_the_clock_move_what_was_written_before(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path)
    shape = layout("a")
    at = fill(keeper.head, source(), shape, [[float(n)] for n in range(20)])
    for step in (3600.25, -7200.0):
        keeper.shift(step)
        at = fill(keeper.head, source(), shape, [[float(n)] for n in range(20)], start=at + step + 15)
        keeper.flush()
    same(keeper.head, restored(tmp_path, at), at)


def test_polls_later_than_now_are_left_out(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path)
    at = fill(keeper.head, source(), layout("a"), [[float(n)] for n in range(20)])
    keeper.flush()
    head = restored(tmp_path, at - 100)
    assert list(newest(head, at - 100, "a").values()) == [12.0]
    fill(head, source(), layout("a"), [[99.0]], start=at - 95)
    assert list(newest(head, at - 95, "a").values()) == [99.0]


def test_types_and_help_come_back(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path)
    family = Family("counter", "Octets.", "bytes")
    at = fill(keeper.head, source(), layout("a", families={"a": family}), [[1.0]])
    keeper.flush()
    assert restored(tmp_path, at).families()["a"] == family


def test_texts_that_no_encoding_has_come_back(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path)
    at = fill(keeper.head, source(), layout({"__name__": "a", "x": "\udc80 é 中"}), [[1.0]])
    keeper.flush()
    same(keeper.head, restored(tmp_path, at), at)


values = st.one_of(
    st.floats(width=64, allow_nan=True), st.integers(-5, 5).map(float), st.just(STALE), st.just(-0.0)
)
polls = st.lists(
    st.tuples(
        st.integers(0, 2),  # source
        st.integers(-1, len(SHAPES) - 1),  # layout; -1: down
        st.integers(1, 400),  # tenths of an interval since the last
        st.lists(values, min_size=3, max_size=3),
        st.sampled_from(["", "", "", "", "turn", "shift"]),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(polls)
def test_whatever_was_polled_comes_back(
    tmp_path_factory: pytest.TempPathFactory, given_polls: list[Any]
) -> None:
    keeper = Keeper(tmp_path_factory.mktemp("journal"))
    sources = [source("x"), source("y", site="s"), rule_source()]
    at = START
    for number, kind, pause, row, event in given_polls:
        at = round(at + pause * 1.5, 3)
        where = sources[number]
        if kind < 0:
            keeper.head.append([down(where, at)])
        else:
            keeper.head.append([batch(where, at, SHAPES[kind], row[: len(SHAPES[kind])])])
        if event == "turn":
            keeper.turn()
        elif event == "shift":
            keeper.shift(33.5)
            at += 33.5
    keeper.flush()
    same(keeper.head, restored(keeper.folder, at + 1), at + 1)
