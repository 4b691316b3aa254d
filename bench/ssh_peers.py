"""What others run to read a host over SSH: OpenSSH's own client, and check_by_ssh of the monitoring plugins."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from tests.servers.debian import PREFIX, ROOT, MissingServerError, environment, program
from tests.servers.sshd import Sshd

from bench.form import Figure, measure_children

POLLS = 10

_PLUGINS = ("usr/lib/nagios/plugins/check_by_ssh", "usr/lib/monitoring-plugins/check_by_ssh")


@dataclass(frozen=True, slots=True)
class Peer:
    """A command line that reads the host once."""

    command: Sequence[str]
    text: bytes = b""
    """Its standard input."""

    def run(self) -> None:
        # The system's own programs start without the library path of the unpacked ones, which costs them time.
        is_ours = self.command[0].startswith(str(ROOT)) and "nagios" not in self.command[0]
        environ = environment() if is_ours else dict(os.environ)
        done = subprocess.run(self.command, input=self.text, capture_output=True, env=environ, check=False)
        if len(done.stdout) < 1000:
            raise RuntimeError(f"{self.command[0]} read nothing: {done.stderr.decode(errors='replace')}")

    def figure(self, repeat: int, master: psutil.Process | None = None) -> Figure:
        """CPU per poll on our side; that of the master connection belongs to it."""

        def work() -> None:
            for _ in range(POLLS):
                self.run()

        if master is None:
            return measure_children(work, repeat=repeat, unit="ms CPU per poll", per=POLLS)
        runs = []
        for _ in range(repeat):
            before = _cpu(master)
            (own, *_) = measure_children(work, repeat=3, per=POLLS).runs
            # Three measured runs and one to warm up have gone through the master.
            runs.append(own + (_cpu(master) - before) / (4 * POLLS))
        return Figure(tuple(runs), "ms CPU per poll")

    def on_host(self, spent: Callable[[], float], repeat: int) -> Iterator[float]:
        """CPU per poll of the sessions on the monitored host, as `spent` tells it."""
        for _ in range(repeat):
            before = spent()
            for _ in range(POLLS):
                self.run()
            yield (spent() - before) / POLLS


def _cpu(process: psutil.Process) -> float:
    return float(sum(process.cpu_times()[:2])) * 1000


def ssh() -> str | None:
    try:
        return shutil.which("ssh") or program("ssh")
    except MissingServerError:
        return None


def plugin() -> str | None:
    """Path of check_by_ssh."""
    found = (path for base in (PREFIX, Path("/")) for name in _PLUGINS if (path := base / name).exists())
    return str(next(found, "")) or None


def options(server: Sshd, path: Path | None = None) -> list[str]:
    """OpenSSH's options for the server, through the master connection at `path` if there is one."""
    shared = ["-o", f"ControlPath={path}"] if path is not None else []
    return ["-o", f"UserKnownHostsFile={server.known_hosts}", "-o", "BatchMode=yes", *shared]


def by_ssh(command: str, server: Sshd, text: bytes, path: Path) -> Peer:
    """ssh through an open master connection; a shell reads the script."""
    where = ["-p", str(server.port), f"{server.username}@{server.host}"]
    return Peer([command, "-F", "none", *options(server, path), *where, "exec /bin/sh"], text)


def by_plugin(command: str, server: Sshd, text: bytes, path: Path | None = None) -> Peer:
    """check_by_ssh with the script as its command."""
    login = ["-l", server.username, "-i", str(server.private_key_path), "-p", str(server.port), "-t", "30"]
    return Peer([command, "-H", server.host, *login, *options(server, path), "-C", text.decode()])


@contextmanager
def master(command: str, server: Sshd) -> Iterator[tuple[psutil.Process, Path]]:
    """OpenSSH's client with an open master connection."""
    path = server.folder / "control"
    line = [command, "-F", "none", "-i", str(server.private_key_path), *options(server, path), "-M", "-N"]
    environ = environment() if command.startswith(str(ROOT)) else dict(os.environ)
    process = subprocess.Popen(
        [*line, "-p", str(server.port), f"{server.username}@{server.host}"], env=environ
    )
    try:
        while not path.exists():
            assert process.poll() is None
        yield psutil.Process(process.pid), path
    finally:
        process.terminate()
        process.wait(10)
