"""Polls of one real sshd with the whole module linux, beside what others use to read a host over SSH.

    python -m bench.ssh

Ours is the whole poll: request, reply, parsing, and storing in a head, over one connection and one shell per host,
at a clock that goes on by half a minute per poll, so that costly sections come up as often as at that interval.
The peers run the commands of every poll and neither parse nor store: check_by_ssh with a connection per poll and
with a channel on an open one (ControlPath), and ssh itself with ControlMaster.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import uvloop
from prometheus_client import CollectorRegistry
from tests.servers.debian import ROOT
from tests.servers.sshd import Sshd

from bench.form import Figure, Report, cpu_ms
from bench.ssh_peers import Peer, by_plugin, by_ssh, master, plugin, ssh
from sentinel.collect.collector import Collector
from sentinel.collect.ssh.driver import SshDriver
from sentinel.collect.ssh.modules import SshModule, parse_modules
from sentinel.collect.ssh.script import PRELUDE, script, shell_input
from sentinel.config.auth import SshAuth
from sentinel.config.secret import Secret
from sentinel.config.yaml import parse_yaml
from sentinel.model.batch import Batch, Source
from sentinel.model.target import Target
from sentinel.series.head import Head

INTERVAL = 30.0
POLLS = 100
HOSTS = 50
ROUNDS = 20
"""A multiple of what the costly sections need to come up: 20 polls are ten minutes."""
REPEAT = 5
ALLOWED_HOST_MS = 5.0
"""CPU that one poll may cost the monitored host: the aim of the SSH collector."""
RATIO = 6.0
"""How much better than check_by_ssh with ControlPath at least."""

UNIT = "ms CPU per poll"


class SteppedClock:
    """Our clock, and what it was set forward by."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> float:
        return time.time() + self.ahead

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@dataclass(slots=True)
class Fleet:
    """Hosts that are polled together."""

    clock: SteppedClock
    hosts: list[tuple[Source, Collector]]
    head: Head = field(default_factory=Head)

    async def poll(self) -> None:
        self.clock.ahead += INTERVAL
        at = self.clock.now()
        readings = await asyncio.gather(*(host.poll(at=at, timeout=60.0) for _, host in self.hosts))
        assert not any(reading.reasons for reading in readings)
        batches = [
            Batch(source, at, reading, up=True, duration=0.1)
            for (source, _), reading in zip(self.hosts, readings, strict=True)
        ]
        self.head.append(batches)


def main() -> int:
    report = Report("ssh")
    file = ROOT / "collectors/ssh/linux.yml"
    module = parse_modules(parse_yaml(file.read_text(), str(file)))["linux"]
    with tempfile.TemporaryDirectory(prefix="sshd-", dir="/tmp") as folder, Sshd(Path(folder)) as server:
        figures, series = uvloop.run(_polls(server, module))
        for name, runs in figures.items():
            report.ours(name, Figure(tuple(runs), UNIT))
        _peers(report, server, _text(module))
    per_core = 1000 / report.figures["many hosts"].median
    report.extra |= {"polls_per_core_second": per_core, "series": series, "sections": len(module.sections)}
    ratio = report.ratio("check_by_ssh_controlpath")
    report.require(
        f"at least {RATIO:g} × check_by_ssh with ControlPath", ratio is not None and ratio >= RATIO
    )
    on_host = report.figures["on the host"].median
    report.require(f"below {ALLOWED_HOST_MS:g} ms CPU per poll on the host", on_host < ALLOWED_HOST_MS)
    return report.finish()


async def _polls(server: Sshd, module: SshModule) -> tuple[dict[str, list[float]], int]:
    """CPU per poll for one host, for many, and on the host; and the number of a host's series."""
    auth = SshAuth(
        kind="ssh",
        username=server.username,
        key=Secret(server.private_key),
        known_hosts=str(server.known_hosts),
    )
    clock = SteppedClock()
    driver = SshDriver({"linux": module}, {"key": auth}, clock=clock, registry=CollectorRegistry())
    found: dict[str, list[float]] = {"one host": [], "many hosts": [], "on the host": []}
    try:
        one = Fleet(clock, [_open(driver, server, "one", server.host_key_line)])
        # A pin that differs in its comment is a session of its own.
        pins = [f"{server.host_key_line} host{number}" for number in range(HOSTS)]
        many = Fleet(clock, [_open(driver, server, f"host{n}", pin) for n, pin in enumerate(pins)])
        for _ in range(ROUNDS):  # every section once, or more
            await one.poll()
            await many.poll()
        for _ in range(REPEAT):
            client, host = cpu_ms(), _session_ms(server)
            for _ in range(POLLS):
                await one.poll()
            found["one host"].append((cpu_ms() - client) / POLLS)
            found["on the host"].append((_session_ms(server) - host) / POLLS)
            client = cpu_ms()
            for _ in range(ROUNDS):
                await many.poll()
            found["many hosts"].append((cpu_ms() - client) / (ROUNDS * HOSTS))
        return found, one.head.series
    finally:
        await driver.close()


def _open(driver: SshDriver, server: Sshd, name: str, host_key: str) -> tuple[Source, Collector]:
    target = Target(
        name,
        server.host,
        server.port,
        modules=("linux",),
        auths=("key",),
        host_key=host_key,
        interval=INTERVAL,
    )
    return target.source("linux"), driver.open(target, "linux")


def _session_ms(server: Sshd) -> float:
    """CPU of the sessions' processes so far, with the children they have waited for."""
    total = 0.0
    for process in server.sessions():
        try:
            total += sum(process.cpu_times()[:4])
        except psutil.NoSuchProcess:
            continue
    return total * 1000


def _text(module: SshModule) -> bytes:
    """What is run with every poll."""
    due = [(section.name, section.command) for section in module.sections if not section.every]
    return PRELUDE.encode() + shell_input("be", script(due))


def _peers(report: Report, server: Sshd, text: bytes) -> None:
    client, checker = ssh(), plugin()
    names = ("check_by_ssh", "check_by_ssh_controlpath", "ssh_controlmaster")
    if client is None or checker is None:
        for name in names:
            report.peer(
                name, None, against="many hosts", missing="ssh or check_by_ssh is not on this machine"
            )
        return
    report.peer(names[0], by_plugin(checker, server, text).figure(REPEAT), against="many hosts")
    with master(client, server) as (process, path):
        peer = by_plugin(checker, server, text, path)
        report.peer(names[1], peer.figure(REPEAT, process), against="many hosts")
        shell = by_ssh(client, server, text, path)
        report.peer(names[2], shell.figure(REPEAT, process), against="many hosts")
        on_host = Figure(tuple(_on_host(shell, server)), UNIT)
        report.peer("on_the_host_ssh_controlmaster", on_host, against="on the host")


def _on_host(shell: Peer, server: Sshd) -> Sequence[float]:
    return list(shell.on_host(lambda: _session_ms(server), REPEAT))


if __name__ == "__main__":
    raise SystemExit(main())
