from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sentinel.model.batch import ABSENT_BITS, STALE
from sentinel.series.reading.cut import Cut
from sentinel.series.reading.stacking import stacked

ABSENT = float(np.uint64(ABSENT_BITS).view(np.float64))
Sample = tuple[float, int]
"""When, and the bits of the value."""


def cut_of(times: list[list[float]], slots: list[int], values: list[list[float]]) -> Cut:
    """
    Args:
        times: by slot.
        values: by series, one for each poll of its slot.
    """
    rows = max(map(len, times), default=0)
    cells, stamps = np.full((rows, len(slots)), 7.5), np.full((len(times), rows), np.inf)
    for slot, each in enumerate(times):
        stamps[slot, : len(each)] = each
    for column, samples in enumerate(values):
        cells[: len(samples), column] = samples
    return Cut(cells, stamps, np.array([len(each) for each in times], np.intp), np.array(slots, np.intp))


def samples_of(cut: Cut) -> list[list[Sample]]:
    """By series."""
    bits = np.ascontiguousarray(cut.cells).view(np.uint64)
    return [
        [(float(cut.times[slot, k]), int(bits[k, column])) for k in range(int(cut.polls[slot]))]
        for column, slot in enumerate(cut.slots.tolist())
    ]


def expected(parts: list[tuple[Cut, list[int]]], series: int) -> list[list[Sample]]:
    whole: list[list[Sample]] = [[] for _ in range(series)]
    for cut, rows in parts:
        for row, samples in zip(rows, samples_of(cut), strict=True):
            newest = whole[row][-1][0] if whole[row] else -np.inf
            whole[row] += [(at, bits) for at, bits in samples if at > newest and bits != ABSENT_BITS]
    return whole


@st.composite
def cuts(draw: st.DrawFn, series: int) -> tuple[Cut, list[int]]:
    slots = draw(st.integers(1, 3))
    times = [sorted(float(at) for at in draw(st.sets(st.integers(0, 25), max_size=6))) for _ in range(slots)]
    rows = draw(st.permutations(range(series)))[: draw(st.integers(0, series))]
    slot_of = [draw(st.integers(0, slots - 1)) for _ in rows]
    some = [1.0, 2.0, float("nan"), float("inf"), float("-inf"), STALE]
    value = st.sampled_from([*some, ABSENT] if draw(st.booleans()) else some)
    values = [[draw(value) for _ in times[slot]] for slot in slot_of]
    return cut_of(times, slot_of, values), rows


@settings(max_examples=300, deadline=None)
@given(st.data(), st.integers(0, 5))
def test_of_each_series_only_what_is_newer_than_all_before_comes(data: st.DataObject, series: int) -> None:
    parts = data.draw(st.lists(cuts(series), max_size=4))
    whole = stacked([(cut, np.array(rows, np.intp)) for cut, rows in parts], series)
    assert samples_of(whole) == expected(parts, series)
    assert len(whole.times) == len(whole.polls)
    assert all(
        np.isinf(times[polls:]).all() for times, polls in zip(whole.times, whole.polls.tolist(), strict=True)
    )


def test_what_fits_as_it_is_is_not_copied() -> None:
    cut = cut_of([[1.0, 2.0]], [0, 0], [[1.0, 2.0], [3.0, STALE]])
    nothing = cut_of([[]], [0], [[]])
    assert stacked([(cut, np.arange(2)), (nothing, np.array([1]))], 2) is cut


def test_series_that_are_polled_together_stay_together() -> None:
    one = cut_of([[1.0, 2.0], [1.5]], [0, 0, 1], [[1.0, 2.0], [3.0, 4.0], [5.0]])
    two = cut_of([[2.5], [2.0, 3.0]], [1, 0, 0], [[6.0, 7.0], [8.0], [9.0]])
    whole = stacked([(one, np.array([0, 1, 2])), (two, np.array([2, 1, 0]))], 3)
    assert samples_of(whole) == expected([(one, [0, 1, 2]), (two, [2, 1, 0])], 3)
    assert whole.slots[0] == whole.slots[1]
    assert len(whole.polls) == 2
