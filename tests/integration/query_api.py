"""The query API over a real engine and real sockets, and a Prometheus with the same samples beside it."""

from __future__ import annotations

import asyncio
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
from prometheus_client import CollectorRegistry

from sentinel.model.labels import Labels
from sentinel.promql import Engine
from sentinel.promql.catalogue import Catalogue
from sentinel.promql.service import QueryService
from sentinel.runtime.clock import SystemClock
from sentinel.series.head import Head
from sentinel.series.remote import wire
from sentinel.web.app import create_app
from sentinel.web.seams.faces import Faces
from sentinel.web.server import listen, serve
from tests.servers.stores import Store
from tests.unit.series.shelf import Shelf
from tests.unit.web.fakes import Rooms

REQUEST = 5_000
"""Samples of one remote write."""


class _Rooms(Rooms):
    """Fakes but for what answers queries."""

    def over(self, engine: Engine, service: QueryService) -> Faces:
        faces = self.faces()
        return Faces(
            engine,
            service,
            Catalogue(engine, service, SystemClock()),
            faces.alerts,
            faces.incidents,
            faces.fleet,
            faces.exposition,
            faces.health,
            faces.tokens,
            faces.reload,
            faces.site,
            SystemClock(),
        )


@contextmanager
def served(head: Head, engine: Engine | None = None) -> Iterator[str]:
    """The address of a Sentinel with these samples, on an event loop of its own."""
    ready, stop, found = threading.Event(), asyncio.Event(), []

    async def main() -> None:
        with listen("127.0.0.1", 0) as bound:
            over = engine or Engine(head)
            with closing(QueryService(over, SystemClock())) as service:
                app = create_app(_Rooms().over(over, service), CollectorRegistry())
                async with asyncio.TaskGroup() as group:
                    serving = group.create_task(serve(app, bound))
                    found.extend([bound.getsockname()[1], asyncio.get_running_loop()])
                    ready.set()
                    await stop.wait()
                    serving.cancel()

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    assert ready.wait(10)
    try:
        yield f"http://127.0.0.1:{found[0]}"
    finally:
        found[1].call_soon_threadsafe(stop.set)
        thread.join(15)
    assert not thread.is_alive()


@contextmanager
def prometheus(folder: Path, shelf: Shelf) -> Iterator[Store]:
    """A Prometheus that got the shelf's samples by remote write."""
    store = Store("prometheus", folder)
    asyncio.run(store.start())
    try:
        push(shelf, store.write_url)
        yield store
    finally:
        store.stop()


def push(shelf: Shelf, url: str) -> None:
    """Every sample, staleness markers among them, oldest first."""
    points: list[tuple[float, Labels, float]] = sorted(
        ((at, labels, value) for labels, found in shelf.points.items() for at, value in found),
        key=lambda point: (point[0], point[1].pairs),
    )
    heads = {labels: wire.head_of(labels) for labels in shelf.points}
    parts = [
        part
        for at, labels, value in points
        for part in wire.series_of([heads[labels]], np.array([value]), round(at * 1000))
    ]
    for start in range(0, len(parts), REQUEST):
        body = wire.compressed(b"".join(parts[start : start + REQUEST]))
        headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
        request = urllib.request.Request(url, body, headers, method="POST")
        with urllib.request.urlopen(request, timeout=60):
            pass
