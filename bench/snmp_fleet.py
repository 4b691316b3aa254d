"""SNMP: a thousand 50-port switches every 60 s in one process, all answering, then with a tenth of them silent.

What the polling takes without the samples is measured with switches that are alike, and with such whose ports have
descriptions, addresses and sizes of counters of their own.

The poll loops run on a clock that is faster than ours, so that minutes pass in seconds. Shares of a core are told
per second of that clock; start delays in real seconds, under that many times the load.

python -m bench.snmp_fleet --devices 1000 --speed 6 --minutes 5
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import multiprocessing
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import uvloop
from prometheus_client import CollectorRegistry

from bench.form import Figure, Report, cpu_ms
from bench.snmp import PORTS, module
from sentinel.collect.collector import Collector
from sentinel.collect.poll import PollLoops
from sentinel.collect.snmp.driver import SnmpDriver
from sentinel.collect.watch import Watch
from sentinel.model.batch import Batch, Reading, Source
from sentinel.model.target import Target
from sentinel.series.head import Head

INTERVAL, TIMEOUT = 60.0, 5.0
"""Seconds of the fast clock, and real ones: collectors look at the loop's."""

SHARE, DELAY = 10.0, 1.0
"""Most that is allowed: % of a core, seconds of start delay (99 of 100 polls)."""

RETENTION = 3600.0
_COUNTING = 1000.0
"""Values above this are taken for counters when polls are made up."""

SLICES = 3
"""Stretches of the run that are measured apart."""


class FastClock:
    """Our clock, but faster."""

    def __init__(self, speed: float) -> None:
        self._speed, self._start, self._wall = speed, time.monotonic(), time.time()

    def now(self) -> float:
        return self._wall + self.monotonic()

    def monotonic(self) -> float:
        return (time.monotonic() - self._start) * self._speed

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self._speed)


@dataclass(frozen=True, slots=True)
class Case:
    """What the devices are like, and what is allowed."""

    silent: float = 0.0
    """Share of them that never answers."""
    keeps: bool = True
    """The samples go to the head; otherwise nowhere."""
    are_alike: bool = True
    memory: float = 600.0
    """MB at most."""


CASES = {
    "all answer": Case(),
    "a tenth silent": Case(silent=0.1),
    "samples not kept": Case(keeps=False, memory=150.0),
    "samples not kept, texts of their own": Case(keeps=False, are_alike=False, memory=190.0),
}


@dataclass(slots=True)
class Run:
    """What a run showed."""

    shares: list[float] = field(default_factory=list)
    """% of a core, for each stretch."""
    delays: list[float] = field(default_factory=list)
    """99th percentile of the answering devices' start delays in seconds, for each stretch."""
    memory: float = 0.0
    polls: int = 0
    failed: int = 0
    series: int = 0


class _Watched:
    """A collector whose polls leave their start times."""

    def __init__(self, inner: Collector, clock: FastClock, starts: list[float]) -> None:
        self._inner, self._clock, self._starts = inner, clock, starts

    async def poll(self, *, at: float, timeout: float) -> Reading:
        self._starts.append(self._clock.monotonic())
        return await self._inner.poll(at=at, timeout=timeout)

    async def close(self) -> None:
        await self._inner.close()


@contextmanager
def agents(devices: int, silent: int, own: int) -> Iterator[list[int]]:
    given = map(str, (PORTS, devices, silent, own))
    command = [sys.executable, "-m", "bench.snmp_agent", *given]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield [int(port) for port in process.stdout.readline().split()]
        process.stdin.close()


class _Kept:
    """The head, and of each source its newest poll."""

    def __init__(self) -> None:
        self.head = Head(retention=RETENTION)
        self.newest: dict[Source, Batch] = {}

    @property
    def series(self) -> int:
        return self.head.series

    def append(self, batches: Sequence[Batch]) -> None:
        self.head.append(batches)
        self.newest |= {batch.source: batch for batch in batches if batch.up}

    def forget(self, source: Source) -> None:
        self.head.forget(source)

    def go_on(self, seconds: float) -> None:
        """Polls as the last ones for so long, with counters that count on: what a longer run would have stored."""
        numbers = np.random.default_rng(1)
        for tick in range(1, round(seconds / INTERVAL) + 1):
            for batch in self.newest.values():
                values = batch.reading.values
                values += numbers.integers(0, 1 << 20, len(values)) * (values > _COUNTING)
                self.head.append([replace(batch, at=batch.at + tick * INTERVAL)])
        self.newest.clear()


class _Nowhere:
    """A sink that keeps nothing, to see what the polling itself needs."""

    series = 0

    def go_on(self, seconds: float) -> None:
        pass

    def append(self, batches: Sequence[Batch]) -> None:
        pass

    def forget(self, source: Source) -> None:
        pass


