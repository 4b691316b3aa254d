"""The queue of one receiver: order kept within a queue of the outbox, pauses kept after failures. No I/O."""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Iterable

from sentinel.notify.outbox import Waiting
from sentinel.notify.pace import Pace
from sentinel.notify.receiver import Outcome, Result
from sentinel.runtime.supervise import backoff

LONGEST_PAUSE = 300.0
WINDOW = 10_000
"""Rows known at a time; the table holds the rest."""


class Lane:
    """Instants are monotonic seconds."""

    def __init__(self, receiver: str, concurrency: int) -> None:
        self.receiver = receiver
        self.concurrency = concurrency
        self.pace = Pace()
        """How often the far side takes a message."""
        self.stirred = asyncio.Event()
        """Something changed: new rows, a free slot."""
        self.seen = 0
        """Last row number read from the table."""
        self.is_read_out = False
        self._queues: dict[str, deque[Waiting]] = {}
        self._ready: list[tuple[float, int, str]] = []  # when, row, queue
        self._flying = 0
        self._aloft: set[str] = set()  # queues whose first row flies
        self._paused_until = 0.0
        self._asked_until = 0.0  # the far side itself asked for this pause
        self._failures = 0
        self._known: set[int] = set()
        self.moves = 0
        """Rows done with, in all."""

    @property
    def is_failing(self) -> bool:
        """The receiver itself has failed and has not been well since."""
        return self._failures > 0

    @property
    def known(self) -> int:
        """Rows taken in and not done with."""
        return len(self._known)

    @property
    def room(self) -> int:
        """How many more rows it may take in."""
        return max(0, WINDOW - len(self._known))

    def stir(self) -> None:
        self.is_read_out = False
        self.stirred.set()

    def rewind(self) -> None:
        """Rows before those that were seen have become pending, and what waits after a failure is due at once."""
        self.seen = 0
        self._paused_until = self._asked_until
        self._ready = [(0.0, number, queue) for _, number, queue in self._ready]
        heapq.heapify(self._ready)
        self.stir()

    def add(self, rows: Iterable[Waiting]) -> None:
        """Rows in their order; those that are known already do not count."""
        for row in rows:
            self.seen = row.id
            if row.id in self._known:
                continue
            self._known.add(row.id)
            queue = self._queues.setdefault(row.queue, deque())
            place = len(queue)
            first = 1 if row.queue in self._aloft else 0
            while place > first and queue[place - 1].id > row.id:
                place -= 1
            queue.insert(place, row)
            if len(queue) == 1:
                heapq.heappush(self._ready, (0.0, row.id, row.queue))

    def take(self, now: float) -> Waiting | None:
        """The next row to send, if one is due and there is a free slot.

        After a failure of the receiver itself one row at a time probes it.
        """
        slots = 1 if self._failures else self.concurrency
        if self._flying >= slots or now < self._paused_until:
            return None
        if not self._ready or self._ready[0][0] > now or self.pace.wait(now) > 0:
            return None
        self.pace.begin()
        _, _, name = heapq.heappop(self._ready)
        self._flying += 1
        self._aloft.add(name)
        return self._queues[name][0]

    def take_all(self, now: float) -> list[Waiting]:
        """As many as are due and have a slot."""
        rows = []
        while (row := self.take(now)) is not None:
            rows.append(row)
        return rows

    def wait(self, now: float) -> float | None:
        """Seconds until something may become due by itself; None: not before it is stirred."""
        slots = 1 if self._failures else self.concurrency
        if self._flying >= slots or not self._ready:
            return None
        return max(self._paused_until - now, self._ready[0][0] - now, self.pace.wait(now), 0.0)

    def done(self, row: Waiting, outcome: Outcome | None, now: float) -> None:
        """What became of a row that was taken; None: it was dropped unsent."""
        self._flying -= 1
        self.moves += 1
        self.pace.end(now)
        if outcome is not None:
            self._pace(outcome, now)
        self._aloft.discard(row.queue)
        queue = self._queues[row.queue]
        if outcome is not None and outcome.result is Result.RETRY:
            attempts = row.attempts + 1
            queue[0] = Waiting(row.id, row.queue, attempts)
            pause = backoff(attempts, longest=LONGEST_PAUSE)
            heapq.heappush(self._ready, (now + pause, row.id, row.queue))
        else:
            queue.popleft()
            self._known.discard(row.id)
            if queue:
                heapq.heappush(self._ready, (0.0, queue[0].id, row.queue))
            else:
                del self._queues[row.queue]
        self.stirred.set()

    def _pace(self, outcome: Outcome, now: float) -> None:
        if not outcome.is_unwell:
            self._failures = 0
        else:
            self._failures += 1
            pause = backoff(self._failures, longest=LONGEST_PAUSE)
            self._paused_until = max(self._paused_until, now + pause)
        if outcome.retry_after is not None:
            self._asked_until = max(self._asked_until, now + outcome.retry_after)
            self._paused_until = max(self._paused_until, self._asked_until)
