"""Limits of services, kept by waiting."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sentinel.notify.lane import Lane
from sentinel.notify.outbox import Waiting
from sentinel.notify.pace import Limit, Pace
from sentinel.notify.receiver import Outcome, Result

DELIVERED = Outcome(Result.DELIVERED)


def test_a_lane_waits_until_the_window_has_room() -> None:
    lane = Lane("ops", 4)
    lane.pace.keep([Limit(2, 60)])
    rows = [Waiting(number, str(number), 0) for number in (1, 2, 3)]
    lane.add(rows)
    assert lane.take_all(0.0) == rows[:2]
    lane.done(rows[0], DELIVERED, 1.0)
    lane.done(rows[1], DELIVERED, 5.0)
    assert lane.take_all(60.9) == []
    assert lane.wait(5.0) == 56.0
    assert lane.take_all(61.0) == rows[2:]


def test_a_limit_that_stays_over_a_reload_keeps_its_count() -> None:
    pace = Pace([Limit(1, 60)])
    pace.begin()
    pace.end(0.0)
    pace.keep([Limit(1, 60), Limit(5, 1)])
    assert pace.wait(10.0) == 50.0
    pace.keep([])
    assert pace.wait(10.0) == 0.0


@given(
    st.lists(st.tuples(st.floats(0, 3), st.floats(0, 3), st.floats(0, 1)), min_size=1, max_size=60),
    st.integers(1, 5),
)
def test_no_window_ever_sees_more_than_the_limit(steps: list[tuple[float, float, float]], count: int) -> None:
    """Whenever between its start and its answer the far side has seen each message."""
    pace, now, seen = Pace([Limit(count, 2.0)]), 0.0, []
    for pause, took, share in steps:
        now += pause + pace.wait(now + pause)
        assert pace.wait(now) <= 1e-9
        pace.begin()
        seen.append(now + took * share)
        now += took
        pace.end(now)
    for first, last in zip(seen, seen[count:], strict=False):
        assert last - first >= 2.0 - 1e-6
