"""Kill the delivering process at random moments, start it again, and count what that did."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import sentinel
from tests.servers.sinks import Post, webhook_sink_in_thread

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 1.5
"""Seconds that a process lives at most before it is killed."""


@dataclass(slots=True)
class Tally:
    kills: int
    concurrency: int
    messages: int = 0
    incidents: int = 0
    repeats: int = 0
    acknowledged: int = 0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)
    """What must not be: lost, invented, split, out of order, not settled."""

    @property
    def bound(self) -> int:
        """Repeats allowed: what was on its way at each kill."""
        return self.kills * self.concurrency

    @property
    def holds(self) -> bool:
        return not self.faults and self.repeats <= self.bound


class Child:
    def __init__(self, *arguments: object) -> None:
        source = str(Path(sentinel.__file__).parents[1])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.delivering", *map(str, arguments)],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": source},
            stdout=subprocess.PIPE,
            text=True,
        )
        self.acknowledged: list[int] = []
        self._ready = threading.Event()
        assert self.process.stdout is not None
        self._reader = threading.Thread(target=self._read, args=(self.process.stdout,))
        self._reader.start()

    def _read(self, output: IO[str]) -> None:
        for line in output:
            if line.startswith("acknowledged ") and line.endswith("\n"):
                self.acknowledged.append(int(line.split()[1]))
            self._ready.set()
        self._ready.set()

    def until_ready(self) -> None:
        self._ready.wait(30)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.end(10)

    def end(self, within: float) -> int:
        code = self.process.wait(within)
        self._reader.join()
        return code


def kill_run(
    folder: Path,
    *,
    alerts: int,
    seed: int = 1,
    kills: int = 0,
    concurrency: int = 4,
    failpoints: tuple[str, ...] = (),
) -> Tally:
    """
    Args:
        kills: how many processes are killed at random moments.
        failpoints: in place of that: each process dies at its own.
    """
    dice = random.Random(seed)
    tally = Tally(len(failpoints) or kills, concurrency)
    acknowledged: list[int] = []
    began, started = time.monotonic(), time.time()
    with webhook_sink_in_thread() as sink:
        for number in range(tally.kills):
            failpoint = failpoints[number] if failpoints else ""
            child = Child(folder, sink.url, alerts, started, started + 1e6, concurrency, failpoint)
            if failpoint:
                child.end(60)
            else:
                if dice.random() < 0.8:
                    child.until_ready()
                time.sleep(dice.uniform(0, LONGEST))
                child.kill()
            acknowledged += child.acknowledged
        child = Child(folder, sink.url, alerts, started, time.time() + 2.0, concurrency, "")
        if child.end(120) != 0:
            tally.faults.append("the last process did not end well")
        acknowledged += child.acknowledged
        posts = list(sink.posts)
    judge(tally, folder / "sentinel.db", posts, acknowledged)
    tally.seconds = time.monotonic() - began
    return tally


def judge(tally: Tally, database: Path, posts: list[Post], acknowledged: list[int]) -> None:
    arrived = Counter(post.key for post in posts)
    first = {post.key: index for index, post in reversed(list(enumerate(posts)))}
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT key, incident_id, event, state FROM outbox ORDER BY id").fetchall()
        incidents = connection.execute(
            "SELECT id, key, state, opened_at, resolved_at FROM incident ORDER BY opened_at"
        ).fetchall()
        taken = {row[0] for row in connection.execute("SELECT incident_id FROM timeline WHERE actor = 'li'")}
    tally.messages, tally.incidents = len(rows), len(incidents)
    tally.repeats = arrived.total() - len(arrived)
    tally.acknowledged = len(acknowledged)
    faults = tally.faults
    faults += [f"lost: message {row[0]} of incident {row[1]}" for row in rows if row[0] not in arrived]
    faults += [f"not settled: message {row[0]} is {row[3]}" for row in rows if row[3] != "delivered"]
    faults += [f"invented: {key}" for key in arrived.keys() - {row[0] for row in rows}]
    faults += [f"lost: acknowledgement of {number}" for number in acknowledged if number not in taken]
    course: dict[int, list[tuple[int, str]]] = defaultdict(list)
    for key, number, event, _ in rows:
        course[number].append((first.get(key, -1), event))
    for number, _, state, _, _ in incidents:
        if state != "resolved":
            faults.append(f"not settled: incident {number} is {state}")
        if [event for _, event in sorted(course[number])] != ["firing", "resolved"]:
            faults.append(f"incident {number} was told as {sorted(course[number])}")
    ended: dict[str, float] = {}
    for number, key, _, opened, resolved in incidents:
        if opened < ended.get(key, 0.0):
            faults.append(f"split: incident {number} opened while another of {key} was live")
        ended[key] = resolved or float("inf")
