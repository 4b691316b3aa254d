"""Which series, label names and label values there are, in the head and before it in the archive."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from sentinel.model.batch import Family
from sentinel.model.labels import METRIC_NAME, Labels
from sentinel.promql.engine import Engine
from sentinel.promql.errors import EvaluationError
from sentinel.promql.frame import Budget
from sentinel.promql.service import LIMITS, SLICE, QueryService
from sentinel.runtime.clock import Clock
from sentinel.series.columns.pool import Index
from sentinel.series.index.matcher import Matcher
from sentinel.series.index.metric import Metric
from sentinel.series.index.table import LabelTable
from sentinel.series.reading.archive import Archive, Charge
from sentinel.series.reading.snapshot import Snapshot, Wanted

Result = TypeVar("Result")
Matchers = tuple[Matcher, ...]


class Catalogue:
    """Times are Unix seconds; a series counts where it has samples in [start, end]."""

    def __init__(self, engine: Engine, service: QueryService, clock: Clock) -> None:
        self._engine = engine
        self._service = service
        self._clock = clock

    def families(self) -> Mapping[str, Family]:
        """What metrics mean, by name."""
        return self._engine.head.families()

    def counts(self) -> Mapping[str, int]:
        """How many series each metric has in the head."""
        return {metric.name: len(metric) for metric in self._engine.head.metrics()}

    def times(self) -> tuple[float, float]:
        """Of the oldest and the newest sample in the head; the same where there is none."""
        head = self._engine.head
        return min(head.since, head.newest), head.newest

    async def series(
        self, wanted: Sequence[Matchers], start: float, end: float, gone: threading.Event
    ) -> list[Labels]:
        """Series that satisfy one of the sets of matchers, sorted. Raises: EvaluationError."""
        snapshot = await self._snapshot(wanted, start, end)
        archive, charge = self._archive(start), self._charge(gone)

        def find() -> list[Labels]:
            found: set[Labels] = set()
            for matchers in wanted:
                for table, rows in _rows(snapshot, matchers, start, end):
                    charge(len(rows))
                    found.update(table[row] for row in rows.tolist())
                if archive is not None:
                    found.update(archive.labels_of(matchers, start, end, charge=charge))
            return sorted(found)

        return await self._found(find)

    async def names(
        self, wanted: Sequence[Matchers], start: float, end: float, gone: threading.Event
    ) -> list[str]:
        """Label names of those series; without matchers of all series. Raises: EvaluationError."""

        def of_metric(metric: Metric) -> Iterable[str]:
            yield METRIC_NAME
            for block in metric.blocks.values():
                there = (block.codes[: block.used] != 0).any(axis=0)
                yield from (metric.names[column] for column in np.flatnonzero(there).tolist())

        def of_rows(table: LabelTable, rows: Index) -> Iterable[str]:
            there = (table.codes[rows] != 0).any(axis=0)
            return (table.names[column] for column in np.flatnonzero(there).tolist())

        def of_archive(archive: Archive, matchers: Matchers, charge: Charge) -> Collection[str]:
            return archive.label_names(matchers, start, end, charge=charge)

        return await self._collected(wanted, start, end, gone, (of_metric, of_rows, of_archive))

    async def values(
        self, name: str, wanted: Sequence[Matchers], start: float, end: float, gone: threading.Event
    ) -> list[str]:
        """Values that a label has in those series; without matchers in all series. Raises: EvaluationError."""
        head = self._engine.head

        def of_metric(metric: Metric) -> Iterable[str]:
            if name == METRIC_NAME:
                yield metric.name
            elif name in metric.names:
                column = metric.names.index(name)
                for block in metric.blocks.values():
                    codes = np.unique(block.codes[: block.used, column][block.live[: block.used]])
                    yield from map(head.symbols.text, codes.tolist())

        def of_rows(table: LabelTable, rows: Index) -> Iterable[str]:
            return map(table.symbols.text, np.unique(table.column(name)[rows]).tolist())

        def of_archive(archive: Archive, matchers: Matchers, charge: Charge) -> Collection[str]:
            return archive.label_values(name, matchers, start, end, charge=charge)

        return await self._collected(wanted, start, end, gone, (of_metric, of_rows, of_archive))

    async def _collected(
        self,
        wanted: Sequence[Matchers],
        start: float,
        end: float,
        gone: threading.Event,
        ways: tuple[
            Callable[[Metric], Iterable[str]],
            Callable[[LabelTable, Index], Iterable[str]],
            Callable[[Archive, Matchers, Charge], Collection[str]],
        ],
    ) -> list[str]:
        of_metric, of_rows, of_archive = ways
        found: set[str] = set()
        if not wanted and self._is_in_head(end):
            async for metric in self._metrics():
                found.update(of_metric(metric))
        snapshot = await self._snapshot(wanted, start, end)
        archive, charge = self._archive(start), self._charge(gone)

        def find() -> list[str]:
            for matchers in wanted:
                for table, rows in _rows(snapshot, matchers, start, end):
                    charge(len(rows))
                    found.update(of_rows(table, rows))
            if archive is not None:
                for matchers in wanted or ((),):
                    found.update(of_archive(archive, matchers, charge))
            return sorted(found - {""})

        return await self._found(find)

    async def _found(self, find: Callable[[], Result]) -> Result:
        try:
            return await self._service.work(find)
        except ValueError as error:
            raise EvaluationError(str(error)) from error

    async def _metrics(self) -> AsyncIterator[Metric]:
        began = self._clock.monotonic()
        for metric in self._engine.head.metrics():
            yield metric
            if self._clock.monotonic() - began > SLICE:
                await asyncio.sleep(0)
                began = self._clock.monotonic()

    async def _snapshot(self, wanted: Sequence[Matchers], start: float, end: float) -> Snapshot:
        head = self._engine.head
        snapshot = Snapshot(head, unpack=self._engine.unpacked)
        since = max(start - 0.001, head.since - head.retention)
        began = self._clock.monotonic()
        try:
            for _ in snapshot.take(Wanted(matchers, since, end) for matchers in dict.fromkeys(wanted)):
                if self._clock.monotonic() - began > SLICE:
                    await asyncio.sleep(0)
                    began = self._clock.monotonic()
        except ValueError as error:
            raise EvaluationError(str(error)) from error
        return snapshot

    def _is_in_head(self, end: float) -> bool:
        return end >= self._engine.head.since

    def _archive(self, start: float) -> Archive | None:
        archive = self._engine.archive
        return archive if archive is not None and start < self._engine.head.since else None

    def _charge(self, gone: threading.Event) -> Charge:
        return Budget(LIMITS, self._clock.monotonic, is_abandoned=gone.is_set).charge


def _rows(
    snapshot: Snapshot, matchers: Matchers, start: float, end: float
) -> Iterable[tuple[LabelTable, Index]]:
    table, present = snapshot.present(matchers, start, end)
    return [(table, np.flatnonzero(present))]
