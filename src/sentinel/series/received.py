"""Feeds of received sources: series that are sent together share their polls, until they are not.

A sender says nothing of a series that it did not read, and the series keeps its newest sample for a while.
A feed has one instant for each tick, so series that got no sample when others did need a feed of their own.
"""

from __future__ import annotations

import math

import numpy as np

from sentinel.model.batch import ABSENT_BITS, Batch, Reading, Source
from sentinel.series.feed import Feed
from sentinel.series.pool import SINK, Index

_NOTHING = np.empty(0, np.intp)


class ReceivedFeed(Feed):
    """A feed whose polls are somebody else's."""

    def judge(self, *, is_up: bool) -> None:
        """Whether what is sent can be relied on: the sender talks, and can read it himself."""
        self._is_up = is_up

    def note(self, batch: Batch) -> None:
        is_up = self._is_up
        super().note(batch)
        self._is_up = is_up

    def shift(self, seconds: float) -> None:
        """Our clock was stepped; the instants are the sender's."""

    def split(self, source: Source, rows: Index) -> tuple[ReceivedFeed, Index]:
        """A feed of their own for some of the layout's series, with the samples that they have, and its columns.

        Args:
            rows: which series of the layout in force.
        """
        columns = self._columns_of(rows)
        rest = ReceivedFeed(source, self.pool, self._base_at, self.witness)
        rest._base_tick = self._base_tick
        rest._is_up, rest._names, rest._layout_names = self._is_up, self._names, self._layout_names
        polls = self._polls()
        cells = self.pool.matrix(np.array([tick for tick, _ in polls], np.int64), columns)
        had = (cells.view(np.uint64) != ABSENT_BITS).any(axis=1).tolist()
        rest._adopt([poll for poll, is_theirs in zip(polls, had, strict=True) if is_theirs])
        rest._columns = columns
        self.pool.slot_of[columns] = rest.slot
        self._columns = np.where(np.isin(self._columns, columns), SINK, self._columns)
        self.layout = None
        return rest, columns

    def absorb(self, other: ReceivedFeed) -> Index | None:
        """Take over the series of another feed that had no polls but ours, with their samples.

        Returns:
            their columns; None: it had polls of its own, and both are as they were.
        """
        ours, theirs = dict(self._polls()), dict(other._polls())
        if other.pool is not self.pool or any(ours.get(tick) != at for tick, at in theirs.items()):
            return None
        columns = np.array(
            sorted({*other._columns.tolist(), *other._ended, *other._ending.tolist()} - {SINK}), np.intp
        )
        missed = max((at for tick, at in ours.items() if tick not in theirs), default=-math.inf)
        self.pool.slot_of[columns] = self.slot
        self.pool.gap_at[columns] = np.maximum(self.pool.gap_at[columns], missed)
        self._columns = np.concatenate([self._columns, other._columns])
        self._ending = np.concatenate([self._ending, other._ending])
        self._ended |= other._ended
        self._names |= other._names
        self.layout = None
        other._columns, other._ending, other._ended = _NOTHING, _NOTHING, {}
        return columns

    def past(self) -> list[tuple[Reading, float]]:
        """Every poll again, with its instant; none where the layout is not known."""
        layout = self.layout
        if layout is None:
            return []
        polls = self._polls()
        cells = self.pool.matrix(np.array([tick for tick, _ in polls], np.int64), self._columns)
        return [(Reading(layout, values), at) for (_, at), values in zip(polls, cells, strict=True)]

    def _columns_of(self, rows: Index) -> Index:
        places = rows if self._kept is None else np.flatnonzero(np.isin(self._kept, rows))
        columns: Index = np.array(sorted({*self._columns[places].tolist()} - {SINK}), np.intp)
        return columns

    def _polls(self) -> list[tuple[int, float]]:
        """Tick and instant of every poll that the pool remembers, oldest first."""
        times = self.pool.times[:, self.slot]
        rows = np.flatnonzero(times > -math.inf)
        ticks = self.pool.ticks_of(rows)
        order = np.argsort(ticks)
        return list(zip(ticks[order].tolist(), times[rows][order].tolist(), strict=True))

    def _adopt(self, polls: list[tuple[int, float]]) -> None:
        """These were the polls so far."""
        pool = self.pool
        for tick, at in polls:
            pool.times[tick % pool.rows, self.slot] = at
        for tick, at in polls[-2:]:
            self._tick_before = self.tick if self._at > -math.inf else None
            self.tick, self.before, self._at = tick, self._at, at
        if polls:
            pool.last_tick[self.slot], pool.last_at[self.slot] = polls[-1]
            pool.forget_bounds()
