"""A real Alertmanager on loopback."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any, Self

from tests.servers.debian import environment, free_port, program

_DEADLINE = 20.0
_CONFIG = """route: {receiver: hook, group_wait: 0s, group_interval: 1s, repeat_interval: 1h, group_by: ['...']}
receivers: [{name: hook, webhook_configs: [{url: 'URL', send_resolved: true}]}]
"""

_AT_HOME = """if [ ! -e /usr/share/prometheus/alertmanager ]; then
    mount -t tmpfs none /usr/share
    mkdir -p /usr/share/prometheus/alertmanager
    mount --bind "$1" /usr/share/prometheus/alertmanager
fi
shift
exec "$@"
"""
"""Debian's build reads its templates at this path and at no other: it gets a /usr/share of its own."""


class Alertmanager:
    """Keeps nothing over a restart.

    Args:
        told: where it sends its own webhooks.
    """

    def __init__(self, folder: Path, *, told: str) -> None:
        self._folder = folder
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "alertmanager.yml").write_text(_CONFIG.replace("URL", told))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        binary = Path(program("prometheus-alertmanager"))
        templates = binary.parents[1] / "share/prometheus/alertmanager"
        command = [
            *("unshare", "--map-root-user", "--mount", "sh", "-ec", _AT_HOME, "sh", str(templates)),
            str(binary),
            f"--config.file={self._folder / 'alertmanager.yml'}",
            f"--storage.path={self._folder / f'data{time.monotonic_ns()}'}",
            f"--web.listen-address=127.0.0.1:{self._port}",
            "--cluster.listen-address=",
        ]
        with (self._folder / "alertmanager.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment()
            )
        deadline = time.monotonic() + _DEADLINE
        while not self._is_ready():
            if time.monotonic() > deadline or self._process.poll() is not None:
                self.kill()
                raise TimeoutError((self._folder / "alertmanager.log").read_text())
            time.sleep(0.02)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(_DEADLINE)

    async def firing(self) -> list[dict[str, Any]]:
        """The alerts it holds, those that are over left out."""
        return await asyncio.to_thread(self._alerts)

    async def until(self, names: set[str], within: float = 15.0) -> list[dict[str, Any]]:
        """Its alerts once they are of these instances."""
        async with asyncio.timeout(within):
            while True:
                found = await self.firing()
                if {alert["labels"]["instance"] for alert in found} == names:
                    return found
                await asyncio.sleep(0.02)

    def _alerts(self) -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts", timeout=_DEADLINE) as answer:
            found: list[dict[str, Any]] = json.loads(answer.read())
            return found

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=1):
                return True
        except OSError:
            return False
