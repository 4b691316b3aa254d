from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentinel.model.batch import ABSENT_BITS, STALE, STALE_BITS
from sentinel.series.history.thin import picked, thin
from sentinel.series.reading.archive import Panes
from tests.unit.series.feeding import START, batch, layout, named, source
from tests.unit.series.history.keeping import Kept

ABSENT = float(np.uint64(ABSENT_BITS).view(np.float64))


def test_the_newest_poll_of_each_window_stays() -> None:
    stamps = np.array([[10, 12], [20, 25], [30, 31], [40, 0]])
    found = thin(stamps, np.array([4, 3]), Panes(0, 20, 20, True))
    assert found is not None
    assert found.counts.tolist() == [2, 2]
    left = [[int(stamps[row, s]) for row in found.rows[: found.counts[s], s]] for s in (0, 1)]
    assert left == [[20, 40], [12, 31]]
    assert found.lowest.tolist() == [[0, 0], [2, 1]]


def test_polls_outside_the_windows_go() -> None:
    stamps = np.array([[1], [10], [11], [20], [25], [30]])
    for is_newest, rows in ((False, [2, 3]), (True, [3])):
        found = thin(stamps, np.array([6]), Panes(-20, 40, 10, is_newest))
        assert found is not None
        assert found.rows[:, 0].tolist() == rows
        assert found.lowest[:, 0].tolist() == [2, 3][: len(rows)]


def test_nothing_is_thinned_that_is_thin_already() -> None:
    stamps = np.array([[10], [20], [30]])
    assert thin(stamps, np.array([3]), Panes(0, 10, 10, True)) is None
    assert thin(stamps, np.array([3]), Panes(5, 10, 6, False)) is None
    assert thin(stamps, np.array([3]), None) is None


def test_what_ended_between_two_rows_is_stale() -> None:
    values = np.array(
        [[1.0, ABSENT, 1.0], [STALE, ABSENT, 2.0], [ABSENT, 5.0, ABSENT], [ABSENT, 6.0, ABSENT]]
    )
    found = picked(values, np.array([[2, 2, 1], [3, 3, 3]]), np.array([[0, 0, 0], [3, 3, 2]]))
    bits = found.view(np.uint64).tolist()
    assert bits[0] == [STALE_BITS, 0x4014000000000000, 0x4000000000000000]
    assert bits[1] == [ABSENT_BITS, 0x4018000000000000, ABSENT_BITS]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 90), st.booleans()), min_size=30, max_size=90),
    st.sampled_from([60, 120, 300, 900]),
    st.sampled_from([1, 40, 60, 300, 900]),
    st.booleans(),
)
@pytest.mark.asyncio
async def test_windows_hold_the_same_samples_among_few_as_among_all(
    tmp_path_factory: pytest.TempPathFactory,
    polls: list[tuple[int, bool]],
    step: int,
    width: int,
    is_newest: bool,
) -> None:
    kept, at = Kept(tmp_path_factory.mktemp("history")), START
    for number, (pause, is_there) in enumerate(polls):
        at += pause
        shape = layout("a", "b") if is_there else layout("b")
        await kept.at(at)
        kept.head.append([batch(source(interval=30.0), at, shape, [number] * len(shape))])
    await kept.pack()
    panes = Panes(round(START * 1000), step * 1000, min(width, step) * 1000, is_newest)
    for name in ("a", "b"):
        first = START - 2.0 * step
        found = kept.read(named(name), first)
        everything = found.popitem()[1] if found else []
        few = kept.read(named(name), first, panes=panes)
        left = few.popitem()[1] if few else []
        stale = f"{STALE_BITS:x}"
        for instant in np.arange(START, at + 900, step).tolist():
            one, other = (
                [
                    (when, bits)
                    for when, bits in samples
                    if (instant * 1000) - panes.width < when <= instant * 1000
                ]
                for samples in (everything, left)
            )
            if not is_newest:
                assert one == other
            else:
                # The last one, stale or not; staleness may be told at a later poll of the window.
                one, other = one[-1:], other[-1:]
                assert one == other or [bits for _, bits in one] == [bits for _, bits in other] == [stale]
