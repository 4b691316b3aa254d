"""Text of /metrics for a whole fleet beside prometheus_client's: python -m bench.exposition [--series N]."""

from __future__ import annotations

import argparse

import numpy as np
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from bench.form import Report, measure
from sentinel.model.batch import Batch, Layout, Reading, Source
from sentinel.model.labels import Labels
from sentinel.series.exposition import render
from sentinel.series.head import Head

START = 1_700_000_000.0
METRICS = 50
PORTS = 20
UNIT = "ms CPU"


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


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--series", type=int, default=100_000)
    chosen = arguments.parse_args()
    head, series = filled(chosen.series)
    report = Report("exposition")
    ours = f"sentinel, {series} series"
    report.ours(ours, measure(lambda: render(head, START + 1), unit=UNIT))
    peer = registry(series)
    report.peer(
        "prometheus_client", measure(lambda: generate_latest(peer), repeat=3, unit=UNIT), against=ours
    )
    report.peer(
        "client_golang",
        None,
        against=ours,
        missing="needs a Go program",
    )
    return report.finish()


if __name__ == "__main__":
    raise SystemExit(main())
