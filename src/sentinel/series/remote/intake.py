"""Remote write from others: requests become polls of sources, as if this daemon had made them.

Series of one job and instance that are sent with the same instant are one poll, however many requests they come in:
it goes to the head when everything that came last time is there, or nothing more has come for some seconds. What is
acknowledged is in memory. Samples that a retry cannot save are refused with a reason, and the others are taken.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Final

import numpy as np

from sentinel.config.intake import IntakeSettings
from sentinel.model.batch import ABSENT_BITS
from sentinel.runtime.clock import Clock
from sentinel.series.columns.pool import Index
from sentinel.series.head import LOOKBACK
from sentinel.series.remote import wire
from sentinel.series.remote.cohort import HOLD, Bits, Cohort
from sentinel.series.remote.handover import TICK, Handover
from sentinel.series.remote.metrics import IntakeMetrics
from sentinel.series.remote.roll import Roll
from sentinel.series.remote.scan import Instants, Slice, scan
from sentinel.series.remote.seams import Store
from sentinel.series.remote.verdict import Verdict

log = logging.getLogger(__name__)

AHEAD: Final = 60.0
"""Seconds by which a sender's clock may be ahead of ours."""

LAG_SPARE: Final = AHEAD + HOLD + 30.0
"""Seconds that the head has to allow for beside the lag of samples: what is ahead, what waits."""

SLICE: Final = 1000
"""Series of a request that are read before other tasks get their turn."""

LARGE: Final = 256 * 1024
"""Compressed bytes from which a request is decompressed in a thread."""

MAX_FAMILIES: Final = 20_000
CARE: Final = 60.0
"""Seconds between two looks for series that have ended and cohorts that can be united."""

_ABSENT: Final = np.uint64(ABSENT_BITS)
_NAN: Final = np.float64(np.nan).view(np.uint64)


