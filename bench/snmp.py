"""SNMP: CPU per poll of a 50-port switch, 30 columns, 1,500 varbinds, beside the peers.

All ask the same agent in another process. Ours is the whole path: requests, decoding, checks, labels and the array
of samples, stored in the head. snmp_exporter answers one scrape with the same series; snmpbulkwalk only prints;
pysnmp only yields objects.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import uvloop
import yaml
from prometheus_client import CollectorRegistry

from bench.form import Figure, Report, cpu_ms
from bench.snmp_agent import COLUMNS
from bench.snmp_peers import SUBTREES, bulkwalk, exporter, pysnmp, tried
from sentinel.collect.collector import Collector
from sentinel.collect.snmp.driver import SnmpDriver
from sentinel.collect.snmp.modules import SnmpModule, parse_modules
from sentinel.config.yaml import parse_yaml
from sentinel.model.batch import Batch
from sentinel.model.target import Target
from sentinel.runtime.clock import SystemClock
from sentinel.series.head import Head

PORTS = 50
POLLS = 40
REPEAT = 5
WHOLE = "poll to stored samples"
LEAST = {"snmp_exporter": 8.0, "snmpbulkwalk": 3.0}
"""How many times our CPU time the peers must need."""

MODULE_FILE = Path(__file__).parents[1] / "collectors/snmp/if_mib.yml"


@contextmanager
def agent(ports: int = PORTS) -> Iterator[int]:
    """The simulated switch in its own process; its UDP port."""
    command = [sys.executable, "-m", "bench.snmp_agent", str(ports)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield int(process.stdout.readline())
        process.stdin.close()


def module() -> SnmpModule:
    """The shipped if_mib, with the metrics whose columns the simulated switch has."""
    shipped = parse_modules(parse_yaml(MODULE_FILE.read_text(), str(MODULE_FILE)))["if_mib"]
    metrics = tuple(metric for metric in shipped.metrics if metric.oid in COLUMNS)
    return SnmpModule("bench", shipped.walk, (), metrics, shipped.max_repetitions, 3, 5.0)


async def ours(port: int, devices: int = 1) -> tuple[Figure, Figure, Figure]:
    """ms CPU per poll: polls alone, polls stored in the head, and the first poll of a device.

    Args:
        devices: whose series the head holds: the polls are stored as those of one after the other.
    """
    clock = SystemClock()
    driver = SnmpDriver({"bench": module()}, {}, clock=clock, registry=CollectorRegistry())
    target = Target("switch", "127.0.0.1", port, modules=("bench",))
    collector, head = driver.open(target, "bench"), Head()
    sources = cycle([replace(target, name=f"switch{number}").source("bench") for number in range(devices)])
    await _polls(collector, 5)

    async def stored() -> None:
        for _ in range(POLLS):
            at = clock.now()
            reading = await collector.poll(at=at, timeout=10)
            head.append([Batch(next(sources), at, reading, up=True, duration=0.0)])

    async def first() -> None:
        fresh = driver.open(target, "bench")
        await fresh.poll(at=0, timeout=10)
        await fresh.close()

    for _ in range(1 + devices // POLLS):
        await stored()
    alone = [await _cpu(_polls(collector, POLLS)) / POLLS for _ in range(REPEAT)]
    whole = [await _cpu(stored()) / POLLS for _ in range(REPEAT)]
    walks = [await _cpu(first()) for _ in range(REPEAT)]
    await driver.close()
    unit = "ms CPU/poll"
    return Figure(tuple(alone), unit), Figure(tuple(whole), unit), Figure(tuple(walks), unit)


async def _polls(collector: Collector, count: int) -> None:
    for _ in range(count):
        reading = await collector.poll(at=time.time(), timeout=10)
        assert len(reading.layout) == 27 * PORTS, len(reading.layout)
        assert not reading.unread


async def _cpu(work: object) -> float:
    before = cpu_ms()
    await work  # type: ignore[misc]
    return cpu_ms() - before


def peers_module(series: SnmpModule) -> dict[str, object]:
    """The same module in snmp_exporter's own words: our shipped files use them."""
    shipped = yaml.safe_load(MODULE_FILE.read_text())["modules"]["if_mib"]
    wanted = {metric.name for metric in series.metrics}
    metrics = [metric for metric in shipped["metrics"] if metric["name"] in wanted]
    return {"walk": list(SUBTREES), "metrics": metrics, "version": 2, "max_repetitions": 25}


def main() -> int:
    report = Report("snmp")
    read = module()
    with agent() as port:
        alone, whole, walks = uvloop.run(ours(port))
        report.ours(WHOLE, whole)
        report.ours("poll to array", alone)
        report.ours("first poll (walk)", walks)
        varbinds, series = len(COLUMNS) * PORTS, len(read.metrics) * PORTS
        peers: dict[str, Callable[[], Figure]] = {
            "snmp_exporter": lambda: exporter(port, peers_module(read), series, REPEAT),
            "snmpbulkwalk": lambda: bulkwalk(port, varbinds, REPEAT),
            "pysnmp": lambda: pysnmp(port),
        }
        for name, work in peers.items():
            figure, missing = tried(name, work)
            report.peer(name, figure, against=WHOLE, missing=missing)
    report.extra["varbinds"] = varbinds
    for peer, least in LEAST.items():
        ratio = report.ratio(peer)
        report.require(f"{peer} costs at least {least} times as much", ratio is not None and ratio >= least)
    return report.finish()


if __name__ == "__main__":
    raise SystemExit(main())
