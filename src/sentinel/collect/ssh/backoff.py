"""Waiting longer after each failed attempt to connect."""

from __future__ import annotations

from sentinel.collect.collector import PollError

_FIRST = 1.0
_LONGEST = 5.0
_FIRST_DENIED = 15.0
_LONGEST_DENIED = 300.0
"""Hosts lock accounts and addresses that keep knocking with a wrong key."""


class Backoff:
    """In between, polls fail at once with the last reason: a tick of several modules is one attempt."""

    def __init__(self) -> None:
        self._error: PollError | None = None
        self._failures = 0
        self._until = 0.0

    def check(self, now: float) -> None:
        """
        Raises:
            PollError: it is too early, at that monotonic instant, to try again.
        """
        if self._error is not None and now < self._until:
            wait = self._until - now
            raise PollError(self._error.reason, f"{self._error.text} (tries again in {wait:.0f} s)")

    def failed(self, error: PollError, now: float) -> None:
        self._error = error
        first, longest = (_FIRST_DENIED, _LONGEST_DENIED) if error.reason == "auth" else (_FIRST, _LONGEST)
        self._until = now + min(first * 2.0**self._failures, longest)
        self._failures = min(self._failures + 1, 16)

    def succeeded(self) -> None:
        self._error = None
        self._failures = 0
