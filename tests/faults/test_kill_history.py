"""Kill the process that keeps the history at random moments: nothing that was on disk may be lost or doubled."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import sentinel
from sentinel.series.history.history import History
from tests.faults.keeping import INTERVAL, SOURCES, instant, opened
from tests.servers.debian import ROOT
from tests.unit.series.feeding import named

KILLS = 12
LONGEST = 0.8
"""Seconds that a process lives at most after its first poll."""


def lived(folder: Path, first: int, life: float) -> int:
    """One life of the process.

    Returns:
        the last poll that it said was on disk.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.keeping", str(folder), str(first)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(Path(sentinel.__file__).parents[1])},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    last = first - 1
    timer = threading.Timer(life, process.kill)
    try:
        for line in process.stdout:
            if last < first:
                timer.start()
            last = int(line)
    finally:
        timer.cancel()
        process.kill()
        process.wait()
        process.stdout.close()
    return last


@pytest.mark.timeout(180)
def test_a_killed_writer_loses_and_doubles_nothing(tmp_path: Path) -> None:
    chance = random.Random(7)
    acknowledged: set[int] = set()
    poll, kills = 0, 0
    for _ in range(KILLS):
        last = lived(tmp_path, poll, chance.uniform(0.01, LONGEST))
        acknowledged |= set(range(poll, last + 1))
        kills += 1
        # The poll that was under way may be on disk or not; the next life begins after it.
        poll = last + 2
    assert len(acknowledged) > 60, "the processes did not live long enough to pack anything"

    history, head, _ = opened(tmp_path, poll)
    polls = read(history, poll)
    assert len(polls) == SOURCES
    for series, numbers in polls.items():
        assert numbers == sorted(set(numbers)), series
        assert acknowledged <= set(numbers), series
        assert len(numbers) <= len(acknowledged) + kills, series

    # And the head has its last polls again.
    selection = head.select(named("up_"))
    newest, held = selection.instant(instant(max(acknowledged)), 300.0)
    assert held.all()
    assert set(newest.tolist()) == {float(max(acknowledged))}
    assert list(tmp_path.glob("*.history"))


def read(history: History, poll: int) -> dict[str, list[int]]:
    """The polls that each series has, whose values must be those of the poll."""
    found = history.reader.read(named("up_"), 0, instant(poll) + 1, None, charge=lambda _: None)
    polls: dict[str, list[int]] = {}
    for one in found:
        values, times = one.samples.values, one.samples.times
        for column, count in enumerate(one.samples.count.tolist()):
            held = values[:count, column][~np.isnan(values[:count, column])].astype(int).tolist()
            at = np.rint((times[:count, column] - instant(0)) / INTERVAL).astype(int).tolist()
            assert held == at
            polls.setdefault(str(one.labels[column]), []).extend(held)
    return polls


@pytest.mark.timeout(120)
def test_a_file_system_that_takes_no_more_pauses_the_history_alone(tmp_path: Path) -> None:
    process = subprocess.run(
        [sys.executable, "-m", "tests.faults.keeping", str(tmp_path), "0", "full"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(Path(sentinel.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    written = [int(line) for line in process.stdout.split()]
    assert set(written) >= {*range(30), *range(61, 90)}
    assert len(written) < 80
    history, _, _ = opened(tmp_path, 90)
    for series, numbers in read(history, 90).items():
        assert numbers == written, series
