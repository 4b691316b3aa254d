"""Debian's snmp_exporter (0.21) on a loopback port, with a given snmp.yml."""

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


class SnmpExporter:
    """Reads the file once, at its start."""

    def __init__(self, config: Path, log: Path) -> None:
        self._config, self._log = config, log
        self._address = f"127.0.0.1:{free_port()}"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        command = [
            program("prometheus-snmp-exporter"),
            f"--web.listen-address={self._address}",
            f"--config.file={self._config}",
        ]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment()
            )
        deadline = time.monotonic() + _DEADLINE
        while not self._answers():
            if time.monotonic() > deadline or self._process.poll() is not None:
                self.__exit__()
                raise TimeoutError(f"snmp_exporter does not answer: {self._log.read_text()}")
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(_DEADLINE)

    def snmp(self, query: str) -> tuple[int, str]:
        """Status and text of one scrape; blocks meanwhile."""
        try:
            with urllib.request.urlopen(f"http://{self._address}/snmp?{query}", timeout=_DEADLINE) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self._address}/", timeout=1):
                return True
        except OSError:
            return False
