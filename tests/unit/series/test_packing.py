"""A head that packs its older samples answers as one that keeps them all plain."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sentinel.model.batch import STALE
from sentinel.series.head import Head
from sentinel.series.index.selection import Samples
from tests.unit.series.feeding import START, batch, down, layout, named, newest, source

RETENTION = 3600.0

_EVENTS = st.lists(
    st.tuples(
        st.sampled_from(
            ["poll", "poll", "poll", "poll", "down", "nothing", "other rows", "forget", "long pause"]
        ),
        st.integers(0, 2),
    ),
    min_size=1,
    max_size=30,
)


def _heads() -> tuple[Head, Head]:
    return Head(retention=RETENTION, recent=60.0), Head(retention=RETENTION, recent=RETENTION)


def _append(heads: tuple[Head, Head], what: str, number: int, at: float, value: float) -> None:
    where = source(f"h{number}", interval=30.0)
    rows = ("a", "b", "c") if what == "other rows" else ("a", "b")
    shape = layout(*({"__name__": "x", "row": row} for row in rows), "y")
    values = [
        value,
        7.0,
        *([value / 3] if what == "other rows" else []),
        STALE if value % 5 == 0 else value % 11,
    ]
    for head in heads:
        if what == "down":
            head.append([down(where, at)])
        elif what == "forget":
            # Polled a moment ago: the end of one that had been silent comes too late for the head that packs.
            head.append([batch(where, at - 1, shape, values)])
            head.forget(where)
        elif what != "nothing":
            head.append([batch(where, at, shape, values)])


def _texts(samples: Samples) -> list[tuple[list[float], list[str]]]:
    return [
        (
            samples.times[: samples.count[i], i].tolist(),
            [repr(v) for v in samples.values[: samples.count[i], i].tolist()],
        )
        for i in range(len(samples.count))
    ]


def _same(packing: Head, plain: Head, at: float) -> None:
    for name in ("x", "y", "up"):
        one, other = packing.select(named(name)), plain.select(named(name))
        assert list(one.table) == list(other.table)
        for start, end in ((at - 3000, at), (at - 1000, at - 500), (at - 45, at), (at - 2900, at - 1400)):
            for mine, theirs in zip(one.pieces, other.pieces, strict=True):
                assert _texts(mine.samples(start, end)) == _texts(theirs.samples(start, end))
                ends, wanted = mine.ends(start, end), theirs.ends(start, end)
                # The end of a source that had long been silent comes too late for the one that packs: no sample,
                # but a poll. Where there is such a gap, nobody asks for the ends.
                whole = mine.pool.gap_at[mine.columns] <= start
                assert ends.count[whole].tolist() == wanted.count[whole].tolist()
                held = ends.is_exact & (ends.count > 0)
                assert ends.first[held].tolist() == wanted.first[held].tolist()
                assert ends.last[held].tolist() == wanted.last[held].tolist()
        for back in (0, 40, 700, 2000):
            values, present = one.instant(at - back, 300.0)
            expected, held = other.instant(at - back, 300.0)
            assert present.tolist() == held.tolist()
            assert values[present].tolist() == expected[held].tolist()


@settings(max_examples=60, deadline=None)
@given(_EVENTS)
@example([("poll", 0)] * 4 + [("nothing", 0)] * 2 + [("forget", 0)])
def test_windows_of_any_age_hold_the_same_samples(events: list[tuple[str, int]]) -> None:
    heads, at = _heads(), START
    for step, (what, number) in enumerate(events):
        at += 900 if what == "long pause" else 0
        for part in range(5):
            at += 30
            for one in range(3):
                kind = what if one == number else "poll"
                _append(heads, kind, one, at + one, float(step * 7 + part * one))
    _same(*heads, at + 3)


def test_a_day_of_polls_keeps_memory_flat() -> None:
    head = Head(retention=RETENTION)
    shape = layout(*({"__name__": "x", "row": str(row)} for row in range(1000)))
    rng = np.random.default_rng(3)
    values = rng.integers(0, 1 << 40, 1000).astype(float)
    sizes = []
    for step in range(24 * 60):
        values += rng.integers(0, 1 << 16, 1000)
        head.append([batch(source(interval=60.0), START + 60 * step, shape, values.tolist())])
        sizes.append(head.nbytes)
    assert max(sizes[120:]) < 1.1 * sizes[120]
    (piece,) = head.select(named("x")).pieces
    samples = piece.samples(START + 60 * step - 3000, START + 60 * step)
    assert samples.count.tolist() == [50] * 1000
    assert samples.values[-1].tolist() == values.tolist()


def test_a_column_used_again_does_not_show_the_series_before_it() -> None:
    head = Head(retention=RETENTION, recent=60.0)
    where = source(interval=30.0)
    for step in range(60):
        head.append([batch(where, START + 30 * step, layout("old"), [float(step)])])
    at = START + 30 * 60
    head.directory.remove(head._feeds[where].pool, head._feeds[where].take_all())
    for step in range(20):
        head.append([batch(where, at + 30 * step, layout("new"), [1000.0 + step])])
    (piece,) = head.select(named("new")).pieces
    samples = piece.samples(START, at + 600)
    assert samples.values[: samples.count[0], 0].tolist() == [1000.0 + step for step in range(20)]


@pytest.mark.parametrize("late", [30.0, 240.0])
def test_a_late_poll_within_five_minutes_is_stored(late: float) -> None:
    head = Head(retention=RETENTION)
    for step in range(200):
        head.append([batch(source("early", interval=15.0), START + 15 * step, layout("a"), [1.0])])
    at = START + 15 * 199 - late
    head.append([batch(source("late", interval=15.0), at, layout("a"), [2.0])])
    assert head.rejected == 0
    assert newest(head, at, "a")['a{instance="late", job="if_mib"}'] == 2.0


def test_two_sources_may_hand_a_series_to_each_other() -> None:
    head = Head(retention=RETENTION, recent=60.0)
    one, other = source("same", interval=30.0), source("same", module="second", interval=30.0, job="if_mib")
    shape, at = layout("a"), START
    for turn in range(6):
        mine, theirs = (one, other) if turn % 2 else (other, one)
        for _ in range(15):
            at += 30
            head.append([batch(mine, at, shape, [float(turn)]), down(theirs, at + 1)])
        assert list(newest(head, at, "a").values()) == [float(turn)]
