"""Selectors, range selectors and subqueries: where samples come from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, Protocol

import numpy as np

from sentinel.model.batch import Floats
from sentinel.model.labels import Labels
from sentinel.promql.across import Across, Windows, to_milliseconds
from sentinel.promql.frame import (
    Context,
    Frame,
    Grid,
    Mask,
    Node,
    check_unique,
    vector,
)
from sentinel.series.columns.pool import milliseconds
from sentinel.series.index.matcher import Matcher
from sentinel.series.index.selection import Piece, Samples, Selection
from sentinel.series.index.table import LabelTable, identify
from sentinel.series.reading.cut import Cut, Look

KEPT: Final = 4
"""What a sample weighs that is kept until all steps are there, against one that is only looked at."""

_CHUNK: Final = 2_000_000
"""Cells taken from the head at once."""

Anchor = float | Literal["start", "end"] | None
"""What follows `@`."""


@dataclass(frozen=True, slots=True)
class Span:
    """A window (start, end], in Unix seconds."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Moment:
    """`offset` and `@`: the instant a selector looks at."""

    offset: float = 0.0
    anchor: Anchor = None

    def of(self, context: Context) -> float:
        at = context.at
        if self.anchor == "start":
            at = context.start
        elif self.anchor == "end":
            at = context.end
        elif self.anchor is not None:
            at = float(self.anchor)
        return milliseconds(at - self.offset)

    def across(self, context: Context, *, each: bool = False) -> Floats:
        """The same for every instant of the grid; just one where `@` fixes it.

        Args:
            each: one for every instant all the same.
        """
        assert context.grid is not None
        if self.anchor is None:
            return to_milliseconds(context.grid.instants - self.offset)
        return np.full(len(context.grid.instants) if each else 1, self.of(context))


class Selector:
    """An instant vector selector."""

    def __init__(self, matchers: tuple[Matcher, ...], moment: Moment) -> None:
        self.matchers = matchers
        self.moment = moment

    def select(self, context: Context) -> Selection:
        return context.head.select(self.matchers)

    def evaluate(self, context: Context) -> Frame:
        if context.grid is not None:
            found = context.grid.keep((self, "values"), lambda: self._across(context, times=False))
            return found.at(context)
        selection = self.select(context)
        context.budget.charge(len(selection))
        values, present = selection.instant(self.moment.of(context), context.lookback)
        return Frame(selection.table, values, present)

    def instants(self, context: Context) -> Frame:
        """When the samples were taken, instead of their values."""
        if context.grid is not None:
            found = context.grid.keep((self, "times"), lambda: self._across(context, times=True))
            return found.at(context)
        selection = self.select(context)
        at = self.moment.of(context)
        _, present = selection.instant(at, context.lookback)
        return Frame(selection.table, selection.instants(at, context.lookback), present)

    def table(self, context: Context) -> LabelTable:
        """The series that it chooses."""
        if context.grid is not None:
            return context.grid.snapshot.table(self.matchers)
        return self.select(context).table

    def _across(self, context: Context, *, times: bool) -> Across:
        assert context.grid is not None
        ats = self.moment.across(context)
        since = to_milliseconds(ats - context.lookback)
        table, blocks = context.grid.snapshot.blocks(
            self.matchers, since, ats, newest=True, charge=context.budget.reading()
        )
        values = np.empty((len(ats), len(table)))
        present = np.zeros(values.shape, np.bool_)
        for rows, cut in blocks:
            context.budget.charge(len(ats) * cut.series)
            values[:, rows], present[:, rows], polls = cut.instant(ats, since)
            if times and len(cut.cells):
                values[:, rows] = cut.stamps(np.maximum(polls, 0))
        return Across(table, values, present)


class Range(Protocol):
    """Something in brackets."""

    @property
    def seconds(self) -> float: ...

    def span(self, context: Context) -> Span: ...

    def parts(self, context: Context) -> tuple[LabelTable, Iterator[Samples]]:
        """The labels, and the samples of the series in that order, some series at a time."""
        ...

    def windows(self, context: Context, *, each: bool = False) -> Windows:
        """Over a grid: the windows of all instants.

        Args:
            each: one for every instant, even where `@` makes them the same.
        """
        ...


