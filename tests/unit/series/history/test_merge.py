from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sentinel.series.history.files import DamagedError, HistoryFile
from sentinel.series.history.merge import NEW, merge
from sentinel.series.history.paths import file_bytes
from tests.unit.series.feeding import START, batch, down, layout, named, source
from tests.unit.series.history.keeping import Kept

HOUR = 3600.0
SHAPES = [
    layout("a", *({"__name__": "b", "port": str(port)} for port in range(12))),
    layout("a", *({"__name__": "b", "port": str(port)} for port in range(4, 16))),
]


async def changing(kept: Kept, hours: float, seed: int = 4) -> None:
    """Sources of two intervals whose series come and go, that are down now and then, and that appear later."""
    chance = random.Random(seed)
    shapes = dict.fromkeys(range(6), SHAPES[0])
    for poll in range(int(hours * 60)):
        at = START + 60 * poll
        await kept.at(at)
        batches = []
        for number, shape in shapes.items():
            if (number == 5 and poll < 200) or (number == 4 and poll % 5):
                continue
            where = source(f"s{number}", interval=300.0 if number == 4 else 60.0)
            if chance.random() < 0.01:
                shapes[number] = shape = chance.choice(SHAPES)
            when = at + chance.uniform(0, 3)
            values = [poll * number + chance.random() for _ in range(len(shape))]
            batches.append(down(where, when) if chance.random() < 0.01 else batch(where, when, shape, values))
        kept.head.append(batches)
        if poll % 10 == 0:
            await kept.history.flush()
            await kept.history.care()


def windows(path: Path) -> int:
    with HistoryFile(path) as file:
        return len(file.windows(-(1 << 62), 1 << 62))


@pytest.mark.asyncio
async def test_a_finished_file_is_written_again_and_says_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Kept(tmp_path)
    monkeypatch.setattr("sentinel.series.history.store.merge", lambda _: False)
    await changing(kept, 14)
    first = sorted(tmp_path.glob("*.history"))[1]
    assert windows(first) > 5
    await kept.history.flush()
    before, size = kept.read(), file_bytes(first)
    monkeypatch.undo()
    await kept.history.close()
    kept.history = kept.opened()
    kept.history.restore(type(kept.head)())
    assert kept.read() == before
    await kept.history.care()
    assert windows(first) == 1
    assert file_bytes(first) < size
    # The same reader, which remembers what it read of the file's former self.
    assert kept.read() == before
    for start, end in ((START + HOUR, START + 1.5 * HOUR), (START + 5.9 * HOUR, START + 6.2 * HOUR)):
        part = {s: [x for x in samples if start * 1000 < x[0] <= end * 1000] for s, samples in before.items()}
        assert kept.read((), start, end) == {s: samples for s, samples in part.items() if samples}
    await kept.restart()
    assert kept.read() == before


@pytest.mark.asyncio
async def test_files_are_merged_once_their_hours_are_over(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    await changing(kept, 16)
    counts = [windows(path) for path in sorted(tmp_path.glob("*.history"))]
    assert counts[0] == 1
    assert counts[-1] > 1
    assert not list(tmp_path.glob(f"*{NEW}*"))


@pytest.mark.asyncio
async def test_a_file_that_is_being_read_is_merged_later(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    await changing(kept, 1)
    await kept.pack()
    (path,) = tmp_path.glob("*.history")
    before = kept.read()
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None) as db:
        db.execute("BEGIN")
        db.execute("SELECT count(*) FROM window").fetchone()
        with pytest.raises(BlockingIOError):
            merge(path)
        db.execute("COMMIT")
    db.close()
    assert merge(path)
    assert not merge(path)
    assert kept.read() == before


@pytest.mark.asyncio
async def test_a_damaged_file_stays_as_it_is(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    await changing(kept, 1)
    await kept.pack()
    (path,) = tmp_path.glob("*.history")
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE chunk SET checksum = checksum + 1 WHERE window = 2")
    count = windows(path)
    with pytest.raises(DamagedError):
        merge(path)
    assert windows(path) == count
    assert not list(tmp_path.glob(f"*{NEW}*"))
    assert kept.read(named("a"))


@pytest.mark.asyncio
async def test_a_file_whose_clock_was_set_back_is_left_alone(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    for start in (START + 2000, START + 1000):
        for poll in range(20):
            kept.head.append([batch(source(), start + 15 * poll, SHAPES[0], [poll] * 13)])
        await kept.pack()
        kept.clock.step(START - kept.clock.now())
        await kept.restart()
    (path,) = tmp_path.glob("*.history")
    before = kept.read()
    assert not merge(path)
    assert kept.read() == before


@pytest.mark.asyncio
async def test_samples_that_come_late_go_into_a_merged_file_too(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    await changing(kept, 1)
    await kept.pack()
    (path,) = tmp_path.glob("*.history")
    assert merge(path)
    kept.head.append([batch(source("late"), kept.clock.now(), SHAPES[0], [1.0] * 13)])
    before = None
    await kept.history.flush()
    before = kept.read()
    await kept.pack()
    assert kept.read() == before
    assert merge(path)
    assert kept.read() == before
