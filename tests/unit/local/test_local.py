"""This machine: the same series as a host over SSH has, and Sentinel's own."""

from __future__ import annotations

import os
import re
import threading

import psutil
import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from sentinel.collect.local.driver import LocalDriver
from sentinel.collect.local.files import PATTERNS
from sentinel.collect.local.own import OwnDriver
from sentinel.collect.ssh.modules import parse_modules
from sentinel.config.yaml import parse_yaml
from sentinel.model.batch import Reading
from sentinel.model.target import Target
from sentinel.runtime.clock import SystemClock
from tests.servers.debian import ROOT

HERE = Target("here", "localhost", modules=("local",))


def figures(reading: Reading) -> dict[str, float]:
    return {
        str(labels): float(value) for labels, value in zip(reading.layout.series, reading.values, strict=True)
    }


async def test_the_figures_are_the_machines() -> None:
    driver = LocalDriver(clock=SystemClock(), registry=CollectorRegistry())
    reading = await driver.open(HERE, "local").poll(at=0, timeout=10)
    found = figures(reading)
    assert found["node_memory_MemTotal_bytes{}"] == psutil.virtual_memory().total
    assert found["node_boot_time_seconds{}"] == psutil.boot_time()
    cpus = {labels["cpu"] for labels in reading.layout.series if labels.name == "node_cpu_seconds_total"}
    assert len(cpus) == psutil.cpu_count()
    usage = os.statvfs("/")
    (size,) = [
        value
        for name, value in found.items()
        if name.startswith("node_filesystem_size_bytes") and 'mountpoint="/"' in name
    ]
    assert size == usage.f_blocks * usage.f_frsize
    assert found["process_resident_memory_bytes{}"] == pytest.approx(
        psutil.Process().memory_info().rss, rel=0.2
    )
    assert not reading.unread


async def test_the_layout_is_kept() -> None:
    collector = LocalDriver(clock=SystemClock(), registry=CollectorRegistry()).open(HERE, "local")
    layouts = {id((await collector.poll(at=0, timeout=10)).layout) for _ in range(5)}
    assert len(layouts) == 1


async def test_a_file_system_that_hangs_loses_only_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    free = threading.Event()

    def hang(path: object) -> os.statvfs_result:
        free.wait(30)
        raise OSError

    monkeypatch.setattr(os, "statvfs", hang)
    collector = LocalDriver(clock=SystemClock(), registry=CollectorRegistry()).open(HERE, "local")
    reading = await collector.poll(at=0, timeout=0.5)
    assert reading.reasons == ("stuck",)
    assert "node_filesystem_avail_bytes" in reading.unread
    assert "node_load1{}" in figures(reading)
    free.set()
    await collector.close()


async def test_sentinels_own_metrics_become_series() -> None:
    registry = CollectorRegistry()
    counter = Counter("sentinel_things_total", "Things.", ["kind"], registry=registry)
    Gauge("sentinel_level", "Level.", registry=registry).set(3)
    Histogram("sentinel_wait_seconds", "Wait.", buckets=(1, 2), registry=registry).observe(1.5)
    collector = OwnDriver(registry).open(Target("sentinel", "localhost"), "sentinel")
    counter.labels("a").inc()
    first = await collector.poll(at=0, timeout=1)
    counter.labels("a").inc()
    second = await collector.poll(at=0, timeout=1)
    assert second.layout is first.layout
    found = figures(second)
    assert found['sentinel_things_total{kind="a"}'] == 2
    assert found["sentinel_level{}"] == 3
    assert found['sentinel_wait_seconds_bucket{le="2.0"}'] == 1
    assert not any("_created" in name for name in found)
    assert second.layout.families["sentinel_things_total"].type == "counter"
    counter.labels("b").inc()
    assert (await collector.poll(at=0, timeout=1)).layout is not first.layout


def test_the_files_are_those_that_the_shipped_module_reads() -> None:
    shipped = parse_yaml((ROOT / "collectors/ssh/linux.yml").read_text(), "linux.yml")
    sections = parse_modules(shipped)["linux"].sections
    for section in sections:
        if section.name in PATTERNS and section.name != "textfile":
            commands = re.findall(r"head -n \d+ ([^\n]*)", section.command.replace("\\\n", " "))
            read = {path for command in commands for path in command.split() if path.startswith("/")}
            lent = {each.loan.file for each in sections if each.loan and each.loan.section == section.name}
            assert set(PATTERNS[section.name]) == read - lent
    (textfile,) = (section for section in sections if section.name == "textfile")
    assert all(pattern in textfile.command for pattern in PATTERNS["textfile"])


async def test_a_machine_gives_the_names_that_a_server_gives() -> None:
    collector = LocalDriver(clock=SystemClock(), registry=CollectorRegistry()).open(HERE, "local")
    reading = await collector.poll(at=0, timeout=10)
    names = {labels.name for labels in reading.layout.series}
    assert names >= {
        "node_timex_sync_status",
        "node_network_info",
        "node_network_mtu_bytes",
        "node_os_info",
        "node_time_zone_offset_seconds",
        "node_textfile_scrape_error",
        "node_udp_queues",
        "node_softnet_processed_total",
    }
    assert not reading.unread
