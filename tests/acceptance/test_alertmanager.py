"""Sentinel in an Alertmanager's place: for amtool, and for a Prometheus that sends its alerts."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.daemon import Daemon, eventually
from tests.servers.alertmanager import Alertmanager
from tests.servers.debian import environment, free_port, program
from tests.servers.sinks import WebhookSink

CONFIG = """
[route]
receiver = "hook"
resolve_timeout = "20s"
[[route.routes]]
receiver = "nobody"
matchers = ['team="none"']
[[receiver]]
name = "hook"
kind = "webhook"
url = "{url}"
"""


@pytest.fixture
async def hook() -> AsyncIterator[WebhookSink]:
    sink = WebhookSink()
    async with sink.serve():
        yield sink


@pytest.fixture
async def sentinel(tmp_path: Path, hook: WebhookSink) -> AsyncIterator[Daemon]:
    folder = tmp_path / "sentinel"
    folder.mkdir()
    daemon = Daemon(folder, CONFIG.format(url=hook.url))
    await daemon.start()
    yield daemon
    daemon.kill()


def token(daemon: Daemon, role: str = "operator") -> str:
    made = daemon.command("token", "create", role, "--role", role, "--config", str(daemon.config))
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


class Amtool:
    """Debian's, with a token."""

    def __init__(self, url: str, folder: Path, secret: str = "") -> None:
        config = folder / "http.yml"
        config.write_text(json.dumps({"authorization": {"credentials": secret}}))
        self._command = [program("amtool"), "--alertmanager.url", url, "--http.config.file", str(config)]

    async def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        return await asyncio.to_thread(
            subprocess.run,
            [*self._command, *words],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=environment(),
        )

    async def json(self, *words: str) -> Any:
        done = await self(*words, "--output=json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    async def said(self, *words: str) -> str:
        done = await self(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout


async def alerts(daemon: Daemon) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await daemon.get("/api/v2/alerts")).json()
    return found


async def incidents(daemon: Daemon, *states: str) -> list[dict[str, Any]]:
    answer = await daemon.get("/api/sentinel/v1/incidents", state=list(states) or ["open"])
    found: list[dict[str, Any]] = answer.json()
    return found


def plain(items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without instants and ids, which differ."""
    own = ("startsAt", "endsAt", "updatedAt", "id", "receivers")
    found = [{key: value for key, value in one.items() if key not in own} for one in items]
    for one in found:
        if "silencedBy" in one["status"]:
            one["status"] = {"state": one["status"]["state"], "silences": len(one["status"]["silencedBy"])}
    return found


ACTS: tuple[tuple[str, ...], ...] = (
    ("alert", "add", "Down", "instance=sw1", "severity=critical", "--annotation=summary=sw1 is gone"),
    (
        "alert",
        "add",
        "alertname=Slow",
        "instance=web1",
        "--generator-url=http://prometheus.example.org/graph",
    ),
    ("alert", "add", "Done", "instance=web1", "--end=2020-01-01T00:00:00Z", "--start=2019-01-01T00:00:00Z"),
    ("silence", "add", "alertname=Slow", "--author=li", "--comment=known", "--duration=2h"),
    ("silence", "add", "instance=~web.", "b!=c", "--author=li", "--comment=two", "--duration=3h"),
)
QUERIES: tuple[tuple[str, ...], ...] = (
    ("alert", "query"),
    ("alert", "query", "--silenced"),
    ("alert", "query", "--active"),
    ("alert", "query", "alertname=Down"),
    ("alert", "query", "Down"),
    ("alert", "query", "instance=~sw.+", "severity!=x"),
    ("alert", "query", "--silenced", "--receiver=hook"),
    ("alert", "query", "--receiver=nothing"),
    ("silence", "query"),
    ("silence", "query", "alertname=Slow"),
    ("silence", "query", "--within=150m"),
)


async def test_amtool_does_here_what_it_does_with_an_alertmanager(sentinel: Daemon, tmp_path: Path) -> None:
    there = tmp_path / "theirs"
    there.mkdir()
    config = sentinel.config.read_text().replace('resolve_timeout = "20s"', "")
    sentinel.config.write_text(config)
    sentinel.hang_up()
    ours = Amtool(sentinel.url, tmp_path, token(sentinel))
    with Alertmanager(there, told="http://127.0.0.1:1/") as running:
        theirs = Amtool(running.url, there)
        for act in ACTS:
            done = [await each(*act) for each in (ours, theirs)]
            assert [each.returncode for each in done] == [0, 0], (act, done[0].stderr)
        for query in QUERIES:
            assert plain(await ours.json(*query)) == plain(await theirs.json(*query)), query
        for each in (ours, theirs):
            first, *_ = (await each.said("silence", "query", "-q", "alertname=Slow")).split()
            await each.said("silence", "update", "--comment=still", "--duration=5h", first)
        assert plain(await ours.json("silence", "query")) == plain(await theirs.json("silence", "query"))
        for each in (ours, theirs):
            for id_ in (await each.said("silence", "query", "-q")).split():
                await each.said("silence", "expire", id_)
            refused = await each("silence", "expire", "00000000-0000-0000-0000-000000000000")
            assert refused.returncode != 0
        for query in (("silence", "query"), ("silence", "query", "--expired"), ("alert", "query")):
            assert plain(await ours.json(*query)) == plain(await theirs.json(*query)), query
        assert (await ours.said("cluster", "show")).split() == (await theirs.said("cluster", "show")).split()
    shown = await ours.said("config", "show")
    assert "receiver: hook" in shown
    assert "http://" not in shown
    assert (await ours.said("config", "routes", "test", "team=none")).strip() == "nobody"
    assert (await ours.said("config", "routes", "test", "team=some")).strip() == "hook"
    assert {one["target"] for one in await incidents(sentinel)} == {"sw1", "web1"}


async def test_amtool_without_a_token_reads_and_does_not_write(sentinel: Daemon, tmp_path: Path) -> None:
    secret = token(sentinel, "sender")
    nobody, sender = Amtool(sentinel.url, tmp_path), Amtool(sentinel.url, sentinel.folder, secret)
    assert await nobody.json("alert", "query") == []
    assert (await nobody("alert", "add", "A")).returncode != 0
    assert (await nobody("silence", "add", "a=b", "--comment=x")).returncode != 0
    assert (await sender("alert", "add", "A", "instance=x")).returncode == 0
    assert (await sender("silence", "add", "a=b", "--comment=x")).returncode != 0
    assert [one["labels"]["alertname"] for one in await alerts(sentinel)] == ["A"]


class Prometheus:
    """Evaluates a rule file every second and sends what fires to a Sentinel."""

    def __init__(self, folder: Path, url: str, secret: str) -> None:
        self._folder = folder
        self.rules = folder / "rules.yml"
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "prometheus.yml").write_text(
            f"""
global: {{evaluation_interval: 1s, external_labels: {{site: branch}}}}
rule_files: [{self.rules}]
alerting:
  alertmanagers:
    - authorization: {{credentials: '{secret}'}}
      static_configs: [{{targets: ['{url.removeprefix("http://")}']}}]
"""
        )

    def write(self, *names: str) -> None:
        rules = "".join(
            f"    - {{alert: {name}, expr: vector(1), labels: {{instance: web1}},"
            f" annotations: {{summary: '{name} is there'}}}}\n"
            for name in names
        )
        self.rules.write_text(f"groups:\n- name: g\n  rules:\n{rules}" if names else "groups: []\n")

    def start(self) -> None:
        with (self._folder / "prometheus.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    program("prometheus"),
                    f"--config.file={self._folder}/prometheus.yml",
                    f"--storage.tsdb.path={self._folder}/tsdb",
                    f"--web.listen-address=127.0.0.1:{self._port}",
                    "--web.enable-lifecycle",
                    "--rules.alert.resend-delay=3s",
                ],
                stdout=log,
                stderr=log,
                env=environment(),
            )

    async def reload(self) -> None:
        async with httpx.AsyncClient() as client:
            answer = await client.post(f"http://127.0.0.1:{self._port}/-/reload")
        assert answer.status_code == 200, answer.text

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
            self._process = None


@pytest.fixture
async def prometheus(tmp_path: Path, sentinel: Daemon) -> AsyncIterator[Prometheus]:
    folder = tmp_path / "prometheus"
    folder.mkdir()
    made = Prometheus(folder, sentinel.url, token(sentinel, "sender"))
    yield made
    made.stop()


async def test_an_alert_of_a_prometheus_becomes_an_incident_and_ends_with_its_rule(
    sentinel: Daemon, prometheus: Prometheus, hook: WebhookSink
) -> None:
    prometheus.write("Broken", "Bent")
    prometheus.start()
    opened = await eventually(lambda: _count(sentinel, 2, "open"), "two incidents are open")
    assert {one["title"] for one in opened} == {"Broken is there", "Bent is there"}
    (first, *_) = [one for one in await alerts(sentinel) if one["labels"]["alertname"] == "Broken"]
    assert first["labels"] == {"alertname": "Broken", "instance": "web1", "site": "branch"}
    assert first["generatorURL"].startswith("http")
    assert first["receivers"] == [{"name": "hook"}]
    story = (await sentinel.get(f"/api/sentinel/v1/incidents/{opened[0]['id']}")).json()
    assert story["alerts"][0]["group"] == "api;sender"
    await hook.until(lambda posts: len(posts) == 2)
    prometheus.write("Bent")
    await prometheus.reload()
    (over,) = await eventually(
        lambda: _count(sentinel, 1, "resolved"), "the rule's incident is over", within=60
    )
    assert over["title"] == "Broken is there"
    await hook.until(lambda posts: [post.json["status"] for post in posts].count("resolved") == 1)
    assert [one["title"] for one in await incidents(sentinel)] == ["Bent is there"]


async def test_neither_sides_restart_ends_or_doubles_an_incident(
    sentinel: Daemon, prometheus: Prometheus, hook: WebhookSink
) -> None:
    prometheus.write("Broken")
    prometheus.start()
    await eventually(lambda: _count(sentinel, 1, "open"), "the incident is open")
    await hook.until(lambda posts: len(posts) == 1)
    prometheus.stop()
    (last,) = await alerts(sentinel)
    sentinel.kill()

    async def is_past() -> bool:
        return time.time() > datetime.fromisoformat(last["endsAt"]).timestamp()

    await eventually(is_past, "nobody was there when the alert should have been sent again")
    await sentinel.start()
    (alert,) = await alerts(sentinel)
    assert alert["labels"]["alertname"] == "Broken"
    prometheus.start()

    async def renewed() -> bool:
        found = await alerts(sentinel)
        return bool(found) and found[0]["updatedAt"] > alert["updatedAt"]

    await eventually(renewed, "it is sent again")
    assert len(await incidents(sentinel)) == 1
    assert await incidents(sentinel, "resolved") == []
    assert len(hook.posts) == 1


async def test_a_prometheus_that_falls_silent_lets_its_alerts_end(
    sentinel: Daemon, prometheus: Prometheus
) -> None:
    prometheus.write("Broken")
    prometheus.start()
    (one,) = await eventually(lambda: _count(sentinel, 1, "open"), "the incident is open")
    prometheus.stop()
    await eventually(lambda: _count(sentinel, 1, "resolved"), "the incident is over", within=60)
    story = (await sentinel.get(f"/api/sentinel/v1/incidents/{one['id']}")).json()
    assert any("not heard of any more" in entry["text"] for entry in story["timeline"])


async def _count(daemon: Daemon, count: int, state: str) -> list[dict[str, Any]] | None:
    found = await incidents(daemon, state)
    return found if len(found) == count else None
