"""/metrics of a whole fleet beside Go's and Python's client libraries: python -m bench.exposition [--series N].

CPU time to make the whole answer, uncompressed. Go's client runs in a process of its own (bench/go/exposition.go),
which tells the CPU time of each request that its handler has answered.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from bench.form import Figure, Report, measure
from sentinel.model.batch import Batch, Layout, Reading, Source
from sentinel.model.labels import Labels
from sentinel.series.head import Head
from sentinel.series.text.exposition import Style, parts

START = 1_700_000_000.0
METRICS = 50
PORTS = 20
UNIT = "ms CPU"
LEAST = 8.0
"""Times better than Go's client,"""
MOST = 30.0
"""and ms, at 100,000 series."""
ROOT = Path(__file__).resolve().parents[1]
GO = ROOT / ".servers/go"


def filled(series: int) -> tuple[Head, int]:
    """A head with about that many series, one poll old."""
    head = Head(retention=300.0)
    layout = Layout.of(
        Labels(__name__=f"fleet_metric_{metric}", ifIndex=str(port), ifName=f"GigabitEthernet0/{port}")
        for metric in range(METRICS)
        for port in range(PORTS)
    )
    hosts = max(series // len(layout), 1)
    rng = np.random.default_rng(1)
    for host in range(hosts):
        where = Source(f"sw{host}", "if_mib", Labels(instance=f"sw{host}", job="if_mib"), 60.0)
        values = np.round(rng.exponential(1e9, len(layout)))
        head.append([Batch(where, START, Reading(layout, values), up=True, duration=0.1)])
    return head, hosts * len(layout)


def registry(series: int) -> CollectorRegistry:
    """The same in prometheus_client."""
    made = CollectorRegistry()
    rng = np.random.default_rng(1)
    names = ("ifIndex", "ifName", "instance", "job")
    for metric in range(METRICS):
        gauge = Gauge(f"fleet_metric_{metric}", "", names, registry=made)
        for host in range(series // METRICS // PORTS):
            for port in range(PORTS):
                gauge.labels(str(port), f"GigabitEthernet0/{port}", f"sw{host}", "if_mib").set(
                    float(np.round(rng.exponential(1e9)))
                )
    return made


def client_golang(series: int, repeat: int = 5) -> Figure:
    """Go's client library with the same series.

    Raises:
        OSError, subprocess.CalledProcessError: it cannot be fetched or built here.
    """
    subprocess.run([ROOT / "bench/go/fetch"], check=True, capture_output=True, text=True)
    with tempfile.TemporaryDirectory(prefix="exposition-") as folder:
        program = Path(folder, "exposition")
        root = next((GO / "usr/lib").glob("go-*"))
        environment = os.environ | {
            "GOROOT": str(root),
            "GOPATH": str(GO / "usr/share/gocode"),
            "GO111MODULE": "off",
            "GOCACHE": f"{folder}/cache",
            "GOFLAGS": "-trimpath",
        }
        build: list[str | Path] = [root / "bin/go", "build", "-o", program, ROOT / "bench/go/exposition.go"]
        subprocess.run(build, check=True, capture_output=True, text=True, env=environment)
        asked = "\n" * (repeat + 1)
        done = subprocess.run([program, str(series)], input=asked, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()[2:]  # the version, and the first request, which warms up
    return Figure(tuple(float(line.split()[0]) for line in lines), UNIT)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--series", type=int, default=100_000)
    chosen = arguments.parse_args()
    head, series = filled(chosen.series)
    report = Report("exposition")
    ours = f"sentinel, {series} series"

    def work(style: Style) -> None:
        b"".join(parts(head, START + 1, style=style))

    report.ours(ours, measure(lambda: work(Style()), unit=UNIT))
    report.ours("OpenMetrics", measure(lambda: work(Style(is_openmetrics=True)), unit=UNIT))
    dated = Style(is_openmetrics=True, has_timestamps=True)
    report.ours("OpenMetrics with instants", measure(lambda: work(dated), unit=UNIT))
    try:
        report.peer("client_golang", client_golang(series), against=ours)
    except subprocess.CalledProcessError as error:
        report.peer("client_golang", None, against=ours, missing=str(error.stderr or error).strip()[-300:])
    except OSError as error:
        report.peer("client_golang", None, against=ours, missing=str(error))
    peer = registry(series)
    report.peer(
        "prometheus_client", measure(lambda: generate_latest(peer), repeat=3, unit=UNIT), against=ours
    )
    ratio = report.ratio("client_golang")
    report.require(f"at least {LEAST:g} times faster than Go's client", ratio is None or ratio >= LEAST)
    if series == 100_000:
        report.require(f"at most {MOST:g} ms", report.figures[ours].median <= MOST)
    return report.finish()


if __name__ == "__main__":
    raise SystemExit(main())
