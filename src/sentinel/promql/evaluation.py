"""One query over a snapshot: at one instant, or at all steps of a range."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from sentinel.model.batch import Floats
from sentinel.model.labels import Labels
from sentinel.promql.across import to_milliseconds
from sentinel.promql.errors import EvaluationError, LimitError
from sentinel.promql.frame import Budget, Context, Frame, Grid, Mask, Node, Notes, Outcome
from sentinel.promql.leaves import leaves
from sentinel.promql.selectors import RangeSelector, Subquery, merged, stacked, vector_of
from sentinel.promql.value import SeriesSet, Value, Vector
from sentinel.series.columns.pool import milliseconds
from sentinel.series.head import Head
from sentinel.series.index.table import LabelTable, identify
from sentinel.series.reading.archive import Archive
from sentinel.series.reading.frozen import Unpack
from sentinel.series.reading.snapshot import Snapshot

CELLS: Final = 1 << 22
"""Results of all selectors, over all steps that are evaluated together."""

_FIRST_STRETCH: Final = 15.0 * CELLS
"""Seconds of the archive read at first, if there were but one series; what they turn out to hold decides how many
follow."""

Part = tuple[LabelTable, Floats, Mask]


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """One series of a range query."""

    labels: Labels
    times: Floats
    """Unix seconds."""
    values: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Matrix:
    """Series over the steps of a range query: `values[series, step]` where `present`."""

    labels: LabelTable
    times: Floats
    """Unix seconds of the steps."""
    values: Floats
    present: Mask

    def tracks(self) -> list[Track]:
        """Series with at least one value."""
        found = []
        for row in np.flatnonzero(self.present.any(axis=1)).tolist():
            held = self.present[row]
            found.append(Track(self.labels[row], self.times[held], self.values[row, held]))
        return found


@dataclass(frozen=True, slots=True)
class Sight:
    """What an evaluation looks at: where, and by which rules."""

    head: Head
    archive: Archive | None
    unpack: Unpack
    lookback: float
    step: float
    """Of subqueries that name none, in seconds."""


class Evaluation:
    """Goes through three stages: made and `take` on the head's thread, everything else in one other."""

    def __init__(
        self,
        node: Node | RangeSelector | Subquery,
        sight: Sight,
        instants: Floats,
        *,
        end: float,
        step: float,
        budget: Budget,
        notes: Notes | None = None,
    ) -> None:
        """
        Args:
            instants: at least one, ascending, in Unix seconds.
            end: of the range, which may lie after the last of them.
            step: between them; 0 for an instant query.
        """
        self._notes = notes
        self._end = milliseconds(end)
        self._node = node
        self._sight = sight
        self._instants = to_milliseconds(instants)
        self._budget = budget
        self._step = step
        self._leaves = list(leaves(node))
        self._snapshot = Snapshot(sight.head, sight.archive, unpack=sight.unpack)

    def take(self) -> Iterator[None]:
        """Copies what is needed of the head, in small steps.

        Raises:
            EvaluationError: a pattern that cannot be used.
        """
        start = float(self._instants[0])
        wanted = [leaf.wanted(start, self._end, self._sight.lookback) for leaf in self._leaves]
        try:
            yield from self._snapshot.take(wanted)
        except ValueError as error:
            raise EvaluationError(str(error)) from error

    def check(self) -> None:
        """Raises: EvaluationError: too late, or nobody waits any more."""
        self._budget.charge(0)

    # In the other thread

    def value(self) -> Value:
        """At the only instant.

        Raises:
            EvaluationError: no result on the samples present, or over the limits.
        """
        with np.errstate(all="ignore"):
            outcome = self._guarded(self._context(self._instants))
        if not isinstance(outcome, Frame):
            return outcome
        rows = outcome.order if outcome.order is not None else np.flatnonzero(outcome.present)
        return Vector(SeriesSet(outcome.table), rows, outcome.values[rows])

    def ranges(self) -> list[Track]:
        """The samples of a range expression at the only instant. Raises: EvaluationError."""
        if not isinstance(self._node, RangeSelector | Subquery):
            raise EvaluationError("not a range of samples")
        with np.errstate(all="ignore"):
            table, parts = self._node.parts(self._context(self._instants))
            tracks, row = [], 0
            for samples in parts:
                times = samples.times
                for column, count in enumerate(samples.count.tolist()):
                    if count:
                        tracks.append(
                            Track(table[row], times[:count, column], samples.values[:count, column])
                        )
                    row += 1
        return tracks

    def matrix(self) -> Matrix:
        """At all steps.

        Raises:
            EvaluationError: no result on the samples present, or over the limits.
        """
        if isinstance(self._node, RangeSelector | Subquery):
            raise EvaluationError("a range of samples has no single value")
        with np.errstate(all="ignore"):
            parts, points = [], 0
            for chosen in self._stretches():
                part = self._part(self._instants[chosen])
                points += int(np.count_nonzero(part[2]))
                if points > self._budget.limits.points:
                    raise LimitError(f"the query yields more than {self._budget.limits.points:,} points")
                parts.append(part)
            table, values, present = merged(*_joined(parts))
            return Matrix(
                table, self._instants, np.ascontiguousarray(values.T), np.ascontiguousarray(present.T)
            )

    def _part(self, instants: Floats) -> Part:
        context, frames = self._context(instants), []
        node = _Guarded(self._guarded)
        for one in context.each():
            frames.append(vector_of(node, one))
            self._budget.charge(0)
        return stacked(context, frames)

    def _stretches(self) -> Iterator[slice]:
        """Steps that are evaluated together."""
        steps = len(self._instants)
        most = max(CELLS // max(self._snapshot.series, 1), 1)
        first_stretch = _FIRST_STRETCH / max(self._snapshot.series, 1000)
        of_archive = max(int(first_stretch / max(self._step, 0.001)), 1)
        first = 0
        while first < steps:
            size = most
            start = float(self._instants[first])
            is_archived = any(
                self._snapshot.is_archived(leaf.wanted(start, start, self._sight.lookback).start)
                for leaf in self._leaves
            )
            if is_archived:
                size = min(most, of_archive)
            spent = self._budget.spent
            yield slice(first, first + size)
            first += size
            if is_archived:
                share = CELLS / max(self._budget.spent - spent, 1)
                of_archive = max(int(size * min(max(share, 0.25), 8.0)), 1)

    def _context(self, instants: Floats) -> Context:
        sight, first = self._sight, float(self._instants[0])
        context = Context(
            sight.head, first, first, self._end, self._budget, sight.lookback, sight.step, self._step
        )
        return replace(context, at=float(instants[0]), grid=Grid(instants, self._snapshot), notes=self._notes)

    def _guarded(self, context: Context) -> Outcome:
        if isinstance(self._node, RangeSelector | Subquery):
            raise EvaluationError("a range of samples has no single value")
        try:
            return self._node.evaluate(context)
        except ValueError as error:
            # A pattern that met a label value it may not be tried on.
            raise EvaluationError(str(error)) from error


class _Guarded:
    """A node out of an evaluation function."""

    def __init__(self, evaluate: Callable[[Context], Outcome]) -> None:
        self.evaluate = evaluate


def _joined(parts: list[Part]) -> Part:
    """One after the other, over one table."""
    table = parts[-1][0]
    if all(part[0] is table for part in parts):
        if len(parts) == 1:
            return parts[0]
        return table, np.concatenate([part[1] for part in parts]), np.concatenate([part[2] for part in parts])
    # Series that came and went, or labels that depend on values.
    parts = [merged(*part) for part in parts]
    whole = parts[0][0]
    for table, *_ in parts[1:]:
        whole = whole.followed_by(table)
    ids, count, first = identify(whole.codes)
    values = np.full((sum(len(part[1]) for part in parts), count), np.nan)
    present = np.zeros(values.shape, np.bool_)
    step = row = 0
    for table, some, held in parts:
        rows = ids[row : row + len(table)]
        values[step : step + len(some), rows] = some
        present[step : step + len(some), rows] = held
        step, row = step + len(some), row + len(table)
    return whole.take(first), values, present
