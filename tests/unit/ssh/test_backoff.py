"""How long Sentinel waits after a failed login."""

from __future__ import annotations

import pytest

from sentinel.collect.collector import PollError
from sentinel.collect.ssh.backoff import Backoff


def waits(backoff: Backoff, now: float) -> bool:
    try:
        backoff.check(now)
    except PollError:
        return True
    return False


@pytest.mark.parametrize(("reason", "first", "longest"), [("refused", 1, 5), ("auth", 15, 300)])
def test_the_wait_doubles_up_to_its_longest(reason: str, first: float, longest: float) -> None:
    backoff, now = Backoff(), 0.0
    for attempt in range(12):
        backoff.failed(PollError(reason), now)
        wait = min(first * 2**attempt, longest)
        assert waits(backoff, now + wait - 0.01)
        now += wait
        assert not waits(backoff, now)


def test_success_forgets() -> None:
    backoff = Backoff()
    backoff.failed(PollError("refused"), 0)
    backoff.succeeded()
    assert not waits(backoff, 0)
