"""The whole daemon as a process of its own, as its users run it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

import httpx

from tests.servers.debian import ROOT, free_port

PATIENCE = 30.0
"""Seconds after which a wait fails; generous, as machines are shared. Tests assert times of their own."""


async def eventually(
    claim: Callable[[], Awaitable[Any]], what: str, *, within: float = PATIENCE, pause: float = 0.05
) -> Any:
    """The first true answer of `claim`, looked for until the deadline."""
    deadline = time.monotonic() + within
    while True:
        answer = await claim()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not within {within:g} s: {what}"
        await asyncio.sleep(pause)


class Process(Protocol):
    """What is asked of a subprocess.Popen."""

    @property
    def pid(self) -> int: ...
    def poll(self) -> int | None: ...
    def kill(self) -> None: ...
    def send_signal(self, number: int, /) -> None: ...
    def wait(self, timeout: float | None = None) -> int: ...


class Daemon:
    """`sentinel run` on a configuration in `folder`.

    Args:
        grace: how long alerts stay as they were after a restart.
    """

    def __init__(self, folder: Path, config: str, rules: str = "", *, grace: str = "3s") -> None:
        self._grace = grace
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.config = folder / "config.toml"
        self.rules = folder / "rules.yml"
        self.rules.write_text(rules or "groups: []\n")
        self.write(config)
        self.log = folder / "sentinel.log"
        self._process: Process | None = None

    def write(self, config: str) -> None:
        """The configuration, after what every test has in common."""
        self.config.write_text(
            f"""
[daemon]
data_dir = "data"
external_url = "{self.url}"
[web]
listen = "127.0.0.1:{self.port}"
[rules]
files = ["rules.yml"]
interval = "1s"
[collect]
interval = "1s"
timeout = "1s"
collectors = ["{ROOT}/collectors/snmp/*.yml", "{ROOT}/collectors/ssh/*.yml"]
[care]
restart_grace = "{self._grace}"
{config}"""
        )

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def launch(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "sentinel", "run", "--config", str(self.config)],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
            )

    async def start(self) -> None:
        self.launch()
        await eventually(self._is_ready, f"the daemon is ready\n{self.log.read_text()}")

    async def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text()
        with contextlib.suppress(httpx.TransportError):
            return (await self.get("/-/ready")).status_code == 200
        return False

    def kill(self) -> None:
        """As power loss or the OOM killer would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self, within: float = 10.0) -> int:
        """SIGTERM, and the exit status."""
        if self._process is None:
            return 0
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(within)
        finally:
            self.kill()

    def hang_up(self) -> None:
        """SIGHUP: reload."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    async def get(self, path: str, **parameters: Any) -> httpx.Response:
        async with httpx.AsyncClient(base_url=self.url, timeout=10) as client:
            return await client.get(path, params=parameters)

    async def post(self, path: str, token: str = "", **body: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with httpx.AsyncClient(base_url=self.url, timeout=10) as client:
            return await client.post(path, json=body, headers=headers)

    async def query(self, expression: str) -> list[dict[str, Any]]:
        answer = (await self.get("/api/v1/query", query=expression)).json()
        assert answer["status"] == "success", answer
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result

    def command(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """The command line against this daemon."""
        return subprocess.run(
            [sys.executable, "-m", "sentinel", *words],
            capture_output=True,
            text=True,
            cwd=self.folder,
            timeout=60,
            check=False,
            env=os.environ | {"SENTINEL_URL": self.url} | environment,
        )
