"""SSH: 500 hosts every 30 s in one process, all answering, then with a tenth of them silent.

The hosts are addresses of one real sshd in 127.0.0.0/8: as many connections, shells and polls as there are hosts.
The silent ones accept connections and say nothing. What the polling takes without the samples is measured with a
sink that keeps nothing: what the connections after the first few have added, for each of them.

The poll loops run on a clock that is faster than ours, so that minutes pass in seconds, except where memory is
measured. Shares of a core are told per second of that clock; start delays in real seconds, under that many times
the load.

python -m bench.ssh_fleet --hosts 500 --speed 3 --minutes 5
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import multiprocessing
import socket
import tempfile
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import uvloop
from prometheus_client import CollectorRegistry
from tests.servers.debian import ROOT
from tests.servers.sshd import Sshd

from bench.form import Figure, Report, cpu_ms
from bench.snmp_fleet import FastClock
from sentinel.collect.collector import Collector
from sentinel.collect.poll import PollLoops
from sentinel.collect.ssh.driver import SshDriver
from sentinel.collect.ssh.modules import parse_modules
from sentinel.collect.watch import Watch
from sentinel.config.auth import SshAuth
from sentinel.config.secret import Secret
from sentinel.config.yaml import parse_yaml
from sentinel.model.batch import Batch, Reading, Source
from sentinel.model.target import Target
from sentinel.runtime.memory import keep_freed_memory
from sentinel.series.head import Head

INTERVAL, TIMEOUT = 30.0, 8.0
"""Seconds of the fast clock, and real ones: sessions look at the loop's."""

SHARE, DELAY, MEMORY = 15.0, 1.0, 41.0
"""Most that is allowed: % of a core, seconds of start delay (99 of 100 polls), KB per connection beside samples."""

FIRST = 50
"""Hosts that are connected before the memory of the others is measured: they bring what all of them share."""

SLICES = 3
"""Stretches of the run that are measured apart."""


@dataclass(frozen=True, slots=True)
class Case:
    silent: float = 0.0
    """Share of the hosts that accept connections and say nothing."""
    keeps: bool = True
    """The samples go to the head; otherwise nowhere, and memory is what is looked at."""


CASES = {"all answer": Case(), "a tenth silent": Case(silent=0.1), "samples not kept": Case(keeps=False)}

MEMORY_MINUTES = 0.5
"""For which the case about memory runs once all hosts are up, on a clock as fast as ours: how quickly hosts come
decides how many log in side by side, and with that how scattered what stays of it lies."""


@dataclass(slots=True)
class Run:
    """What a run showed."""

    shares: list[float] = field(default_factory=list)
    """% of a core, for each stretch."""
    delays: list[float] = field(default_factory=list)
    """99th percentile of the answering hosts' start delays in seconds, for each stretch."""
    per_host: float = 0.0
    """KB of memory per host after the first ones."""
    failed: int = 0
    series: int = 0
    polls: int = 0


class _Watched:
    """A collector whose polls leave their start times."""

    def __init__(self, inner: Collector, clock: FastClock, starts: array[float]) -> None:
        self._inner, self._clock, self._starts = inner, clock, starts

    async def poll(self, *, at: float, timeout: float) -> Reading:
        self._starts.append(self._clock.monotonic())
        return await self._inner.poll(at=at, timeout=timeout)

    async def close(self) -> None:
        await self._inner.close()


class _Nowhere:
    """A sink that keeps nothing, to see what the polling itself needs."""

    series = 0

    def append(self, batches: Sequence[Batch]) -> None:
        pass

    def forget(self, source: Source) -> None:
        pass


