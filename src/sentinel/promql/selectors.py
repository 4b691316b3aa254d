"""Selectors, range selectors and subqueries: where samples come from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, Protocol

import numpy as np

from sentinel.model.batch import Floats
from sentinel.model.labels import Labels
from sentinel.promql.frame import (
    Context,
    Frame,
    Mask,
    Node,
    check_unique,
    vector,
)
from sentinel.series.matcher import Matcher
from sentinel.series.pool import milliseconds
from sentinel.series.selection import Piece, Samples, Selection
from sentinel.series.table import LabelTable, identify

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


class Selector:
    """An instant vector selector."""

    def __init__(self, matchers: tuple[Matcher, ...], moment: Moment) -> None:
        self.matchers = matchers
        self.moment = moment

    def select(self, context: Context) -> Selection:
        return context.head.select(self.matchers)

    def evaluate(self, context: Context) -> Frame:
        selection = self.select(context)
        context.budget.charge(len(selection))
        values, present = selection.instant(self.moment.of(context), context.lookback)
        return Frame(selection.table, values, present)

    def instants(self, context: Context) -> Frame:
        """When the samples were taken, instead of their values."""
        selection = self.select(context)
        at = self.moment.of(context)
        _, present = selection.instant(at, context.lookback)
        return Frame(selection.table, selection.instants(at, context.lookback), present)


class Range(Protocol):
    """Something in brackets."""

    def span(self, context: Context) -> Span: ...

    def parts(self, context: Context) -> tuple[LabelTable, Iterator[Samples]]:
        """The labels, and the samples of the series in that order, some series at a time."""
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
        selection = self.selector.select(context)
        context.budget.charge(selection.weight(span.seconds))
        return selection.table, self._parts(selection, span)

    def pieces(self, context: Context) -> tuple[LabelTable, tuple[Piece, ...]]:
        """Columns instead of samples, for functions that need only a few of them."""
        selection = self.selector.select(context)
        context.budget.charge(2 * len(selection))
        return selection.table, selection.pieces

    def _parts(self, selection: Selection, span: Span) -> Iterator[Samples]:
        for piece in selection.pieces:
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
        span = self.span(context)
        step = max(round((self.step or context.step) * 1000), 1)
        first = int(np.floor(round(span.start * 1000) / step)) * step + step
        ticks = range(first, round(span.end * 1000) + 1, step)
        context.budget.charge(len(ticks))
        frames = []
        for tick in ticks:
            frame = vector_of(self.node, context.moved(tick / 1000))
            context.budget.charge(KEPT * len(frame))
            frames.append(frame)
        table, values, present = merged(*stacked(context, frames))
        times = np.broadcast_to(np.array(ticks, np.float64)[:, None] / 1000, values.shape)
        return table, iter((Samples.packed(values, times, present),))


def vector_of(node: Node, context: Context) -> Frame:
    """The node's vector; a scalar becomes a vector without labels."""
    outcome = node.evaluate(context)
    if isinstance(outcome, float):
        table = LabelTable(context.head.symbols, (), np.zeros((1, 0), np.int32), unique=True)
        return Frame(table, np.array([outcome]), np.ones(1, np.bool_))
    return vector(outcome)


def stacked(context: Context, frames: list[Frame]) -> tuple[LabelTable, Floats, Mask]:
    """Frames of several instants over one table: values and presence as [instant, row]."""
    if not frames:
        empty = LabelTable(context.head.symbols, (), np.zeros((0, 0), np.int32), unique=True)
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
    return LabelTable.of(context.head.symbols, list(positions)), values, present


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
