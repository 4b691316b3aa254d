"""The sender: takes messages out of the outbox to receivers, and marks them once the far side has answered."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from sqlalchemy.exc import SQLAlchemyError

from sentinel.db.database import Database
from sentinel.db.errors import reason_of
from sentinel.notify.lane import Lane
from sentinel.notify.marker import Marker
from sentinel.notify.outbox import Waiting, backlog, bury_orphans, waiting
from sentinel.notify.receiver import Delivery, Outcome, Receiver, Result
from sentinel.notify.sending.digests import put_together
from sentinel.notify.sending.fallback import Fallbacks
from sentinel.notify.sending.marks import Mark
from sentinel.notify.sending.policy import Policies
from sentinel.notify.sending.sense import WORDS, drop, fetch
from sentinel.notify.upholding import Upholder
from sentinel.runtime.clock import Clock
from sentinel.runtime.supervise import backoff

log = logging.getLogger(__name__)

DEADLINE = 10.0
"""Seconds that one send may take in all."""
GRACE = 5.0
"""Seconds that a stop grants to messages on their way."""
MEASURE_EVERY = 5.0
RETIRE_AFTER = 2 * DEADLINE


class SenderMetrics:
    """What waits, what was tried, what cannot be delivered."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.pending = Gauge(
            "sentinel_outbox_pending", "Messages waiting to be delivered.", ["receiver"], registry=registry
        )
        self.oldest = Gauge(
            "sentinel_outbox_oldest_seconds", "Age of the oldest message waiting.", registry=registry
        )
        self.dead = Counter(
            "sentinel_outbox_dead", "Messages that cannot be delivered.", ["receiver"], registry=registry
        )
        self.dropped = Counter(
            "sentinel_outbox_dropped",
            "Messages not sent because they no longer made sense: untold, overtaken or expired.",
            ["receiver", "reason"],
            registry=registry,
        )
        self.digests = Counter(
            "sentinel_outbox_digests",
            "Messages made in place of many, because more waited than the receiver's cap.",
            ["receiver"],
            registry=registry,
        )
        self.fallback = Counter(
            "sentinel_outbox_fallback",
            "Messages handed to the fallback of this receiver, which did not take them.",
            ["receiver"],
            registry=registry,
        )
        self.sent = Counter(
            "sentinel_notifications", "Attempts to deliver.", ["receiver", "result"], registry=registry
        )
        self.seconds = Histogram(
            "sentinel_notification_seconds",
            "Time of one attempt to deliver.",
            ["receiver"],
            buckets=(0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10),
            registry=registry,
        )


