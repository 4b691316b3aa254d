"""Notifications as counter series: sentinel_traps_total{instance, job="traps", trap}."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from sentinel.collect.traps.notification import OTHER
from sentinel.model.batch import Batch, Family, Layout, Reading, Source
from sentinel.model.labels import EMPTY, Labels

METRIC: Final = "sentinel_traps_total"
JOB: Final = "traps"
MAX_KINDS: Final = 64
"""Kinds without a name counted for one device; all others are counted together as trap="other"."""

FAMILIES = {
    METRIC: Family("counter", "SNMP traps and informs received, by kind; with the target's own labels.")
}


class Sink(Protocol):
    """Where batches go: the head."""

    def append(self, batches: Sequence[Batch], /) -> None: ...

    def forget(self, source: Source, /) -> None: ...


@dataclass(slots=True)
class _Counter:
    """One series. It is a source of its own, so that its first two samples never share a tick with another's."""

    source: Source
    layout: Layout
    count: int = 0
    at: float = -math.inf
    """Unix seconds of the newest sample."""
    is_new: bool = True

    def batch(self, at: float, count: int) -> Batch:
        self.at = at
        return Batch(self.source, at, Reading(self.layout, np.array([float(count)])), up=True, duration=0.0)


class Tally:
    """Counts, and keeps the series alive.

    A series begins with a zero one interval before the first notification, so that `increase` sees that one too.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._interval = 15.0
        self._counters: dict[tuple[str, str], _Counter] = {}
        self._kinds: dict[str, int] = {}
        self._changed: set[tuple[str, str]] = set()

    def use(self, interval: float) -> None:
        """Seconds between two samples. Where it changes, the series go on in steps of the new one."""
        if interval != self._interval:
            self._interval = interval
            for (instance, trap), counter in self._counters.items():
                counter.source = _source(instance, trap, interval)

    @property
    def instances(self) -> frozenset[str]:
        return frozenset(self._kinds)

    @property
    def interval(self) -> float:
        return self._interval

    def count(self, instance: str, labels: Labels, trap: str) -> None:
        """One more; `store` tells it."""
        key = instance, trap
        is_oid = trap[:1].isdigit()
        if is_oid and key not in self._counters and self._kinds.get(instance, 0) >= MAX_KINDS:
            key = instance, OTHER
            is_oid = False
        if key not in self._counters:
            series = labels.updated({"__name__": METRIC, "instance": instance, "job": JOB, "trap": key[1]})
            layout = Layout.of([series], FAMILIES)
            self._counters[key] = _Counter(_source(*key, self._interval), layout)
            self._kinds[instance] = self._kinds.get(instance, 0) + is_oid
        self._counters[key].count += 1
        self._changed.add(key)

    def store(self, now: float) -> None:
        """Samples of the series that have changed since the last call.

        Args:
            now: Unix seconds.
        """
        self._append([self._counters[key] for key in self._changed], now)
        self._changed.clear()

    def repeat(self, now: float) -> None:
        """Samples of all series, once an interval, so that they stay in view."""
        self._append(list(self._counters.values()), now)
        self._changed.clear()

    def retain(self, instances: Collection[str]) -> None:
        """End the series of all others."""
        for key in [key for key in self._counters if key[0] not in instances]:
            self._sink.forget(self._counters.pop(key).source)
            self._changed.discard(key)
            self._kinds.pop(key[0], None)

    def shift(self, seconds: float) -> None:
        """The wall clock was set forward by that much."""
        for counter in self._counters.values():
            counter.at += seconds

    def _append(self, counters: Sequence[_Counter], now: float) -> None:
        # Down to the millisecond, as samples are kept: an evaluation at this instant sees them.
        at = math.floor(now * 1000) / 1000
        batches = []
        for counter in counters:
            if counter.is_new:
                batches.append(counter.batch(at - self._interval, 0))
                counter.is_new = False
            batches.append(counter.batch(max(at, counter.at + 0.001), counter.count))
        if batches:
            self._sink.append(batches)


def _source(instance: str, trap: str, interval: float) -> Source:
    # Without labels of its own: a device that sends traps is not `up` because of it.
    return Source(instance, f"{JOB} {trap}", EMPTY, interval)
