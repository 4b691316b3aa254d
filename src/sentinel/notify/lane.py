"""The queue of one receiver: order kept within a queue of the outbox, pauses kept after failures. No I/O."""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter, deque
from collections.abc import Collection, Iterable
from dataclasses import replace

from sentinel.notify.outbox import Waiting
from sentinel.notify.pace import Limit, Pace
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
        self.cap: Limit | None = None
        """What is more than this is put together."""
        self.stirred = asyncio.Event()
        """Something changed: new rows, a free slot."""
        self.seen = 0
        """Last row number read from the table."""
        self.is_read_out = False
        self._queues: dict[str, deque[Waiting]] = {}
        self._ready: list[tuple[float, int, str]] = []  # when, row, queue
        self._held: Counter[str] = Counter()  # queues that wait for digests
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
            if row.id not in self._known:
                self._put(row)

    def put_together(self, gone: Collection[int], digest: Waiting | None) -> None:
        """These rows are settled, or told by a digest, which their queues have to wait for."""
        touched = [name for name, queue in self._queues.items() if any(row.id in gone for row in queue)]
        for name in touched:
            left = deque(row for row in self._queues.pop(name) if row.id not in gone)
            if left:
                self._queues[name] = left
        self._known -= set(gone)
        anew = set(touched)
        self._ready = [one for one in self._ready if one[2] not in anew]
        heapq.heapify(self._ready)
        if digest is not None:
            self._put(digest)
        for name in anew & self._queues.keys():
            self._offer(name, 0.0)

    def flooded(self, now: float) -> Collection[str] | None:
        """Whether more waits than may go now: queues to leave alone while the rest is put together; None: no."""
        slots = 1 if self._failures else self.concurrency
        waiting = len(self._known) - self._flying
        if self.cap is None or self.is_failing or self._flying >= slots or now < self._paused_until:
            return None
        room = self.pace.room(self.cap, now)
        if waiting <= room or self.pace.wait(now) > 0:
            return None
        leave = self._aloft | self._held.keys()
        free = sum(
            len(queue) for name, queue in self._queues.items() if name not in leave and not queue[0].holds
        )
        return leave if free > max(room, 1) else None

    def _put(self, row: Waiting) -> None:
        self._known.add(row.id)
        self._held.update(row.holds)
        queue = self._queues.setdefault(row.queue, deque())
        place = len(queue)
        first = 1 if row.queue in self._aloft else 0
        while place > first and queue[place - 1].id > row.id:
            place -= 1
        queue.insert(place, row)
        if len(queue) == 1:
            self._offer(row.queue, 0.0)

    def _offer(self, name: str, at: float) -> None:
        """The first row of a queue may go then, unless the queue waits for a digest."""
        if name not in self._held:
            heapq.heappush(self._ready, (at, self._queues[name][0].id, name))

    def _release(self, digest: Waiting) -> None:
        """A digest is done with: queues that waited for it go on."""
        for name in digest.holds:
            self._held[name] -= 1
            if self._held[name] <= 0:
                del self._held[name]
                if name in self._queues and name not in self._aloft:
                    self._offer(name, 0.0)

    def take(self, now: float) -> Waiting | None:
        """The next row to send, if one is due and there is a free slot.

        After a failure of the receiver itself one row at a time probes it.
        """
        slots = 1 if self._failures else self.concurrency
        if self._flying >= slots or now < self._paused_until:
            return None
        while self._ready and self._ready[0][2] in self._held:
            heapq.heappop(self._ready)  # it is offered again once its digest is done with
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
            queue[0] = replace(row, attempts=attempts)
            self._offer(row.queue, now + backoff(attempts, longest=LONGEST_PAUSE))
        else:
            queue.popleft()
            self._known.discard(row.id)
            if queue:
                self._offer(row.queue, 0.0)
            else:
                del self._queues[row.queue]
            self._release(row)
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
