"""Thousands of alerts in a few seconds, as several Prometheus would send them."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from pathlib import Path
from typing import Any

import httpx

from tests.acceptance.daemon import Daemon, eventually
from tests.servers.sinks import WebhookSink

ALERTS = int(os.environ.get("SENTINEL_TEST_STORM", "1000"))
"""`make test-faults` sends 10,000, with nothing beside it."""
BATCH = 64
"""Alerts in a request, as Prometheus sends them."""
SENT_IN = ALERTS / 2000
"""Seconds over which the requests are spread."""
LONGEST_ANSWER = 0.5 if ALERTS >= 10_000 else 2.0
"""p99, in seconds. Beside other tests on the same machine it says less."""
CONFIG = """
[route]
receiver = "hook"
group_by = ["alertname"]
group_wait = "20s"
[[receiver]]
name = "hook"
kind = "webhook"
url = "{url}"
"""


def batches() -> list[list[dict[str, Any]]]:
    many = [
        {
            "labels": {
                "alertname": f"Storm{number % 20}",
                "instance": f"host{number // 4}",
                "device": f"eth{number % 4}",
                "job": "node",
                "severity": "warning",
                "site": f"site{number % 7}",
            },
            "annotations": {"summary": f"number {number} is wrong", "description": "it " * 30},
            "generatorURL": "http://prometheus.example.org/graph?g0.expr=up",
        }
        for number in range(ALERTS)
    ]
    return [many[start : start + BATCH] for start in range(0, ALERTS, BATCH)]


async def send(daemon: Daemon, secret: str) -> float:
    """Seconds from the first request to the last answer."""
    headers = {"Authorization": f"Bearer {secret}"}
    requests = batches()
    began = time.monotonic()
    async with httpx.AsyncClient(base_url=daemon.url, headers=headers, timeout=20) as client:

        async def post(number: int, alerts: list[dict[str, Any]]) -> None:
            await asyncio.sleep(number * SENT_IN / len(requests))
            while (answer := await client.post("/api/v2/alerts", json=alerts)).status_code == 503:
                pass  # the machine is slow: a sender sends again
            assert answer.status_code == 200, answer.text

        await asyncio.gather(*(post(number, alerts) for number, alerts in enumerate(requests)))
    return time.monotonic() - began


async def ask(daemon: Daemon, took: list[float]) -> None:
    """What people look at meanwhile."""
    paths = (
        "/api/sentinel/v1/incidents?limit=50",
        "/api/v1/query?query=vector(1)",
        "/-/ready",
        "/api/v2/status",
    )
    async with httpx.AsyncClient(base_url=daemon.url, timeout=20) as client:
        while True:
            for path in paths:
                began = time.monotonic()
                answer = await client.get(path)
                took.append(time.monotonic() - began)
                assert answer.status_code == 200, answer.text
                await asyncio.sleep(0.02)


def firing(database: Path) -> int:
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        (count,) = connection.execute("SELECT count(*) FROM alert WHERE state = 'firing'").fetchone()
    return int(count)


async def test_a_flood_of_alerts_is_committed_while_people_go_on_reading(tmp_path: Path) -> None:
    sink = WebhookSink()
    async with sink.serve():
        daemon = Daemon(tmp_path, CONFIG.format(url=sink.url))
        await daemon.start()
        try:
            made = daemon.command("token", "create", "p", "--role", "sender", "--config", str(daemon.config))
            before = memory(daemon.pid)
            took: list[float] = []
            asking = asyncio.ensure_future(ask(daemon, took))
            seconds = await send(daemon, made.stdout.strip())
            # Whoever got an answer finds it in the database.
            assert firing(tmp_path / "data/sentinel.db") == ALERTS
            asking.cancel()
            took.sort()
            p99 = took[int(len(took) * 0.99)]
            grown = memory(daemon.pid) - before
            worst = await lag(daemon)
            print(
                f"{ALERTS} alerts: committed after {seconds:.1f} s, {len(took)} other requests: "
                f"p99 {p99 * 1000:.0f} ms, event loop late by {worst * 1000:.0f} ms at most, "
                f"memory +{grown / 2**20:.0f} MiB"
            )
            assert seconds < 15
            assert p99 < LONGEST_ANSWER
            assert grown < 150 * 2**20
            shown = (await daemon.get("/api/v2/alerts")).json()
            assert len(shown) == ALERTS
            await eventually(lambda: _told(sink), "the groups are told", within=60)
            keys = [post.json["groupKey"] for post in sink.posts]
            assert len(keys) == len(set(keys)) == 20, "at most one message for each group"
        finally:
            daemon.kill()


async def _told(sink: WebhookSink) -> bool:
    return len(sink.posts) >= 20


def memory(pid: int) -> int:
    """Bytes in memory."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


async def lag(daemon: Daemon) -> float:
    text = (await daemon.get("/metrics", scope="self")).text
    name = "sentinel_event_loop_lag_max_seconds "
    return next(float(line.removeprefix(name)) for line in text.splitlines() if line.startswith(name))
