"""Many reloads, every other one of wrong files: rules and incidents go on as if there had been none."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.acceptance.daemon import Daemon, eventually

RELOADS = int(os.environ.get("SENTINEL_TEST_RELOADS", "30"))
"""`make test-faults` has a hundred."""
CONFIG = '[[target]]\nname = "here"\naddress = "localhost"\nmodules = ["local"]\n'
RULES = """
groups:
  - name: g
    rules:
      - {alert: Watched, expr: 'up{job="local"} == 1', annotations: {summary: "as of NUMBER"}}
      - {record: rounds, expr: "vector(NUMBER)"}
"""
BROKEN = (
    ("rules", RULES.replace("vector(", "vektor(")),
    ("rules", RULES.replace("alert:", "alarm:")),
    ("config", CONFIG + '[route]\nreceiver = "unknown"\n'),
    ("config", CONFIG.replace('"local"', '"lokal"')),
    ("config", "[[target]\n"),
)
HOSTILE = "';SELECT sqlite_version();-- <img onerror=x>, 203.0.113.7"


@pytest.mark.timeout(300)
async def test_reloads_in_quick_succession_disturb_nothing(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, CONFIG, RULES.replace("NUMBER", "0"))
    try:
        await daemon.start()
        token = daemon.command("token", "create", "t").stdout.strip()
        await eventually(lambda: daemon.query('ALERTS{alertname="Watched"}'), "the rule fires")
        (before,) = (await daemon.get("/api/v1/alerts")).json()["data"]["alerts"]
        rounds_before, began = await _rounds(daemon), time.monotonic()
        headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": HOSTILE, "Forwarded": HOSTILE}
        async with httpx.AsyncClient(base_url=daemon.url, headers=headers, timeout=20) as client:
            for number in range(RELOADS):
                is_wrong = number % 2 == 0
                _write(daemon, number, is_wrong=is_wrong)
                answer = await client.post("/-/reload")
                assert answer.status_code == (400 if is_wrong else 200), answer.text
                figures = (await client.get("/metrics", params={"scope": "self"})).text
                assert f"sentinel_config_last_reload_successful {0.0 if is_wrong else 1.0}\n" in figures
        took = time.monotonic() - began
        await eventually(lambda: daemon.query(f"rounds == {RELOADS - 1}"), "the last good one is in force")
        figures = (await daemon.get("/metrics", scope="self")).text
        missed = [
            line for line in figures.splitlines() if line.startswith("sentinel_rule_group_iterations_missed")
        ]
        assert all(line.endswith(" 0.0") for line in missed if "created" not in line), missed
        assert await _rounds(daemon) - rounds_before >= took * 0.8  # one a second
        (after,) = (await daemon.get("/api/v1/alerts")).json()["data"]["alerts"]
        assert after["activeAt"] == before["activeAt"]
        assert after["annotations"] == {"summary": f"as of {RELOADS - 1}"}
        (incident,) = (await daemon.get("/api/sentinel/v1/incidents")).json()
        assert (incident["id"], incident["state"]) == (1, "open")
        story = (await daemon.get("/api/sentinel/v1/incidents/1")).json()
        await _note(daemon, token)
        with closing(sqlite3.connect(tmp_path / "data" / "sentinel.db")) as database:
            trail = json.dumps(database.execute("SELECT * FROM audit").fetchall())
    finally:
        daemon.kill()
    assert [entry["kind"] for entry in story["timeline"]].count("alert firing") == 1
    # Nothing stands in front of the daemon that could be believed: what such headers say is not even kept.
    assert "SELECT" not in trail
    assert "203.0.113.7" not in trail


def _write(daemon: Daemon, number: int, *, is_wrong: bool) -> None:
    config, rules = CONFIG, RULES
    if is_wrong:
        which, text = BROKEN[number // 2 % len(BROKEN)]
        config, rules = (text, rules) if which == "config" else (config, text)
    daemon.write(config)
    daemon.rules.write_text(rules.replace("NUMBER", str(number)))


async def _rounds(daemon: Daemon) -> float:
    """How often the group has been evaluated."""
    figures = (await daemon.get("/metrics", scope="self")).text
    return sum(
        float(line.split()[-1])
        for line in figures.splitlines()
        if line.startswith("sentinel_rule_group_iterations_total")
    )


async def _note(daemon: Daemon, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": HOSTILE, "X-Real-IP": HOSTILE}
    async with httpx.AsyncClient(base_url=daemon.url, headers=headers, timeout=20) as client:
        answer = await client.post("/api/sentinel/v1/incidents/1/note", json={"text": "seen"})
        assert answer.status_code in (200, 201), answer.text
