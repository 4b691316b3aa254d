"""The shipped module against a real sshd: the figures are the host's."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from sentinel.model.labels import Labels
from sentinel.model.target import Target
from tests.integration.ssh_host import UNAME, figures, module, polled, running_sshd, shipped
from tests.servers.sshd import Sshd


@pytest.fixture(scope="module")
def server() -> Iterator[Sshd]:
    with running_sshd() as sshd:
        yield sshd


async def test_the_figures_are_the_hosts(server: Sshd) -> None:
    async with polled(server) as host:
        reading = await host.poll()
    found = figures(reading)
    usage = os.statvfs("/")
    mounted = next(each for each in psutil.disk_partitions(all=True) if each.mountpoint == "/")
    root = Labels(
        __name__="node_filesystem_size_bytes", device=mounted.device, fstype=mounted.fstype, mountpoint="/"
    )
    assert found[str(root)] == usage.f_blocks * usage.f_frsize
    assert found["node_memory_MemTotal_bytes{}"] == psutil.virtual_memory().total
    assert found["node_boot_time_seconds{}"] == pytest.approx(psutil.boot_time(), abs=1)
    assert found["node_time_seconds{}"] == pytest.approx(host_now(), abs=5)
    assert found['node_cpu_seconds_total{cpu="0", mode="idle"}'] == pytest.approx(
        psutil.cpu_times(percpu=True)[0].idle, rel=0.05, abs=5
    )
    uname = next(labels for labels in reading.layout.series if labels.name == "node_uname_info")
    assert (uname["sysname"], uname["release"], uname["machine"]) == (
        platform.system(),
        platform.release(),
        platform.machine(),
    )
    devices = {labels["device"] for labels in reading.layout.series if labels.name == "node_network_up"}
    assert devices == set(psutil.net_if_stats())
    assert not reading.unread
    assert not reading.reasons


def host_now() -> float:
    return float(Path("/proc/uptime").read_text().split()[0]) + psutil.boot_time()


async def test_types_are_those_of_node_exporter(server: Sshd) -> None:
    async with polled(server) as host:
        families = (await host.poll()).layout.families
    assert families["node_cpu_seconds_total"].type == "counter"
    assert families["node_memory_MemFree_bytes"].type == "gauge"
    assert families["node_netstat_Tcp_CurrEstab"].type == "unknown"
    assert families["node_scrape_collector_success"].type == "gauge"


async def test_ten_polls_are_one_connection_one_shell_and_one_layout(server: Sshd) -> None:
    logins = server.logins
    async with polled(server) as host:
        layouts = {id((await host.poll()).layout) for _ in range(10)}
        assert host.metric("sentinel_ssh_shells_total") == 1
        assert host.metric("sentinel_ssh_connections") == 1
    assert server.logins == logins + 1
    assert len(layouts) == 1
    assert host.metric("sentinel_ssh_connections") == 0


async def test_texts_keep_their_form_from_poll_to_poll(server: Sshd) -> None:
    linux = shipped()["linux"]
    always = replace(linux, sections=tuple(replace(section, every=0.0) for section in linux.sections))
    async with polled(server, {"linux": always}) as host:
        await host.poll()
        learned = host.metric("sentinel_ssh_learned_shapes_total")
        assert learned == len(linux.sections)
        for _ in range(4):
            await host.poll()
        # On a busy machine something may come or go in between: a neighbour, a mount.
        assert host.metric("sentinel_ssh_learned_shapes_total") - learned <= 2


async def test_a_file_system_that_fills_up_is_seen_with_the_next_poll(server: Sshd) -> None:
    def share(found: dict[str, float]) -> float:
        mount = f'mountpoint="{server.disk}"'
        (avail,) = [v for k, v in found.items() if k.startswith("node_filesystem_avail_bytes") and mount in k]
        (size,) = [v for k, v in found.items() if k.startswith("node_filesystem_size_bytes") and mount in k]
        return avail / size

    server.empty()
    async with polled(server) as host:
        assert share(figures(await host.poll())) > 0.9
        server.fill()
        assert share(figures(await host.poll())) < 0.05
        server.empty()
        assert share(figures(await host.poll())) > 0.9


async def test_two_modules_of_a_target_share_the_connection(server: Sshd) -> None:
    modules = shipped() | module(("uname", "uname", UNAME, ""))
    logins = server.logins
    async with polled(server, modules) as host:
        other = host.driver.open(
            Target("web1", server.host, server.port, ("test",), ("key",), host_key=""), "test"
        )
        await host.poll()
        reading = await other.poll(at=0, timeout=5)
        assert "node_uname_info" in {labels.name for labels in reading.layout.series}
        await other.close()
        await host.poll()
    assert server.logins == logins + 1
