"""The history as the daemon runs it: listens to the head, writes, packs, deletes, and answers from disk.

The event loop only gathers; files are touched in threads. While the disk takes nothing the history pauses: what
comes then is dropped and counted, polling and rules go on, and writing resumes by itself.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sentinel.model.batch import Floats, Source
from sentinel.runtime.clock import Clock
from sentinel.runtime.whole import whole
from sentinel.series.head import Head
from sentinel.series.history.catalog import Catalog
from sentinel.series.history.files import DamagedError
from sentinel.series.history.gather import Gather, Gathered, Told
from sentinel.series.history.journal import SUFFIX, Journal, segments_in
from sentinel.series.history.metrics import HistoryMetrics
from sentinel.series.history.reader import HistoryReader
from sentinel.series.history.store import Limits, Store
from sentinel.series.witness import Rows

log = logging.getLogger(__name__)

EVERY: Final = 2.0
"""Seconds between two writes to the journal: what a crash may cost."""
WINDOW: Final = 1800.0
"""Seconds of one segment of the journal, and so of one chunk."""
SEGMENT_BYTES: Final = 96 << 20
CARE: Final = 60.0
"""Seconds between two looks at what has to be packed or deleted."""


class History:
    """A witness of the head (series/witness.py) and, by `reader`, an archive (series/reading/archive.py)."""

    def __init__(
        self, folder: Path, limits: Limits, *, keep_free: int, clock: Clock, metrics: HistoryMetrics
    ) -> None:
        """
        Args:
            keep_free: bytes of the file system that are left to others.
        Raises:
            OSError: the folder cannot be used.
        """
        self._clock = clock
        self._limits = limits
        self._keep_free = keep_free
        self._metrics = metrics
        self._catalog = Catalog()
        self._store = Store(folder, limits, self._catalog, metrics)
        self._journal = Journal(self._store.journal)
        self._gather = Gather()
        self._told = Told()
        self._window = math.floor(clock.now() / WINDOW)
        self._since = math.inf
        """Unix seconds of the oldest sample that is not on disk."""
        self._turn = asyncio.Lock()
        """Held while a thread writes to the journal."""
        self._care_turn = asyncio.Lock()
        """Held while a thread works on the files."""
        self._work = asyncio.Event()
        self._steps: list[tuple[int, int]] = []
        """Steps of the clock that have been gathered: milliseconds, and since when samples move along."""
        self._shifts: list[tuple[int, int, int | None]] = []
        """Those that stand in a segment, which one; older segments and files have yet to be moved."""
        self._reason = ""
        self.reader = HistoryReader(self._catalog, self._store.tell_damaged)

    # On the event loop

    def write(self, rows: Rows, at: float, values: Floats, *, up: bool, part: bool) -> None:
        self._gather.write(rows, at, values, up=up, part=part)
        self._since = min(self._since, at)

    def forget(self, source: Source) -> None:
        self._gather.forget(source)

    def shift(self, seconds: float) -> None:
        """The clock is about to be stepped by that much."""
        milliseconds = round(seconds * 1000)
        self._steps.append((milliseconds, round((self._clock.now() - self._limits.memory) * 1000)))
        self._gather.shift(milliseconds)
        self._since += seconds

    @property
    def is_paused(self) -> bool:
        """The disk takes nothing."""
        return bool(self._reason)

    # Before and after

    def restore(self, head: Head) -> None:
        """Fill an empty head with what it had; blocking, before anything else runs."""
        started = self._clock.monotonic()
        head.tell(self)
        self._store.open()
        self._journal.begin_after(self._store.newest_segment)
        sources = self._store.restore(head, self._clock.now())
        took = self._clock.monotonic() - started
        self._metrics.restored.set(took)
        facts = {"sources": sources, "series": head.series, "seconds": round(took, 3)}
        log.info("head restored", extra={"facts": facts})

    async def close(self) -> None:
        """What is gathered goes to the disk."""
        await self.flush()
        async with self._turn:
            await asyncio.to_thread(self._journal.close)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_writing(), name="history journal")
            group.create_task(self._keep_packing(), name="history files")

    async def _keep_writing(self) -> None:
        while True:
            await self._clock.sleep(EVERY)
            await self.flush()

    async def _keep_packing(self) -> None:
        while True:
            await self.care()
            self._work.clear()
            timer = asyncio.ensure_future(self._clock.sleep(CARE))
            news = asyncio.ensure_future(self._work.wait())
            try:
                await asyncio.wait((timer, news), return_when=asyncio.FIRST_COMPLETED)
            finally:
                timer.cancel()
                news.cancel()

    # The journal

    async def flush(self) -> None:
        """Write what has been gathered; it is on the disk when this returns, or dropped and counted.

        Also when cancelled meanwhile.
        """
        await whole(self._flush())

    async def _flush(self) -> None:
        async with self._turn:
            window = math.floor(self._clock.now() / WINDOW)
            is_last = window != self._window or self._journal.size > SEGMENT_BYTES
            parts = self._gather.take()
            steps, self._steps = self._steps, []
            self._since = math.inf
            if is_last:
                self._window = window
                self._gather.begin()
            lost = self._gather.dropped
            self._gather.dropped = 0
            if lost:
                self._metrics.dropped.labels("memory").inc(lost)
            if not parts and not is_last:
                self._metrics.behind.set(0)
                return
            number = None
            try:
                number = await asyncio.to_thread(self._write, parts, is_last=is_last)
            except OSError as error:
                self._give_up(parts, error)
            else:
                self._metrics.samples.inc(sum(len(part.writes.values) for part in parts))
                self._tell("")
            self._shifts += [(milliseconds, since, number) for milliseconds, since in steps]
        self._metrics.behind.set(max(self._clock.now() - self._since, 0.0) if self._since < math.inf else 0)
        if is_last or self._shifts:
            self._work.set()

    def _write(self, parts: Sequence[Gathered], *, is_last: bool) -> int | None:
        """The number of the segment."""
        frames = [frame for part in parts for frame in part.frames(self._told)]
        self._make_sure_of_room(sum(map(len, frames)))
        if frames:
            self._journal.write(frames)
            ats = [part.writes.at for part in parts if len(part.writes.at)]
            if ats and self._journal.number is not None:
                span = (int(min(at.min() for at in ats)), int(max(at.max() for at in ats)))
                self._catalog.set_segment(self._journal.path(self._journal.number), span)
        number = self._journal.number
        if is_last:
            self._journal.close()
            self._told = Told()
        return number

    def _make_sure_of_room(self, size: int) -> None:
        found = os.statvfs(self._store.journal)
        if found.f_bavail * found.f_frsize < self._keep_free + size:
            raise OSError(f"less than {self._keep_free >> 20} MiB left on the file system")

    def _give_up(self, parts: Sequence[Gathered], error: OSError) -> None:
        """The next segment begins anew: what was said of series in what is lost has to be said again."""
        lost = [*parts, *self._gather.take()]
        self._gather.begin()
        self._told = Told()
        self._journal.close()
        self._since = math.inf
        self._metrics.dropped.labels("disk").inc(sum(len(part.writes.values) for part in lost))
        self._metrics.failures.labels("write").inc()
        self._tell(str(error))

    def _tell(self, reason: str) -> None:
        """One line for each change of state."""
        self._metrics.is_paused.set(1 if reason else 0)
        if bool(reason) == bool(self._reason):
            return
        self._reason = reason
        if reason:
            log.error("history pauses", extra={"facts": {"error": reason}})
        else:
            log.info("history goes on")

    # The files

    async def care(self) -> None:
        """Pack what has ended, move what a step of the clock moves, delete what is too old."""
        async with self._care_turn:
            await self._apply_shifts()
            for path in await asyncio.to_thread(self._ended):
                if not await self._tried("pack", self._store.pack, path):
                    break
            await self._tried("pack", self._store.merge, self._clock.now())
            await self._tried("delete", self._store.retain, self._clock.now())

    async def _apply_shifts(self) -> None:
        while self._shifts:
            await self._tried("write", self._store.shift, *self._shifts.pop(0))

    def _ended(self) -> list[Path]:
        current = self._journal.number
        return [
            path
            for path in segments_in(self._store.journal)
            if path.suffix == SUFFIX and int(path.stem) != current
        ]

    async def _tried(self, step: str, work: object, *arguments: object) -> bool:
        try:
            await whole(asyncio.to_thread(work, *arguments))  # type: ignore[arg-type]
        except (OSError, DamagedError) as error:
            self._metrics.failures.labels(step).inc()
            facts = {"step": step, "error": str(error)}
            log.error("history work failed", extra={"facts": facts})
            return False
        return True
