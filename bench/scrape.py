"""What a scraped sample costs Prometheus: 100,000 series of targets that answer with as many each, every 5 s.

Its garbage collector works in bursts some ten seconds apart, so one long stretch is measured and not several short
ones.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import PIPE, Popen

from tests.servers.stores import Store

from bench.form import Figure
from bench.queries import process_cpu_ms

TARGETS = 74
INTERVAL = 5
"""Seconds."""
WARM_UP, STRETCH = 25.0, 60.0
"""Seconds: the first scrapes make the series."""


def scraped(folder: Path, series: int) -> Figure:
    """µs CPU a sample, without what the store needs when it scrapes nothing."""
    with Popen(
        [sys.executable, "-m", "bench.scrape", str(series)], stdin=PIPE, stdout=PIPE, text=True
    ) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        port = int(server.stdout.readline())
        store = Store("prometheus", folder)
        asyncio.run(store.start())
        idle = _share(store, 10.0)
        store.stop()
        store.config.write_text(_config(port))
        asyncio.run(store.start())
        try:
            time.sleep(WARM_UP)
            spent = _share(store, STRETCH) - idle
        finally:
            store.stop()
            server.stdin.close()
    return Figure((spent * 1000 * INTERVAL / (TARGETS * series),) * 3, "µs CPU a sample")


def _share(store: Store, seconds: float) -> float:
    """ms CPU a second."""
    before = process_cpu_ms(store.pid)
    time.sleep(seconds)
    return (process_cpu_ms(store.pid) - before) / seconds


def _config(port: int) -> str:
    jobs = "".join(
        f"  - {{job_name: j{number}, scrape_interval: {INTERVAL}s, scrape_timeout: {INTERVAL}s,"
        f" metrics_path: /{number},"
        f" static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}\n"
        for number in range(TARGETS)
    )
    return f"scrape_configs:\n{jobs}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    series = 0

    def do_GET(self) -> None:
        # Counters that count on, with the labels that a switch's ports have.
        now = int(time.time())
        body = "".join(
            f'metric_{number % 27}{{ifIndex="{number // 27}",ifName="Gi0/{number // 27}",'
            f'ifDescr="GigabitEthernet0/{number // 27}",ifAlias="port {number // 27}"}} {number * 1000 + now}\n'
            for number in range(self.series)
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def main() -> int:
    _Handler.series = int(sys.argv[1])
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
