"""Probes of services on loopback, beside Debian's blackbox_exporter asking the same ones.

    python -m bench.probes

Ours is the whole poll: the probe, its series, and storing them. The exporter's figure is its own CPU time for the
same probe with the answer to Prometheus; what Prometheus spends on that answer is not counted.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import ssl
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path

import psutil
import uvloop
from prometheus_client import CollectorRegistry
from tests.servers.authority import Authority
from tests.servers.blackbox_exporter import BlackboxExporter
from tests.servers.outside import Web, answering, page, talking, zone, zone_by_tcp

from bench.form import Figure, Report, cpu_ms
from sentinel.collect.drivers import Drivers
from sentinel.collect.modules import Modules, load_modules
from sentinel.collect.watch import poll_with
from sentinel.config.address import is_url, split_place
from sentinel.model.target import Target
from sentinel.runtime.clock import SystemClock
from sentinel.series.head import Head

TARGETS = 100
"""Asked at once."""
REPEAT = 5

IP4 = {"preferred_ip_protocol": "ip4"}


def main() -> int:
    report = Report("probes")
    with tempfile.TemporaryDirectory(prefix="probes-") as name:
        folder = Path(name)
        authority = Authority(folder)
        config = folder / "blackbox.yml"
        config.write_text(json.dumps({"modules": _modules(authority.root)}))
        modules = load_modules([config])
        with (
            _services(authority) as places,
            BlackboxExporter(config, folder / "exporter.log") as exporter,
        ):
            ours = uvloop.run(_ours(modules, places))
            for kind, figure in ours.items():
                report.ours(kind, figure)
            for kind, address in places.items():
                report.peer(f"blackbox_exporter {kind}", _theirs(exporter, kind, address), against=kind)
    report.extra["probes_per_core_second"] = {kind: 1000 / figure.median for kind, figure in ours.items()}
    return report.finish()


def _modules(root: Path) -> dict[str, object]:
    trust = {"ca_file": str(root)}
    return {
        "http": {"prober": "http", "http": IP4},
        "https": {"prober": "http", "http": {"tls_config": trust, **IP4}},
        "tcp": {"prober": "tcp", "tcp": IP4},
        "tls": {"prober": "tcp", "tcp": {"tls": True, "tls_config": trust, **IP4}},
        "dns": {"prober": "dns", "dns": {"query_name": "www.example.org", "query_type": "A", **IP4}},
        "icmp": {"prober": "icmp", "icmp": IP4},
    }


@contextmanager
def _services(authority: Authority) -> Iterator[dict[str, str]]:
    """Servers in a process of their own, so that their time is not counted."""
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    end = context.Event()
    files = authority.files("localhost", "127.0.0.1")
    process = context.Process(target=_serve, args=(files, sending, end), daemon=True)
    process.start()
    try:
        yield receiving.recv()
    finally:
        end.set()
        process.join(10)


def _serve(files: tuple[Path, Path], sending: multiprocessing.connection.Connection, end: Event) -> None:
    async def serve() -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*files)
        web = Web({"/": page(b"hello" * 1000)})
        async with (
            talking(web.talk) as http,
            talking(web.talk, context) as https,
            talking(zone_by_tcp) as tcp,
            answering(zone) as dns,
        ):
            sending.send(
                {
                    "http": f"http://127.0.0.1:{http}/",
                    "https": f"https://127.0.0.1:{https}/",
                    "tcp": f"127.0.0.1:{tcp}",
                    "tls": f"127.0.0.1:{https}",
                    "dns": f"127.0.0.1:{dns}",
                    "icmp": "127.0.0.1",
                }
            )
            await asyncio.to_thread(end.wait)

    uvloop.run(serve())


async def _ours(modules: Modules, places: dict[str, str]) -> dict[str, Figure]:
    clock = SystemClock()
    drivers = Drivers(clock, CollectorRegistry())
    drivers.adopt(modules, {})
    figures = {}
    for kind, address in places.items():
        host, port = split_place(address)
        url = address if is_url(address) else ""
        targets = [
            Target(f"t{number}", host, port, (kind,), url=url, timeout=10.0) for number in range(TARGETS)
        ]
        watches = [watch for watch in drivers.watches(targets, modules, {}) if watch.source.module == kind]
        collectors = [watch.open() for watch in watches]
        head = Head()
        runs = []
        for _ in range(REPEAT + 1):
            before = cpu_ms()
            batches = await asyncio.gather(
                *(
                    poll_with(collector, watch, clock)
                    for collector, watch in zip(collectors, watches, strict=True)
                )
            )
            head.append(batches)
            runs.append((cpu_ms() - before) / TARGETS)
            bad = [batch for batch in batches if not batch.up or batch.reading.reasons]
            if bad:
                raise RuntimeError(f"{kind}: {bad[0].reason or bad[0].reading.detail}")
        figures[kind] = Figure(tuple(runs[1:]), "ms CPU per poll")
    await drivers.close()
    return figures


def _theirs(exporter: BlackboxExporter, kind: str, address: str) -> Figure:
    assert exporter.process is not None
    process = psutil.Process(exporter.process.pid)
    query = urllib.parse.urlencode({"target": address, "module": kind})
    url = f"http://{exporter.address}/probe?{query}"
    runs = []
    with ThreadPoolExecutor(20) as threads:
        for _ in range(REPEAT + 1):
            before = _spent(process)
            for text in threads.map(_get, [url] * TARGETS):
                if "\nprobe_success 1\n" not in text:
                    raise RuntimeError(f"{kind} fails in blackbox_exporter")
            runs.append((_spent(process) - before) * 1000 / TARGETS)
    return Figure(tuple(runs[1:]), "ms CPU per probe")


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        text: str = answer.read().decode()
        return text


def _spent(process: psutil.Process) -> float:
    """Seconds of CPU, once what is under way has settled."""
    time.sleep(0.1)
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    raise SystemExit(main())
