"""A driver that reads one real sshd, for the tests of the SSH collector."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
from prometheus_client import CollectorRegistry

from sentinel.collect.collector import Collector
from sentinel.collect.ssh.driver import SshDriver
from sentinel.collect.ssh.modules import SshModule, parse_modules
from sentinel.config.auth import SshAuth
from sentinel.config.secret import Secret
from sentinel.config.yaml import parse_yaml
from sentinel.model.batch import Reading
from sentinel.model.target import Hop, Target
from sentinel.runtime.clock import SystemClock
from tests.servers.debian import ROOT
from tests.servers.sshd import Sshd

SHIPPED = ROOT / "collectors/ssh/linux.yml"

PROC = "head -n 4000 /proc/stat /proc/meminfo /proc/loadavg"
UNAME = "cat /proc/sys/kernel/ostype; uname -n; uname -r; uname -v; echo none; uname -m"


@contextmanager
def running_sshd(**options: Any) -> Iterator[Sshd]:
    with (
        tempfile.TemporaryDirectory(prefix="sshd-", dir="/tmp") as folder,
        Sshd(Path(folder), **options) as server,
    ):
        yield server


def module(*sections: tuple[str, str, str, str]) -> dict[str, SshModule]:
    """A module `test` of (name, parser, command, more YAML)."""
    lines = ["modules:", "  test:", "    sections:"]
    for name, parser, command, more in sections:
        lines += [f"      - name: {name}", f"        parser: {parser}", "        command: |"]
        lines += [f"          {line}" for line in command.splitlines()]
        lines += [f"        {line}" for line in more.splitlines()]
    return parse_modules(parse_yaml("\n".join(lines), "test.yml"))


def shipped() -> dict[str, SshModule]:
    return parse_modules(parse_yaml(SHIPPED.read_text(), str(SHIPPED)))


class Polled:
    """One target of a driver, polled by hand."""

    def __init__(self, driver: SshDriver, target: Target, registry: CollectorRegistry) -> None:
        self.driver = driver
        self.target = target
        self.collector = driver.open(target, target.modules[0])
        self.registry = registry

    async def poll(self, timeout: float = 10.0) -> Reading:
        return await self.collector.poll(at=SystemClock().now(), timeout=timeout)

    def open(self, name: str, **more: Any) -> Collector:
        """A further target with the same auth and module, at the same address unless told otherwise."""
        return self.driver.open(replace(self.target, name=name, **more), self.target.modules[0])

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0


def auth_of(server: Sshd, **keys: Any) -> SshAuth:
    """The server's user with these keys; key and known_hosts are the server's own unless given."""
    given: dict[str, Any] = {"key": Secret(server.private_key), "known_hosts": str(server.known_hosts)} | keys
    return SshAuth(kind="ssh", username=server.username, **given)


@asynccontextmanager
async def polled(
    server: Sshd,
    modules: dict[str, SshModule] | None = None,
    *,
    name: str = "linux",
    host_key: str = "",
    known_hosts: str | None = "",
    key: str = "",
    auth: SshAuth | None = None,
    auths: Mapping[str, SshAuth] | None = None,
    jump: tuple[Hop, ...] | None = None,
) -> AsyncIterator[Polled]:
    """`known_hosts`: empty means the server's own file, None means that the auth has none.

    `auth` replaces the one that is made of them, `auths` are further ones for jump hosts.
    """
    registry = CollectorRegistry()
    if auth is None:
        known_hosts = str(server.known_hosts) if known_hosts == "" else known_hosts
        auth = auth_of(server, key=Secret(key or server.private_key), known_hosts=known_hosts)
    known = {"key": auth, **(auths or {})}
    driver = SshDriver(modules or shipped(), known, clock=SystemClock(), registry=registry)
    target = Target("web1", server.host, server.port, modules=(name,), auths=("key",))
    target = replace(target, host_key=host_key, jump=jump)
    try:
        yield Polled(driver, target, registry)
    finally:
        await driver.close()


def figures(reading: Reading) -> dict[str, float]:
    """Values by series, written as Prometheus writes them."""
    return {
        str(labels): float(value) for labels, value in zip(reading.layout.series, reading.values, strict=True)
    }


def command_lines(server: Sshd) -> Iterator[str]:
    """Of all processes of its sessions."""
    for process in server.sessions():
        with suppress(psutil.NoSuchProcess):  # a zombie is none any more
            yield " ".join(process.cmdline())
