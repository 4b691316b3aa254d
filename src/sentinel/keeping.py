"""What is kept: the history on disk, samples for and from others, the numbers of interfaces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from prometheus_client import CollectorRegistry

from sentinel.collect.snmp.numbers import InterfaceNumbers
from sentinel.db.database import Database
from sentinel.db.interfaces import InterfaceStore
from sentinel.model.problem import UnusableError
from sentinel.promql.engine import Engine
from sentinel.reload import Configuration
from sentinel.runtime.clock import Clock
from sentinel.series.head import Head
from sentinel.series.history.history import History
from sentinel.series.history.metrics import HistoryMetrics
from sentinel.series.history.store import Limits
from sentinel.series.remote.intake import Intake
from sentinel.series.remote.metrics import IntakeMetrics, RemoteMetrics
from sentinel.series.remote.writer import RemoteWriter


@asynccontextmanager
async def open_history(
    running: Configuration, engine: Engine, clock: Clock, registry: CollectorRegistry
) -> AsyncIterator[History | None]:
    """The history on disk, with the head filled from it; None where it is switched off.

    Raises:
        UnusableError: its folder cannot be used.
    """
    settings = running.settings.history
    if not settings.disk:
        yield None
        return
    folder, metrics = running.data_dir / settings.folder, HistoryMetrics(registry)
    limits = Limits(settings.memory, settings.retention, settings.max_size)
    try:
        history = History(folder, limits, keep_free=settings.keep_free, clock=clock, metrics=metrics)
    except OSError as error:
        text = f"cannot keep samples in {folder}: {error.strerror or error}"
        raise UnusableError([running.document.problem(("history", "folder"), text)]) from None
    await asyncio.to_thread(history.restore, engine.head)
    engine.archive = history.reader
    try:
        yield history
    finally:
        await history.close()


@asynccontextmanager
async def open_remote_writers(
    running: Configuration, head: Head, clock: Clock, registry: CollectorRegistry
) -> AsyncIterator[dict[str, RemoteWriter]]:
    """One for each store, listening to the head; what is not sent at the end waits on disk.

    Raises:
        UnusableError: a folder for what waits cannot be made.
    """
    metrics = RemoteMetrics(registry)
    writers = {}
    for number, settings in enumerate(running.settings.history.remote_write):
        folder = running.data_dir / "remote" / settings.name
        try:
            writers[settings.name] = RemoteWriter(settings, folder, clock=clock, metrics=metrics)
        except OSError as error:
            place = ("history", "remote_write", number)
            text = f"cannot keep what waits in {folder}: {error.strerror}"
            raise UnusableError([running.document.problem(place, text)]) from None
        head.listen(writers[settings.name])
    try:
        yield writers
    finally:
        for writer in writers.values():
            await writer.close()


@contextmanager
def open_intake(
    running: Configuration, head: Head, clock: Clock, registry: CollectorRegistry
) -> Iterator[Intake]:
    """Samples from others; what still waits for its company at the end goes to the head then."""
    settings, metrics = running.settings, IntakeMetrics(registry)
    intake = Intake(settings.intake, head, retention=settings.history.memory, clock=clock, metrics=metrics)
    intake.resume()
    try:
        yield intake
    finally:
        intake.flush()


@asynccontextmanager
async def open_interface_numbers(db: Database, running: Configuration) -> AsyncIterator[InterfaceNumbers]:
    """As they were when the daemon ended; what is not written yet at the end is written then."""
    numbers = InterfaceNumbers(InterfaceStore(db))
    await numbers.restore([(target.host, target.port or 161) for target in running.targets])
    try:
        yield numbers
    finally:
        await numbers.save()
