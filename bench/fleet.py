"""A fleet's samples for benchmarks: the same numbers for our head and for a Prometheus beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TextIO

import numpy as np

from sentinel.model.batch import Batch, Floats, Layout, Reading, Source
from sentinel.model.labels import Labels
from sentinel.series.head import Head

INTERVAL = 15.0
START = 1_700_000_100.0
_MODES = ("idle", "user", "system", "iowait", "irq", "softirq", "steal", "nice")
_COUNTERS = ("node_cpu_seconds_total", "ifHCInOctets", "ifHCOutOctets", "ifInErrors")


def _series() -> list[Labels]:
    """One host with its switch ports: 101 series."""
    found = [Labels(__name__="node_cpu_seconds_total", cpu=str(c), mode=m) for c in range(4) for m in _MODES]
    for disk in ("/", "/var", "/home", "/srv"):
        labels = {"device": f"/dev/{disk.strip('/') or 'root'}", "fstype": "ext4", "mountpoint": disk}
        found += [
            Labels({"__name__": f"node_filesystem_{name}", **labels})
            for name in ("avail_bytes", "size_bytes", "readonly")
        ]
    found += [Labels(__name__=name) for name in ("node_load1", "node_memory_MemAvailable_bytes")]
    found += [Labels(__name__="node_memory_MemTotal_bytes")]
    for port in range(9):
        for name in (
            "ifHCInOctets",
            "ifHCOutOctets",
            "ifInErrors",
            "ifOperStatus",
            "ifAdminStatus",
            "ifHighSpeed",
        ):
            found.append(Labels(__name__=name, ifIndex=str(port), ifName=f"Gi0/{port}"))
    return found


@dataclass(frozen=True, slots=True)
class Fleet:
    """`values[poll, host, series]`, polled at `times[poll] + phases[host]`."""

    layout: Layout
    sources: tuple[Source, ...]
    values: Floats
    times: Floats
    phases: Floats

    @property
    def series(self) -> int:
        return len(self.sources) * len(self.layout)

    @property
    def end(self) -> float:
        """An instant just after the last poll of all."""
        return float(self.times[-1]) + INTERVAL - 0.001

    def batches(self, poll: int) -> list[Batch]:
        return [
            Batch(
                where,
                float(self.times[poll] + self.phases[host]),
                Reading(self.layout, self.values[poll, host]),
                up=True,
                duration=0.1,
            )
            for host, where in enumerate(self.sources)
        ]

    def head(self) -> Head:
        head = Head()
        for poll in range(len(self.times)):
            head.append(self.batches(poll))
        return head

    def write(self, out: TextIO) -> None:
        """All samples as OpenMetrics text, which promtool turns into blocks."""
        names = list(dict.fromkeys(labels.name for labels in self.layout.series))
        for name in names:
            out.write(
                f"# TYPE {name.removesuffix('_total')} {'counter' if name.endswith('_total') else 'gauge'}\n"
            )
            for line in self._lines(name):
                out.write(line)
        out.write("# TYPE up gauge\n")
        for host, where in enumerate(self.sources):
            start = _packed(Labels({"__name__": "up", **where.labels}))
            out.writelines(f"{start} 1 {at + self.phases[host]:.3f}\n" for at in self.times.tolist())
        out.write("# EOF\n")

    def _lines(self, name: str) -> Iterator[str]:
        for host, where in enumerate(self.sources):
            times = [f" {at + self.phases[host]:.3f}\n" for at in self.times.tolist()]
            for column, labels in enumerate(self.layout.series):
                if labels.name == name:
                    start = _packed(labels.updated(where.labels)) + " "
                    values = self.values[:, host, column].tolist()
                    yield "".join(f"{start}{value!r}{at}" for value, at in zip(values, times, strict=True))


def _packed(labels: Labels) -> str:
    """OpenMetrics allows no space between labels."""
    return str(labels).replace('", ', '",')


def fleet(series: int, *, seconds: float = 3600.0, seed: int = 1, end: float | None = None) -> Fleet:
    """About that many series over that time, with resets, full disks and ports that flap.

    Args:
        end: Unix seconds of the end; None: a fixed instant long ago.
    """
    shape = Layout.of(_series())
    hosts = max(series // len(shape), 1)
    polls = int(seconds / INTERVAL)
    rng = np.random.default_rng(seed)
    values = np.empty((polls, hosts, len(shape)))
    for column, labels in enumerate(shape.series):
        values[:, :, column] = _history(labels, polls, hosts, rng)
    sources = tuple(
        Source(f"h{n}", "node", Labels(instance=f"h{n}", job="node", site=f"s{n % 10}"), INTERVAL)
        for n in range(hosts)
    )
    phases: Floats = np.sort(rng.uniform(0, INTERVAL - 1, hosts)).astype(np.float64).round(3)
    start = START if end is None else float(int(end)) - INTERVAL * polls
    times: Floats = start + INTERVAL * np.arange(polls, dtype=np.float64)
    return Fleet(shape, sources, values, times, phases)


def _history(labels: Labels, polls: int, hosts: int, rng: np.random.Generator) -> Floats:
    name = labels.name
    size = (polls, hosts)
    if name in _COUNTERS:
        scale = {"node_cpu_seconds_total": 10.0, "ifInErrors": 0.05}.get(name, 1e8)
        counted = np.cumsum(np.round(rng.exponential(scale, size), 3), axis=0) + 1e6
        for host in np.flatnonzero(rng.random(hosts) < 0.01).tolist():
            reset = int(rng.integers(polls))
            counted[reset:, host] -= counted[reset, host]
        return np.round(counted, 3)
    if name == "ifOperStatus":
        return np.where(rng.random(size) < 0.002, 2.0, 1.0)
    if name == "node_filesystem_avail_bytes":
        first = rng.uniform(5e9, 9e10, hosts)
        return np.round(first - np.arange(polls)[:, None] * rng.uniform(0, 3e7, hosts))
    constants = {
        "node_filesystem_size_bytes": 1e11,
        "node_filesystem_readonly": 0.0,
        "ifAdminStatus": 1.0,
        "ifHighSpeed": 1000.0,
        "node_memory_MemTotal_bytes": 6.4e10,
    }
    if name in constants:
        return np.full(size, constants[name])
    top = 8.0 if name == "node_load1" else 6e10
    return np.round(rng.uniform(0, top, size), 2)
