"""Thousands of alerts at once, sent to the whole daemon, and what that does to it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.acceptance.daemon import Daemon, eventually
from tests.servers.sinks import WebhookSink

REQUESTS = 20
"""Posts in which the alerts are sent."""
RATE = 20.0
"""Questions a second meanwhile, of each address in turn."""
ASKED = ("/-/healthy", "/api/v1/alerts", "/api/sentinel/v1/incidents")
LAG = "sentinel_event_loop_lag_max_seconds"


@dataclass(slots=True)
class Storm:
    """
    Args:
        targets: the alerts spread over so many, each with one incident.
        sites: and these over so many groups.
    """

    alerts: int
    targets: int
    sites: int
    within: float
    """Seconds in which they are sent."""

    def requests(self, now: float) -> Iterator[bytes]:
        """Bodies for /api/v2/alerts."""
        ends = datetime.fromtimestamp(now + 600, UTC).isoformat()
        step = -(-self.alerts // REQUESTS)
        for start in range(0, self.alerts, step):
            some = range(start, min(start + step, self.alerts))
            yield json.dumps([{"labels": self._labels(one), "endsAt": ends} for one in some]).encode()

    def _labels(self, number: int) -> dict[str, str]:
        target = number * self.targets // self.alerts
        return {
            "alertname": "LinkDown",
            "instance": f"switch{target}",
            "ifName": f"ge-0/0/{number}",
            "site": f"site{target % self.sites}",
            "severity": "critical",
        }


@dataclass(slots=True)
class Damage:
    """What a storm did. Times are seconds, sizes MB."""

    committed: int = 0
    incidents: int = 0
    first_commit: float = 0.0
    """From the first request's beginning."""
    last_commit: float = 0.0
    sent: float = 0.0
    """When the last request was answered."""
    refused: int = 0
    """Requests that had to be sent again, because they were not committed soon enough."""
    groups: int = 0
    most_messages: int = 0
    """To one group."""
    told: int = 0
    """Alerts that a message stands for."""
    idle: float = 0.0
    peak: float = 0.0
    lag: float = 0.0
    """The worst of the event loop."""
    answers: dict[str, list[float]] = field(default_factory=lambda: {path: [] for path in ASKED})
    failures: Counter[str] = field(default_factory=Counter)

    @property
    def commits(self) -> float:
        return self.last_commit - self.first_commit

    @property
    def grown(self) -> float:
        return self.peak - self.idle

    def slowest(self, share: float, path: str = "") -> float:
        """Quantile of the answers' times, of one address or of all."""
        times = sorted(
            self.answers[path] if path else (one for some in self.answers.values() for one in some)
        )
        return times[min(int(len(times) * share), len(times) - 1)]


def config_of(by_site: WebhookSink, by_incident: WebhookSink | None, wait: float) -> str:
    """The second sink, if any, hears of each incident."""
    text = f"""
[route]
receiver = "sites"
[[route.routes]]
receiver = "sites"
group_by = ["site"]
group_wait = "{wait:g}s"
group_interval = "5m"
continue = true
[[receiver]]
name = "sites"
kind = "webhook"
url = "{by_site.url}"
"""
    if by_incident is not None:
        text += f"""
[[route.routes]]
receiver = "hook"
group_wait = "{wait / 4:g}s"
[[receiver]]
name = "hook"
kind = "webhook"
url = "{by_incident.url}"
"""
    return text


async def storm_run(
    folder: Path,
    storm: Storm,
    *,
    with_incidents: bool,
    wait: float = 12.0,
    beside: Callable[[int], Awaitable[None]] | None = None,
) -> Damage:
    """
    Args:
        wait: seconds that groups by site wait for company.
        with_incidents: whether a second receiver is told of each incident.
        beside: called with the daemon's number before the storm.
    """
    damage = Damage()
    sites, hook = WebhookSink(), WebhookSink()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(sites.serve())
        await stack.enter_async_context(hook.serve())
        daemon = Daemon(folder, config_of(sites, hook if with_incidents else None, wait))
        try:
            await daemon.start()
            made = daemon.command("token", "create", "storm", "--config", str(daemon.config))
            assert made.returncode == 0, made.stderr
            if beside is not None:
                await beside(daemon.pid)
            await _rage(daemon, storm, damage, made.stdout.strip(), wait)
            await eventually(
                lambda: _are_told(sites, storm.sites), "every site is told", within=wait + 60, pause=0.2
            )
            if with_incidents:
                await eventually(
                    lambda: _are_told(hook, storm.targets), "every incident is told", within=300, pause=0.2
                )
            damage.lag = await _metric(daemon, LAG)
            assert daemon.stop() == 0
        finally:
            daemon.kill()
    for sink in (sites, hook):
        counts = Counter(json.dumps(post.json["groupLabels"]) for post in sink.posts)
        damage.most_messages = max(damage.most_messages, *counts.values(), 0)
    bodies = [post.json for post in sites.posts]
    damage.groups = len(sites.posts)
    damage.told = sum(len(body["alerts"]) + body["truncatedAlerts"] for body in bodies)
    return damage


