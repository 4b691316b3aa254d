"""Handing received polls on to the head: as soon as they are whole, or have waited long enough."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

import numpy as np

from sentinel.model.batch import Batch
from sentinel.runtime.clock import Clock
from sentinel.series.columns.pool import Index
from sentinel.series.head import LOOKBACK
from sentinel.series.remote.cohort import Cohort, Origin
from sentinel.series.remote.metrics import IntakeMetrics
from sentinel.series.remote.roll import Roll
from sentinel.series.remote.seams import Store

TURN: Final = 0.02
"""Seconds of handing polls on after which other tasks get their turn."""

TICK: Final = 0.5
"""Seconds between two looks for polls that have waited long enough."""


class Handover:
    """Not thread-safe: everything happens on the event loop's thread."""

    def __init__(self, roll: Roll, head: Store, clock: Clock, metrics: IntakeMetrics) -> None:
        self._roll = roll
        self._head = head
        self._clock = clock
        self._metrics = metrics

    async def hand_on(self, cohorts: Iterable[Cohort]) -> None:
        """Whatever is whole goes to the head, some milliseconds at a time."""
        batches: list[Batch] = []
        began = self._clock.monotonic()
        for cohort in cohorts:
            self._poll(cohort, batches)
            if self._clock.monotonic() - began > TURN:
                self._append(batches)
                await asyncio.sleep(0)
                began = self._clock.monotonic()
        self._append(batches)

    def _poll(self, cohort: Cohort, batches: list[Batch]) -> None:
        """Add the polls that are whole or have waited long enough."""
        now = self._clock.monotonic()
        while (at := cohort.due(now)) is not None:
            polled = cohort
            if cohort.polls and cohort.missing(at).any():
                polled = self._parted(cohort, at)
            is_crowded = polled.polls > 0 and self._head.is_crowded(polled.source, at / 1000)
            batches.append(polled.poll(at, now, is_crowded=is_crowded))
            if cohort.waiting or polled.is_laid_out_anew:
                # The head has to know this poll before the next one is looked at; and a new layout takes longer.
                self._append(batches)

    def _parted(self, cohort: Cohort, at: int) -> Cohort:
        """What came and what did not are no longer sent together: the fewer get a cohort of their own.

        Returns:
            the cohort of those that came.
        """
        missing, arrived = cohort.missing(at), cohort.arrived(at)
        came_apart = bool(missing.sum() > arrived.sum())
        rest = self.part(cohort, np.flatnonzero(arrived if came_apart else missing))
        return rest if came_apart and rest is not None else cohort

    def part(self, cohort: Cohort, places: Index) -> Cohort | None:
        """A cohort of their own for some of a cohort's series; None: that cannot be now."""
        if self._roll.has_no_room_for_cohorts:
            return None
        rows = cohort.rows[places]
        rest = self._roll.open(cohort.origin, self._clock.monotonic(), like=cohort)
        if (rows >= 0).any():
            self._head.split(cohort.source, rest.source, rows[rows >= 0])
        else:
            rest.polls = 0  # the head has none of them
        self._roll.move(cohort, rest, places)
        return rest

    def _append(self, batches: list[Batch]) -> None:
        """Hand them to the head; none are left."""
        if not batches:
            return
        before = self._head.rejected
        self._head.append(list(batches))
        if self._head.rejected > before:
            self._metrics.conflicts.inc(self._head.rejected - before)
        for batch in batches:
            self.judge(self._roll.by_source[batch.source].origin)
        batches.clear()

    def judge(self, origin: Origin) -> None:
        """Tell the head whether an origin can be read, where that has changed."""
        silent_before = (self._clock.now() - LOOKBACK + 5 * TICK) * 1000
        for cohort in origin.cohorts:
            is_up = origin.is_up and (cohort.last > silent_before or not cohort.expected.any())
            if cohort.polls and is_up is not cohort.is_judged_up:
                cohort.is_judged_up = is_up
                self._head.judge(cohort.source, is_up=is_up)

    def flush(self) -> None:
        """Everything that waits goes to the head now."""
        now = self._clock.monotonic()
        for cohort in list(self._roll.cohorts.values()):
            while cohort.waiting:
                at = min(cohort.waiting)
                is_crowded = cohort.polls > 0 and self._head.is_crowded(cohort.source, at / 1000)
                self._append([cohort.poll(at, now, is_crowded=is_crowded)])
