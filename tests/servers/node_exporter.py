"""Debian's node_exporter on a loopback port, looking at the machine as a given sshd's sessions see it."""

from __future__ import annotations

import os
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Self

from prometheus_client.parser import text_string_to_metric_families

from sentinel.model.labels import METRIC_NAME, Labels
from tests.servers.debian import environment, free_port, program

_DEADLINE = 15.0


class NodeExporter:
    """With its own defaults, Debian's.

    Beside an sshd that has a mount namespace of its own, node_exporter needs the same one, and has to be process 1:
    it reads the mount table of process 1.
    """

    def __init__(self, log: Path, *, namespace_of: int = 0) -> None:
        """`namespace_of`: the process whose mounts count; 0: the machine's."""
        self._log = log
        self._namespace_of = namespace_of
        self._url = f"http://127.0.0.1:{free_port()}/metrics"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        listen = self._url.removeprefix("http://").partition("/")[0]
        command = [program("prometheus-node-exporter"), f"--web.listen-address={listen}"]
        if self._namespace_of and os.getuid() == 0:
            inside = ["nsenter", f"--mount=/proc/{self._namespace_of}/ns/mnt"]
            command = [*inside, "unshare", "--pid", "--fork", "--kill-child", "--mount-proc", *command]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment()
            )
        deadline = time.monotonic() + _DEADLINE
        while not self._answers():
            if time.monotonic() > deadline or self._process.poll() is not None:
                self.stop()
                raise TimeoutError(f"node_exporter does not answer: {self._log.read_text()}")
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        assert self._process is not None
        self._process.kill()  # which `unshare` hands on; it sits out SIGTERM
        self._process.wait(_DEADLINE)

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return self._url.removeprefix("http://").partition("/")[0]

    def scrape(self) -> dict[Labels, float]:
        """Series of one scrape."""
        with urllib.request.urlopen(self._url, timeout=_DEADLINE) as answer:
            text = answer.read().decode()
        return {
            Labels(sample.labels | {METRIC_NAME: sample.name}): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def _answers(self) -> bool:
        try:
            self.scrape()
        except OSError:
            return False
        return True
