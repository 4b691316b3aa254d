"""`kill -9` of the whole daemon at random moments while a hundred alerts fire and end."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
from collections import defaultdict
from pathlib import Path

import pytest

from tests.acceptance.daemon import Daemon, eventually
from tests.servers.sinks import Post, webhook_sink_in_thread

ALERTS = 100
KILLS = int(os.environ.get("SENTINEL_TEST_KILLS", "6"))
"""`make test-faults` kills more often."""
CONCURRENCY = 4

FLAPPING = "groups:\n  - name: flapping\n    rules:\n" + "".join(
    f"      - alert: Flap{number}\n        expr: (vector(time() + {number}) % 8) < 4\n"
    for number in range(ALERTS)
)
QUIET = "groups: []\n"


@pytest.mark.timeout(400)
async def test_kills_lose_nothing_and_repeat_only_what_was_on_its_way(tmp_path: Path) -> None:
    dice = random.Random(20261122)
    with webhook_sink_in_thread() as sink:
        config = (
            f'[route]\nreceiver = "hook"\n[[receiver]]\nname = "hook"\nkind = "webhook"\n'
            f'url = "{sink.url}"\nconcurrency = {CONCURRENCY}\n'
        )
        daemon, database = Daemon(tmp_path, config, FLAPPING), tmp_path / "data/sentinel.db"
        try:
            kills = 0
            # On a slow machine the first lives are too short for every alert to fire.
            while kills < KILLS or (_fired(database) < ALERTS and kills < 6 * KILLS):
                await daemon.start()
                await asyncio.sleep(dice.uniform(0.3, 3.0))
                daemon.kill()
                kills += 1
            daemon.rules.write_text(QUIET)
            await daemon.start()
            await eventually(lambda: _all_told(daemon), "every incident has ended and been told", within=90)
            assert daemon.stop() == 0
        finally:
            daemon.kill()
    problems = _compare(database, sink.posts, kills)
    assert not problems, "\n".join(problems[:20])


async def _all_told(daemon: Daemon) -> bool:
    live = (await daemon.get("/api/sentinel/v1/incidents")).json()
    with sqlite3.connect(daemon.folder / "data/sentinel.db") as connection:
        (pending,) = connection.execute("SELECT count(*) FROM outbox WHERE state = 'pending'").fetchone()
    return not live and pending == 0


def _fired(database: Path) -> int:
    """How many of the alerts have become an incident."""
    with sqlite3.connect(database) as connection:
        (count,) = connection.execute("SELECT count(DISTINCT key) FROM incident").fetchone()
        return int(count)


def _compare(database: Path, posts: list[Post], kills: int) -> list[str]:
    """What the far side heard against what was committed."""
    problems = []
    with sqlite3.connect(database) as connection:
        rows = connection.execute("SELECT key, incident_id, event, state FROM outbox").fetchall()
        (incidents,) = connection.execute("SELECT count(*) FROM incident").fetchone()
    heard = {post.key for post in posts}
    problems += [
        f"committed, never heard: {key} {event}" for key, _, event, state in rows if key not in heard
    ]
    problems += [f"not marked: {key} {state}" for key, _, _, state in rows if state != "delivered"]
    problems += [f"heard, never committed: {key}" for key in heard - {row[0] for row in rows}]
    told: dict[int, list[str]] = defaultdict(list)
    first_heard = list(dict.fromkeys(post.key for post in posts))
    events = {key: (incident, event) for key, incident, event, _ in rows}
    for key in first_heard:
        incident, event = events[key]
        told[incident].append(event)
    problems += [
        f"incident {number}: {story}" for number, story in told.items() if story != ["firing", "resolved"]
    ]
    if len(told) != incidents:
        problems.append(f"{incidents} incidents, {len(told)} told")
    names = {post.json["alerts"][0]["labels"]["alertname"] for post in posts}
    if len(names) != ALERTS:
        problems.append(f"only {len(names)} of {ALERTS} alerts were told")
    repeats = len(posts) - len(heard)
    if repeats > kills * CONCURRENCY:
        problems.append(f"{repeats} repeats, at most {kills * CONCURRENCY} were on their way")
    return problems
