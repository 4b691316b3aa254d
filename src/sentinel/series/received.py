"""Feeds of received sources: series that are sent together share their polls, until they are not.

A sender says nothing of a series that it did not read, and the series keeps its newest sample for a while.
A feed has one instant for each tick, so series that got no sample when others did need a feed of their own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sentinel.model.batch import ABSENT_BITS, EMPTY_LAYOUT, Batch, Floats, Layout, Reading, Source
from sentinel.model.labels import Labels
from sentinel.series.columns.pool import SINK, Index
from sentinel.series.feed import AHEAD, Feed

_NOTHING = np.empty(0, np.intp)


@dataclass(frozen=True, slots=True, eq=False)
class Sent:
    """What the head knows of a received source, after a restart."""

    source: Source
    series: tuple[Labels, ...]
    """Of its layout, the source's own labels among them."""
    newest: Floats
    """What the newest poll gave of each."""
    at: float
    """Unix seconds of that poll."""
    polls: int


class ReceivedFeed(Feed):
    """A feed whose polls are somebody else's."""

    _order: tuple[Layout, Index | None] = (EMPTY_LAYOUT, None)
    """The layout that the columns are in the order of, also while another is about to come, and which of its
    series they are; None: all."""

    def judge(self, *, is_up: bool) -> None:
        """Whether what is sent can be relied on: the sender talks, and can read it himself."""
        self._is_up = is_up

    def is_crowded(self, at: float) -> bool:
        """Whether one more poll, then, would have to stand in the place of the last one."""
        expected = self._base_tick + round((at - self._base_at) / self.pool.interval)
        return self.tick + 1 > expected + AHEAD

    def note(self, batch: Batch) -> None:
        is_up = self._is_up
        super().note(batch)
        self._is_up = is_up

    def shift(self, seconds: float) -> None:
        """Our clock was stepped; the instants are the sender's."""

    def lay_out(
        self, batch: Batch, columns: Index, count: int, meta: tuple[str, ...], names: frozenset[str]
    ) -> None:
        super().lay_out(batch, columns, count, meta, names)
        self._order = (batch.reading.layout, None)

    def resume_columns(
        self, layout: Layout, columns: Index, current: Index, own: int, *, down_since: float, last: float
    ) -> None:
        super().resume_columns(layout, columns, current, own, down_since=down_since, last=last)
        self._order = (layout, current[columns[current] >= 0])

    def sent(self) -> Sent:
        """What is known of its series."""
        own, layout = dict(self.source.labels), self._laid_out
        newest = self.pool.matrix(np.array([self.tick], np.int64), self._by_row())[0]
        series = tuple(Labels({**labels, **own}) for labels in layout.series)
        return Sent(self.source, series, newest, self._at, len(self._polls()))

    @property
    def _laid_out(self) -> Layout:
        layout, rows = self._order
        if rows is not None:
            series = layout.series
            layout = Layout.of(series[row] for row in rows.tolist())
            self._order = (layout, None)
        return layout

    def split(self, source: Source, rows: Index) -> tuple[ReceivedFeed, Index]:
        """A feed of their own for some of the layout's series, with the samples that they have, and its columns.

        Args:
            rows: which series of the layout in force.
        """
        by_row = self._by_row()[rows]
        columns = _unique(by_row)
        rest = ReceivedFeed(source, self.pool, self._base_at, self.witness)
        rest._base_tick = self._base_tick
        rest._is_up, rest._names, rest._layout_names = self._is_up, self._names, self._layout_names
        polls = self._polls()
        cells = self.pool.matrix(np.array([tick for tick, _ in polls], np.int64), columns)
        had = (cells.view(np.uint64) != ABSENT_BITS).any(axis=1).tolist()
        rest._adopt([poll for poll, is_theirs in zip(polls, had, strict=True) if is_theirs])
        rest._columns, rest._order = by_row, (self._laid_out, rows)
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
        columns = _unique(np.array([*other._columns, *other._ended, *other._ending], np.intp))
        missed = max((at for tick, at in ours.items() if tick not in theirs), default=-math.inf)
        self.pool.slot_of[columns] = self.slot
        self.pool.gap_at[columns] = np.maximum(self.pool.gap_at[columns], missed)
        self._columns = np.concatenate([self._by_row(), other._by_row()])
        self._kept = None
        self._order = (Layout.of(self._laid_out.series + other._laid_out.series), None)
        self._ending = np.concatenate([self._ending, other._ending])
        self._ended |= other._ended
        self._names |= other._names
        self.layout = None
        other._columns, other._ending, other._ended = _NOTHING, _NOTHING, {}
        return columns

    def past(self) -> list[tuple[Reading, float]]:
        """Every poll again, with its instant, of the series that it has now."""
        polls, columns, layout = self._polls(), self._by_row(), self._laid_out
        kept = np.flatnonzero(columns != SINK)
        if len(kept) < len(columns):
            # What is another's now must not be taken from it.
            series = layout.series
            columns, layout = columns[kept], Layout.of(series[row] for row in kept.tolist())
        cells = self.pool.matrix(np.array([tick for tick, _ in polls], np.int64), columns)
        return [(Reading(layout, values), at) for (_, at), values in zip(polls, cells, strict=True)]

    def _by_row(self) -> Index:
        """[row of the layout] its column; SINK where it has none."""
        if self._kept is None:
            return self._columns
        columns = np.full(len(self._laid_out), SINK, np.intp)
        columns[self._kept] = self._columns
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


def _unique(columns: Index) -> Index:
    unique: Index = np.unique(columns[columns != SINK])
    return unique
