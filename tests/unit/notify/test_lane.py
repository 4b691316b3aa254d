"""The queue of one receiver."""

from __future__ import annotations

from dataclasses import replace

from sentinel.notify.lane import LONGEST_PAUSE, Lane
from sentinel.notify.outbox import Waiting
from sentinel.notify.pace import Limit
from sentinel.notify.receiver import Outcome, Result

DELIVERED = Outcome(Result.DELIVERED)
FAILED = Outcome(Result.RETRY)
DOWN = Outcome(Result.RETRY, is_unwell=True)


def lane(*rows: tuple[int, int], concurrency: int = 4) -> Lane:
    made = Lane("ops", concurrency)
    made.add(Waiting(number, str(incident), 0) for number, incident in rows)
    return made


def taken(queue: Lane, now: float = 0.0) -> list[int]:
    found = []
    while (row := queue.take(now)) is not None:
        found.append(row.id)
    return found


def test_one_message_of_an_incident_flies_at_a_time() -> None:
    queue = lane((1, 10), (2, 10), (3, 20))
    assert taken(queue) == [1, 3]
    queue.done(Waiting(1, "10", 0), DELIVERED, 0.0)
    assert taken(queue) == [2]


def test_concurrency_bounds_what_flies() -> None:
    queue = lane(*((number, number) for number in range(1, 9)), concurrency=3)
    assert len(taken(queue)) == 3


def test_a_failed_message_holds_back_its_incident_but_no_other() -> None:
    queue = lane((1, 10), (2, 10), (3, 20), concurrency=1)
    row = queue.take(0.0)
    assert row is not None
    queue.done(row, FAILED, 0.0)
    assert taken(queue) == [3]
    queue.done(Waiting(3, "20", 0), DELIVERED, 0.0)
    assert taken(queue) == []
    assert 0.7 <= (queue.wait(0.0) or 0.0) <= 1.0
    assert taken(queue, 1.0) == [1]


def test_a_receiver_that_is_down_is_probed_by_one_message_at_a_time() -> None:
    queue = lane(*((number, number) for number in range(1, 9)))
    for number in taken(queue):
        queue.done(Waiting(number, str(number), 0), DOWN, 0.0)
    assert taken(queue, 0.1) == []
    assert taken(queue, 100.0) == [5]
    queue.done(Waiting(5, "5", 0), DELIVERED, 100.0)
    assert len(taken(queue, 100.0)) == 4


def test_pauses_grow_to_five_minutes_and_no_further() -> None:
    queue, now, pauses = lane((1, 1)), 0.0, []
    for attempt in range(20):
        row = queue.take(now)
        assert row is not None
        assert row.attempts == attempt
        queue.done(row, DOWN, now)
        pause = queue.wait(now)
        assert pause is not None
        pauses.append(pause)
        now += pause
    assert pauses[0] <= 1.0
    assert 0.75 * LONGEST_PAUSE <= pauses[-1] <= LONGEST_PAUSE


def test_retry_after_holds_back_the_whole_receiver() -> None:
    queue = lane((1, 1), (2, 2), concurrency=1)
    row = queue.take(0.0)
    assert row is not None
    queue.done(row, Outcome(Result.RETRY, retry_after=40.0), 0.0)
    assert taken(queue, 39.0) == []
    assert queue.wait(0.0) == 40.0
    assert taken(queue, 40.0) == [2]


def test_rows_that_become_pending_again_come_in_their_order_and_once() -> None:
    queue = lane((2, 10), (5, 10), (7, 20))
    assert taken(queue) == [2, 7]
    queue.rewind()
    queue.add(Waiting(number, "10", 0) for number in (2, 3, 5))
    queue.add([Waiting(7, "20", 0), Waiting(8, "30", 0)])
    assert taken(queue) == [8]
    for number, after in ((2, [3]), (3, [5]), (5, [])):
        queue.done(Waiting(number, "10", 0), DELIVERED, 0.0)
        assert taken(queue) == after


def test_a_row_before_the_first_that_waits_goes_first() -> None:
    queue = lane((5, 10))
    queue.add([Waiting(3, "10", 0)])
    assert taken(queue) == [3]


def test_rewinding_ends_pauses_but_not_one_that_the_far_side_asked_for() -> None:
    queue = lane((1, 1), (2, 2), concurrency=1)
    row = queue.take(0.0)
    assert row is not None
    queue.done(row, DOWN, 0.0)
    assert taken(queue) == []
    queue.rewind()
    assert taken(queue) == [1]
    queue.done(row, Outcome(Result.RETRY, retry_after=40.0), 0.0)
    queue.rewind()
    assert taken(queue, 39.0) == []
    assert taken(queue, 40.0) == [1]


def test_more_than_the_cap_is_a_flood_as_long_as_something_may_go() -> None:
    queue = lane(*((number, number) for number in range(1, 6)))
    assert queue.flooded(0.0) is None
    queue.cap = Limit(3, 60)
    queue.pace.keep([queue.cap])
    assert queue.flooded(0.0) == set()
    first = queue.take(0.0)
    assert first is not None
    assert queue.flooded(0.0) == {"1"}  # what flies is left alone
    queue.done(first, DOWN, 0.0)
    assert queue.flooded(0.0) is None  # one by one until the receiver is well


def test_queues_wait_for_their_digest_and_go_on_after_it() -> None:
    queue = lane(*((number, number % 3) for number in range(1, 7)))
    digest = Waiting(9, "digest/x", 0, ("0", "1", "2"))
    queue.put_together({1, 2, 3}, digest)
    assert taken(queue) == [9]
    queue.done(digest, FAILED, 0.0)
    assert taken(queue) == []
    assert taken(queue, now=600.0) == [9]
    queue.done(replace(digest, attempts=1), DELIVERED, 600.0)
    assert sorted(taken(queue, now=600.0)) == [4, 5, 6]


def test_a_digest_read_from_the_table_holds_what_came_before_it() -> None:
    queue = Lane("ops", 4)
    queue.add([Waiting(7, "a", 0), Waiting(8, "b", 0), Waiting(9, "digest/x", 0, ("a",))])
    assert taken(queue) == [8, 9]
    queue.done(Waiting(9, "digest/x", 0, ("a",)), DELIVERED, 0.0)
    assert taken(queue) == [7]
