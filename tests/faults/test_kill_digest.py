"""What is put together, and what is handed to a fallback, survives kill -9."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.servers.sinks import Answer, Post, webhook_sink_in_thread

ROOT = Path(__file__).parents[2]
ALERTS = 60
CONCURRENCY = 4


def run(folder: Path, url: str, *more: str, seconds: float | None = None) -> int:
    """Its exit status; killed after so many seconds."""
    command = [sys.executable, "-m", "tests.faults.flooding", str(folder), url, str(ALERTS), *more]
    with subprocess.Popen(command, cwd=ROOT) as process:
        try:
            return process.wait(timeout=60 if seconds is None else seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()


def told(posts: list[Post]) -> Counter[str]:
    """How often each alert was told, repeats of a message left out."""
    once = {post.key: post for post in posts}
    return Counter(alert["labels"]["instance"] for post in once.values() for alert in post.json["alerts"])


@pytest.mark.parametrize("answers", ["taken", "refused"])
def test_kills_at_any_moment_lose_no_alert_of_a_flood(tmp_path: Path, answers: str) -> None:
    chance = random.Random(20266)
    kills = 0
    with webhook_sink_in_thread() as sink:
        if answers == "refused":
            sink.choose = lambda post: Answer(400 if post.path.endswith("ops") else 200)
        for commit in (3, 6, 10, 15, 25):
            kills += run(tmp_path, sink.url, str(commit)) != 0
        for _ in range(3):
            kills += run(tmp_path, sink.url, seconds=1.0 + chance.random()) != 0
        assert run(tmp_path, sink.url) == 0
        posts = list(sink.posts)
    assert kills >= 4
    mine = [post for post in posts if post.path.endswith("ops" if answers == "taken" else "duty")]
    assert told(mine) == dict.fromkeys((f"sw{number}" for number in range(ALERTS)), 1)
    assert len(posts) - len({post.key for post in posts}) <= kills * 2 * CONCURRENCY
    assert len({post.key for post in mine}) < ALERTS  # there were digests
