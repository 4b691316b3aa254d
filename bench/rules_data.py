"""What the bench of rules gives to both sides: samples by remote write, and a thousand small rules."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator

import numpy as np

from bench.fleet import INTERVAL, Fleet
from sentinel.model.batch import Floats, Layout, Source
from sentinel.model.labels import Labels
from sentinel.series.remote import wire

__all__ = ["INTERVAL", "RULES", "push", "rule_file", "small"]

RULES = 1_000
SERIES = 100
"""Of each small rule's metric."""

REQUEST = 20_000
"""Samples of one request."""


def small(end: float) -> Fleet:
    """A thousand metrics of a hundred series, ten minutes long; a tenth of the values is above 90."""
    names = [Labels(__name__=f"small_{number}") for number in range(RULES)]
    hosts = [f"host{number}" for number in range(SERIES)]
    polls = 40
    values = np.random.default_rng(5).uniform(0, 100, (SERIES, RULES))
    sources = tuple(Source(host, "small", Labels(instance=host, job="small"), INTERVAL) for host in hosts)
    times: Floats = end - INTERVAL * np.arange(polls, 0, -1, dtype=np.float64)
    return Fleet(Layout.of(names), sources, np.tile(values, (polls, 1, 1)), times, np.zeros(SERIES))


def rule_file() -> str:
    rules = "".join(
        f"      - {{alert: Small{number}, expr: 'small_{number} > 90', for: 15s, labels: {{severity: warning}}}}\n"
        for number in range(RULES)
    )
    return f"groups:\n  - name: small\n    interval: 5s\n    rules:\n{rules}"


def push(data: Fleet, url: str) -> None:
    """All samples of a fleet, oldest first."""
    heads = [
        [wire.head_of(labels.updated(where.labels)) for labels in data.layout.series]
        for where in data.sources
    ]
    ups = [wire.head_of(Labels({"__name__": "up", **where.labels})) for where in data.sources]
    for poll in range(len(data.times)):
        parts: list[bytes] = []
        for host in range(len(data.sources)):
            at = round((data.times[poll] + data.phases[host]) * 1000)
            parts += wire.series_of(heads[host], data.values[poll, host], at)
            parts += wire.series_of([ups[host]], np.ones(1), at)
        for body in _bodies(parts):
            _post(url, body)


def _bodies(parts: list[bytes]) -> Iterator[bytes]:
    for start in range(0, len(parts), REQUEST):
        yield wire.compressed(b"".join(parts[start : start + REQUEST]))


def _post(url: str, body: bytes) -> None:
    headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers, method="POST"), timeout=60):
        pass