class RangeSelector:
    def __init__(self, selector: Selector, seconds: float) -> None:
        self.selector = selector
        self.seconds = seconds

    def span(self, context: Context) -> Span:
        end = self.selector.moment.of(context)
        return Span(milliseconds(end - self.seconds), end)

    def parts(self, context: Context) -> tuple[LabelTable, Iterator[Samples]]:
        return self.within(context, self.span(context))

    def within(self, context: Context, span: Span) -> tuple[LabelTable, Iterator[Samples]]:
        """The same of another window."""
        if context.grid is not None:
            return self._looked_up(context, span)
        selection = self.selector.select(context)
        context.budget.charge(selection.weight(span.seconds))
        return selection.table, self._parts(selection, span)

    def pieces(self, context: Context) -> tuple[LabelTable, tuple[Piece, ...]]:
        """Columns instead of samples, for functions that need only a few of them."""
        selection = self.selector.select(context)
        context.budget.charge(2 * len(selection))
        return selection.table, selection.pieces

    def pieces_of(self, context: Context, span: Span) -> tuple[LabelTable, tuple[Piece, ...]]:
        """The same for functions that look at all samples in the window."""
        selection = self.selector.select(context)
        context.budget.charge(selection.weight(span.seconds))
        return selection.table, selection.pieces

    def windows(self, context: Context, *, each: bool = False) -> Windows:
        assert context.grid is not None
        ends = self.selector.moment.across(context, each=each)
        return self._windows(context, to_milliseconds(ends - self.seconds), ends)

    def _windows(self, context: Context, starts: Floats, ends: Floats) -> Windows:
        assert context.grid is not None
        table, blocks = context.grid.snapshot.blocks(
            self.selector.matchers, starts, ends, newest=False, charge=context.budget.reading()
        )
        return Windows(table, starts, ends, ((rows, cut.clean) for rows, cut in blocks))

    def _looked_up(self, context: Context, span: Span) -> tuple[LabelTable, Iterator[Samples]]:
        assert context.grid is not None
        moment = self.selector.moment
        at = moment.of(context)
        back, ahead = round(at - span.start, 3), round(span.end - at, 3)

        def look() -> tuple[LabelTable, list[tuple[Cut, Look]]]:
            ats = moment.across(context)
            windows = self._windows(context, to_milliseconds(ats - back), to_milliseconds(ats + ahead))
            return looked(windows)

        table, found = context.grid.keep((self.selector, back, ahead), look)
        return table, seen(context, found)

    def _parts(self, selection: Selection, span: Span) -> Iterator[Samples]:
        for piece in selection.pieces:
            yield from samples_of(piece, span)


