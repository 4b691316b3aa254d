"""Runs of columns: handed out apart, taken back, joined, found again."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sentinel.series.columns.runs import Columns

SLAB = 1024


@given(st.lists(st.one_of(st.integers(1, 3 * SLAB), st.just(-1)), max_size=60), st.randoms())
def test_runs_never_overlap_and_all_come_back(
    steps: list[int],
    random: st.randoms,  # type: ignore[valid-type]
) -> None:
    columns: Columns[str] = Columns(SLAB)
    held: dict[int, int] = {}
    for number, step in enumerate(steps):
        if step > 0:
            start, size = columns.reserve(step, f"owner {number}", 0)
            assert size >= min(step, SLAB)
            assert start % size == 0
            assert all(start + size <= one or one + many <= start for one, many in held.items())
            held[start] = size
        elif held:
            start = random.choice(sorted(held))  # type: ignore[attr-defined]
            columns.release(start, held.pop(start))
    width = columns.width
    for start, size in held.items():
        columns.release(start, size)
    for _ in range(width // SLAB):
        columns.reserve(SLAB, "all", 0)
    assert columns.width == width


def test_a_column_is_found_with_its_owner() -> None:
    columns: Columns[str] = Columns(SLAB)
    one, _ = columns.reserve(4, "one", 0)
    other, _ = columns.reserve(10, "other", 100)
    found = columns.locate(np.array([other + 3, one + 1, other]))
    assert sorted((owner, places.tolist()) for owner, places in found) == [
        ("one", [1]),
        ("other", [103, 100]),
    ]