class Intake:
    """Everything received. Not thread-safe: everything happens on the event loop's thread."""

    def __init__(
        self,
        settings: IntakeSettings,
        head: Store,
        *,
        retention: float,
        clock: Clock,
        metrics: IntakeMetrics,
    ) -> None:
        """
        Args:
            retention: seconds after which a silent source is forgotten.
        """
        self._settings = settings
        self._head = head
        self._retention = retention
        self._clock = clock
        self._metrics = metrics
        self._roll = Roll(settings.max_series)
        self._handover = Handover(self._roll, head, clock, metrics)
        self._described: set[bytes] = set()
        self._started_at = clock.monotonic()
        self._told: dict[str, frozenset[str]] = {}

    def resume(self) -> None:
        """After a restart: go on with what the head has."""
        now = self._clock.monotonic()
        for sent in sorted(self._head.received(), key=lambda sent: -sent.at):
            if not self._settings.enabled or not self._roll.resume(sent, now):
                self._head.forget(sent.source)

    # Taking

    async def take(self, body: bytes, sender: str) -> Verdict:
        """One request.

        Args:
            sender: who sends it, for metrics, and as origin of series without job and instance.
        Raises:
            WireError: it cannot be read; what stood before the unreadable part is taken.
            TooLargeError: it is larger than a request may be.
        """
        verdict = Verdict()
        try:
            if len(body) > LARGE:
                data = await asyncio.to_thread(wire.decompressed, body)
            else:
                data = wire.decompressed(body)
            touched: dict[int, Cohort] = {}
            place = 0
            while place < len(data):
                if place:
                    await asyncio.sleep(0)
                part = scan(data, place, self._roll.numbers, SLICE)
                self._take_slice(part, data, sender, verdict, touched)
                place = part.next
            await self._handover.hand_on(touched.values())
        except wire.WireError:
            self._metrics.requests.labels(sender, "unreadable").inc()
            raise
        finally:
            self._count(verdict, sender)
        self._metrics.requests.labels(sender, "partial" if verdict.refused else "ok").inc()
        return verdict

    def _take_slice(
        self, part: Slice, data: bytes, sender: str, verdict: Verdict, touched: dict[int, Cohort]
    ) -> None:
        now, wall = self._clock.monotonic(), self._clock.now()
        oldest, newest = int((wall - self._settings.lag) * 1000), int((wall + AHEAD) * 1000)
        numbers, values, instants = part.numbers, part.values, part.instants
        if part.series:
            more = self._read_series(part.series, data, sender, (oldest, newest), verdict)
            numbers = np.concatenate([numbers, np.array([number for number, _, _ in more], np.intp)])
            values = np.concatenate([values, np.array([value for _, value, _ in more], np.float64)])
            instants = np.concatenate([instants, np.array([at for _, _, at in more], np.int64)])
        for start, end in part.metadata:
            self._describe(data, start, end)
        bits = values.view(np.uint64)
        if (odd := bits == _ABSENT).any():
            bits[odd] = _NAN
        behind: list[tuple[int, Index, Bits]] = []
        for cohort, at, numbers_of, places, samples in self._by_cohort(numbers, bits, instants):
            if not oldest <= at <= newest:
                reason = "too old" if at < oldest else "too far in the future"
                verdict.refuse(reason, len(places), self._roll.labels(numbers_of[0]), at)
                continue
            if at > cohort.last:
                refused, reason = cohort.put(at, places, samples, now), "duplicate"
                touched[cohort.number] = cohort
            else:
                is_newer, is_refused = cohort.late(at, places, samples)
                refused = np.flatnonzero(is_refused)
                reason = "duplicate" if at == cohort.last else "out of order"
                if is_newer.any():
                    behind.append((at, numbers_of[is_newer], samples[is_newer]))
            verdict.stored += len(places) - len(refused)
            if len(refused):
                verdict.refuse(reason, len(refused), self._roll.labels(numbers_of[refused[0]]), at)
        # Only now, as series move to other places by it.
        for at, numbers_of, samples in behind:
            self._put_behind(at, numbers_of, samples, verdict, touched)

    def _put_behind(
        self, at: int, numbers: Index, bits: Bits, verdict: Verdict, touched: dict[int, Cohort]
    ) -> None:
        """Series that had ended, and begin again behind their company's newest poll, go on by themselves."""
        cohorts = self._roll.places(numbers)[0]
        for number in np.unique(cohorts).tolist():
            chosen = cohorts == number
            cohort = self._roll.cohorts[number]
            if at <= cohort.last:
                rest = self._handover.part(cohort, np.unique(self._roll.places(numbers[chosen])[1]))
                if rest is None:
                    verdict.stored -= int(chosen.sum())
                    verdict.refuse(
                        "too many series", int(chosen.sum()), self._roll.labels(numbers[chosen][0]), at
                    )
                    continue
                cohort = rest
            cohort.put(at, self._roll.places(numbers[chosen])[1], bits[chosen], self._clock.monotonic())
            touched[cohort.number] = cohort

    def _by_cohort(
        self, numbers: Index, bits: Bits, instants: Instants
    ) -> Iterator[tuple[Cohort, int, Index, Index, Bits]]:
        """Samples by cohort and instant, each of those once and the older instant first."""
        if not len(numbers):
            return
        cohorts, places = self._roll.places(numbers)
        edges = np.flatnonzero((np.diff(cohorts) != 0) | (np.diff(instants) != 0)) + 1
        if len(edges):
            order = np.lexsort((instants, cohorts))
            numbers, bits, instants = numbers[order], bits[order], instants[order]
            cohorts, places = cohorts[order], places[order]
            edges = np.flatnonzero((np.diff(cohorts) != 0) | (np.diff(instants) != 0)) + 1
        bounds = [0, *edges.tolist(), len(numbers)]
        for first, last in pairwise(bounds):
            cohort = self._roll.cohorts[int(cohorts[first])]
            part = slice(first, last)
            yield cohort, int(instants[first]), numbers[part], places[part], bits[part]

    def _read_series(
        self,
        spans: Iterable[tuple[int, int]],
        data: bytes,
        sender: str,
        bounds: tuple[int, int],
        verdict: Verdict,
    ) -> list[tuple[int, float, int]]:
        """Number, value and instant of every sample of series that were not found by their bytes."""
        found: list[tuple[int, float, int]] = []
        for start, end in spans:
            one = wire.series(data, start, end)
            verdict.histograms += one.histograms
            if not one.samples:
                continue
            number, reason = self._number(one, sender, bounds)
            if number is None:
                verdict.refuse(reason, len(one.samples), one.labels, one.samples[0][1])
            else:
                found += [(number, value, at) for value, at in one.samples]
        return found

    def _number(self, one: wire.Received, sender: str, bounds: tuple[int, int]) -> tuple[int | None, str]:
        """The series' number, or why it has none."""
        fault = one.fault or wire.fault_of(one.labels)
        if fault:
            return None, fault
        number = self._roll.find(one)
        if number is not None:
            return number, ""
        fitting = [at for _, at in one.samples if bounds[0] <= at <= bounds[1]]
        if not fitting:
            is_old = one.samples[-1][1] < bounds[0]
            return None, "too old" if is_old else "too far in the future"
        return self._join(one, sender, min(fitting)), "too many series"

    def _join(self, one: wire.Received, sender: str, at: int) -> int | None:
        """The number of a new series; None: there are too many."""
        if self._roll.is_full:
            return None
        origin = self._roll.origin(one.labels, sender)
        cohort = origin.at.get(at)
        now = self._clock.monotonic()
        if cohort is None or at <= cohort.last:
            cohort = self._roll.open(origin, now)
        number = self._roll.join(cohort, one)
        cohort.scrape(at, now)
        return number

    def _describe(self, data: bytes, start: int, end: int) -> None:
        encoded = data[start:end]
        if encoded in self._described or len(self._described) >= MAX_FAMILIES or len(encoded) > 8192:
            return
        self._described.add(encoded)
        name, family = wire.family(data, start, end)
        if name:
            self._head.describe({name: family})

    def flush(self) -> None:
        """Everything that waits goes to the head now."""
        self._handover.flush()

    # Looking after

    async def run(self) -> None:
        """Until cancelled."""
        cared_at = self._clock.monotonic()
        while True:
            await self._clock.sleep(TICK)
            await self.hand_on()
            if self._clock.monotonic() - cared_at > CARE:
                cared_at = self._clock.monotonic()
                await self.care()

    async def hand_on(self) -> None:
        """Polls that have waited long enough go to the head, and who is silent is told."""
        await self._handover.hand_on([cohort for cohort in self._roll.cohorts.values() if cohort.waiting])
        for count, origin in enumerate(list(self._roll.origins.values())):
            self._handover.judge(origin)
            if count % 1000 == 999:
                await asyncio.sleep(0)
        self._metrics.series.set(len(self._roll))
        self._metrics.sources.set(len(self._roll.cohorts))

    async def care(self) -> None:
        """Forget what is gone, and unite what is sent together again."""
        for origin in list(self._roll.origins.values()):
            now = self._clock.monotonic()
            for cohort in list(origin.cohorts):
                if now - cohort.heard_at > self._retention and not cohort.waiting:
                    self._forget(cohort)
                    continue
                gone = cohort.given_up(now - 2 * LOOKBACK)
                if len(gone) and len(gone) == len(cohort):
                    self._forget(cohort)
                elif len(gone):
                    self._roll.leave(cohort, gone)
            for cohort, rest in self._roll.alike(origin):
                if self._head.unite(cohort.source, rest.source):
                    self._roll.move(rest, cohort, np.arange(len(rest)))
            await asyncio.sleep(0)

    def _forget(self, cohort: Cohort) -> None:
        if cohort.polls:
            self._head.forget(cohort.source)
        self._roll.close(cohort)

    @property
    def series(self) -> int:
        """How many are kept."""
        return len(self._roll)

    @property
    def cohorts(self) -> Collection[Cohort]:
        """Groups of series that are sent together."""
        return self._roll.cohorts.values()

    # What rules ask

    def may_send(self, instance: str) -> bool:
        """Whether somebody sends series of that instance, or may do so before long."""
        return instance in self._roll.instances or self._is_early

    def is_waiting(self, labels: Mapping[str, str]) -> bool:
        """Whether a sender that could feed an alert with these labels may still be heard for the first time."""
        instance = labels.get("instance")
        return self._is_early and instance is not None and instance not in self._roll.instances

    @property
    def _is_early(self) -> bool:
        """A sender that waited for our start may still come with everything it has."""
        return self._settings.enabled and self._clock.monotonic() - self._started_at < self._settings.lag

    # Telling

    def _count(self, verdict: Verdict, sender: str) -> None:
        self._metrics.count(verdict, sender)
        reasons = frozenset(verdict.refused)
        new = reasons - self._told.get(sender, frozenset())
        if new:
            self._told[sender] = self._told.get(sender, frozenset()) | reasons
            facts = {"sender": sender, "reason": ", ".join(sorted(new)), "detail": str(verdict)}
            log.warning("received samples refused", extra={"facts": facts})
