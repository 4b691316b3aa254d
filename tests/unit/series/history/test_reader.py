from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentinel.model.batch import STALE, STALE_BITS
from sentinel.model.labels import Labels
from sentinel.series.head import Head
from sentinel.series.history.history import WINDOW
from sentinel.series.index.matcher import Matcher, MatchOperator
from sentinel.series.reading.archive import Archive
from tests.unit.series.feeding import START, batch, down, layout, named, rule_source, source
from tests.unit.series.history.keeping import Kept, dump
from tests.unit.series.history.test_restore import SHAPES, values

HOUR = 3600.0


class Told:
    def __init__(self) -> None:
        self.samples = 0

    def __call__(self, samples: int) -> None:
        self.samples += samples


async def polled(kept: Kept, hours: float, *, interval: float = 60.0, targets: int = 2) -> None:
    """Two series of some targets, packed but for the last window."""
    shape = layout("a", {"__name__": "b", "port": "1"})
    for poll in range(int(hours * HOUR / interval)):
        at = START + poll * interval
        await kept.at(at)
        kept.head.append(
            [
                batch(source(f"t{n}", interval=interval), at + n, shape, [float(poll), poll * 3.0 + n])
                for n in range(targets)
            ]
        )
        if poll % 30 == 0:
            await kept.history.flush()
            await kept.history.care()
    await kept.history.flush()
    await kept.history.care()


