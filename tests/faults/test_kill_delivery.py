"""At least once, repeats bounded by what is on its way, nothing acknowledged lost: under kill -9."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.killing import kill_run


def test_kills_at_random_moments_lose_nothing_and_repeat_only_what_was_on_its_way(tmp_path: Path) -> None:
    tally = kill_run(tmp_path, kills=8, alerts=100, seed=20261)
    assert tally.faults == []
    assert tally.repeats <= tally.bound
    assert tally.incidents >= 100
    assert tally.acknowledged > 0


@pytest.mark.parametrize(
    ("failpoint", "repeats"),
    [
        ("before-commit:1", {0}),  # nothing was told yet
        ("before-commit:8", {0, 1}),  # a mark may be among the commits
        ("sent-not-marked:1", {1}),
        ("sent-not-marked:9", {1}),
    ],
)
def test_a_kill_at_the_worst_moment_repeats_what_was_on_its_way_and_no_more(
    tmp_path: Path, failpoint: str, repeats: set[int]
) -> None:
    tally = kill_run(tmp_path, alerts=30, concurrency=1, failpoints=(failpoint,))
    assert tally.faults == []
    assert tally.repeats in repeats
