"""Rules and queries beside a real Prometheus with the same samples in its head: python -m bench.rules.

Prometheus gets an hour of samples by remote write. Compared are nine typical fleet queries, a thousand small alert
rules, what an hour of samples takes in memory, and what a polled sample costs until it is stored (what that counts
stands in bench/stored.py).
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import multiprocessing
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import uvloop
from prometheus_client import CollectorRegistry
from tests.servers.stores import Store

from bench.fleet import Fleet, fleet
from bench.form import Figure, Report, measure
from bench.queries import QUERIES, UNIT, different, measure_prometheus, process_cpu_ms
from bench.rules_data import INTERVAL, RULES, push, rule_file, small
from bench.scrape import TARGETS, scraped
from bench.snmp import agent
from bench.stored import stored
from sentinel.model.labels import Labels
from sentinel.promql import Engine
from sentinel.rules.engine import RuleEngine
from sentinel.rules.files import load_rules
from sentinel.runtime.clock import ManualClock

LARGE, SMALL = 100_000, 10_000
LEAST = {
    "prometheus_100k": 40.0,
    "prometheus_10k": 25.0,
    "small_rules": 10.0,
    "memory": 3.0,
    "ingest": 1 / 0.6,
}
EVALUATIONS = 5
"""Of the small rules that are measured."""

ROUNDS = 8
"""Polls in real time while memory is looked at."""


@contextmanager
def prometheus(folder: Path) -> Iterator[Store]:
    store = Store("prometheus", folder)
    asyncio.run(store.start())
    try:
        yield store
    finally:
        store.stop()


def queries(report: Report, data: Fleet, store: Store, name: str) -> None:
    head = data.head()
    engine = Engine(head)
    compiled = [engine.compile(query) for query in QUERIES]
    # Another instant each time: a rule tick never asks for the same one twice.
    instants = iter(data.end - 0.001 * np.arange(1, 1000))

    def evaluate() -> None:
        at = float(next(instants))
        for expression in compiled:
            expression.instant(at)

    own = f"nine queries, {data.series} series"
    report.ours(own, measure(evaluate, repeat=5, unit=UNIT))
    for query in different(store.base, engine, data.end):
        report.require(f"the same samples for {query} at {data.series} series", holds=False)
    report.peer(name, measure_prometheus(store.base, store.pid, data.end, 3), against=own)


def memory_of(series: int) -> float:
    """Bytes a series of our head with an hour of samples; call it in a process of its own."""
    data = fleet(series, end=time.time())
    gc.collect()
    before = _resident("self")
    head = data.head()
    gc.collect()
    return (_resident("self") - before) / head.series


def memory(report: Report, data: Fleet, store: Store, empty: float) -> None:
    """Ours beside what Prometheus has resident while samples keep coming, as they do wherever it runs."""
    running = _running(data, store)
    collected = settled(store)
    report.extra["prometheus_bytes_a_series_after_forced_collection"] = (collected - empty) / data.series
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        ours = pool.apply(memory_of, (LARGE,))
    report.ours("memory, one hour at 15 s", Figure((ours,) * 3, "bytes a series"))
    theirs = (running - empty) / data.series
    report.peer("memory", Figure((theirs,) * 3, "bytes a series"), against="memory, one hour at 15 s")


def _running(data: Fleet, store: Store) -> float:
    """Median of the resident bytes over the last of `ROUNDS` polls in real time."""
    found = []
    for number in range(ROUNDS):
        began = time.monotonic()
        at = np.array([time.time() - data.phases.max()])
        push(replace(data, values=data.values[-1:], times=at), store.write_url)
        while time.monotonic() - began < INTERVAL:
            time.sleep(1)
            if number >= ROUNDS // 2:
                found.append(_resident(str(store.pid)))
    return float(np.median(found))


def settled(store: Store) -> float:
    """Resident bytes of the store after its garbage has been collected and given back."""
    found = []
    for _ in range(4):
        with urllib.request.urlopen(f"{store.base}/debug/pprof/heap?gc=1", timeout=60):
            pass
        time.sleep(5)
        found.append(_resident(str(store.pid)))
    return min(found)


def small_rules(report: Report, folder: Path) -> None:
    """A thousand rules of a hundred series each, a tenth of them alerting."""
    rules = folder / "small.yml"
    rules.write_text(rule_file())
    data = small(time.time())
    head = data.head()
    engine = Engine(head)
    runner = RuleEngine(
        load_rules([rules], engine, default_interval=INTERVAL),
        expressions=engine,
        readability=_Nobody(),
        ledger=_Nobody(),
        recorder=head,
        clock=ManualClock(data.end),
        registry=CollectorRegistry(),
        external_labels=Labels(),
        external_url="",
    )
    instants = iter(data.end + INTERVAL * np.arange(1, 1000))
    unit = "µs CPU a rule"
    per = RULES / 1000
    own = "small rules"
    report.ours(
        own, measure(lambda: runner.evaluate_once(float(next(instants))), repeat=5, unit=unit, per=per)
    )
    with prometheus(folder) as store:
        push(data, store.write_url)
        time.sleep(3)
        idle = _cpu_over(store, 15.0)
        store.config.write_text(f"global: {{evaluation_interval: 5s}}\nrule_files: [{rules}]\n")
        urllib.request.urlopen(
            urllib.request.Request(f"{store.base}/-/reload", method="POST"), timeout=30
        ).close()
        time.sleep(11)
        began, cpu = _iterations(store), process_cpu_ms(store.pid)
        start = time.monotonic()
        while _iterations(store) < began + EVALUATIONS:
            time.sleep(0.2)
        spent = process_cpu_ms(store.pid) - cpu - idle * (time.monotonic() - start)
        firing = len(store.query("ALERTS", time.time()))
        report.require("Prometheus has alerts too", firing > RULES)
        theirs = spent * 1000 / ((_iterations(store) - began) * RULES)
        report.peer("small_rules", Figure((theirs,) * 3, unit), against=own)


def ingest(report: Report, folder: Path) -> None:
    """From the poll of a 1,350-series switch to the stored sample, beside scrapes of as many series and targets."""
    own = "poll to stored sample"
    with agent() as port:
        report.ours(own, uvloop.run(stored(folder / "history", port, TARGETS)))
    report.peer("ingest", scraped(folder, 1350), against=own)


class _Nobody:
    """Takes alerts and tells nobody; everything can be read."""

    def submit(self, changes: object) -> None:
        pass

    def readability(self, labels: Labels, names: frozenset[str]) -> bool:
        return False


def _resident(pid: str) -> float:
    line = next(
        line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS")
    )
    return int(line.split()[1]) * 1024


def _cpu_over(store: Store, seconds: float) -> float:
    """ms CPU a second."""
    before = process_cpu_ms(store.pid)
    time.sleep(seconds)
    return (process_cpu_ms(store.pid) - before) / seconds


def _iterations(store: Store) -> int:
    with urllib.request.urlopen(f"{store.base}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    return int(
        sum(
            float(line.split()[-1])
            for line in lines
            if line.startswith("prometheus_rule_group_iterations_total")
        )
    )


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--large", type=int, default=LARGE)
    chosen = arguments.parse_args()
    report = Report("rules")
    with tempfile.TemporaryDirectory(prefix="rules-", dir="/tmp") as name:
        folder = Path(name)
        for size, peer in ((SMALL, "prometheus_10k"), (chosen.large, "prometheus_100k")):
            (folder / peer).mkdir()
            data = fleet(size, end=time.time())
            with prometheus(folder / peer) as store:
                empty = settled(store)
                push(data, store.write_url)
                if size == chosen.large:
                    memory(report, data, store, empty)
                queries(report, data, store, peer)
        (folder / "small").mkdir()
        small_rules(report, folder / "small")
        (folder / "scrape").mkdir()
        ingest(report, folder / "scrape")
    for peer, least in LEAST.items():
        ratio = report.ratio(peer)
        report.require(f"{peer}: at least {least:.3g} times better", ratio is not None and ratio >= least)
    report.extra["criteria"] = dict(LEAST)
    return report.finish()


if __name__ == "__main__":
    raise SystemExit(main())