async def _rage(daemon: Daemon, storm: Storm, damage: Damage, token: str, wait: float) -> None:
    """Send, and ask meanwhile, until everything is committed."""
    damage.idle = damage.peak = _megabytes(daemon.pid)
    bodies = list(storm.requests(time.time()))
    over = asyncio.Event()
    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        group.create_task(_ask(daemon, damage, over))
        group.create_task(_watch(daemon, damage, began + storm.within + 2 * wait, began, over))
        sends = []
        async with httpx.AsyncClient(base_url=daemon.url, timeout=60) as client:
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            for number, body in enumerate(bodies):
                await asyncio.sleep(began + number * storm.within / len(bodies) - time.monotonic())
                sends.append(group.create_task(_send(client, body, headers, damage)))
            await asyncio.gather(*sends)
            damage.sent = time.monotonic() - began


async def _send(client: httpx.AsyncClient, body: bytes, headers: dict[str, str], damage: Damage) -> None:
    """As a Prometheus does: what is not taken is sent again."""
    while (answer := await client.post("/api/v2/alerts", content=body, headers=headers)).status_code == 503:
        damage.refused += 1
        await asyncio.sleep(1)
    assert answer.status_code == 200, answer.text


async def _watch(daemon: Daemon, damage: Damage, end: float, began: float, over: asyncio.Event) -> None:
    """Count in the database, and weigh the daemon, until groups have been told."""
    with closing(sqlite3.connect(daemon.folder / "data/sentinel.db")) as connection:
        while time.monotonic() < end:
            query = "SELECT count(*), count(DISTINCT incident_id) FROM incident_alert"
            committed, damage.incidents = connection.execute(query).fetchone()
            now = time.monotonic() - began
            if committed and not damage.committed:
                damage.first_commit = now
            if committed > damage.committed:
                damage.committed, damage.last_commit = committed, now
            damage.peak = max(damage.peak, _megabytes(daemon.pid))
            await asyncio.sleep(0.05)
    over.set()


async def _ask(daemon: Daemon, damage: Damage, over: asyncio.Event) -> None:
    """At a steady pace, whether earlier questions have been answered or not."""
    began, number = time.monotonic(), 0
    limits = httpx.Limits(max_connections=100)
    async with (
        httpx.AsyncClient(base_url=daemon.url, timeout=30, limits=limits) as client,
        asyncio.TaskGroup() as group,
    ):
        while not over.is_set():
            group.create_task(_timed(client, ASKED[number % len(ASKED)], damage))
            number += 1
            await asyncio.sleep(began + number / RATE - time.monotonic())


async def _timed(client: httpx.AsyncClient, path: str, damage: Damage) -> None:
    began = time.monotonic()
    try:
        async with client.stream("GET", path) as answer:
            async for _ in answer.aiter_raw():
                pass
        if answer.status_code != 200:
            damage.failures[f"{path}: {answer.status_code}"] += 1
    except httpx.HTTPError as error:
        damage.failures[f"{path}: {type(error).__name__}"] += 1
    damage.answers[path].append(time.monotonic() - began)


async def _are_told(sink: WebhookSink, groups: int) -> bool:
    return len({json.dumps(post.json["groupLabels"]) for post in sink.posts}) >= groups


async def _metric(daemon: Daemon, name: str) -> float:
    text = (await daemon.get("/metrics")).text
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == name:
                return float(sample.value)
    raise AssertionError(f"no {name}")


def _megabytes(pid: int) -> float:
    """Memory of a process that is not shared with the file system's cache: what RSS says."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("the daemon is gone")
