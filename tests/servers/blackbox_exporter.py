"""Debian's blackbox_exporter (0.23) on a loopback port, with a given blackbox.yml."""

from __future__ import annotations

import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Self

from tests.servers.debian import environment, free_port, program

_DEADLINE = 15.0


class BlackboxExporter:
    """Reads the file once, at its start."""

    def __init__(self, config: Path, log: Path) -> None:
        self._config, self._log = config, log
        self.address = f"127.0.0.1:{free_port()}"
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        command = [
            program("prometheus-blackbox-exporter"),
            f"--web.listen-address={self.address}",
            f"--config.file={self._config}",
        ]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment()
            )
        deadline = time.monotonic() + _DEADLINE
        while not self._answers():
            if time.monotonic() > deadline or self.process.poll() is not None:
                self.__exit__()
                raise TimeoutError(f"blackbox_exporter does not answer: {self._log.read_text()}")
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(_DEADLINE)

    def probe(self, target: str, module: str) -> str:
        """Text of one probe; blocks meanwhile."""
        query = urllib.parse.urlencode({"target": target, "module": module})
        with urllib.request.urlopen(f"http://{self.address}/probe?{query}", timeout=_DEADLINE) as answer:
            text: str = answer.read().decode()
            return text

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.address}/", timeout=1):
                return True
        except OSError:
            return False
