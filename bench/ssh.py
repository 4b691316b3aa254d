"""Polls of one real sshd with the module linux, beside OpenSSH's own client running the same script.

    python -m bench.ssh

Ours is the whole poll: script, reply, parsing and storing in an array, over one connection and one shell.
The peer opens a channel per poll on one connection (ControlMaster) and parses nothing.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import uvloop
from prometheus_client import CollectorRegistry
from tests.servers.debian import ROOT, MissingServerError, environment, program
from tests.servers.sshd import Sshd

from bench.form import Figure, Report, cpu_ms, measure_children
from sentinel.collect.collector import Collector
from sentinel.collect.ssh.driver import SshDriver
from sentinel.collect.ssh.modules import SshModule, parse_modules
from sentinel.collect.ssh.script import PRELUDE, script, shell_input
from sentinel.config.auth import SshAuth
from sentinel.config.secret import Secret
from sentinel.config.yaml import parse_yaml
from sentinel.model.target import Target
from sentinel.runtime.clock import SystemClock

POLLS = 100
HOSTS = 50
REPEAT = 5
ALLOWED_HOST_MS = 5.0
"""CPU that one poll may cost the monitored host: the aim of the SSH collector."""


def main() -> int:
    report = Report("ssh")
    file = ROOT / "collectors/ssh/linux.yml"
    module = parse_modules(parse_yaml(file.read_text(), str(file)))["linux"]
    with tempfile.TemporaryDirectory(prefix="sshd-", dir="/tmp") as folder, Sshd(Path(folder)) as server:
        polls = uvloop.run(_polls(server, module))
        for name, runs in polls.items():
            report.ours(name, Figure(tuple(runs), "ms CPU per poll"))
        with _master(server) as command:
            report.peer("ssh ControlMaster", _controlmaster(command, module), against="one host")
            on_host = Figure(tuple(_on_host(server, command, module)), "ms CPU per poll")
            report.peer("on the host: ssh ControlMaster", on_host, against="on the host")
    report.extra["polls_per_core_second"] = 1000 / report.figures["many hosts"].median
    report.extra["host_cpu_below_5_ms"] = report.figures["on the host"].median < ALLOWED_HOST_MS
    return report.finish()


async def _polls(server: Sshd, module: SshModule) -> dict[str, list[float]]:
    auth = SshAuth(
        kind="ssh",
        username=server.username,
        key=Secret(server.private_key),
        known_hosts=str(server.known_hosts),
    )
    driver = SshDriver({"linux": module}, {"key": auth}, clock=SystemClock(), registry=CollectorRegistry())
    found: dict[str, list[float]] = {"one host": [], "many hosts": [], "on the host": []}
    try:
        one = _open(driver, server, "one", server.host_key_line)
        many = [
            # A pin that differs in its comment is a session of its own.
            _open(driver, server, f"host{number}", f"{server.host_key_line} host{number}")
            for number in range(HOSTS)
        ]
        for each in [one, *many]:
            await _poll([each])
        for _ in range(REPEAT):
            client, host = cpu_ms(), _session_ms(server)
            for _ in range(POLLS):
                await _poll([one])
            found["one host"].append((cpu_ms() - client) / POLLS)
            found["on the host"].append((_session_ms(server) - host) / POLLS)
            client = cpu_ms()
            await _poll(many)
            await _poll(many)
            found["many hosts"].append((cpu_ms() - client) / (2 * HOSTS))
    finally:
        await driver.close()
    return found


def _open(driver: SshDriver, server: Sshd, name: str, host_key: str) -> Collector:
    target = Target(name, server.host, server.port, modules=("linux",), auths=("key",), host_key=host_key)
    return driver.open(target, "linux")


async def _poll(collectors: Sequence[Collector]) -> None:
    readings = await asyncio.gather(*(each.poll(at=0.0, timeout=30.0) for each in collectors))
    store = np.concatenate([reading.values for reading in readings])
    assert len(store) > 100 * len(readings)
    assert not any(reading.reasons for reading in readings)


def _session_ms(server: Sshd) -> float:
    """CPU of the sessions' processes so far, with the children they have waited for."""
    total = 0.0
    for process in server.sessions():
        try:
            total += sum(process.cpu_times()[:4])
        except psutil.NoSuchProcess:
            continue
    return total * 1000


@contextmanager
def _master(server: Sshd) -> Iterator[list[str] | None]:
    """OpenSSH's client with an open master connection: the command line to run something through it."""
    try:
        # The system's own starts without the library path of the unpacked one, which costs it time.
        ssh = shutil.which("ssh") or program("ssh")
    except MissingServerError:
        yield None
        return
    path = server.folder / "control"
    command = [
        ssh,
        "-F", "none",
        "-i", str(server.private_key_path),
        "-o", f"UserKnownHostsFile={server.known_hosts}",
        "-o", f"ControlPath={path}",
        "-o", "BatchMode=yes",
        "-p", str(server.port),
        f"{server.username}@{server.host}",
    ]  # fmt: skip
    master = subprocess.Popen([*command[:-1], "-M", "-N", command[-1]], env=_environment(ssh))
    try:
        while not path.exists():
            assert master.poll() is None
        yield command
    finally:
        master.terminate()
        master.wait(10)


def _environment(ssh: str) -> dict[str, str]:
    return environment() if ssh.startswith(str(ROOT)) else dict(os.environ)


def _text(module: SshModule) -> bytes:
    """What Sentinel sends for a poll on which only the sections of every poll are due."""
    due = [(section.name, section.command) for section in module.sections if not section.every]
    return PRELUDE.encode() + shell_input("bench", script(due))


def _controlmaster(command: list[str] | None, module: SshModule) -> Figure | None:
    if command is None:
        return None
    text = _text(module)

    def work() -> None:
        for _ in range(10):
            _run(command, text)

    return measure_children(work, repeat=REPEAT, unit="ms CPU per poll", per=10)


def _on_host(server: Sshd, command: list[str] | None, module: SshModule) -> Iterator[float]:
    if command is None:
        return
    text = _text(module)
    for _ in range(REPEAT):
        before = _session_ms(server)
        for _ in range(10):
            _run(command, text)
        yield (_session_ms(server) - before) / 10


def _run(command: list[str], text: bytes) -> None:
    subprocess.run(
        [*command, "exec /bin/sh"], input=text, check=True, capture_output=True, env=_environment(command[0])
    )


if __name__ == "__main__":
    raise SystemExit(main())
