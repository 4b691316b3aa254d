"""Opening collectors in tests, and readings as something to compare."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry

from sentinel.collect.collector import Collector
from sentinel.collect.snmp.collector import SnmpCollector
from sentinel.collect.snmp.driver import SnmpDriver
from sentinel.collect.snmp.modules import SnmpModule, parse_modules
from sentinel.config.auth import SnmpAuth
from sentinel.config.secret import Secret
from sentinel.config.yaml import parse_yaml
from sentinel.model.batch import Reading
from sentinel.model.target import Target
from sentinel.runtime.clock import SystemClock


def module_of(text: str, name: str = "table") -> SnmpModule:
    return parse_modules(parse_yaml(text, "module.yml"))[name]


@asynccontextmanager
async def opened(
    module: SnmpModule,
    port: int,
    *,
    host: str = "127.0.0.1",
    version: int = 2,
    community: str = "public",
    auth: SnmpAuth | None = None,
    registry: CollectorRegistry | None = None,
) -> AsyncIterator[SnmpCollector]:
    plain = {"kind": "snmp", "version": version, "community": Secret(community)}
    auth = auth or SnmpAuth.model_validate(plain)
    driver = SnmpDriver(
        {module.name: module}, {"a": auth}, clock=SystemClock(), registry=registry or CollectorRegistry()
    )
    collector = driver.open(Target("device", host, port, auths=("a",)), module.name)
    assert isinstance(collector, SnmpCollector)
    try:
        yield collector
    finally:
        await collector.close()
        await driver.close()


@asynccontextmanager
async def collecting(module: SnmpModule, port: int) -> AsyncIterator[Collector]:
    """The same for modules whose collector is of another kind, such as those with filters."""
    driver = SnmpDriver({module.name: module}, {}, clock=SystemClock(), registry=CollectorRegistry())
    collector = driver.open(Target("device", "127.0.0.1", port), module.name)
    try:
        yield collector
    finally:
        await collector.close()
        await driver.close()


def samples(reading: Reading) -> dict[str, float]:
    """Series in text form → value; every series once."""
    found = {
        str(labels): float(value) for labels, value in zip(reading.layout.series, reading.values, strict=True)
    }
    assert len(found) == len(reading.layout)
    return found
