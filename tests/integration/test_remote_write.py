"""Remote write into real stores: every sample once, also over an absence of the store and a restart of ours."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from sentinel.config.remote import RemoteWriteSettings
from sentinel.model.batch import Batch, Layout, Reading, Source
from sentinel.model.labels import Labels
from sentinel.runtime.clock import SystemClock
from sentinel.series.head import Head
from sentinel.series.remote.metrics import RemoteMetrics
from sentinel.series.remote.writer import RemoteWriter
from tests.integration.store_away import store_away
from tests.servers.stores import Store

SERIES = 300
TICKS = 40
INTERVAL = 15.0


class _Fleet:
    """A source whose counters tell which polls came through."""

    def __init__(self, start: float) -> None:
        self.start = start
        self.source = Source("sw1", "if_mib", Labels(instance="sw1", job="if_mib"), INTERVAL)
        self.layout = Layout.of(Labels(__name__="x_total", i=str(i), job="inner") for i in range(SERIES))

    def batch(self, tick: int) -> Batch:
        values = np.arange(0.0, SERIES * 1000.0, 1000.0) + tick
        return Batch(self.source, self.at(tick), Reading(self.layout, values), up=True, duration=0.25)

    def at(self, tick: int) -> float:
        return self.start + tick * INTERVAL


@asynccontextmanager
async def _writer(
    store: Store, folder: Path, registry: CollectorRegistry, **more: Any
) -> AsyncIterator[Head]:
    """A head whose samples go to the store."""
    written = {"name": "test", "url": store.write_url, "every": "50ms", "timeout": "5s", **more}
    settings = RemoteWriteSettings.model_validate(written)
    writer = RemoteWriter(settings, folder, clock=SystemClock(), metrics=RemoteMetrics(registry))
    head = Head(retention=7200.0, recent=7200.0)
    head.listen(writer)
    task = asyncio.ensure_future(writer.run())
    try:
        yield head
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await writer.close()


async def _eventually(store: Store, query: str, at: float, wanted: dict[str, float]) -> None:
    """By label i."""
    found: dict[str, float] = {}
    for _ in range(300):
        answer = await asyncio.to_thread(store.query, query, at)
        found = {one["metric"].get("i", ""): float(one["value"][1]) for one in answer}
        if found == wanted:
            return
        await asyncio.sleep(0.1)
    assert found == wanted


@pytest.mark.parametrize("kind", ["prometheus", "victoria-metrics"])
async def test_every_sample_arrives_once_though_the_store_was_away_and_we_were_restarted(
    kind: Literal["prometheus", "victoria-metrics"], tmp_path: Path
) -> None:
    store, registry = Store(kind, tmp_path), CollectorRegistry()
    await store.start()
    fleet = _Fleet(time.time() - TICKS * INTERVAL)
    try:
        async with _writer(store, tmp_path / "spool", registry, labels={"site": "hq", "job": "no"}) as head:
            for tick in range(10):
                head.append([fleet.batch(tick)])
                await asyncio.sleep(0.02)
            await _eventually(store, "count(x_total)", fleet.at(9), {"": SERIES})
            store.stop()
            for tick in range(10, 20):
                head.append([fleet.batch(tick)])
                await asyncio.sleep(0.02)
        async with _writer(store, tmp_path / "spool", CollectorRegistry(), labels={"site": "hq"}) as head:
            for tick in range(20, 30):
                head.append([fleet.batch(tick)])
                await asyncio.sleep(0.02)
            await store.start()
            for tick in range(30, TICKS):
                head.append([fleet.batch(tick)])
                await asyncio.sleep(0.02)
            at, window = fleet.at(TICKS - 1), f"{TICKS * INTERVAL:g}s"
            every = {str(i): float(TICKS) for i in range(SERIES)}
            await _eventually(store, f"count_over_time(x_total[{window}])", at, every)
            sums = {str(i): i * 1000.0 * TICKS + sum(range(TICKS)) for i in range(SERIES)}
            await _eventually(store, f"sum_over_time(x_total[{window}])", at, sums)
            # The source's own labels stay: exported_job is the series', site the writer's.
            asked = 'x_total{instance="sw1", job="if_mib", exported_job="inner", site="hq"}'
            await _eventually(store, f"count({asked})", at, {"": SERIES})
            await _eventually(store, 'count_over_time(up{instance="sw1"}[1h])', at, {"": TICKS})
    finally:
        store.stop()


async def test_a_stop_while_no_thread_is_free_loses_nothing(tmp_path: Path) -> None:
    """Samples that are on their way to the disk when we are stopped stand there afterwards."""
    store, busy = Store("prometheus", tmp_path), threading.Event()
    loop, fleet = asyncio.get_running_loop(), _Fleet(time.time() - 600)
    loop.set_default_executor(ThreadPoolExecutor(1))
    async with _writer(store, tmp_path / "spool", CollectorRegistry()) as head:
        await asyncio.sleep(0.1)
        loop.run_in_executor(None, busy.wait)
        head.append([fleet.batch(0)])
        await asyncio.sleep(0.1)  # until it is gathered, and waits for the thread
        loop.call_later(0.1, busy.set)
    await store.start()
    try:
        async with _writer(store, tmp_path / "spool", CollectorRegistry()):
            await _eventually(store, "count(x_total)", fleet.at(0), {"": SERIES})
    finally:
        store.stop()


async def test_what_ends_ends_there_too(tmp_path: Path) -> None:
    store, registry = Store("prometheus", tmp_path), CollectorRegistry()
    await store.start()
    fleet = _Fleet(time.time() - 600)
    fewer = Layout.of(fleet.layout.series[:3])
    try:
        async with _writer(store, tmp_path / "spool", registry) as head:
            head.append([fleet.batch(0)])
            values = np.arange(3.0)
            head.append([Batch(fleet.source, fleet.at(1), Reading(fewer, values), up=True, duration=0.1)])
            await _eventually(store, "count(x_total)", fleet.at(1), {"": 3})
            head.append([Batch.down(fleet.source, at=fleet.at(2), duration=1.0, reason="timeout")])
            await _eventually(store, "up", fleet.at(2), {"": 0.0})
            await _eventually(store, "count(x_total)", fleet.at(2), {})
            head.append([fleet.batch(3)])
            await _eventually(store, "count(x_total)", fleet.at(3), {"": SERIES})
            head.forget(fleet.source)
            await _eventually(store, "x_total or up", time.time(), {})
    finally:
        store.stop()


async def test_what_the_store_refuses_for_good_does_not_hold_up_the_rest(tmp_path: Path) -> None:
    store, registry = Store("prometheus", tmp_path), CollectorRegistry()
    await store.start()
    fleet = _Fleet(time.time() - 600)
    try:
        async with _writer(store, tmp_path / "spool", registry) as head:
            head.append([fleet.batch(5)])
            await _eventually(store, "count(x_total)", fleet.at(5), {"": SERIES})
            # The same series by another source, older than what it has: Prometheus takes no such samples.
            again = Source("again", "if_mib", fleet.source.labels, INTERVAL)
            head.append([replace(fleet.batch(1), source=again)])
            await asyncio.sleep(0.3)
            head.append([fleet.batch(6)])
            await _eventually(store, "count_over_time(x_total{i='7'}[10m])", fleet.at(6), {"7": 2.0})
        labels = {"store": "test", "result": "refused"}
        assert registry.get_sample_value("sentinel_remote_write_requests_total", labels) == 1.0
    finally:
        store.stop()


@pytest.mark.parametrize("kind", ["prometheus", "victoria-metrics"])
async def test_every_sample_arrives_once_though_the_store_was_stopped_for_some_seconds(
    kind: Literal["prometheus", "victoria-metrics"], tmp_path: Path
) -> None:
    """A minute of it is in `make test-faults`."""
    told = await store_away(kind, tmp_path, 4.0)
    assert told.counts == {float(told.polls)}
    assert told.wrong_sums == 0
    assert told.waited > 0