def samples_of(piece: Piece, span: Span) -> Iterator[Samples]:
    """The samples in the window, some series at a time."""
    rows = min(piece.pool.rows, int(span.seconds / piece.pool.interval) + 2)
    size = max(_CHUNK // rows, 1)
    for first in range(0, len(piece.columns), size):
        last = first + size
        part = Piece(piece.pool, piece.columns[first:last], piece.slots[first:last])
        yield part.samples(span.start, span.end)


class Subquery:
    """An expression evaluated at the multiples of a step inside a window."""

    def __init__(self, node: Node, seconds: float, step: float | None, moment: Moment) -> None:
        self.node = node
        self.seconds = seconds
        self.step = step
        self.moment = moment

    def span(self, context: Context) -> Span:
        end = self.moment.of(context)
        return Span(milliseconds(end - self.seconds), end)

    def parts(self, context: Context) -> tuple[LabelTable, Iterator[Samples]]:
        if context.grid is not None:
            table, found = context.grid.keep((self, "looks"), lambda: looked(self.windows(context)))
            return table, seen(context, found)
        span = self.span(context)
        ticks = self._ticks(context, span.start, span.end)
        context.budget.charge(len(ticks))
        frames = []
        for tick in ticks:
            frame = vector_of(self.node, context.moved(tick / 1000))
            context.budget.charge(KEPT * len(frame))
            frames.append(frame)
        table, values, present = merged(*stacked(context, frames))
        times = np.broadcast_to(np.array(ticks, np.float64)[:, None] / 1000, values.shape)
        return table, iter((Samples.packed(values, times, present),))

    def windows(self, context: Context, *, each: bool = False) -> Windows:
        assert context.grid is not None
        ends = self.moment.across(context, each=each)
        starts = to_milliseconds(ends - self.seconds)
        table, cut = context.grid.keep((self, "inner"), lambda: self._inner(context, starts, ends))
        return Windows(table, starts, ends, iter([(slice(0, len(table)), cut)]))

    def _inner(self, context: Context, starts: Floats, ends: Floats) -> tuple[LabelTable, Cut]:
        """The expression at every tick of any of the windows."""
        assert context.grid is not None
        found: list[range] = []
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            ticks = self._ticks(context, start, end)
            if found and ticks.start <= found[-1].stop:
                ticks = range(found[-1].stop, ticks.stop, ticks.step)
            context.budget.charge(len(ticks))
            if ticks:
                found.append(range(ticks.start, ticks[-1] + ticks.step, ticks.step))
        instants = np.concatenate([np.empty(0), *(np.array(ticks, np.float64) for ticks in found)]) / 1000
        frames = []
        if len(instants):
            for moved in context.over(Grid(instants, context.grid.snapshot)).each():
                frame = vector_of(self.node, moved)
                context.budget.charge(KEPT * len(frame))
                frames.append(frame)
        table, values, present = merged(*stacked(context, frames))
        return table, Cut.of_grid(values, present, instants).clean

    def _ticks(self, context: Context, start: float, end: float) -> range:
        """Multiples of the step in (start, end], in milliseconds."""
        step = max(round((self.step or context.step) * 1000), 1)
        first = int(np.floor(round(start * 1000) / step)) * step + step
        return range(first, round(end * 1000) + 1, step)


def looked(windows: Windows) -> tuple[LabelTable, list[tuple[Cut, Look]]]:
    return windows.table, [(cut, cut.look(windows.starts, windows.ends)) for _, cut in windows.blocks]


def seen(context: Context, found: list[tuple[Cut, Look]]) -> Iterator[Samples]:
    """The samples of the window that belongs to the context's instant."""
    for cut, look in found:
        samples = cut.window(look, context.place if len(look.first) > 1 else 0)
        context.budget.charge(samples.values.size)
        yield samples


def vector_of(node: Node, context: Context) -> Frame:
    """The node's vector; a scalar becomes a vector without labels."""
    outcome = node.evaluate(context)
    if isinstance(outcome, float):
        table = LabelTable(context.symbols, (), np.zeros((1, 0), np.int32), unique=True)
        return Frame(table, np.array([outcome]), np.ones(1, np.bool_))
    return vector(outcome)


def stacked(context: Context, frames: list[Frame]) -> tuple[LabelTable, Floats, Mask]:
    """Frames of several instants over one table: values and presence as [instant, row]."""
    if not frames:
        empty = LabelTable(context.symbols, (), np.zeros((0, 0), np.int32), unique=True)
        return empty, np.empty((0, 0)), np.empty((0, 0), np.bool_)
    table = frames[-1].table
    if all(frame.table is table or len(frame) == 0 for frame in frames):
        values = np.full((len(frames), len(table)), np.nan)
        present = np.zeros((len(frames), len(table)), np.bool_)
        for step, frame in enumerate(frames):
            if len(frame):
                values[step], present[step] = frame.values, frame.present
        return table, values, present
    # Label sets that depend on values (count_values): bring the tables together by their labels.
    positions: dict[Labels, int] = {}
    for frame in frames:
        for row in np.flatnonzero(frame.present).tolist():
            positions.setdefault(frame.table[row], len(positions))
    values = np.full((len(frames), len(positions)), np.nan)
    present = np.zeros(values.shape, np.bool_)
    for step, frame in enumerate(frames):
        for row in np.flatnonzero(frame.present).tolist():
            where = positions[frame.table[row]]
            values[step, where], present[step, where] = frame.values[row], True
    return LabelTable.of(context.symbols, list(positions)), values, present


def merged(table: LabelTable, values: Floats, present: Mask) -> tuple[LabelTable, Floats, Mask]:
    """One row for each label set, where several have it at different instants.

    Raises:
        EvaluationError: two have it at the same instant.
    """
    if table.is_unique:
        return table, values, present
    ids, count, first = identify(table.codes)
    one = np.full((len(values), count), np.nan)
    held = np.zeros(one.shape, np.bool_)
    for step, row in enumerate(present):
        check_unique(ids, row)
        one[step, ids[row]] = values[step, row]
        held[step, ids[row]] = True
    return table.take(first), one, held
