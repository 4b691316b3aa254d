"""Real senders: what Prometheus, vmagent and another Sentinel send is what this one has."""

from __future__ import annotations

import math
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.daemon import Daemon, eventually
from tests.servers.debian import environment, free_port, program
from tests.servers.node_exporter import NodeExporter
from tests.servers.stores import Store

INTAKE = '[intake]\nenabled = true\n[history]\nmemory = "1h"\n'
RULES = """
groups:
- name: received
  rules:
  - alert: Loaded
    expr: node_load1 >= 0
  - record: instance:load:double
    expr: node_load1 * 2
"""


@pytest.fixture
async def sentinel(tmp_path: Path) -> AsyncIterator[Daemon]:
    folder = tmp_path / "sentinel"
    folder.mkdir()
    daemon = Daemon(folder, INTAKE, RULES)
    await daemon.start()
    yield daemon
    daemon.kill()


def token(daemon: Daemon) -> str:
    made = daemon.command("token", "create", "branch", "--role", "sender", "--config", str(daemon.config))
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


def scraping(address: str, daemon: Daemon, secret: str, *, shards: int = 4) -> str:
    """A Prometheus that scrapes the address every second and hands everything on, in small requests."""
    return f"""
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: node
    static_configs: [{{targets: ['{address}']}}]
remote_write:
  - url: {daemon.url}/api/v1/write
    authorization: {{credentials: '{secret}'}}
    queue_config:
      {{min_shards: {shards}, max_shards: {shards}, max_samples_per_send: 100, batch_send_deadline: 1s,
        min_backoff: 100ms, max_backoff: 500ms, capacity: 5000}}
    metadata_config: {{send_interval: 1s}}
"""


async def polled(daemon: Daemon, times: int) -> None:
    """The node has been scraped, and the scrapes are here."""
    await eventually(
        lambda: daemon.query(f'count_over_time(up{{job="node"}}[2m]) >= {times}'), f"{times} scrapes are here"
    )


async def _has(store: Store, query: str, least: float) -> bool:
    found = store.query(query, time.time())
    return bool(found) and float(found[0]["value"][1]) >= least


async def matrix(base: str, query: str, at: float) -> dict[tuple[Any, ...], list[list[Any]]]:
    """Samples by labels, as Prometheus' API gives them."""
    async with httpx.AsyncClient(timeout=30) as client:
        answer = await client.get(f"{base}/api/v1/query", params={"query": query, "time": f"{at:.3f}"})
    found = answer.json()
    assert found["status"] == "success", found
    return {tuple(sorted(one["metric"].items())): one["values"] for one in found["data"]["result"]}


def same(ours: list[list[Any]], theirs: list[list[Any]]) -> bool:
    return len(ours) == len(theirs) and all(
        abs(a[0] - b[0]) < 1e-6
        and (float(a[1]) == float(b[1]) or (math.isnan(float(a[1])) and math.isnan(float(b[1]))))
        for a, b in zip(ours, theirs, strict=True)
    )


async def compared(daemon: Daemon, store: Store, seconds: int, at: float) -> None:
    """Every series and every sample of that time, beside Prometheus' own."""
    query = f'{{job="node", __name__!~"ALERTS.*|instance:.*"}}[{seconds}s]'

    async def are_equal() -> bool:
        theirs, ours = await matrix(store.base, query, at), await matrix(daemon.url, query, at)
        return (
            len(theirs) > 100
            and ours.keys() == theirs.keys()
            and all(same(ours[key], theirs[key]) for key in theirs)
        )

    try:
        await eventually(are_equal, "the same samples", pause=0.5)
    except AssertionError:
        theirs, ours = await matrix(store.base, query, at), await matrix(daemon.url, query, at)
        assert ours.keys() == theirs.keys()
        assert [(key, ours[key], theirs[key]) for key in theirs if not same(ours[key], theirs[key])][:3] == []


async def test_what_prometheus_scrapes_is_here_sample_by_sample(sentinel: Daemon, tmp_path: Path) -> None:
    with NodeExporter(tmp_path / "node_exporter.log") as exporter:
        store = Store("prometheus", tmp_path)
        store.config.write_text(scraping(exporter.address, sentinel, token(sentinel)))
        await store.start()
        try:
            await eventually(lambda: sentinel.query('up{job="node"} == 1'), "the first scrape")
            await polled(sentinel, 12)
            await compared(sentinel, store, 8, time.time() - 2)
            assert await sentinel.query("instance:load:double")
            assert await sentinel.query('ALERTS{alertname="Loaded", alertstate="firing"}')
            text = (await sentinel.get("/metrics", scope="fleet")).text
            assert "# TYPE node_cpu_seconds_total counter\n" in text
            refused = await sentinel.get("/metrics", scope="self")
            assert "sentinel_received_refused_samples_total{" not in refused.text
        finally:
            store.stop()


