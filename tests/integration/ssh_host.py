"""A driver that reads one real sshd, for the tests of the SSH collector."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from sentinel.collect.collector import Collector
from sentinel.collect.ssh.driver import SshDriver
from sentinel.collect.ssh.modules import SshModule, parse_modules
from sentinel.config.auth import SshAuth
from sentinel.config.secret import Secret
from sentinel.config.yaml import parse_yaml
from sentinel.model.batch import Reading
from sentinel.model.target import Target
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

    def __init__(self, driver: SshDriver, collector: Collector, registry: CollectorRegistry) -> None:
        self.driver = driver
        self.collector = collector
        self.registry = registry

    async def poll(self, timeout: float = 10.0) -> Reading:
        return await self.collector.poll(at=SystemClock().now(), timeout=timeout)

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0


@asynccontextmanager
async def polled(
    server: Sshd,
    modules: dict[str, SshModule] | None = None,
    *,
    name: str = "linux",
    host_key: str = "",
    known_hosts: str | None = "",
    key: str = "",
) -> AsyncIterator[Polled]:
    """`known_hosts`: empty means the server's own file, None means that the auth has none."""
    registry = CollectorRegistry()
    auth = SshAuth(
        kind="ssh",
        username=server.username,
        key=Secret(key or server.private_key),
        known_hosts=str(server.known_hosts) if known_hosts == "" else known_hosts,
    )
    driver = SshDriver(modules or shipped(), {"key": auth}, clock=SystemClock(), registry=registry)
    target = Target("web1", server.host, server.port, (name,), ("key",), host_key=host_key)
    try:
        yield Polled(driver, driver.open(target, name), registry)
    finally:
        await driver.close()


def figures(reading: Reading) -> dict[str, float]:
    """Values by series, written as Prometheus writes them."""
    return {
        str(labels): float(value) for labels, value in zip(reading.layout.series, reading.values, strict=True)
    }