@pytest.mark.asyncio
async def test_samples_older_than_the_heads_are_read_from_disk(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    await polled(kept, 8)
    found = kept.read(named("a"))
    assert set(found) == {f'a{{instance="t{n}", job="if_mib"}}' for n in range(2)}
    for n in range(2):
        samples = found[f'a{{instance="t{n}", job="if_mib"}}']
        assert [at for at, _ in samples] == [round((START + n + 60 * poll) * 1000) for poll in range(480)]
        assert [np.uint64(int(bits, 16)).view(np.float64) for _, bits in samples] == list(range(480))
    assert kept.history.reader.oldest == START
    archive: Archive = kept.history.reader
    assert archive.oldest < kept.head.since


@pytest.mark.asyncio
async def test_only_the_time_wanted_is_read_and_charged(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    await polled(kept, 8)
    whole = kept.read(named("b"))
    for start, end in (
        (START + 1, START + 2),
        (START + 1000, START + 9000.5),
        (START + 7 * HOUR, START + 9e9),
    ):
        told = Told()
        kept.history.reader.read(named("b"), start, end, None, charge=told)
        part = kept.read(named("b"), start, end)
        expected = {
            series: [(at, bits) for at, bits in samples if start * 1000 < at <= end * 1000]
            for series, samples in whole.items()
        }
        assert part == {series: samples for series, samples in expected.items() if samples}
        count = sum(map(len, part.values()))
        assert count <= told.samples <= count + 4 * 31


@pytest.mark.asyncio
async def test_a_charge_that_raises_ends_the_reading(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    await polled(kept, 2)
    for error in (RuntimeError("too many"), TimeoutError("too long")):

        def charge(_: int, error: Exception = error) -> None:
            raise error

        with pytest.raises(type(error)):
            kept.history.reader.read(named("b"), 0, 1e11, None, charge=charge)


@pytest.mark.asyncio
async def test_matchers_choose_series(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    await polled(kept, 2, targets=3)
    chosen = kept.read(
        (Matcher("instance", MatchOperator.MATCH, "t[12]"), Matcher("port", MatchOperator.EQUAL, "1"))
    )
    assert set(chosen) == {f'b{{instance="t{n}", job="if_mib", port="1"}}' for n in (1, 2)}
    assert kept.read((*named("b"), Matcher("port", MatchOperator.EQUAL, ""))) == {}
    with pytest.raises(ValueError, match="regular"):
        kept.read((Matcher("instance", MatchOperator.MATCH, "("),))


@pytest.mark.asyncio
async def test_labels_come_from_disk_too(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    await polled(kept, 2)
    reader, everything = kept.history.reader, Told()
    labels = reader.labels_of(named("b"), 0, 1e11, charge=everything)
    assert sorted(map(str, labels)) == [f'b{{instance="t{n}", job="if_mib", port="1"}}' for n in range(2)]
    assert set(reader.label_names((), 0, 1e11, charge=everything)) == {"__name__", "instance", "job", "port"}
    assert set(reader.label_values("instance", (), 0, 1e11, charge=everything)) == {"t0", "t1"}
    assert reader.label_values("instance", (), 0, START - HOUR, charge=everything) == set()


@pytest.mark.asyncio
async def test_the_same_labels_are_the_same_object(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    await polled(kept, 3)
    one, two = (kept.history.reader.read(named("a"), 0, 1e11, None, charge=Told()) for _ in range(2))
    assert one
    assert [id(each.labels) for each in one] == [id(each.labels) for each in two]


@pytest.mark.asyncio
async def test_series_of_one_source_share_a_slot(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    await polled(kept, 3)
    (one,) = kept.history.reader.read((), 0, START + HOUR, None, charge=Told())
    assert one.samples.slots is not None
    assert len(one.labels) == 10
    assert one.samples.stamps.shape[1] == 2


@pytest.mark.asyncio
async def test_a_series_that_moved_to_another_source_is_one(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    one, two = source("one"), source("two")
    for each in (one, two):
        object.__setattr__(each, "labels", Labels(instance="same", job="j"))
    for poll in range(10):
        kept.head.append([batch(one, START + 15 * poll, layout("a"), [poll])])
    kept.head.forget(one)
    for poll in range(10, 20):
        kept.head.append([batch(two, START + 15 * poll, layout("a"), [poll])])
    await kept.history.flush()
    for _ in range(2):
        (samples,) = kept.read(named("a")).values()
        bits = [np.uint64(int(bits, 16)) for _, bits in samples]
        values_ = np.array(bits, np.uint64).view(np.float64)
        assert values_[~np.isnan(values_)].tolist() == list(range(20))
        await kept.pack()


@pytest.mark.asyncio
async def test_what_is_not_packed_yet_is_read_from_the_journal(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    for poll in range(20):
        kept.head.append([batch(source(), START + 15 * poll, layout("a"), [poll])])
    await kept.history.flush()
    before = kept.read()
    assert len(before['a{instance="sw1", job="if_mib"}']) == 20
    await kept.pack()
    assert kept.read() == before
    assert list(tmp_path.glob("*.history"))
    await kept.restart()
    assert kept.read() == before


@pytest.mark.asyncio
async def test_a_clock_set_back_between_two_lives_leaves_what_was_written_last(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    for poll in range(100):
        kept.head.append([batch(source(), START + 15 * poll, layout("a"), [poll])])
    await kept.pack()
    kept.clock.step(-WINDOW - 1000)
    await kept.restart()
    for poll in range(20):
        at = START + 500 + 15 * poll
        kept.head.append([batch(source(), at, layout("a"), [1000 + poll])])
    await kept.pack()
    (samples,) = kept.read(named("a")).values()
    found = np.array([int(bits, 16) for _, bits in samples], np.uint64).view(np.float64).tolist()
    assert found == [*range(34), *range(1000, 1020)]


@pytest.mark.asyncio
async def test_a_step_of_the_clock_moves_the_files_with_the_head(tmp_path: Path) -> None:
    kept = Kept(tmp_path, memory=7200.0)
    for poll in range(100):
        kept.head.append([batch(source(), START + 15 * poll, layout("a"), [poll])])
    await kept.pack()
    for step in (5000.5, -9000.0):
        await kept.shift(step)
        now = kept.clock.now()
        kept.head.append([batch(source(), now, layout("a"), [7.0])])
        await kept.history.flush()
        await kept.history.care()
        assert kept.read(named("a")) == dump(kept.head, 0, 1e11, "a")
    await kept.pack()
    await kept.restart()
    assert kept.read(named("a")) == dump(kept.head, 0, 1e11, "a")


polls = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(-1, len(SHAPES) - 1),
        st.integers(10, 400),
        st.lists(values, min_size=3, max_size=3),
        st.sampled_from(["", "", "", "", "", "pack", "flush", "restart", "kill"]),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(polls)
@pytest.mark.asyncio
async def test_whatever_was_polled_is_read(
    tmp_path_factory: pytest.TempPathFactory, given_polls: list[Any]
) -> None:
    kept = Kept(tmp_path_factory.mktemp("history"), memory=7200.0)
    reference = Head(retention=10 * 86400.0)
    sources = [source("x"), source("y", interval=60.0, site="s"), rule_source()]
    at = START
    for number, kind, pause, row, event in given_polls:
        at = round(at + pause * 6, 3)
        await kept.at(at)
        where = sources[number]
        made = (
            down(where, at)
            if kind < 0
            else batch(
                where,
                at,
                SHAPES[kind],
                [value if value == value else STALE for value in row[: len(SHAPES[kind])]],
            )
        )
        kept.head.append([made])
        reference.append([made])
        if event == "pack":
            await kept.pack()
            at = kept.clock.now()
        elif event == "flush":
            await kept.history.flush()
        elif event == "restart":
            await kept.restart()
        elif event == "kill":
            await kept.history.flush()
            await kept.restart(is_killed=True)
    await kept.history.flush()
    stale = f"{STALE_BITS:x}"
    found = {series: [one for one in samples if one[1] != stale] for series, samples in kept.read().items()}
    assert {series: samples for series, samples in found.items() if samples} == {
        series: kept_ones
        for series, samples in dump(reference, 0, 1e11).items()
        if (kept_ones := [one for one in samples if one[1] != stale])
    }
