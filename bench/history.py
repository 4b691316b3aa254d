"""The history on disk over days of a fleet: python -m bench.history [--series N] [--days D] [--restored N].

Writes the samples as the daemon does, by a clock that runs ahead, and measures bytes and CPU time a sample, queries
over all of it, and how long the head takes to be filled again. Samples are counted with `up` and the two other
series about each poll. The journal is counted apart: it is bounded by the head's hour, not by the days.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from prometheus_client import CollectorRegistry

from bench.form import Figure, Report
from bench.history_data import KINDS, START, Mix, layout, sources
from sentinel.model.batch import Batch, Floats, Reading, Source
from sentinel.promql.engine import Engine
from sentinel.promql.service import LIMITS
from sentinel.runtime.clock import ManualClock
from sentinel.series.head import Head
from sentinel.series.history.history import History
from sentinel.series.history.journal import segments_in
from sentinel.series.history.metrics import HistoryMetrics
from sentinel.series.history.paths import file_bytes, files_in
from sentinel.series.history.store import Limits
from sentinel.series.witness import Rows

MOST_BYTES: Final = 3.0
"""A sample at rest."""
LONGEST_QUERY: Final = 2.0
LONGEST_RESTORE: Final = 5.0
"""Seconds."""
LONGEST_PAUSE: Final = 0.05
STEP: Final = 600.0
TEN_IN_ONE: Final = "rates of all, ten queries in one"
"""What a large page asks for altogether; measured without a limit of its own."""
QUERIES: Final = {
    "rate of one metric": "rate(mix_octets_total[1h])",
    "rate of one metric, every sample": "rate(mix_octets_total[5m])",
    "sum of one metric": "sum(mix_temperature)",
    "sum over all": 'sum({__name__=~"mix_.*"})',
    TEN_IN_ONE: " + ".join(f"sum(rate(mix_{kind}[5m]))" for kind in KINDS),
    "highest of one metric": "max_over_time(mix_latency_seconds[10m])",
}


@dataclass(slots=True)
class Cost:
    samples: int = 0
    cpu: float = 0.0
    """Seconds of gathering, writing and packing."""


class _Timed:
    """Between head and history: what it costs the head to tell of its samples."""

    def __init__(self, history: History) -> None:
        self._history = history
        self.cpu = 0.0

    def write(self, rows: Rows, at: float, values: Floats, *, up: bool, part: bool) -> None:
        before = time.thread_time()
        self._history.write(rows, at, values, up=up, part=part)
        self.cpu += time.thread_time() - before

    def forget(self, source: Source) -> None:
        self._history.forget(source)


class Site:
    def __init__(self, folder: Path, start: float, *, retention: float = 400 * 86400.0) -> None:
        self.folder = folder
        self.clock = ManualClock(start)
        self.head = Head()
        limits = Limits(self.head.retention, retention, 1 << 50)
        metrics = HistoryMetrics(CollectorRegistry())
        self.history = History(folder, limits, keep_free=0, clock=self.clock, metrics=metrics)
        before = time.perf_counter()
        self.history.restore(self.head)
        self.restored_in = time.perf_counter() - before

    async def fill(self, series: int, interval: float, polls: int, *, care: bool = True) -> Cost:
        """Polls one after the other; the cost is that of the history alone."""
        shape, where = layout(), sources(series, interval)
        rng = np.random.default_rng(1)
        phases = np.sort(rng.uniform(0, interval, len(where)))
        cost, at, timed = Cost(), self.clock.now(), _Timed(self.history)
        self.head.tell(timed)
        for piece in Mix(len(where), interval).pieces(polls, max(int(3600 / interval), 1)):
            jitter = np.abs(rng.normal(0, 0.01, piece.shape[:2])) + phases
            for values, moments in zip(piece, jitter, strict=True):
                self.head.append(
                    [
                        Batch(source, at + moment, Reading(shape, row), up=True, duration=0.1)
                        for source, moment, row in zip(where, moments.tolist(), values, strict=True)
                    ]
                )
                at += interval
                await self.clock.advance(at - self.clock.now())
                before = time.process_time()
                await self.history.flush()
                if care:
                    await self.history.care()
                cost.cpu += time.process_time() - before
                cost.samples += values.size + 3 * len(where)
        cost.cpu += timed.cpu
        return cost

    async def finish(self) -> None:
        """End the last window."""
        await self.clock.advance(1800)
        await self.history.flush()
        await self.history.care()

    @property
    def file_bytes(self) -> int:
        return sum(map(file_bytes, files_in(self.folder)))

    @property
    def journal_bytes(self) -> int:
        return sum(path.stat().st_size for path in segments_in(self.folder / "journal"))


async def keep(report: Report, folder: Path, series: int, days: float, interval: float) -> Site:
    """Days of samples, and what they cost."""
    site = Site(folder, START)
    name = f"{days:g} days × {series} series, {interval:g} s"
    cost = await site.fill(series, interval, int(days * 86400 / interval))
    journal = site.journal_bytes
    before = time.process_time()
    await site.finish()
    cost.cpu += time.process_time() - before
    size = site.file_bytes / cost.samples
    report.ours(f"at rest, {name}", Figure((size,) * 3, "bytes a sample"))
    report.ours(f"written, {name}", Figure((cost.cpu / cost.samples * 1e9,) * 3, "ns CPU a sample"))
    report.require(f"at most {MOST_BYTES:g} bytes a sample", size <= MOST_BYTES)
    report.extra[f"{interval:g} s"] = {
        "samples": cost.samples,
        "bytes": site.file_bytes,
        "files": len(files_in(folder)),
        "journal_bytes_at_most": journal,
    }
    return site


def ask(report: Report, site: Site, days: float, repeat: int) -> None:
    """Range queries over everything, as a daemon answers them that was just started."""
    engine = Engine(site.head, archive=site.history.reader, limits=LIMITS)
    end = math.floor(site.clock.now() / STEP) * STEP
    start = end - days * 86400 + STEP
    for name, query in QUERIES.items():
        times, answered = [], 0
        for _ in range(repeat + 1):
            before = time.perf_counter()
            answered = len(engine.compile(query).range(start, end, STEP))
            times.append(time.perf_counter() - before)
        cold, runs = times[0], Figure(tuple(times[1:]), "s")
        report.ours(f"query, {name}", runs)
        report.extra[f"query, {name}"] = {"query": query, "first": round(cold, 3), "series": answered}
        if name != TEN_IN_ONE:
            report.require(f"{name} in {LONGEST_QUERY:g} s", max(cold, runs.median) <= LONGEST_QUERY)


async def restored(report: Report, folder: Path, series: int, repeat: int) -> None:
    """An hour at 15 s back into the head."""
    site = Site(folder, START)
    await site.fill(series, 15.0, 240)
    end = site.clock.now()
    await site.history.close()
    runs: list[float] = []
    count = samples = 0
    for _ in range(max(repeat, 3)):
        again = Site(folder, end)
        runs.append(again.restored_in)
        count, samples = again.head.series, again.head.series * 240
    report.ours(f"restored, {count} series × 1 h at 15 s", Figure(tuple(runs), "s"))
    report.extra["restored"] = {"series": count, "samples": samples, "journal_bytes": site.journal_bytes}
    report.require(f"restored in {LONGEST_RESTORE:g} s", max(runs) <= LONGEST_RESTORE)


async def held(report: Report, folder: Path, series: int) -> None:
    """How long the event loop is held while half an hour of a large fleet is written and packed."""
    site = Site(folder, START)
    await site.fill(series, 15.0, 119, care=False)
    pauses: list[float] = []

    async def tick() -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            pauses.append(time.perf_counter() - before - 0.001)

    async with asyncio.TaskGroup() as group:
        ticking = group.create_task(tick())
        before = time.perf_counter()
        await site.clock.advance(1800)
        await site.history.flush()
        await site.history.care()
        took = time.perf_counter() - before
        ticking.cancel()
    longest = max(pauses)
    report.ours(f"event loop held, packing {series} series × 30 min", Figure((longest * 1000,) * 3, "ms"))
    report.extra["packing"] = {"seconds": round(took, 2), "looks": len(pauses)}
    report.require(
        f"the event loop is held for {LONGEST_PAUSE * 1000:g} ms at most", longest <= LONGEST_PAUSE
    )


async def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--series", type=int, default=10_000)
    arguments.add_argument("--days", type=float, default=7.0)
    arguments.add_argument("--restored", type=int, default=100_000)
    arguments.add_argument("--repeat", type=int, default=3)
    chosen = arguments.parse_args()
    report = Report("history")
    folder = Path(tempfile.mkdtemp(prefix="sentinel-history-"))
    try:
        site = await keep(report, folder / "minute", chosen.series, chosen.days, 60.0)
        ask(report, site, chosen.days, chosen.repeat)
        await keep(report, folder / "quarter", chosen.series, min(chosen.days, 1.0), 15.0)
        await held(report, folder / "held", chosen.restored)
        await restored(report, folder / "restored", chosen.restored, chosen.repeat)
    finally:
        shutil.rmtree(folder)
    return report.finish()


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
