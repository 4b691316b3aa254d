"""SNMP: CPU per poll of a 50-port switch, 30 columns, 1,500 varbinds, beside net-snmp's snmpbulkwalk.

Both ask the same agent in another process. Ours is the whole path: requests, decoding, checks, labels and the
array of samples, stored in the head. snmpbulkwalk only prints.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvloop
from prometheus_client import CollectorRegistry
from tests.servers.debian import MissingServerError, environment, program

from bench.form import Figure, Report, cpu_ms, measure_children
from bench.snmp_agent import COLUMNS
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


async def ours(port: int) -> tuple[Figure, Figure, Figure]:
    """ms CPU per poll: polls alone, polls stored in the head, and the first poll of a device."""
    clock = SystemClock()
    driver = SnmpDriver({"bench": module()}, {}, clock=clock, registry=CollectorRegistry())
    target = Target("switch", "127.0.0.1", port, modules=("bench",))
    collector, source, head = driver.open(target, "bench"), target.source("bench"), Head()
    await _polls(collector, 5)

    async def stored() -> None:
        for _ in range(POLLS):
            at = clock.now()
            reading = await collector.poll(at=at, timeout=10)
            head.append([Batch(source, at, reading, up=True, duration=0.0)])

    async def first() -> None:
        fresh = driver.open(target, "bench")
        await fresh.poll(at=0, timeout=10)
        await fresh.close()

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


def bulkwalk(port: int) -> Figure | None:
    try:
        command = [
            program("snmpbulkwalk"),
            "-v2c",
            "-cpublic",
            "-On",
            "-Cr25",
            f"127.0.0.1:{port}",
            "1.3.6.1.2.1",
        ]
    except MissingServerError:
        return None
    quiet = environment() | {"MIBS": "", "SNMP_PERSISTENT_DIR": "/nonexistent"}

    def walk() -> None:
        found = subprocess.run(command, env=quiet, capture_output=True, check=True)
        assert found.stdout.count(b"\n") >= len(COLUMNS) * PORTS

    return measure_children(walk, repeat=REPEAT, unit="ms CPU/poll")


def main() -> int:
    report = Report("snmp")
    with agent() as port:
        alone, whole, walks = uvloop.run(ours(port))
        report.ours("poll to stored samples", whole)
        report.ours("poll to array", alone)
        report.ours("first poll (walk)", walks)
        report.peer("snmpbulkwalk", bulkwalk(port), against="poll to stored samples")
    report.extra["varbinds"] = len(COLUMNS) * PORTS
    return report.finish()


if __name__ == "__main__":
    raise SystemExit(main())
