"""Poll loops: one per source, on its own phase, each with a deadline and a boundary of its own."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from sentinel.collect.collector import Collector
from sentinel.collect.failed import Failed
from sentinel.collect.watch import PollStatus, Watch, poll_with
from sentinel.model.batch import Batch, Source
from sentinel.model.labels import EMPTY, Labels
from sentinel.runtime.clock import Clock

log = logging.getLogger(__name__)

STORE_DELAY = 0.02
"""Seconds that finished polls wait for company, so that those of one tick are stored together."""

SOON = 10.0
"""Seconds within which a new source is polled for the first time, if there are not too many."""

FIRST_POLLS = 25.0
"""First polls per second at most: they cost much more than the later ones, which know what to expect."""

MINUTE = 60.0

AGAIN = 1.0
"""Seconds between two polls of a source that were asked for beside its schedule."""


class Sink(Protocol):
    """Where batches go: the head."""

    def append(self, batches: Sequence[Batch], /) -> None: ...

    def forget(self, source: Source, /) -> None: ...


@dataclass(slots=True, eq=False)
class _Turn:
    """A running source: its collector is used by one poll at a time."""

    collector: Collector
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    asked: asyncio.Future[None] | None = None
    """The poll beside the schedule that has been asked for and has not started; done when it is stored."""
    beside: set[asyncio.Task[None]] = field(default_factory=set)
    started_at: float = -AGAIN
    """Monotonic seconds of the last poll beside the schedule."""


class PollMetrics:
    """The poll loops' own metrics."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.polls = Counter("sentinel_polls", "Polls finished.", ["module"], registry=registry)
        self.failures = Counter(
            "sentinel_poll_failures",
            "Polls that yielded nothing, or not all they should have.",
            ["module", "reason"],
            registry=registry,
        )
        self.missed = Counter(
            "sentinel_polls_missed",
            "Ticks skipped because the poll before was still running.",
            ["module"],
            registry=registry,
        )
        self.lateness = Histogram(
            "sentinel_poll_start_delay_seconds",
            "How long after its tick a poll started.",
            registry=registry,
            buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
        )
        self.running = Gauge("sentinel_polls_running", "Polls under way.", registry=registry)