class Sender:
    """
    Args:
        receivers: by name; each has its own queue, so that none waits for another.
        policies: of these receivers; none: nothing but sending.
    """

    def __init__(
        self,
        db: Database,
        receivers: Mapping[str, Receiver],
        *,
        clock: Clock,
        registry: CollectorRegistry,
        policies: Policies | None = None,
    ) -> None:
        self._db = db
        self._clock = clock
        self._metrics = SenderMetrics(registry)
        self._receivers = dict(receivers)
        self._policies: Policies = policies or {}
        self._retired: list[Receiver] = []
        self._changed = asyncio.Event()
        self._marker = Marker(db, clock, policies=lambda: self._policies, handed=self._handed)
        self._fallbacks = Fallbacks(db, clock, policies=lambda: self._policies, handed=self._handed)
        self._upholder = Upholder(db, clock)
        self._lanes: dict[str, Lane] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._flights: set[asyncio.Task[None]] = set()
        self._unread: frozenset[str] = frozenset()
        """Receivers with more messages in the outbox than their lanes know of, as last measured."""

    def wake(self) -> None:
        """Messages were committed."""
        self._fallbacks.stir()
        for lane in self._lanes.values():
            lane.stir()

    def again(self, receivers: Iterable[str]) -> None:
        """Messages of these receivers have changed by hand: pending ones are tried at once."""
        for name in receivers:
            if name in self._lanes:
                self._lanes[name].rewind()

    @property
    def receivers(self) -> Collection[str]:
        """Names of those that are configured now."""
        return self._receivers.keys()

    def behind(self) -> Mapping[str, int]:
        """Receivers for which there is something to do by now, whatever their far sides do, each with a number
        that grows as it is done."""
        found = dict.fromkeys(self._receivers.keys() - self._lanes.keys(), -1)
        now = self._clock.monotonic()
        for name, lane in self._lanes.items():
            if name in self._unread or lane.wait(now) == 0.0:
                found[name] = lane.moves
        return found

    def use(self, receivers: Mapping[str, Receiver], policies: Policies | None = None) -> None:
        """Other receivers from now on; the former ones are closed when nothing can be on its way any more."""
        self._retired += self._receivers.values()
        self._receivers = dict(receivers)
        self._policies = policies or {}
        self._changed.set()
        self._fallbacks.look_again()

    def shift(self, seconds: float) -> None:
        """The clock was stepped by so much."""
        self._fallbacks.shift(seconds)

    async def run(self) -> None:
        """Deliver until cancelled; then what is on its way is finished, and marked, within a few seconds."""
        async with asyncio.TaskGroup() as flights:
            flights.create_task(self._marker.run())
            try:
                async with asyncio.TaskGroup() as lanes:
                    lanes.create_task(self._measure())
                    lanes.create_task(self._upholder.run(lambda: self._receivers))
                    lanes.create_task(self._fallbacks.run())
                    await self._keep_lanes(lanes, flights)
            except asyncio.CancelledError:
                if self._flights:
                    await asyncio.wait(self._flights, timeout=GRACE)
                raise
            finally:
                self._lanes.clear()
                self._tasks.clear()

    async def close(self) -> None:
        """Close the receivers' connections."""
        for receiver in (*self._retired, *self._receivers.values()):
            await receiver.close()

    def _handed(self, counts: Mapping[str, int]) -> None:
        """So many messages of receivers went to their fallbacks."""
        for receiver, count in counts.items():
            self._metrics.fallback.labels(receiver).inc(count)
        self.wake()

    async def _keep_lanes(self, lanes: asyncio.TaskGroup, flights: asyncio.TaskGroup) -> None:
        """A lane for each receiver, also after the receivers have changed."""
        while True:
            self._changed.clear()
            for name in self._lanes.keys() - self._receivers.keys():
                self._tasks.pop(name).cancel()
                del self._lanes[name]
            await self._bury_orphans()
            for name, receiver in self._receivers.items():
                cap = self._policies[name].cap if name in self._policies else None
                limits = (*getattr(receiver, "limits", ()), *([cap] if cap else ()))
                lane = self._lanes.setdefault(name, Lane(name, receiver.concurrency))
                lane.concurrency, lane.cap = receiver.concurrency, cap
                lane.pace.keep(dict.fromkeys(limits))
                if name in self._tasks:
                    continue
                self._tasks[name] = lanes.create_task(self._serve(lane, flights), name=f"lane {name}")
            if self._retired:
                retired, self._retired = self._retired, []
                lanes.create_task(self._retire(retired))
            await self._changed.wait()

    async def _retire(self, receivers: list[Receiver]) -> None:
        try:
            await self._clock.sleep(RETIRE_AFTER)
        finally:
            for receiver in receivers:
                await receiver.close()

    async def _bury_orphans(self) -> None:
        while True:
            try:
                orphans = await bury_orphans(self._db, list(self._receivers), at=self._clock.now())
                break
            except (SQLAlchemyError, OSError) as error:
                await self._database_is_away(error, 1)
        for name, count in orphans.items():
            self._metrics.dead.labels(name).inc(count)
            log.error("messages for a removed receiver", extra={"facts": {"receiver": name, "count": count}})

    async def _serve(self, lane: Lane, flights: asyncio.TaskGroup) -> None:
        failures = 0
        while True:
            lane.stirred.clear()
            try:
                await self._read_on(lane)
                is_changed = await self._put_together(lane)
                failures = 0
            except (SQLAlchemyError, OSError) as error:
                failures += 1
                lane.is_read_out = False  # what was to be read waits still, and nothing else may stir
                await self._database_is_away(error, failures)
                continue
            if is_changed:
                continue
            if rows := lane.take_all(self._clock.monotonic()):
                fetched = await self._fetched(rows)
                for row in rows:
                    flight = flights.create_task(self._fly(lane, row, fetched.get(row.id)))
                    self._flights.add(flight)
                    flight.add_done_callback(self._flights.discard)
                continue
            await self._pause(lane)

    async def _put_together(self, lane: Lane) -> bool:
        """What is too much for the receiver becomes one message; whether anything was done."""
        leave = lane.flooded(self._clock.monotonic())
        if leave is None:
            return False
        merged = await put_together(self._db, lane.receiver, leave, self._clock.now())
        if merged is None:
            return True
        lane.put_together(merged.gone, merged.digest)
        for reason in merged.dropped:
            self._metrics.dropped.labels(lane.receiver, WORDS[reason]).inc()
        if merged.digest is not None:
            self._metrics.digests.labels(lane.receiver).inc()
        return bool(merged.gone)

    async def _read_on(self, lane: Lane) -> None:
        while not lane.is_read_out and lane.room:
            limit = lane.room
            lane.is_read_out = True  # a stir while we read makes it false again
            rows = await waiting(self._db, lane.receiver, after=lane.seen, limit=limit)
            lane.add(rows)
            if len(rows) == limit:
                lane.is_read_out = False

    async def _pause(self, lane: Lane) -> None:
        """Until the lane is stirred or its next row is due."""
        seconds = lane.wait(self._clock.monotonic())
        if seconds is None:
            await lane.stirred.wait()
            return
        async with asyncio.TaskGroup() as group:
            timer = group.create_task(self._ring(lane, seconds))
            await lane.stirred.wait()
            timer.cancel()

    async def _ring(self, lane: Lane, seconds: float) -> None:
        await self._clock.sleep(seconds)
        lane.stirred.set()

    async def _fetched(self, rows: Sequence[Waiting]) -> Mapping[int, tuple[Delivery, str]]:
        failures = 0
        while True:
            try:
                return await fetch(self._db, [row.id for row in rows], self._clock.now())
            except (SQLAlchemyError, OSError) as error:
                failures += 1
                await self._database_is_away(error, failures)

    async def _fly(self, lane: Lane, row: Waiting, fetched: tuple[Delivery, str] | None) -> None:
        """One attempt, from the row's content to its mark."""
        outcome = None
        if fetched is not None and fetched[1]:
            await self._drop(*fetched)
        elif fetched is not None:
            outcome = await self._attempt(lane, fetched[0])
            await self._marked(lane, fetched[0], outcome)
        lane.done(row, outcome, self._clock.monotonic())

    async def _drop(self, delivery: Delivery, reason: str) -> None:
        self._metrics.dropped.labels(delivery.receiver, WORDS[reason]).inc()
        failures = 0
        while True:
            try:
                await drop(self._db, delivery, reason=reason, at=self._clock.now())
                return
            except (SQLAlchemyError, OSError) as error:
                failures += 1
                await self._database_is_away(error, failures)

    async def _attempt(self, lane: Lane, delivery: Delivery) -> Outcome:
        started = self._clock.monotonic()
        receiver = self._receivers.get(lane.receiver)
        if receiver is None:
            return Outcome(Result.REFUSED, "the receiver is no longer configured")
        seconds = min(receiver.timeout, DEADLINE)
        try:
            async with asyncio.timeout(seconds):
                outcome = await receiver.send(delivery)
        except TimeoutError:
            outcome = Outcome(Result.RETRY, f"no answer within {seconds:g} s", is_unwell=True)
        except Exception:  # a bug in one receiver must not stop the others
            log.exception("receiver failed", extra={"facts": {"receiver": lane.receiver}})
            outcome = Outcome(Result.RETRY, "failed inside Sentinel, see the log")
        self._metrics.seconds.labels(lane.receiver).observe(self._clock.monotonic() - started)
        self._metrics.sent.labels(lane.receiver, outcome.result.value).inc()
        return outcome

    async def _marked(self, lane: Lane, delivery: Delivery, outcome: Outcome) -> None:
        receiver = self._receivers.get(lane.receiver)
        kind = receiver.kind if receiver else "nothing"
        await self._marker.mark(Mark(delivery, outcome, kind, self._clock.now()))
        facts = {"receiver": lane.receiver, "incident": delivery.incident, "reason": outcome.detail}
        for line in outcome.refused if outcome.result is not Result.REFUSED else ():
            self._metrics.sent.labels(lane.receiver, "recipient refused").inc()
            log.error("recipient refused", extra={"facts": facts | {"reason": line}})
        if outcome.result is Result.DELIVERED and lane.is_failing:
            log.info("receiver works again", extra={"facts": {"receiver": lane.receiver}})
        if outcome.result is Result.REFUSED:
            digest = delivery.facts.get("digest")
            self._metrics.dead.labels(lane.receiver).inc(len(digest["messages"]) if digest else 1)
            log.error("message refused", extra={"facts": facts})
        elif outcome.result is Result.RETRY and not lane.is_failing:
            log.warning("delivery failed, trying again", extra={"facts": facts})

    async def _database_is_away(self, error: Exception, failures: int) -> None:
        if failures == 1:
            log.error("outbox cannot be read", extra={"facts": {"error": reason_of(error)}})
        await self._clock.sleep(backoff(failures, first=0.1, longest=5.0))

    async def _measure(self) -> None:
        """Backlog as metrics; and whether a disk that was full has room again."""
        known: set[str] = set()
        while True:
            await self._db.watch_space()
            try:
                backlogs = await backlog(self._db)
            except (SQLAlchemyError, OSError):
                backlogs = {}
            self._unread = frozenset(
                name
                for name, one in backlogs.items()
                if name in self._lanes and one.count > self._lanes[name].known and self._lanes[name].room
            )
            now = self._clock.now()
            for name in known | backlogs.keys() | self._receivers.keys():
                self._metrics.pending.labels(name).set(backlogs[name].count if name in backlogs else 0)
            known |= backlogs.keys()
            oldest = min((one.oldest_at for one in backlogs.values()), default=now)
            self._metrics.oldest.set(max(0.0, now - oldest))
            await self._clock.sleep(MEASURE_EVERY)
