from __future__ import annotations

import errno
import random
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentinel.series.history.inspect import look_over
from sentinel.series.history.journal import segments_in
from sentinel.series.history.paths import file_bytes
from sentinel.series.history.segment import Blocks, Segment
from sentinel.series.history.tracks import tracks_of
from tests.unit.series.feeding import START, batch, fill, layout, named, newest, source
from tests.unit.series.history.keeping import Dump, Keeper, Kept, restored

SHAPE = layout("a", "b")


def journal(folder: Path, flushes: int = 20) -> Path:
    """One segment; poll n has the values n and 2 n."""
    keeper = Keeper(folder)
    for poll in range(flushes):
        keeper.head.append([batch(source(), START + 15 * poll, SHAPE, [poll, 2.0 * poll])])
        keeper.flush()
    keeper.journal.close()
    (path,) = segments_in(folder)
    return path


def content(path: Path) -> dict[int, list[float]]:
    """What can be read, by poll."""
    found: dict[int, list[float]] = {}
    with Segment(path, Blocks(2)) as segment:
        for track in tracks_of([segment]):
            cells = track.cells(0, len(track.times))
            for row, at in zip(cells.tolist(), track.times.tolist(), strict=True):
                found[round((at / 1000 - START) / 15)] = row[:2]
    return found


def test_a_segment_cut_anywhere_gives_what_stands_before(tmp_path: Path) -> None:
    path = journal(tmp_path)
    whole, data = content(path), path.read_bytes()
    for length in range(0, len(data), 37):
        path.write_bytes(data[:length])
        found = content(path)
        assert list(found) == list(range(len(found)))
        assert all(found[poll] == whole[poll] for poll in found)
        with Segment(path, Blocks(1)) as segment:
            assert not segment.is_damaged
    path.write_bytes(data)
    assert content(path) == whole == {poll: [poll, 2.0 * poll] for poll in range(20)}


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_flipped_bits_are_noticed_and_the_rest_is_read(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = journal(tmp_path_factory.mktemp("journal"), 12)
    whole, written = content(path), bytearray(path.read_bytes())
    flips = data.draw(st.lists(st.integers(0, 8 * len(written) - 1), min_size=1, max_size=3, unique=True))
    for flip in flips:
        written[flip // 8] ^= 1 << flip % 8
    path.write_bytes(bytes(written))
    found = content(path)
    assert all(whole[poll] == values for poll, values in found.items())
    with Segment(path, Blocks(1)) as segment:
        # Bits between two frames, which only fill up, do not matter.
        assert found == whole or segment.is_damaged or segment.torn
        if not segment.bad:
            assert len(found) >= len(whole) - len(flips)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400), st.integers(0, 3))
def test_any_bytes_are_read_without_an_error(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, frames: int
) -> None:
    path = journal(tmp_path_factory.mktemp("journal"), 3)
    written = path.read_bytes()
    cut = len(written) * frames // 3
    path.write_bytes(written[:cut] + noise + written[cut:])
    content(path)


def test_after_a_torn_end_the_next_life_goes_on(tmp_path: Path) -> None:
    path = journal(tmp_path)
    path.write_bytes(path.read_bytes()[:-5])
    keeper = Keeper(tmp_path)
    fill(keeper.head, source(), SHAPE, [[7.0, 8.0]], start=START + 15 * 20)
    keeper.flush()
    head = restored(tmp_path, START + 15 * 20)
    assert list(newest(head, START + 15 * 20, "a").values()) == [7.0]
    assert list(newest(head, START + 15 * 18, "a").values()) == [18.0]


# Files


async def packed(folder: Path, windows: int = 3, *, memory: float = 600.0) -> tuple[Kept, Dump]:
    """A few windows in a file, with hundreds of series, and what is in them."""
    kept = Kept(folder, memory=memory)
    shape = layout(*({"__name__": f"m{name}", "port": str(port)} for name in range(4) for port in range(100)))
    numbers = random.Random(1)
    for _ in range(windows):
        start = kept.clock.now()
        for poll in range(20):
            values = [numbers.random() * 1e9 for _ in range(400)]
            kept.head.append([batch(source(), start + 15 * poll, shape, values)])
        await kept.pack()
    return kept, kept.read()


def damaged(kept: Kept, kind: str = "file") -> float:
    return float(kept.metrics.damaged.labels(kind)._value.get())


