from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentinel.model.batch import ABSENT_BITS, STALE, STALE_BITS
from sentinel.series.history.thin import picked, thin
from tests.unit.series.feeding import START, batch, layout, named, source
from tests.unit.series.history.keeping import Kept

ABSENT = float(np.uint64(ABSENT_BITS).view(np.float64))


def test_the_newest_poll_of_each_interval_stays() -> None:
    stamps = np.array([[10, 12], [20, 25], [30, 31], [40, 0]])
    found = thin(stamps, np.array([4, 3]), 0, 20)
    assert found is not None
    rows, counts = found
    assert counts.tolist() == [2, 2]
    assert [[int(stamps[row, s]) for row in rows[: counts[s], s]] for s in (0, 1)] == [[20, 40], [12, 31]]


def test_nothing_is_thinned_that_is_thin_already() -> None:
    stamps = np.array([[10], [20], [30]])
    assert thin(stamps, np.array([3]), 0, 10) is None
    assert thin(stamps, np.array([3]), 0, 0) is None


def test_what_ended_between_two_rows_is_stale() -> None:
    values = np.array(
        [[1.0, ABSENT, 1.0], [STALE, ABSENT, 2.0], [ABSENT, 5.0, ABSENT], [ABSENT, 6.0, ABSENT]]
    )
    found = picked(values, np.array([[2, 2, 1], [3, 3, 3]]), has_holes=True)
    bits = found.view(np.uint64).tolist()
    assert bits[0] == [STALE_BITS, 0x4014000000000000, 0x4000000000000000]
    assert bits[1] == [ABSENT_BITS, 0x4018000000000000, ABSENT_BITS]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 90), st.booleans()), min_size=30, max_size=90),
    st.sampled_from([60, 120, 300, 900]),
)
@pytest.mark.asyncio
async def test_instants_find_the_same_samples_among_few_as_among_all(
    tmp_path_factory: pytest.TempPathFactory, polls: list[tuple[int, bool]], step: int
) -> None:
    kept, at = Kept(tmp_path_factory.mktemp("history")), START
    for number, (pause, is_there) in enumerate(polls):
        at += pause
        shape = layout("a", "b") if is_there else layout("b")
        await kept.at(at)
        kept.head.append([batch(source(interval=30.0), at, shape, [number] * len(shape))])
    await kept.pack()
    for name in ("a", "b"):
        first = START - 2.0 * step
        everything = kept.read(named(name), first).popitem()[1] if kept.read(named(name)) else []
        few = kept.read(named(name), first, step=float(step)).popitem()[1] if everything else []
        stale = f"{STALE_BITS:x}"
        for instant in np.arange(START, at + 900, step).tolist():
            # The last sample in the interval that ends now, stale or not.
            one, other = (
                [bits for when, bits in samples if (instant - step) * 1000 < when <= instant * 1000][-1:]
                for samples in (everything, few)
            )
            assert one == other or (other == [stale] and one == [stale])
