"""Remote write: what is put into the spool, and what the event loop has to do with it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from sentinel.config.remote import RemoteWriteSettings
from sentinel.model.batch import STALE, is_stale
from sentinel.runtime.clock import ManualClock
from sentinel.series.head import Head
from sentinel.series.remote import wire
from sentinel.series.remote.metrics import RemoteMetrics
from sentinel.series.remote.spool import Spool
from sentinel.series.remote.writer import RemoteWriter
from tests.unit.series.feeding import START, batch, down, layout, source
from tests.unit.series.sending import Taken


@pytest.fixture
def writer(tmp_path: Path) -> RemoteWriter:
    settings = RemoteWriteSettings.model_validate(
        {"name": "test", "url": "http://127.0.0.1:1/", "labels": {"site": "hq"}}
    )
    return RemoteWriter(
        settings, tmp_path, clock=ManualClock(START), metrics=RemoteMetrics(CollectorRegistry())
    )


async def written(writer: RemoteWriter, folder: Path) -> list[tuple[str, float, float]]:
    """Series, value and instant of everything in the spool, which is emptied."""
    await writer.flush()
    await writer.close()
    return list(_read(folder))


def _read(folder: Path) -> Iterator[tuple[str, float, float]]:
    spool = Spool(folder, 1 << 30)
    while (body := spool.peek()) is not None:
        for one in wire.parse(wire.decompressed(body)):
            for value, at in one.samples:
                yield str(one.labels), value, at / 1000
        spool.take()
    spool.close()


async def test_labels_are_encoded_beside_the_event_loop(writer: RemoteWriter, tmp_path: Path) -> None:
    head = Head()
    head.listen(writer)
    shape = layout(*({"__name__": f"m{i}", "port": str(i), "alias": f"port {i}"} for i in range(20_000)))
    values = [float(i) for i in range(20_000)]
    one, other = batch(source(), START, shape, values), batch(source(), START + 15, shape, values)
    before = time.thread_time()
    writer.append([one])
    writer.append([other])
    spent = time.thread_time() - before
    assert spent < 0.02
    assert len(await written(writer, tmp_path)) == 2 * 20_003


async def test_what_leaves_a_layout_ends_and_what_stays_does_not(
    writer: RemoteWriter, tmp_path: Path
) -> None:
    writer.append([batch(source(), START, layout("a", "b"), [1.0, 2.0])])
    writer.append([batch(source(), START + 15, layout("b", "c"), [2.0, 3.0])])
    writer.append([down(source(), START + 30)])
    writer.append([down(source(), START + 45)])
    found = await written(writer, tmp_path)
    ended = [(name.partition("{")[0], at) for name, value, at in found if is_stale(np.array([value])).all()]
    assert sorted(ended) == [("a", START + 15), ("b", START + 30), ("c", START + 30)]
    assert all('site="hq"' in name for name, _, _ in found)


async def test_received_series_are_handed_on_as_they_came(writer: RemoteWriter, tmp_path: Path) -> None:
    taken = Taken()
    taken.head.listen(writer)
    sent: list[tuple[str, float, float]] = []
    for tick in range(5):
        at = START + 15 * tick
        names = "abc" if tick != 2 else "ab"  # c stays away once, and is not ended for it
        samples = [(name, float(tick), at) for name in names]
        if tick == 3:
            samples[0] = ("a", STALE, at)
        if tick == 4:
            samples = samples[1:]
        await taken.send(*samples)
        sent += samples
        await taken.wait(15)
    found = await written(writer, tmp_path)
    own = '{instance="web1", job="node", site="hq"}'
    told = sorted((name, at, np.float64(value).tobytes()) for name, value, at in found)
    assert told == sorted((f"{name}{own}", at, np.float64(value).tobytes()) for name, value, at in sent)
