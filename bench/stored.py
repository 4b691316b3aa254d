"""What a polled sample costs us until it is stored: in the head, packed, and in the journal on disk.

A fleet of switches is polled one after the other, as it is over an interval: each poll asks the simulated switch in
another process anew. The fleet's clock runs ahead of ours, so that ticks pass, stretches of them get packed and the
journal is written every two of its seconds, at the rate of samples at which the peer scrapes.

What is counted is the whole CPU time of the process, threads and kernel included. On loopback that is more than on
a wire: sending a datagram also takes it to the agent's socket and wakes the agent, for each request of a poll. A
scrape sends one request; its long answer is brought by the server's time. We leave that as it is.

The peer's scrapes come with its write-ahead log and the compression of its chunks, hence our journal and packing.
What both do much later is in neither: its blocks every two hours, our files every half an hour.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import cycle
from pathlib import Path

import numpy as np
from prometheus_client import CollectorRegistry

from bench.form import Figure, cpu_ms
from bench.snmp import module
from sentinel.collect.collector import Collector
from sentinel.collect.snmp.device import GROW_AFTER, LARGEST_WINDOW
from sentinel.collect.snmp.driver import SnmpDriver
from sentinel.model.batch import Batch, Reading
from sentinel.model.target import Target
from sentinel.runtime.clock import ManualClock
from sentinel.series.head import Head
from sentinel.series.history.history import EVERY, History
from sentinel.series.history.metrics import HistoryMetrics
from sentinel.series.history.store import Limits

INTERVAL = 5.0
"""Seconds of the fleet's clock, as the peer's scrapes."""
STRETCH = 32
"""Polls of each device that are packed together at this interval: runs of as many have the same work each."""
FILLED = 128
"""Polls of each device before: more than are kept unpacked."""
RUNS = 3
START = 1_700_000_000.0
_COUNTING = 1000.0
"""Values above this are taken for counters when polls are made up."""


class _Site:
    """The daemon's way of a poll, with a clock of its own."""

    def __init__(self, folder: Path, target: Target, devices: int) -> None:
        self.clock = ManualClock(START)
        limits = Limits(3600.0, 30 * 86400.0, 1 << 40)
        metrics = HistoryMetrics(CollectorRegistry())
        self.history = History(folder, limits, keep_free=0, clock=self.clock, metrics=metrics)
        self.head = Head()
        self.history.restore(self.head)
        named = (replace(target, name=f"switch{number}") for number in range(devices))
        self._sources = cycle([one.source("bench") for one in named])
        self._step = INTERVAL / devices
        self._at = self._written = START

    async def store(self, reading: Reading) -> None:
        """The poll of the next device."""
        self.head.append([Batch(next(self._sources), self._at, reading, up=True, duration=0.01)])
        self._at += self._step
        if self._at - self._written >= EVERY:
            await self.clock.advance(self._at - self.clock.now())
            await self.history.flush()
            self._written = self._at


async def stored(folder: Path, port: int, devices: int) -> Figure:
    """µs CPU a sample, of polls of so many devices."""
    target = Target("switch", "127.0.0.1", port, modules=("bench",), interval=INTERVAL)
    site = _Site(folder, target, devices)
    driver = SnmpDriver({"bench": module()}, {}, clock=site.clock, registry=CollectorRegistry())
    collector = driver.open(target, "bench")
    reading = await _settled(collector)
    numbers, values = np.random.default_rng(1), reading.values
    for _ in range(FILLED):
        values = values + numbers.integers(0, 1 << 20, len(values)) * (values > _COUNTING)
        for _ in range(devices):
            await site.store(Reading(reading.layout, values))
    runs = []
    for _ in range(RUNS):
        before, samples = cpu_ms(), 0
        for _ in range(STRETCH * devices):
            reading = await collector.poll(at=site.clock.now(), timeout=10)
            assert not reading.unread
            samples += len(reading.layout)
            await site.store(reading)
        runs.append(1000 * (cpu_ms() - before) / samples)
    await driver.close()
    await site.history.close()
    return Figure(tuple(runs), "µs CPU a sample")


async def _settled(collector: Collector) -> Reading:
    """A device is asked for more at once the longer it answers everything."""
    for _ in range(GROW_AFTER * LARGEST_WINDOW):
        reading = await collector.poll(at=START, timeout=10)
    return reading
