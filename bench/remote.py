"""What a received sample costs, beside Debian's Prometheus taking the same requests: python -m bench.remote.

Both run as processes of their own, with their logs on disk, and get the same remote write requests one after the
other over one connection: 500 samples each as Prometheus 2.42 sends by default, and 2,000 as newer ones do. Counted
is the CPU time of the process (user and system), less what it needs when nobody sends.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import struct
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tests.acceptance.daemon import Daemon
from tests.servers.stores import Store

from bench.form import Figure, Report
from bench.queries import process_cpu_ms
from sentinel.model.labels import Labels
from sentinel.series.remote import wire

HOSTS, SERIES = 40, 1350
WARM, TICKS = 3, 12
INTERVAL = 15.0
SIZES = (500, 2000)
UNIT = "µs CPU a sample"
IDLE = 4.0
CONFIG = "[intake]\nenabled = true\n"


def requests(start: float, size: int) -> list[list[bytes]]:
    """Bodies by tick; encoded as Prometheus does, which leaves out values of 0."""
    heads = [
        wire.head_of(
            Labels(
                __name__=f"metric_{number % 27}",
                ifIndex=str(number // 27),
                ifName=f"Gi0/{number // 27}",
                ifDescr=f"GigabitEthernet0/{number // 27}",
                instance=f"h{host}:9100",
                job="node",
            )
        )
        for host in range(HOSTS)
        for number in range(SERIES)
    ]
    rng = np.random.default_rng(7)
    values = np.where(rng.random(len(heads)) < 0.2, 0.0, np.round(rng.exponential(1e6, len(heads))))
    found = []
    for tick in range(WARM + TICKS):
        instant = b"\x10" + wire.varint(round((start + tick * INTERVAL) * 1000))
        series = [_series(head, value, instant) for head, value in zip(heads, values.tolist(), strict=True)]
        found.append([wire.compressed(b"".join(series[i : i + size])) for i in range(0, len(series), size)])
        values = np.where(values > 0, values + rng.integers(1, 1000, len(values)), 0.0)
    return found


def _series(head: bytes, value: float, instant: bytes) -> bytes:
    sample = (b"\x09" + struct.pack("<d", value) if value else b"") + instant
    body = head + bytes([len(sample)]) + sample
    return b"\x0a" + wire.varint(len(body)) + body


def send(port: int, bodies: list[bytes], token: str = "") -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {
        "Content-Type": "application/x-protobuf",
        "Content-Encoding": "snappy",
        "X-Prometheus-Remote-Write-Version": "0.1.0",
    }
    headers |= {"Authorization": f"Bearer {token}"} if token else {}
    for body in bodies:
        connection.request("POST", "/api/v1/write", body, headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status not in (200, 204):
            raise RuntimeError(f"{answer.status}: {text[:200]!r}")
    connection.close()


def measured(pid: int, port: int, size: int, token: str = "") -> Figure:
    """µs CPU a sample, in four parts."""
    ticks = requests(time.time() - (WARM + TICKS) * INTERVAL, size)
    for bodies in ticks[:WARM]:
        send(port, bodies, token)
    time.sleep(3)
    idle = _cpu_of(pid, lambda: time.sleep(IDLE)) / IDLE
    runs = []
    for first in range(WARM, WARM + TICKS, TICKS // 4):
        part = ticks[first : first + TICKS // 4]

        def work(part: list[list[bytes]] = part) -> None:
            for bodies in part:
                send(port, bodies, token)

        began = time.monotonic()
        spent = _cpu_of(pid, work)
        spent -= idle * (time.monotonic() - began)
        runs.append(spent * 1000 / (len(part) * HOSTS * SERIES))
    return Figure(tuple(runs), UNIT)


def _cpu_of(pid: int, work: Callable[[], None]) -> float:
    before = process_cpu_ms(pid)
    work()
    return process_cpu_ms(pid) - before


async def sentinel(folder: Path, size: int) -> tuple[Figure, float]:
    """Our cost, and samples that a query finds per series."""
    daemon = Daemon(folder, CONFIG)
    await daemon.start()
    try:
        made = await asyncio.to_thread(
            daemon.command, "token", "create", "bench", "--role", "sender", "--config", str(daemon.config)
        )
        token = made.stdout.strip()
        figure = await asyncio.to_thread(measured, daemon.pid, daemon.port, size, token)
        found = await daemon.query("min(count_over_time(metric_0[1h]))")
        counted = await daemon.query('count({job="node"})')
        is_whole = float(counted[0]["value"][1]) == HOSTS * SERIES
        return figure, float(found[0]["value"][1]) if is_whole else 0.0
    finally:
        daemon.kill()


async def prometheus(folder: Path, size: int) -> Figure:
    store = Store("prometheus", folder)
    await store.start()
    try:
        return await asyncio.to_thread(measured, store.pid, store.port, size)
    finally:
        store.stop()


def main() -> int:
    argparse.ArgumentParser(description=__doc__).parse_args()
    report = Report("remote")
    with tempfile.TemporaryDirectory(prefix="remote-", dir="/tmp") as name:
        for size in SIZES:
            for who in ("sentinel", "prometheus"):
                Path(name, f"{who}{size}").mkdir()
            ours, samples = asyncio.run(sentinel(Path(name, f"sentinel{size}"), size))
            own, peer = f"received, {size} a request", f"prometheus_{size}"
            report.ours(own, ours)
            report.require(f"every sample is there ({size} a request)", samples == WARM + TICKS)
            report.peer(peer, asyncio.run(prometheus(Path(name, f"prometheus{size}"), size)), against=own)
            ratio = report.ratio(peer)
            report.require(f"{peer}: at least as cheap", ratio is not None and ratio >= 1.0)
    return report.finish()


if __name__ == "__main__":
    raise SystemExit(main())
