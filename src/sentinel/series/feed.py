"""What the head remembers about one source between its polls."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from sentinel.model.batch import ABSENT_BITS, STALE, Batch, Floats, Layout, Source
from sentinel.model.labels import Labels
from sentinel.series.columns.cells import Ticks
from sentinel.series.columns.pool import SINK, Index, Pool
from sentinel.series.index.metric import Block
from sentinel.series.witness import Rows, Witness

_NOTHING: Final = np.empty(0, np.intp)
AHEAD: Final = 2
"""Ticks by which polls may be ahead of their interval before the newest one of a tick stands for it."""

_ABSENT: Final = float(np.uint64(ABSENT_BITS).view(np.float64))


class Feed:
    """One source: its slot in the pool, and where the values of its layout go."""

    def __init__(self, source: Source, pool: Pool[Block], at: float, witness: Witness | None = None) -> None:
        self.source = source
        self.witness = witness
        self.rows: Rows | None = None
        """What the columns stand for."""
        self._meta_rows: Rows | None = None
        """Those about the poll, once they are all that is left to write."""
        self._ending_rows: Rows | None = None
        self.pool = pool
        self.slot = pool.open_slot()
        self.layout: Layout | None = None
        self.duplicates = 0
        """Series of the layout that another source gives already."""
        self._base_at = at
        self._base_tick = pool.tick_at(at)
        self.tick = self._base_tick - 1
        """Of the newest poll."""
        self._tick_before: int | None = None
        self._at = -math.inf
        self.before = -math.inf
        """Unix seconds of the poll before the newest one."""
        self._columns: Index = _NOTHING
        """Of the live series in the layout's order, then of the three about the poll itself."""
        self._kept: Index | None = None
        """Positions of the layout that have a column; None: all."""
        self._meta: Index = _NOTHING
        """Which of the series about the poll have a column: the last ones."""
        self._ending: Index = _NOTHING
        """Columns of series that are gone from the layout and have not been marked stale yet."""
        self._ended: dict[int, float] = {}
        """Ended series, by column: since when."""
        self._count = 0
        self._is_up = True
        self._down_since = math.inf
        self._names: frozenset[str] = frozenset()
        self._layout_names: frozenset[str] = frozenset()
        self._unread: frozenset[str] = frozenset()

    @property
    def is_empty(self) -> bool:
        return not self._ended and not len(self._columns)

    # Writing

    def begin(self, at: float) -> bool:
        """Open the tick of a poll at that instant.

        Returns:
            False if it is not newer than the last one, or too old.
        """
        if at <= self._at:
            return False
        expected = self._base_tick + round((at - self._base_at) / self.pool.interval)
        tick = max(expected, self.tick + 1)
        if tick > expected + AHEAD:
            # Polled more often than its interval: the newest poll of a tick stands for it.
            tick = self.tick
        is_open = self.pool.begin(self.slot, tick, at)
        if is_open:
            self._tick_before = self.tick if self._at > -math.inf else None
            self.tick, self.before, self._at = tick, self._at, at
        return is_open

    def lay_out(
        self, batch: Batch, columns: Index, count: int, meta: tuple[str, ...], names: frozenset[str]
    ) -> None:
        """Take over a new layout: `count` series of its own, then those about the poll.

        Args:
            columns: −1 where another source gives the series already.
            meta: metric names of the series about the poll.
            names: the metrics of its own series.
        """
        kept = np.flatnonzero(columns >= 0)
        self.duplicates = len(columns) - len(kept)
        new = columns[kept]
        self._kept = kept if self.duplicates else None
        self._meta = kept[kept >= count] - count
        self._end_columns(np.setdiff1d(self._columns, [*new, SINK]))
        if self._ended:
            for column in new.tolist():
                self._ended.pop(column, None)
        self.rows = Rows(batch.source, batch.reading.layout, meta, self._kept)
        self._meta_rows = None
        self._columns = new
        self._count = count
        self.source = batch.source
        self.layout = None if self.duplicates else batch.reading.layout
        self._layout_names = names

    def lose(self, column: int) -> None:
        """Another source gives the series from now on: what this one says of it goes nowhere."""
        self._columns = np.where(self._columns == column, SINK, self._columns)
        self._ending = self._ending[self._ending != column]
        self._ended.pop(column, None)
        self.layout = None

    def store(self, at: float, values: Floats, meta: tuple[float, ...]) -> None:
        everything = np.concatenate([values, meta]) if meta else values
        if self._kept is not None:
            everything = everything[self._kept]
        self._write(at, self._columns, everything)
        self._tell(self.rows, at, everything, up=True)
        self._store_ended(at)
        self._down_since = math.inf

    def store_down(self, at: float, meta: tuple[float, ...]) -> None:
        """Nothing could be read: every series of the source ends."""
        values = np.full(len(self._columns), STALE if self._down_since == math.inf else _ABSENT)
        if len(self._meta):
            values[-len(self._meta) :] = np.array(meta)[self._meta]
        self._write(at, self._columns, values)
        if self._down_since == math.inf or self.rows is None:
            self._tell(self.rows, at, values, up=False)
        else:
            own = len(values) - len(self._meta)
            if self._meta_rows is None:
                self._meta_rows = self.rows.only(np.arange(own, len(values)))
            self._tell(self._meta_rows, at, values[own:], up=False)
        self._store_ended(at)
        self._down_since = min(self._down_since, at)

    def end(self) -> None:
        """All series of the source end now, a moment after its last poll."""
        if not math.isfinite(self._at):
            return
        at = self._at + 0.001
        self.pool.begin(self.slot, self.tick + 1, at)
        self._tick_before, self.tick, self._at = self.tick, self.tick + 1, at
        self._end_columns(np.unique(self._columns[self._columns != SINK]))
        self._columns, self.layout, self.rows = _NOTHING, None, None
        self._store_ended(at)

    def note(self, batch: Batch) -> None:
        """Remember what could be read."""
        self._is_up = batch.up
        if batch.up:
            self._unread = batch.reading.unread
            self._names = self._layout_names | self._unread

    def shift(self, seconds: float) -> None:
        self._base_at += seconds
        self._at += seconds
        self.before += seconds
        self._down_since += seconds
        self._ended = {column: since + seconds for column, since in self._ended.items()}

    def _write(self, at: float, columns: Index, values: Floats) -> None:
        self.pool.store(self.tick, self._tick_before, at, columns, values)

    def _tell(self, rows: Rows | None, at: float, values: Floats, *, up: bool) -> None:
        if self.witness is not None and rows is not None:
            self.witness.write(rows, at, values, up=up, part=rows.base is not None)

    def _end_columns(self, columns: Index) -> None:
        """These series have left the layout: the next poll marks them stale."""
        self._ending = np.union1d(self._ending, columns)
        if self.rows is not None and len(columns):
            self._ending_rows = self.rows.only(
                np.flatnonzero(np.isin(self._columns[: len(self.rows)], columns))
            )

    def _store_ended(self, at: float) -> None:
        """Ended series: one staleness marker, and nothing from then on."""
        if self._ended:
            columns = np.fromiter(self._ended, np.intp, len(self._ended))
            self._write(at, columns, np.full(len(columns), _ABSENT))
        if len(self._ending):
            self._write(at, self._ending, np.full(len(self._ending), STALE))
            if self._ending_rows is not None:
                self._tell(self._ending_rows, at, np.full(len(self._ending_rows), STALE), up=self._is_up)
            self._ending_rows = None
            self._ended.update(dict.fromkeys(self._ending.tolist(), at))
            self._ending = _NOTHING

    # Filling again, see refill.py

    def resume(self, times: Floats) -> tuple[Ticks, Index]:
        """It was polled then.

        Returns:
            the ticks of these polls, and which of the polls stand for them.
        """
        expected = self._base_tick + np.rint((times - self._base_at) / self.pool.interval).astype(np.int64)
        order = np.arange(len(times))
        ticks = np.maximum.accumulate(expected - order) + order
        if (ticks > expected + 2).any():
            tick = self._base_tick - 1
            for poll, wanted in enumerate(expected.tolist()):
                if max(wanted, tick + 1) <= wanted + 2:
                    tick = max(wanted, tick + 1)
                ticks[poll] = tick
        kept = np.flatnonzero(np.append(np.diff(ticks) > 0, True))
        self.tick, self._at = int(ticks[-1]), float(times[-1])
        if len(times) > 1:
            self.before = float(times[-2])
        return ticks[kept], kept

    def resume_columns(
        self, layout: Layout, columns: Index, current: Index, own: int, *, down_since: float, last: float
    ) -> None:
        """These are the columns of a layout's series; those that are not current have ended.

        Args:
            columns: −1 where another source has the series.
            current: of its newest layout: its own series, then those about the poll.
            own: how many of them are its own.
            down_since: Unix seconds; +Inf: it could be read.
            last: Unix seconds of its last poll.
        """
        kept = np.flatnonzero(columns[current] >= 0)
        live = current[kept]
        self._columns = columns[live]
        self._count = own
        self._meta = kept[kept >= own] - own
        self.rows = Rows(self.source, layout, (), live)
        ended = np.setdiff1d(columns[columns >= 0], self._columns)
        self._ended = dict.fromkeys(ended.tolist(), last)
        self._down_since, self._is_up = down_since, down_since == math.inf
        grid = layout.grid
        self._names = self._layout_names = frozenset(
            grid.names[name] for name in np.unique(grid.name_of[current[:own]]).tolist()
        )

    # Freeing

    def take_expired(self, horizon: float) -> Index:
        """Give up the series that ended before that instant; their columns."""
        expired = [column for column, since in self._ended.items() if since < horizon]
        for column in expired:
            del self._ended[column]
        if self._down_since < horizon and self._count > 0:
            own = len(self._columns) - len(self._meta)
            expired.extend(self._columns[:own].tolist())
            if self.rows is not None:
                self.rows = self.rows.only(np.arange(own, len(self._columns)))
            self._columns = self._columns[own:]
            self._count, self.layout = 0, None
        return _without_sink(expired)

    def take_all(self) -> Index:
        everything = [*self._ended, *self._columns.tolist(), *self._ending.tolist()]
        self._ended.clear()
        self._columns = self._ending = _NOTHING
        return _without_sink(everything)

    # Readability

    def could_feed(self, labels: Labels, names: frozenset[str]) -> bool:
        # A source not read since the start may have given anything before it.
        if self._names and self._names.isdisjoint(names):
            return False
        return all(labels.get(name, value) == value for name, value in self.source.labels.pairs)

    def is_unreadable(self, names: frozenset[str]) -> bool:
        return not self._is_up or not self._unread.isdisjoint(names)


def _without_sink(columns: list[int]) -> Index:
    found: Index = np.array(sorted({*columns} - {SINK}), np.intp)
    return found