async def fleet(
    server: Sshd, tarpit: int, hosts: int, silent: int, speed: float, minutes: float, keeps: bool
) -> Run:
    """Polls until every answering host is known, then for so many minutes of the fast clock."""
    clock, registry, run = FastClock(speed), CollectorRegistry(), Run()
    head = Head() if keeps else _Nowhere()
    file = ROOT / "collectors/ssh/linux.yml"
    modules = parse_modules(parse_yaml(file.read_text(), str(file)))
    auth = SshAuth(kind="ssh", username=server.username, key=Secret(server.private_key))
    driver = SshDriver(modules, {"key": auth}, clock=clock, registry=registry)
    loops = PollLoops(head, clock, registry)
    # Arrays: lists of floats would count among what the connections take.
    starts = [array("d") for _ in range(hosts)]

    def watch(number: int) -> Watch:
        is_silent = number >= hosts - silent
        target = Target(
            f"host{number}",
            f"127.1.{number // 250}.{number % 250 + 1}",
            tarpit if is_silent else server.port,
            modules=("linux",),
            auths=("key",),
            host_key=server.host_key_line,
            interval=INTERVAL,
            timeout=TIMEOUT / speed,
        )
        return Watch(
            target.source("linux"), target, "", partial(_opened, driver, target, clock, starts[number])
        )

    async def all_up(count: int) -> None:
        while sum(one.up is True for one in loops.status()) < count:
            await clock.sleep(2)

    polling = asyncio.ensure_future(loops.run())
    loops.replace(map(watch, range(FIRST)))
    await all_up(FIRST)
    await clock.sleep(INTERVAL)
    before = _resident()
    loops.replace(map(watch, range(hosts)))
    await all_up(hosts - silent)
    await clock.sleep(2 * INTERVAL)
    run.per_host = (_resident() - before) / (hosts - FIRST)
    for _ in range(SLICES):
        counts = [len(one) for one in starts]
        cpu, began = cpu_ms(), clock.monotonic()
        await clock.sleep(minutes * 60 / SLICES)
        run.shares.append((cpu_ms() - cpu) / 10 / (clock.monotonic() - began))
        late = [_delays(one, count) for one, count in zip(starts, counts, strict=True)][: hosts - silent]
        run.delays.append(float(np.percentile(np.concatenate(late), 99)) / speed)
        run.polls += sum(len(one) for one in late)
    run.failed = sum(one.up is False for one in loops.status()) - silent
    run.series = head.series
    polling.cancel()
    await asyncio.gather(polling, return_exceptions=True)
    await driver.close()
    return run


def _opened(driver: SshDriver, target: Target, clock: FastClock, starts: array[float]) -> Collector:
    return _Watched(driver.open(target, "linux"), clock, starts)


def _delays(starts: array[float], count: int) -> list[float]:
    """Of the starts from `count` on: how much later than the host's earliest start, modulo the interval."""
    phases = [(start - starts[-1] + INTERVAL / 2) % INTERVAL for start in starts[1:]]
    return [phase - min(phases) for phase in phases[max(count - 1, 0) :]]


def _resident() -> float:
    """KB."""
    gc.collect()
    with open("/proc/self/status") as file:
        line = next(line for line in file if line.startswith("VmRSS"))
    return float(line.split()[1])


def measured(hosts: int, speed: float, minutes: float, case: Case) -> Run:
    """In this process: call it in one of its own, so that the memory is that of the run."""
    logging.disable()  # the silent hosts are down, as they should be
    keep_freed_memory()  # as the daemon does
    silent = int(hosts * case.silent)
    if not case.keeps:
        speed, minutes = 1.0, MEMORY_MINUTES
    with (
        tempfile.TemporaryDirectory(prefix="sshd-", dir="/tmp") as folder,
        socket.create_server(("0.0.0.0", 0), backlog=1000) as tarpit,
        Sshd(Path(folder), listen="0.0.0.0") as server,
    ):
        port = tarpit.getsockname()[1]
        run: Run = uvloop.run(fleet(server, port, hosts, silent, speed, minutes, case.keeps))
        return run


def _tell(report: Report, name: str, run: Run, case: Case) -> None:
    report.ours(f"{name}: share of a core", Figure(tuple(run.shares), "%"))
    report.ours(f"{name}: start delay, p99", Figure(tuple(run.delays), "s"))
    report.require(f"{name}: at most {SHARE:g} % of a core", max(run.shares) <= SHARE)
    report.require(f"{name}: p99 of start delays below {DELAY:g} s", max(run.delays) < DELAY)
    report.require(f"{name}: no answering host is down ({run.failed} are)", run.failed == 0)
    if not case.keeps:
        report.ours(f"{name}: memory", Figure((run.per_host,) * SLICES, "KB per connection"))
        report.require(f"{name}: at most {MEMORY:g} KB per connection", run.per_host <= MEMORY)


def main() -> int:
    parser = argparse.ArgumentParser(description="Poll a fleet of hosts over SSH.")
    parser.add_argument("--hosts", type=int, default=500)
    parser.add_argument("--speed", type=float, default=3.0, help="how much faster than real time")
    parser.add_argument(
        "--minutes", type=float, default=5.0, help="minutes of the fast clock that are measured"
    )
    chosen = parser.parse_args()
    report = Report("ssh_fleet")
    runs = {}
    for name, case in CASES.items():
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            runs[name] = pool.apply(measured, (chosen.hosts, chosen.speed, chosen.minutes, case))
        _tell(report, name, runs[name], case)
    whole = runs["all answer"]
    report.extra |= {
        "hosts": chosen.hosts,
        "series": whole.series,
        "polls": whole.polls,
        "speed": chosen.speed,
        "minutes": chosen.minutes,
    }
    return report.finish()


if __name__ == "__main__":
    raise SystemExit(main())