async def fleet(ports: list[int], silent: int, speed: float, minutes: float, keeps: bool) -> Run:
    """Polls until every answering device is known, then for so many minutes of the fast clock.

    Args:
        keeps: the samples go to the head; otherwise nowhere.
    """
    clock, registry, run = FastClock(speed), CollectorRegistry(), Run()
    head = _Kept() if keeps else _Nowhere()
    driver = SnmpDriver({"bench": module()}, {}, clock=clock, registry=registry)
    loops = PollLoops(head, clock, registry)
    starts: list[list[float]] = [[] for _ in ports]

    def watch(number: int, port: int) -> Watch:
        timeout = TIMEOUT / speed  # collectors look at the real clock
        target = Target(
            f"switch{number}", "127.0.0.1", port, modules=("bench",), interval=INTERVAL, timeout=timeout
        )
        return Watch(
            target.source("bench"), target, "", partial(_opened, driver, target, clock, starts[number])
        )

    loops.replace(watch(number, port) for number, port in enumerate(ports))
    polling = asyncio.ensure_future(loops.run())
    while sum(one.up is True for one in loops.status()) < len(ports) - silent:
        await clock.sleep(5)
    await clock.sleep(INTERVAL)
    for _ in range(SLICES):
        counts = [len(one) for one in starts]
        cpu, began = cpu_ms(), clock.monotonic()
        await clock.sleep(minutes * 60 / SLICES)
        run.shares.append((cpu_ms() - cpu) / 10 / (clock.monotonic() - began))
        late = [_delays(one, count) for one, count in zip(starts, counts, strict=True)][: len(ports) - silent]
        run.delays.append(float(np.percentile(np.concatenate(late), 99)) / speed)
        run.polls += sum(len(one) for one in late)
    run.failed = sum(one.up is False for one in loops.status()) - silent
    polling.cancel()
    await asyncio.gather(polling, return_exceptions=True)
    head.go_on(RETENTION)
    run.memory, run.series = _resident(), head.series
    await driver.close()
    return run


def _opened(driver: SnmpDriver, target: Target, clock: FastClock, starts: list[float]) -> Collector:
    return _Watched(driver.open(target, "bench"), clock, starts)


def _delays(starts: list[float], count: int) -> list[float]:
    """Of the starts from `count` on: how much later than the device's earliest start, modulo the interval."""
    phases = [(start - starts[-1] + INTERVAL / 2) % INTERVAL for start in starts[1:]]
    return [phase - min(phases) for phase in phases[max(count - 1, 0) :]]


def _resident() -> float:
    with open("/proc/self/status") as file:
        line = next(line for line in file if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def measured(devices: int, speed: float, minutes: float, case: Case) -> Run:
    """In this process: call it in one of its own, so that the memory is that of the run."""
    logging.disable()  # the silent devices are down, as they should be
    silent = int(devices * case.silent)
    with agents(devices, silent, int(not case.are_alike)) as ports:
        run: Run = uvloop.run(fleet(ports, silent, speed, minutes, case.keeps))
        return run


def _tell(report: Report, name: str, run: Run, case: Case) -> None:
    report.ours(f"{name}: share of a core", Figure(tuple(run.shares), "%"))
    report.ours(f"{name}: start delay, p99", Figure(tuple(run.delays), "s"))
    report.ours(f"{name}: memory", Figure((run.memory,) * SLICES, "MB"))
    report.require(f"{name}: at most {SHARE:g} % of a core", max(run.shares) <= SHARE)
    report.require(f"{name}: p99 of start delays below {DELAY:g} s", max(run.delays) < DELAY)
    report.require(f"{name}: no answering device is down ({run.failed} are)", run.failed == 0)
    report.require(f"{name}: at most {case.memory:g} MB", run.memory <= case.memory)


def main() -> int:
    parser = argparse.ArgumentParser(description="Poll a fleet of simulated switches.")
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--speed", type=float, default=6.0, help="how much faster than real time")
    parser.add_argument(
        "--minutes", type=float, default=6.0, help="minutes of the fast clock that are measured"
    )
    chosen = parser.parse_args()
    report = Report("snmp_fleet")
    runs = {}
    for name, case in CASES.items():
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            runs[name] = pool.apply(measured, (chosen.devices, chosen.speed, chosen.minutes, case))
        _tell(report, name, runs[name], case)
    whole = runs["all answer"]
    report.extra |= {
        "devices": chosen.devices,
        "series": whole.series,
        "polls": whole.polls,
        "speed": chosen.speed,
        "minutes": chosen.minutes,
    }
    return report.finish()


if __name__ == "__main__":
    raise SystemExit(main())
