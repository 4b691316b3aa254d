"""Stores that take remote write: Debian's Prometheus and VictoriaMetrics on loopback ports."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, Literal

from tests.servers.debian import environment, free_port, program

_DEADLINE = 30.0


class Store:
    """Keeps its folder and port over a restart."""

    def __init__(self, kind: Literal["prometheus", "victoria-metrics"], folder: Path) -> None:
        self.kind = kind
        self._folder = folder
        self.port = free_port()
        self.config = folder / "store.yml"
        """Prometheus' own, empty unless somebody writes it before the start or a reload."""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def write_url(self) -> str:
        return f"{self.base}/api/v1/write"

    @property
    def is_running(self) -> bool:
        return self._process is not None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        with (self._folder / f"{self.kind}.log").open("ab") as log:
            self._process = subprocess.Popen(self._command(), stdout=log, stderr=log, env=environment())
        deadline = time.monotonic() + _DEADLINE
        while not self._answers():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise TimeoutError((self._folder / f"{self.kind}.log").read_text()[-2000:])
            await asyncio.sleep(0.05)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(_DEADLINE)
            self._process = None

    def query(self, text: str, at: float) -> list[dict[str, Any]]:
        """An instant query's vector."""
        given = urllib.parse.urlencode({"query": text, "time": f"{at:.3f}", "nocache": "1"})
        with urllib.request.urlopen(f"{self.base}/api/v1/query?{given}", timeout=_DEADLINE) as answer:
            found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
            return found

    def _command(self) -> list[str]:
        data = self._folder / f"{self.kind}-data"
        if self.kind == "victoria-metrics":
            return [
                program("victoria-metrics"),
                f"-storageDataPath={data}",
                f"-httpListenAddr=127.0.0.1:{self.port}",
                "-retentionPeriod=100y",
                "-search.latencyOffset=0s",
                "-loggerLevel=ERROR",
            ]
        if not self.config.exists():
            self.config.write_text("global: {}\n")
        return [
            program("prometheus"),
            f"--config.file={self.config}",
            f"--storage.tsdb.path={data}",
            "--storage.tsdb.retention.time=20y",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--web.enable-remote-write-receiver",
            "--web.enable-lifecycle",
            "--log.level=warn",
        ]

    def _answers(self) -> bool:
        path = "/health" if self.kind == "victoria-metrics" else "/-/ready"
        try:
            with urllib.request.urlopen(self.base + path, timeout=2):
                return True
        except (OSError, urllib.error.URLError):
            return False
