"""Remote write while the store is stopped in the middle: real seconds, real stores."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from prometheus_client import CollectorRegistry

from sentinel.config.remote import RemoteWriteSettings
from sentinel.model.batch import Batch, Layout, Reading, Source
from sentinel.model.labels import Labels
from sentinel.runtime.clock import SystemClock
from sentinel.series.head import Head
from sentinel.series.remote.metrics import RemoteMetrics
from sentinel.series.remote.writer import RemoteWriter
from tests.servers.stores import Store

Kind = Literal["prometheus", "victoria-metrics"]
SERIES = 300
INTERVAL = 0.5
AROUND = 3.0
"""Seconds of polls before and after the absence."""
PATIENCE = 90.0


@dataclass(frozen=True, slots=True)
class Told:
    """What the store has in the end."""

    polls: int
    counts: frozenset[float]
    """Samples of each series: all should have as many as there were polls."""
    wrong_sums: int
    """Series whose samples do not add up."""
    waited: int
    """Bytes that waited on disk at most."""
    seconds: float
    """From the store's return until it had everything."""


async def store_away(kind: Kind, folder: Path, seconds: float) -> Told:
    """Poll twice a second; stop the store for that long in between."""
    store, registry = Store(kind, folder), CollectorRegistry()
    await store.start()
    where = Source("sw1", "if_mib", Labels(instance="sw1", job="if_mib"), INTERVAL)
    shape = Layout.of(Labels(__name__="x_total", i=str(i)) for i in range(SERIES))
    settings = RemoteWriteSettings.model_validate(
        {"name": "away", "url": store.write_url, "every": "500ms", "timeout": "5s"}
    )
    writer = RemoteWriter(settings, folder / "spool", clock=SystemClock(), metrics=RemoteMetrics(registry))
    head = Head()
    head.listen(writer)
    task = asyncio.ensure_future(writer.run())
    began, polls, waited = time.time(), 0, 0.0
    try:
        while (passed := time.time() - began) < seconds + 2 * AROUND:
            if AROUND <= passed < AROUND + seconds:
                store.stop()
            elif passed >= AROUND + seconds and not store.is_running:
                await store.start()
                back = time.time()
            values = np.arange(0.0, SERIES) * 1000 + polls
            head.append(
                [Batch(where, began + polls * INTERVAL, Reading(shape, values), up=True, duration=0.1)]
            )
            polls += 1
            waiting = registry.get_sample_value("sentinel_remote_write_waiting_bytes", {"store": "away"})
            waited = max(waited, waiting or 0.0)
            await asyncio.sleep(max(began + polls * INTERVAL - time.time(), 0))
        counts, took = await _settled(store, began + polls * INTERVAL, polls, back)
        sums = await _by_series(store, "sum_over_time", began + polls * INTERVAL)
        wanted = {str(i): i * 1000.0 * polls + sum(range(polls)) for i in range(SERIES)}
        wrong = sum(sums.get(name) != value for name, value in wanted.items())
        return Told(polls, frozenset(counts.values()), wrong, int(waited), took)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await writer.close()
        store.stop()


async def _settled(store: Store, at: float, polls: int, back: float) -> tuple[dict[str, float], float]:
    """Samples of each series, once all are there; and what is there when patience ends."""
    while True:
        counts = await _by_series(store, "count_over_time", at)
        took = time.time() - back
        if (len(counts) == SERIES and set(counts.values()) == {float(polls)}) or took > PATIENCE:
            return counts, took
        await asyncio.sleep(0.2)


async def _by_series(store: Store, function: str, at: float) -> dict[str, float]:
    found = await asyncio.to_thread(store.query, f"{function}(x_total[30m])", at)
    return {one["metric"]["i"]: float(one["value"][1]) for one in found}