@pytest.mark.asyncio
async def test_a_flipped_bit_costs_one_chunk_and_is_told(tmp_path: Path) -> None:
    kept, whole = await packed(tmp_path)
    (path,) = tmp_path.glob("*.history")
    with sqlite3.connect(path) as db:
        rowid, data = db.execute("SELECT rowid, content FROM chunk ORDER BY length(content) DESC").fetchone()
        spoilt = bytearray(data)
        spoilt[len(spoilt) // 2] ^= 4
        db.execute("UPDATE chunk SET content = ? WHERE rowid = ?", (bytes(spoilt), rowid))
    await kept.restart()
    found = kept.read()
    assert damaged(kept) == 1
    assert kept.read() == found
    assert damaged(kept) == 1
    lost = [series for series, samples in whole.items() if found.get(series) != samples]
    assert lost
    for series in lost:
        assert len(found[series]) == len(whole[series]) - 20
        assert set(found[series]) < set(whole[series])


@pytest.mark.asyncio
@pytest.mark.parametrize("what", ["cut", "zeros", "head", "pages", "tables"])
async def test_a_spoilt_file_goes_aside_and_what_can_be_read_stays(tmp_path: Path, what: str) -> None:
    kept, whole = await packed(tmp_path)
    (path,) = tmp_path.glob("*.history")
    await kept.history.close()
    data = bytearray(path.read_bytes())
    if what == "cut":
        data = data[: len(data) * 2 // 3]
    elif what == "zeros":
        data[:] = bytes(len(data))
    elif what == "head":
        data[:100] = b"\xff" * 100
    elif what == "tables":
        with sqlite3.connect(path) as db:
            db.execute("DROP TABLE about")
        db.close()
        data = bytearray(path.read_bytes())
    else:
        numbers = random.Random(2)
        for page in range(2, len(data) // 4096, 3):
            data[page * 4096 : page * 4096 + 64] = numbers.randbytes(64)
    path.write_bytes(bytes(data))
    await kept.restart(is_killed=True)
    found = kept.read()
    for series, samples in found.items():
        assert set(samples) <= set(whole[series])
    # New windows go into a file again, and stay readable.
    for poll in range(20):
        kept.head.append([batch(source(), kept.clock.now() + 15 * poll, SHAPE, [poll, poll])])
    await kept.pack()
    assert damaged(kept) >= 1
    assert len(kept.read(named("a"))['a{instance="sw1", job="if_mib"}']) == 20
    await kept.restart()
    assert len(kept.read(named("a"))['a{instance="sw1", job="if_mib"}']) == 20
    assert list((tmp_path / "damaged").iterdir())


@pytest.mark.asyncio
async def test_a_spoilt_segment_is_packed_as_far_as_it_can_be_read_and_kept_aside(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    for poll in range(30):
        await kept.at(START + 15 * poll)
        kept.head.append([batch(source(), START + 15 * poll, SHAPE, [poll, poll])])
        await kept.history.flush()
    await kept.history.close()
    (path,) = (tmp_path / "journal").iterdir()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    await kept.restart(is_killed=True)
    assert damaged(kept, "segment") == 1
    await kept.history.care()
    assert len(kept.read(named("a"))['a{instance="sw1", job="if_mib"}']) == 29
    assert len(list((tmp_path / "damaged").iterdir())) == 1
    assert list(newest(kept.head, START + 15 * 29, "a").values()) == [29.0]


@pytest.mark.asyncio
async def test_what_may_not_be_read_holds_up_nothing(tmp_path: Path) -> None:
    kept, _ = await packed(tmp_path, memory=7200.0)
    await kept.history.close()
    (tmp_path / "2020-01-01T00.history").mkdir()
    (tmp_path / "journal" / "000000009999.packed").mkdir()
    await kept.restart(is_killed=True)
    assert kept.metrics.failures.labels("read")._value.get() == 2
    assert kept.head.series > 400
    kept.head.append([batch(source(), kept.clock.now(), SHAPE, [1.0, 2.0])])
    await kept.pack()
    assert len(kept.read(named("a"))['a{instance="sw1", job="if_mib"}']) == 1


@pytest.mark.asyncio
async def test_the_number_of_a_segment_is_never_used_again(tmp_path: Path) -> None:
    kept, _ = await packed(tmp_path)
    await kept.history.close()
    for path in (tmp_path / "journal").iterdir():
        path.unlink()
    await kept.restart(is_killed=True)
    kept.head.append([batch(source(), kept.clock.now(), SHAPE, [1.0, 2.0])])
    await kept.pack()
    assert len(kept.read(named("a"))['a{instance="sw1", job="if_mib"}']) == 1


@pytest.mark.asyncio
async def test_looking_over_names_what_is_damaged_and_nothing_else(tmp_path: Path) -> None:
    kept, _ = await packed(tmp_path, memory=7200.0)
    await kept.history.close()
    assert list(look_over(tmp_path)) == []
    (path,) = tmp_path.glob("*.history")
    with sqlite3.connect(path) as db:
        db.execute("UPDATE chunk SET checksum = checksum + 1 WHERE window = 2")
        db.execute("UPDATE stamps SET checksum = checksum + 1 WHERE window = 3")
        db.execute("UPDATE bundle SET digest = x'00' WHERE id = 1")
    (tmp_path / "2020-01-01T00.history").write_bytes(b"no database at all" * 100)
    segment = max(segments_in(tmp_path / "journal"))
    data = bytearray(segment.read_bytes())
    data[20] ^= 1
    segment.write_bytes(bytes(data))
    found = list(look_over(tmp_path))
    for word in (
        "2020-01-01T00.history: 2020-01-01T00.history: file is not a database",
        "instants of window 3",
    ):
        assert any(word in text for text in found), found
    assert any("labels with a wrong checksum" in text for text in found)
    assert any(text.startswith(str(segment)) for text in found)


# No room


@pytest.mark.asyncio
async def test_a_full_disk_pauses_and_it_goes_on_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Kept(tmp_path)

    async def poll(number: int) -> None:
        await kept.at(START + 15 * number)
        kept.head.append([batch(source(), START + 15 * number, SHAPE, [number, number])])
        await kept.history.flush()

    for number in range(5):
        await poll(number)
    journal_write = type(kept.history._journal).write

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(type(kept.history._journal), "write", full)
    for number in range(5, 10):
        await poll(number)
    assert kept.metrics.is_paused._value.get() == 1
    assert kept.metrics.dropped.labels("disk")._value.get() == 5 * 5
    assert list(newest(kept.head, START + 15 * 9, "a").values()) == [9.0]
    monkeypatch.setattr(type(kept.history._journal), "write", journal_write)
    for number in range(10, 15):
        await poll(number)
    assert kept.metrics.is_paused._value.get() == 0
    for _ in range(2):
        samples = kept.read(named("a"))['a{instance="sw1", job="if_mib"}']
        assert [(at / 1000 - START) / 15 for at, _ in samples] == [0, 1, 2, 3, 4, 10, 11, 12, 13, 14]
        await kept.pack()


@pytest.mark.asyncio
async def test_what_cannot_be_packed_waits_in_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Kept(tmp_path)
    for poll in range(30):
        kept.head.append([batch(source(), START + 15 * poll, SHAPE, [poll, poll])])
    whole = None
    monkeypatch.setattr("sentinel.series.history.store.pack_window", _no_room)
    await kept.pack()
    whole = kept.read()
    assert kept.metrics.failures.labels("pack")._value.get() >= 1
    assert len(whole['a{instance="sw1", job="if_mib"}']) == 30
    monkeypatch.undo()
    await kept.history.care()
    assert kept.read() == whole
    assert list(tmp_path.glob("*.history"))


def _no_room(*_: object) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


# Retention


@pytest.mark.asyncio
async def test_files_go_by_age_and_by_size(tmp_path: Path) -> None:
    kept = Kept(tmp_path, retention=2 * 86400.0, memory=600.0)
    for window in range(4 * 24):
        start = START + 3600 * window
        await kept.at(start)
        for poll in range(10):
            kept.head.append([batch(source(), start + 60 * poll, SHAPE, [poll, window])])
        await kept.history.flush()
        await kept.history.care()
    await kept.pack()
    files = sorted(tmp_path.glob("*.history"))
    assert 8 <= len(files) <= 10
    oldest = kept.history.reader.oldest
    assert kept.clock.now() - 2.4 * 86400 < oldest < kept.clock.now() - 1.7 * 86400
    assert min(at for at, _ in kept.read(named("b"))['b{instance="sw1", job="if_mib"}']) == round(
        oldest * 1000
    )
    # The journal has what the head may want again, and no more.
    assert sum(path.stat().st_size for path in segments_in(tmp_path / "journal")) < 20_000
    kept.limits = type(kept.limits)(600.0, 2 * 86400.0, 3 * file_bytes(files[-2]))
    await kept.restart()
    await kept.history.care()
    assert 1 <= len(list(tmp_path.glob("*.history"))) <= 3
    assert kept.history.reader.oldest > oldest


@pytest.mark.asyncio
async def test_damage_is_forgotten_with_its_time(tmp_path: Path) -> None:
    kept, _ = await packed(tmp_path, 1)
    folder = tmp_path / "damaged"
    folder.mkdir()
    (folder / "old.0.history").write_bytes(b"x")
    await kept.history.care()
    assert list(folder.iterdir())
    kept.clock.step(10 * 365 * 86400)
    await kept.history.care()
    assert not list(folder.iterdir())