class PollLoops:
    """Polls every watch at its interval and hands the batches to the sink.

    A failed poll is a sample (`up` 0), not an exception; a bug in one collector blinds nobody else.
    """

    def __init__(
        self, sink: Sink, clock: Clock, registry: CollectorRegistry, *, concurrency: int = 500
    ) -> None:
        self._sink = sink
        self._failed = Failed(sink)
        self._clock = clock
        self._metrics = PollMetrics(registry)
        self._slots = asyncio.Semaphore(concurrency)
        self._watches: dict[Source, Watch] = {}
        self._status: dict[Source, PollStatus] = {}
        self._by_target: dict[str, set[Source]] = {}
        self._tasks: dict[Source, asyncio.Task[None]] = {}
        self._waiting: dict[str, set[Source]] = {}
        """By target: sources whose first poll has not been stored yet."""
        self._turns: dict[Source, _Turn] = {}
        self._group: asyncio.TaskGroup | None = None
        self._stored = asyncio.Event()
        """Set, and replaced by a new one, when finished polls have been handed on."""
        self._finished: list[Batch] = []
        self._arrived = asyncio.Event()
        self._counts: deque[tuple[float, int]] = deque()
        """Monotonic seconds and number of polls stored, over the last minute."""
        self.heard: Callable[[Batch], None] = lambda _: None
        """Told of every poll."""
        self.stored_at: float | None = None
        """Monotonic seconds at which polls were last stored; None: not yet."""

    def status(self) -> Sequence[PollStatus]:
        return list(self._status.values())

    def is_down(self, target: str) -> bool:
        """Whether nothing of a target answered when it was last polled."""
        sources = self._by_target.get(target, ())
        return bool(sources) and all(self._status[source].up is False for source in sources)

    def is_waiting(self, labels: Labels) -> bool:
        """Whether a source that series with these labels could come from has yet to be polled for the first
        time: after a start, or after a reload that changed how it is polled."""
        if not self._waiting:
            return False
        target = labels.get("instance")
        found = self._waiting.values() if target is None else (self._waiting.get(target, ()),)
        return any(
            all(labels.get(name, value) == value for name, value in source.labels.pairs)
            for sources in found
            for source in sources
        )

    def polls_per_second(self) -> float:
        """Mean over the last minute, or since the first poll if that is less."""
        if not self._counts:
            return 0.0
        now = self._clock.monotonic()
        self._drop_old_counts(now)
        span = max(now - self._counts[0][0], 1.0) if self._counts else 1.0
        return sum(count for _, count in self._counts) / span

    def replace(self, watches: Iterable[Watch]) -> None:
        """Poll these from now on: what did not change goes on undisturbed, what is gone ends as stale."""
        wanted = {watch.source: watch for watch in watches}
        for source in [source for source in self._watches if source not in wanted]:
            self._stop(source)
        for source, watch in wanted.items():
            before = self._watches.get(source)
            if before == watch and before.source.labels == source.labels:
                continue
            if before is not None:
                self._stop(source)
            self._start(watch)

    async def run(self) -> None:
        """Polls until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                for watch in self._watches.values():
                    self._spawn(watch)
                await self._store_finished()
        finally:
            self._group = None
            self._tasks.clear()

    def _start(self, watch: Watch) -> None:
        self._watches[watch.source] = watch
        self._status[watch.source] = PollStatus(watch.source, watch.target)
        self._by_target.setdefault(watch.source.target, set()).add(watch.source)
        self._waiting.setdefault(watch.source.target, set()).add(watch.source)
        self._spawn(watch)

    def _spawn(self, watch: Watch) -> None:
        if self._group is not None:
            name = f"poll {watch.source.name}"
            self._tasks[watch.source] = self._group.create_task(self._poll_forever(watch), name=name)

    def _stop(self, source: Source) -> None:
        watch = self._watches.pop(source)
        self._status.pop(source, None)
        siblings = self._by_target[source.target]
        siblings.discard(source)
        if not siblings:
            del self._by_target[source.target]
        self._finished = [batch for batch in self._finished if batch.source != source]
        self._is_polled(source)
        task = self._tasks.pop(source, None)
        if task is not None:
            task.cancel()
        self._failed.forget(watch.source)
        self._sink.forget(watch.source)

    async def _poll_forever(self, watch: Watch) -> None:
        turn = self._turns[watch.source] = _Turn(watch.open())
        try:
            tick, phase = self._first_tick(watch.source)
            while True:
                await self._clock.sleep(tick - self._clock.monotonic())
                await self._take_turn(watch, turn, tick)
                tick = phase = self._next_tick(watch.source, phase)
        finally:
            if self._turns.get(watch.source) is turn:
                del self._turns[watch.source]
            for task in turn.beside:
                task.cancel()
            await turn.collector.close()

    async def _take_turn(self, watch: Watch, turn: _Turn, tick: float) -> None:
        """A function of its own: the loop's frame must not hold the last poll's samples until the next."""
        async with turn.lock:
            batch = await self._poll_once(watch, turn.collector, tick)
        self._note(watch, batch)

    async def poll_now(self, target: str, modules: Collection[str]) -> None:
        """Poll these modules of a target beside their schedule, and return when that is stored.

        The schedule keeps its phase. Calls before such a poll starts share it, and none starts within a second
        of the one before, so that asking often costs a device little.
        """
        asked = []
        for module in modules:
            source = Source(target, module, EMPTY, 0.0)
            watch, turn = self._watches.get(source), self._turns.get(source)
            if watch is None or turn is None or self._group is None:
                continue
            if turn.asked is None:
                turn.asked = asyncio.get_running_loop().create_future()
                beside = self._poll_beside(watch, turn)
                task = self._group.create_task(beside, name=f"poll {source.name} now")
                turn.beside.add(task)
                task.add_done_callback(partial(_end_beside, turn, turn.asked))
            asked.append(turn.asked)
        if asked:
            await asyncio.wait(asked)

    async def _poll_beside(self, watch: Watch, turn: _Turn) -> None:
        await self._clock.sleep(turn.started_at + AGAIN - self._clock.monotonic())
        async with turn.lock:
            turn.asked = None  # who asks from now on wants to know what is later than this poll
            tick = turn.started_at = self._clock.monotonic()
            batch = await self._poll_once(watch, turn.collector, tick)
        self._note(watch, batch)
        await self._stored.wait()

    def _first_tick(self, source: Source) -> tuple[float, float]:
        """The first tick, and the tick on the source's own phase that the next ones count from.

        The phase depends only on the source, so that load spreads evenly over the interval. The very first poll
        comes soon all the same: people should not wait for a whole long interval.
        """
        share = int.from_bytes(hashlib.blake2b(source.name.encode(), digest_size=4).digest()) / 2**32
        now = self._clock.monotonic()
        soon = min(source.interval, max(SOON, len(self._watches) / FIRST_POLLS))
        first, phase = now + share * soon, now + share * source.interval
        return first, phase if phase <= first else phase - source.interval

    def _next_tick(self, source: Source, tick: float) -> float:
        """The next tick on the same phase; those that went by during an overrun are skipped and counted."""
        missed = int((self._clock.monotonic() - tick) // source.interval)
        if missed > 0:
            self._metrics.missed.labels(source.module).inc(missed)
        return tick + (missed + 1) * source.interval

    async def _poll_once(self, watch: Watch, collector: Collector, tick: float) -> Batch:
        async with self._slots:
            self._metrics.lateness.observe(max(self._clock.monotonic() - tick, 0.0))
            with self._metrics.running.track_inprogress():
                return await poll_with(collector, watch, self._clock)

    def _note(self, watch: Watch, batch: Batch) -> None:
        source, before = batch.source, self._status[watch.source]
        self._metrics.polls.labels(source.module).inc()
        for reason in (batch.reason,) if not batch.up else set(batch.reading.reasons):
            self._metrics.failures.labels(source.module, reason).inc()
        is_change = before.up is not batch.up
        if is_change and not batch.up:
            facts = {"source": source.name, "reason": batch.reason, "detail": batch.detail}
            log.warning("target down", extra={"facts": facts})
        elif is_change and before.up is False:
            log.info("target up again", extra={"facts": {"source": source.name}})
        self._status[source] = replace(
            before,
            up=batch.up,
            at=batch.at,
            duration=batch.duration,
            samples=len(batch.reading.layout),
            reason=batch.reason,
            detail=batch.detail or batch.reading.detail or ", ".join(batch.reading.reasons),
            since=batch.at if is_change else before.since,
        )
        self.heard(batch)
        self._finished.append(batch)
        self._arrived.set()

    async def _store_finished(self) -> None:
        """Hands finished polls on, those that end close together as one."""
        while True:
            await self._arrived.wait()
            await self._clock.sleep(STORE_DELAY)
            self._arrived.clear()
            batches, self._finished = self._finished, []
            if batches:
                now = self._clock.monotonic()
                self._counts.append((now, len(batches)))
                self._drop_old_counts(now)
                self._sink.append([*batches, *self._failed.batches(batches)])
                self.stored_at = self._clock.monotonic()
                for batch in batches:
                    self._is_polled(batch.source)
                self._stored.set()
                self._stored = asyncio.Event()

    def _is_polled(self, source: Source) -> None:
        """Its polls are stored, or there will be none."""
        if sources := self._waiting.get(source.target):
            sources.discard(source)
            if not sources:
                del self._waiting[source.target]

    def _drop_old_counts(self, now: float) -> None:
        while self._counts and now - self._counts[0][0] > MINUTE:
            self._counts.popleft()


def _end_beside(turn: _Turn, done: asyncio.Future[None], task: asyncio.Task[None]) -> None:
    """Also where it was cancelled: nobody waits for ever."""
    turn.beside.discard(task)
    if turn.asked is done:
        turn.asked = None
    if not done.done():
        done.set_result(None)
