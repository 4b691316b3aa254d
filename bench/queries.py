"""Nine typical fleet alert queries beside a real Prometheus with the same samples: python -m bench.queries.

CPU time for one evaluation of all nine. Prometheus holds the samples in blocks made by promtool and is asked over
HTTP; its figure is the CPU time of its process.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from tests.servers import debian

from bench.fleet import Fleet, fleet
from bench.form import Figure, Report, measure
from sentinel.promql import Engine
from sentinel.promql.value import Vector

UNIT = "ms CPU per evaluation of all nine"
QUERIES = (
    "up == 0",
    '100 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[5m])) * 100 > 80',
    "node_filesystem_avail_bytes / node_filesystem_size_bytes * 100 < 10 and node_filesystem_readonly == 0",
    "predict_linear(node_filesystem_avail_bytes[1h], 4 * 3600) < 0",
    "node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes * 100 < 10",
    'avg_over_time(node_load1[15m]) > on (instance) count by (instance) (node_cpu_seconds_total{mode="idle"})',
    "rate(ifInErrors[5m]) > 0.05",
    "rate(ifHCInOctets[5m]) * 8 > on (instance, ifIndex) group_left () ifHighSpeed * 1e6 * 0.8",
    "changes(ifOperStatus[15m]) > 2 or ifOperStatus == 2 and ifAdminStatus == 1",
)


@contextmanager
def prometheus(data: Fleet) -> Iterator[tuple[str, int]]:
    """A Prometheus with the fleet's samples: its address and process id."""
    program, tool = debian.program("prometheus"), debian.program("promtool")
    with tempfile.TemporaryDirectory() as folder:
        samples = Path(folder, "samples.om")
        with samples.open("w") as out:
            data.write(out)
        config = Path(folder, "prometheus.yml")
        config.write_text("global: {}\n")
        store = Path(folder, "data")
        environment = debian.environment()
        subprocess.run(
            [tool, "tsdb", "create-blocks-from", "openmetrics", "--quiet", str(samples), str(store)],
            check=True,
            env=environment,
            stdout=subprocess.DEVNULL,
        )
        samples.unlink()
        address = f"127.0.0.1:{debian.free_port()}"
        process = subprocess.Popen(
            [
                program,
                f"--config.file={config}",
                f"--storage.tsdb.path={store}",
                "--storage.tsdb.retention.time=20y",
                f"--web.listen-address={address}",
                "--log.level=error",
            ],
            env=environment,
        )
        try:
            _wait(f"http://{address}/-/ready")
            yield f"http://{address}", process.pid
        finally:
            process.terminate()
            process.wait(30)


def _wait(url: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


ENOUGH = 1000.0
"""ms CPU of which the ticks of /proc are 1 %."""


def ask(base: str, query: str, at: float) -> list[Any]:
    parameters = urllib.parse.urlencode({"query": query, "time": f"{at:.3f}"})
    with urllib.request.urlopen(f"{base}/api/v1/query?{parameters}", timeout=120) as reply:
        found: list[Any] = json.load(reply)["data"]["result"]
        return found


def process_cpu_ms(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def measure_prometheus(base: str, pid: int, at: float, repeat: int) -> Figure:
    def spent(rounds: int) -> float:
        before = process_cpu_ms(pid)
        for _ in range(rounds):
            for query in QUERIES:
                ask(base, query, at)
        return (process_cpu_ms(pid) - before) / rounds

    # Ticks of /proc are 10 ms: several rounds a run, where one does not take seconds anyway.
    rounds = 1 if spent(1) > ENOUGH else 5
    return Figure(tuple(spent(rounds) for _ in range(repeat)), UNIT)


def different(base: str, engine: Engine, at: float) -> list[str]:
    """Queries on which the two do not give the same samples."""
    found = []
    for query in QUERIES:
        value = engine.compile(query).instant(at)
        assert isinstance(value, Vector)
        ours = {labels.pairs: number for labels, number in value.samples()}
        theirs = {
            tuple(sorted(one["metric"].items())): float(one["value"][1]) for one in ask(base, query, at)
        }
        same = ours.keys() == theirs.keys() and all(
            np.isclose(ours[key], theirs[key], rtol=1e-9, equal_nan=True) for key in ours
        )
        if not same:
            found.append(query)
    return found


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--series", type=int, default=10_000)
    arguments.add_argument("--repeat", type=int, default=5)
    chosen = arguments.parse_args()
    data = fleet(chosen.series)
    head = data.head()
    engine = Engine(head)
    compiled = [engine.compile(query) for query in QUERIES]
    report = Report("queries")
    # Another instant each time: a rule tick never asks for the same one twice.
    instants = iter(data.end - 0.001 * np.arange(1, 1000))

    def evaluate() -> None:
        at = float(next(instants))
        for expression in compiled:
            expression.instant(at)

    report.ours(f"sentinel, {data.series} series", measure(evaluate, repeat=max(chosen.repeat, 3), unit=UNIT))
    against = next(iter(report.figures))
    name = "prometheus"
    try:
        with prometheus(data) as (base, pid):
            for query in different(base, engine, data.end):
                report.require(f"the same samples for {query}", holds=False)
            figure = measure_prometheus(base, pid, data.end, max(chosen.repeat, 3))
        report.peer(name, figure, against=against)
    except debian.MissingServerError as error:
        report.peer(name, None, against=against, missing=str(error))
    return report.finish()


if __name__ == "__main__":
    raise SystemExit(main())