async def test_neither_sides_restart_loses_or_doubles_samples(sentinel: Daemon, tmp_path: Path) -> None:
    with NodeExporter(tmp_path / "node_exporter.log") as exporter:
        store = Store("prometheus", tmp_path)
        store.config.write_text(scraping(exporter.address, sentinel, token(sentinel), shards=2))
        await store.start()
        try:
            await eventually(lambda: sentinel.query('up{job="node"} == 1'), "the first scrape")
            await polled(sentinel, 3)
            # The sender restarts: it reads its log again and ends nothing.
            store.stop()
            await store.start()
            await polled(sentinel, 8)
            await compared(sentinel, store, 6, time.time() - 2)
            # We restart: what was sent meanwhile waits at the sender.
            sentinel.stop()
            stopped = time.time()
            await eventually(
                lambda: _has(store, 'count_over_time(up{job="node"}[1m])', 14), "scrapes meanwhile"
            )
            await sentinel.start()
            await polled(sentinel, 4)
            at = time.time() - 1
            await compared(sentinel, store, int(at - stopped), at)
        finally:
            store.stop()


async def test_a_target_that_is_down_there_is_unreadable_here(sentinel: Daemon, tmp_path: Path) -> None:
    store = Store("prometheus", tmp_path)
    with NodeExporter(tmp_path / "node_exporter.log") as exporter:
        store.config.write_text(scraping(exporter.address, sentinel, token(sentinel)))
        await store.start()
        await eventually(lambda: sentinel.query('ALERTS{alertstate="firing"}'), "the alert fires")
    try:
        await eventually(lambda: sentinel.query('up{job="node"} == 0'), "the target is down")

        async def is_unknown() -> bool:
            alerts = (await sentinel.get("/api/v1/alerts")).json()["data"]["alerts"]
            return [alert.get("sentinelState") for alert in alerts] == ["unknown"]

        await eventually(is_unknown, "the alert is unknown")
        assert await sentinel.query("node_load1") == []
    finally:
        store.stop()


async def test_vmagent_sends_what_it_scrapes(sentinel: Daemon, tmp_path: Path) -> None:
    with NodeExporter(tmp_path / "node_exporter.log") as exporter:
        config = tmp_path / "scrape.yml"
        config.write_text(
            "scrape_configs:\n- job_name: node\n  scrape_interval: 1s\n"
            f"  static_configs: [{{targets: ['{exporter.address}']}}]\n"
        )
        with (tmp_path / "vmagent.log").open("wb") as log:
            agent = subprocess.Popen(
                [
                    program("vmagent"),
                    f"-promscrape.config={config}",
                    f"-remoteWrite.url={sentinel.url}/api/v1/write",
                    f"-remoteWrite.bearerToken={token(sentinel)}",
                    f"-remoteWrite.tmpDataPath={tmp_path}/vmagent",
                    "-remoteWrite.flushInterval=200ms",
                    f"-httpListenAddr=127.0.0.1:{free_port()}",
                ],
                stdout=log,
                stderr=log,
                env=environment(),
            )
        try:
            await eventually(lambda: sentinel.query('up{job="node"} == 1'), "the first scrape")
            await polled(sentinel, 5)
            found = await sentinel.query('count_over_time(node_load1{job="node"}[4s])')
            assert 3 <= float(found[0]["value"][1]) <= 5
            counts = await sentinel.query('count({job="node"})')
            assert float(counts[0]["value"][1]) >= len(exporter.scrape())
            exporter.stop()
            await eventually(lambda: sentinel.query('up{job="node"} == 0'), "the target is down")
            await eventually(lambda: _is_gone(sentinel, 'node_load1{job="node"}'), "its series end")
        finally:
            agent.terminate()
            agent.wait(20)


async def _is_gone(daemon: Daemon, query: str) -> bool:
    return await daemon.query(query) == []


async def test_another_sentinel_sends_what_it_polls(sentinel: Daemon, tmp_path: Path) -> None:
    folder = tmp_path / "branch"
    folder.mkdir()
    config = f"""
[[target]]
name = "branch1"
address = "localhost"
modules = ["local"]
[[history.remote_write]]
name = "hq"
url = "{sentinel.url}/api/v1/write"
bearer_token = "{token(sentinel)}"
every = "500ms"
labels = {{site = "branch"}}
"""
    branch = Daemon(folder, config)
    await branch.start()
    try:
        await eventually(lambda: sentinel.query('up{job="local", site="branch"} == 1'), "the first poll")
        await eventually(
            lambda: sentinel.query('count_over_time(up{job="local"}[1m]) >= 6'), "some polls have come"
        )
        at = time.time() - 3
        query = '{job="local", __name__!~"ALERTS.*|instance:.*"}[3s]'
        ours = await matrix(sentinel.url, query, at)
        theirs = await matrix(branch.url, query, at)
        sent = {tuple(sorted([*key, ("site", "branch")])): values for key, values in theirs.items()}
        assert ours.keys() == sent.keys()
        assert all(same(ours[key], sent[key]) for key in sent)
        assert await sentinel.query('{job="sentinel", site="branch"}')
    finally:
        assert branch.stop() == 0


async def test_a_revoked_token_sends_no_more(sentinel: Daemon) -> None:
    secret = token(sentinel)
    headers = {"Authorization": f"Bearer {secret}", "Content-Encoding": "snappy"}

    async def status() -> int:
        async with httpx.AsyncClient() as client:
            return (
                await client.post(f"{sentinel.url}/api/v1/write", content=b"\0", headers=headers)
            ).status_code

    assert await status() == 204
    revoked = sentinel.command("token", "revoke", "branch", "--config", str(sentinel.config))
    assert revoked.returncode == 0, revoked.stderr

    async def is_refused() -> bool:
        return await status() == 401

    await eventually(is_refused, "the token is refused", within=8)
