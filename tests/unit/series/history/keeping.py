"""Short ways to write a history and to look at what is in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from prometheus_client import CollectorRegistry

from sentinel.model.batch import ABSENT_BITS
from sentinel.runtime.clock import ManualClock
from sentinel.series.head import Head
from sentinel.series.history.gather import Gather, Told
from sentinel.series.history.history import WINDOW, History
from sentinel.series.history.journal import Journal, append, segments_in
from sentinel.series.history.metrics import HistoryMetrics
from sentinel.series.history.records import shift_frame
from sentinel.series.history.restore import restore
from sentinel.series.history.segment import Blocks, Segment
from sentinel.series.history.store import Limits
from sentinel.series.index.matcher import Matcher
from sentinel.series.reading.archive import Archived, Panes
from tests.unit.series.feeding import START, named


class Keeper:
    """A head with a journal, without the daemon around them."""

    def __init__(self, folder: Path, retention: float = 3600.0) -> None:
        self.folder = folder
        self.head = Head(retention=retention)
        self.gather = Gather()
        self.head.tell(self.gather)
        self.journal = Journal(folder)
        self._told = Told()

    def flush(self) -> None:
        for one in self.gather.take():
            self.journal.write(one.frames(self._told))

    def turn(self) -> None:
        """End the segment."""
        self.flush()
        self.journal.close()
        self.gather.begin()
        self._told = Told()

    def shift(self, seconds: float) -> None:
        self.head.shift(seconds)
        milliseconds = round(seconds * 1000)
        for path in segments_in(self.folder):
            if self.journal.number != int(path.stem):
                append(path, shift_frame(milliseconds))
        self.gather.shift(milliseconds)


def segments(folder: Path) -> list[Segment]:
    blocks = Blocks(4)
    return [Segment(path, blocks) for path in segments_in(folder)]


def restored(folder: Path, now: float, retention: float = 3600.0) -> Head:
    head = Head(retention=retention)
    opened = segments(folder)
    restore(head, opened, now)
    for segment in opened:
        segment.close()
    return head


Dump = dict[str, list[tuple[int, str]]]


def dump(head: Head, start: float, end: float, name: str | None = None) -> Dump:
    """All samples in (start, end], staleness markers too, by series: milliseconds and bits."""
    found: Dump = {}
    selection = head.select(() if name is None else named(name))
    row = 0
    for piece in selection.pieces:
        samples = piece.samples(start, end)
        values, times = samples.values, samples.times
        for column, count in enumerate(samples.count.tolist()):
            bits = values[:count, column].view(np.uint64)
            at = np.rint(times[:count, column] * 1000).astype(np.int64)
            held = bits != ABSENT_BITS
            found[str(selection.table[row])] = [
                (when, f"{value:x}")
                for when, value in zip(at[held].tolist(), bits[held].tolist(), strict=True)
            ]
            row += 1
    return {series: samples for series, samples in found.items() if samples}


class Kept:
    """A head with the history that the daemon runs, by a clock that is turned by hand."""

    def __init__(
        self, folder: Path, *, retention: float = 30 * 86400.0, size: int = 1 << 40, memory: float = 3600.0
    ) -> None:
        self.clock = ManualClock(START)
        self.registry = CollectorRegistry()
        self.folder = folder
        self.limits = Limits(memory, retention, size)
        self.head = Head(retention=memory)
        self.history = self.opened()
        self.history.restore(self.head)

    def opened(self) -> History:
        metrics = HistoryMetrics(CollectorRegistry())
        self.metrics = metrics
        return History(self.folder, self.limits, keep_free=0, clock=self.clock, metrics=metrics)

    async def restart(self, *, is_killed: bool = False) -> None:
        """The daemon ends and starts again."""
        if not is_killed:
            await self.history.close()
        self.head = Head(retention=self.limits.memory)
        self.history = self.opened()
        self.history.restore(self.head)

    async def at(self, at: float) -> None:
        """Let time pass until then, with all that is done by the way."""
        await self.clock.advance(max(at - self.clock.now(), 0.0))
        await self.history.flush()

    async def shift(self, seconds: float) -> None:
        self.head.shift(seconds)
        self.history.shift(seconds)
        self.clock.step(seconds)
        await self.history.flush()

    async def pack(self) -> None:
        """End the window, and pack what there is."""
        await self.clock.advance(WINDOW)
        await self.history.flush()
        await self.history.care()

    def read(
        self,
        matchers: tuple[Matcher, ...] = (),
        start: float = 0.0,
        end: float = 1e11,
        panes: Panes | None = None,
    ) -> Dump:
        return told(self.history.reader.read(matchers, start, end, panes, charge=lambda _: None))


def told(archived: Sequence[Archived]) -> Dump:
    """As `dump`; checks that samples come in the order of time."""
    found: Dump = {}
    for one in archived:
        samples = one.samples
        times = samples.times
        assert len(one.labels) == len(samples.count)
        for column, count in enumerate(samples.count.tolist()):
            at = np.rint(times[:count, column] * 1000).astype(np.int64).tolist()
            bits = samples.values[:count, column].view(np.uint64).tolist()
            series = found.setdefault(str(one.labels[column]), [])
            for when, value in zip(at, bits, strict=True):
                assert value != ABSENT_BITS
                assert not series or series[-1][0] < when
                series.append((when, f"{value:x}"))
    return {series: samples for series, samples in found.items() if samples}
