"""A real Prometheus takes what Sentinel offers, and its tools accept our files."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.acceptance.daemon import Daemon, eventually
from tests.servers.debian import ROOT, environment, free_port, program
from tests.servers.snmpd import Snmpd
from tests.servers.stores import Store


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    with Snmpd() as switch:
        switch.interfaces("lo", "ge-0/0/1")
        config = (
            f'[[target]]\nname = "sw1"\naddress = "{switch.address}"\nmodules = ["if_mib", "system"]\n'
            '[[target]]\nname = "here"\naddress = "localhost"\nmodules = ["local"]\n'
        )
        made = Daemon(tmp_path, config)
        await made.start()
        await eventually(lambda: made.query('up{job=~"if_mib|local"} == 1'), "polled")
        yield made
        made.kill()


async def test_promtool_reads_the_metrics(daemon: Daemon) -> None:
    await eventually(lambda: daemon.query("ifHCInOctets"), "interface counters")
    for scope in ({}, {"scope": "self"}, {"scope": "fleet"}):
        text = (await daemon.get("/metrics", **scope)).content
        done = subprocess.run(
            [program("promtool"), "check", "metrics"],
            input=text,
            capture_output=True,
            env=environment(),
            check=False,
        )
        # 3 tells style only: ifHCInOctets is written as its MIB and snmp_exporter write it.
        assert done.returncode in (0, 3), done.stderr.decode()
        assert b"error while linting" not in done.stderr


async def test_a_real_prometheus_finds_up_and_the_interface_counters(daemon: Daemon, tmp_path: Path) -> None:
    config = (ROOT / "deploy/prometheus.yml").read_text()
    config = config.replace("127.0.0.1:9788", f"127.0.0.1:{daemon.port}").replace("30s", "1s")
    (tmp_path / "prometheus.yml").write_text(config)
    port = free_port()
    with (tmp_path / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                program("prometheus"),
                f"--config.file={tmp_path}/prometheus.yml",
                f"--storage.tsdb.path={tmp_path}/tsdb",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
            env=environment(),
        )
    try:

        async def ask(expression: str) -> list[Any]:
            try:
                async with httpx.AsyncClient() as client:
                    answer = await client.get(
                        f"http://127.0.0.1:{port}/api/v1/query", params={"query": expression}
                    )
            except httpx.TransportError:
                return []
            found: list[Any] = answer.json()["data"]["result"] if answer.status_code == 200 else []
            return found

        await eventually(lambda: ask('up{job="sentinel"} == 1'), "the scrape works")
        await eventually(lambda: ask('up{instance="sw1", job="if_mib"} == 1'), "the fleet's own up arrives")
        rows = await eventually(lambda: ask('ifHCInOctets{instance="sw1"}'), "interface counters arrive")
        assert {row["metric"]["ifName"] for row in rows} == {"lo", "ge-0/0/1"}
        assert await ask("node_memory_MemTotal_bytes")
        assert await ask("sentinel_polls_total")
    finally:
        process.terminate()
        process.wait()


async def test_a_real_prometheus_scrapes_and_federates_every_series(daemon: Daemon, tmp_path: Path) -> None:
    store = Store("prometheus", tmp_path)
    store.config.write_text(
        f"""
global: {{scrape_interval: 1s}}
scrape_configs:
- job_name: metrics
  honor_labels: true
  params: {{scope: [fleet]}}
  static_configs: [{{targets: ['127.0.0.1:{daemon.port}'], labels: {{way: metrics}}}}]
- job_name: federate
  honor_labels: true
  metrics_path: /federate
  params: {{'match[]': ['{{job=~"if_mib|local"}}']}}
  static_configs: [{{targets: ['127.0.0.1:{daemon.port}'], labels: {{way: federate}}}}]
"""
    )
    await store.start()
    try:

        async def names(way: str) -> set[tuple[tuple[str, str], ...]]:
            query = f'{{way="{way}", job=~"if_mib|local", __name__!~"scrape_.*"}}'
            found = await asyncio.to_thread(store.query, query, time.time())
            return {tuple(sorted((one["metric"] | {"way": ""}).items())) for one in found}

        async def are_equal() -> bool:
            rows = await daemon.query('{job=~"if_mib|local", __name__!~"ALERTS.*"}')
            ours = {tuple(sorted((row["metric"] | {"way": ""}).items())) for row in rows}
            return len(ours) > 100 and ours == await names("metrics") == await names("federate")

        await eventually(are_equal, "the same series both ways", pause=0.3)
        content = await asyncio.to_thread(
            store.query, 'scrape_samples_scraped{job="metrics"} > 100', time.time()
        )
        assert content
        headers = {"Accept": "application/openmetrics-text;version=1.0.0"}
        async with httpx.AsyncClient(base_url=daemon.url) as client:
            answer = await client.get("/metrics", headers=headers)
        families = text_string_to_metric_families(answer.text)  # type: ignore[no-untyped-call]
        kinds = {family.name: family.type for family in families}
        assert kinds["node_cpu_seconds"] == "counter"
        assert kinds["sentinel_polls"] == "counter"
        assert kinds["ifHCInOctets"] == "unknown"
    finally:
        store.stop()


def test_promtool_accepts_the_scrape_configuration() -> None:
    done = subprocess.run(
        [program("promtool"), "check", "config", str(ROOT / "deploy/prometheus.yml")],
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_unit_is_clean_and_hardened(tmp_path: Path) -> None:
    unit = tmp_path / "sentinel.service"
    shutil.copy(ROOT / "deploy/sentinel.service", unit)
    analyze = program("systemd-analyze")
    verified = subprocess.run(
        [analyze, "verify", str(unit)], capture_output=True, text=True, env=environment(), check=False
    )
    assert (verified.returncode, verified.stderr) == (0, "")
    judged = subprocess.run(
        [analyze, "security", "--offline=true", str(unit)],
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )
    line = next(line for line in judged.stdout.splitlines() if "Overall exposure level" in line)
    exposure = float(line.partition("sentinel.service:")[2].split()[0])
    assert exposure <= 1.2


async def test_every_metric_of_the_daemon_is_in_the_reference(daemon: Daemon) -> None:
    text = (await daemon.get("/metrics", scope="self")).text
    families = set(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE))
    page = (ROOT / "docs/reference/metrics.md").read_text()
    named = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    # When a counter was made is told beside it.
    assert {name for name in families if not name.endswith("_created")} - named == set()
    assert "sentinel_event_loop_lag_seconds" in families
