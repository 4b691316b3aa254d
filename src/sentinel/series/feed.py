"""What the head remembers about one source between its polls."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sentinel.model.batch import ABSENT_BITS, STALE, Batch, Floats, Layout, Source
from sentinel.model.labels import Labels
from sentinel.series.pool import Index, Pool

Ids = NDArray[np.int64]
_NOTHING: Final = np.empty(0, np.int64)
_ABSENT: Final = float(np.uint64(ABSENT_BITS).view(np.float64))


class Feed:
    """One source: its slot in the pool, and where the values of its layout go."""

    def __init__(self, source: Source, pool: Pool, at: float) -> None:
        self.source = source
        self.pool = pool
        self.slot = pool.open_slot()
        self.layout: Layout | None = None
        self.duplicates = 0
        """Series of the layout that another source gives already."""
        self._base_at = at
        self._base_tick = pool.tick_at(at)
        self._tick = self._base_tick - 1
        self._at = -math.inf
        self.before = -math.inf
        """Unix seconds of the poll before the newest one."""
        self._ids: Ids = _NOTHING
        """Live series in the layout's order, then the three about the poll itself."""
        self._kept: Index | None = None
        """Positions of the layout that have a column; None: all."""
        self._columns = np.empty(0, np.intp)
        self._moves = -1
        self._ending = _NOTHING
        """Series that are gone from the layout and have not been marked stale yet."""
        self._ended: dict[int, float] = {}
        """Ended series, by id: since when."""
        self._count = 0
        self._is_up = True
        self._down_since = math.inf
        self._names: frozenset[str] = frozenset()
        self._layout_names: frozenset[str] = frozenset()
        self._unread: frozenset[str] = frozenset()

    @property
    def is_empty(self) -> bool:
        return not self._ended and not len(self._ids)

    # Writing

    def begin(self, at: float) -> int:
        """The row for a poll at that instant; −1 if it is not newer than the last one or too old."""
        if at <= self._at:
            return -1
        expected = self._base_tick + round((at - self._base_at) / self.pool.interval)
        tick = max(expected, self._tick + 1)
        if tick > expected + 2:
            # Polled more often than its interval: the newest poll of a tick stands for it.
            tick = self._tick
        row = self.pool.begin(self.slot, tick, at)
        if row >= 0:
            self._tick, self.before, self._at = tick, self._at, at
        return row

    def lay_out(self, batch: Batch, ids: Sequence[int], count: int) -> None:
        """Take over a new layout: `count` series of its own, then those about the poll."""
        placed = np.array(ids, np.int64)
        kept = np.flatnonzero(placed >= 0)
        self.duplicates = len(placed) - len(kept)
        new = placed[kept]
        self._kept = kept if self.duplicates else None
        self._ending = np.setdiff1d(self._ids, new)
        for series_id in new.tolist():
            self._ended.pop(series_id, None)
        self._ids = new
        self._count = count
        self._moves = -1
        self.source = batch.source
        self.layout = None if self.duplicates else batch.reading.layout
        self._layout_names = frozenset(labels.name for labels in batch.reading.layout.series)

    def store(self, row: int, at: float, values: Floats, meta: tuple[float, ...]) -> None:
        everything = np.concatenate([values, meta]) if meta else values
        if self._kept is not None:
            everything = everything[self._kept]
        self.pool.store(row, at, self._placed(), everything)
        self._store_ended(row, at)
        self._down_since = math.inf

    def store_down(self, row: int, at: float, meta: tuple[float, ...]) -> None:
        """Nothing could be read: every series of the source ends."""
        values = np.full(len(self._ids), STALE if self._down_since == math.inf else _ABSENT)
        if meta:
            values[len(values) - len(meta) :] = meta
        self.pool.store(row, at, self._placed(), values)
        self._store_ended(row, at)
        self._down_since = min(self._down_since, at)

    def end(self) -> None:
        """All series of the source end now, a moment after its last poll."""
        if not math.isfinite(self._at):
            return
        at = self._at + 0.001
        row = self.pool.begin(self.slot, self._tick + 1, at)
        self._tick, self._at = self._tick + 1, at
        self._ending = np.union1d(self._ending, self._ids)
        self._ids, self.layout, self._moves = _NOTHING, None, -1
        self._store_ended(row, at)

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
        self._ended = {series_id: since + seconds for series_id, since in self._ended.items()}

    def _placed(self) -> Index:
        if self._moves != self.pool.moves:
            self._columns = self.pool.column_of[self._ids]
            self._moves = self.pool.moves
        return self._columns

    def _store_ended(self, row: int, at: float) -> None:
        """Ended series: one staleness marker, and nothing from then on."""
        if self._ended:
            columns = self.pool.column_of[np.fromiter(self._ended, np.int64, len(self._ended))]
            self.pool.store(row, at, columns, np.full(len(columns), _ABSENT))
        if len(self._ending):
            columns = self.pool.column_of[self._ending]
            self.pool.store(row, at, columns, np.full(len(columns), STALE))
            self._ended.update(dict.fromkeys(self._ending.tolist(), at))
            self._ending = _NOTHING

    # Freeing

    def take_expired(self, horizon: float) -> list[int]:
        """Give up the series that ended before that instant."""
        expired = [series_id for series_id, since in self._ended.items() if since < horizon]
        for series_id in expired:
            del self._ended[series_id]
        if self._down_since < horizon and self._count > 0:
            own = len(self._ids) - (3 if self.source.labels else 0)
            expired.extend(self._ids[:own].tolist())
            self._ids = self._ids[own:]
            self._count, self._moves, self.layout = 0, -1, None
        return expired

    def take_all(self) -> list[int]:
        everything = [*self._ended, *self._ids.tolist(), *self._ending.tolist()]
        self._ended.clear()
        self._ids = self._ending = _NOTHING
        return list(dict.fromkeys(everything))

    # Readability

    def could_feed(self, labels: Labels, names: frozenset[str]) -> bool:
        # A source not read since the start may have given anything before it.
        if self._names and self._names.isdisjoint(names):
            return False
        return all(labels.get(name, value) == value for name, value in self.source.labels.pairs)

    def is_unreadable(self, names: frozenset[str]) -> bool:
        return not self._is_up or not self._unread.isdisjoint(names)
