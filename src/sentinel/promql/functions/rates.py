"""rate, increase, delta, irate, idelta: from the ends of a window.

A series without gaps and resets in the window is judged by its first and last sample alone, so the cost does
not grow with the window. Extrapolation follows Prometheus' extrapolatedRate (promql/functions.go).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from sentinel.model.batch import Floats
from sentinel.promql.across import Across
from sentinel.promql.frame import Context, Frame, Index, Mask, Nameless
from sentinel.promql.selectors import Range, RangeSelector, Span
from sentinel.series.index.selection import Piece, Samples
from sentinel.series.reading.cut import Cut

_THRESHOLD: Final = 1.1
"""A gap to the window's edge up to that many average intervals is taken for part of the series."""


@dataclass(frozen=True, slots=True, eq=False)
class _Reach:
    """Seconds from the first sample to the last, and before and after those."""

    sampled: Floats
    to_start: Floats
    to_end: Floats

    def of(self, slots: Index) -> _Reach:
        """[window, series] of [window, slot]."""
        return _Reach(self.sampled[:, slots], self.to_start[:, slots], self.to_end[:, slots])


@dataclass(frozen=True, slots=True)
class RateKind:
    is_counter: bool
    is_rate: bool


KINDS: Final = {
    "rate": RateKind(is_counter=True, is_rate=True),
    "increase": RateKind(is_counter=True, is_rate=False),
    "delta": RateKind(is_counter=False, is_rate=False),
}


class Rate:
    def __init__(self, kind: RateKind, source: Range) -> None:
        self.kind = kind
        self.source = source
        self._nameless = Nameless()

    def evaluate(self, context: Context) -> Frame:
        if context.grid is not None:
            found = context.grid.keep(self, lambda: self._across(context)).at(context)
            return self._nameless.checked(Frame(self._nameless(found.table), found.values, found.present))
        span = self.source.span(context)
        if isinstance(self.source, RangeSelector):
            table, pieces = self.source.pieces(context)
            parts = [self._of_piece(piece, span, context) for piece in pieces]
        else:
            table, samples = self.source.parts(context)
            parts = [self._of_samples(part, span) for part in samples]
        values, present = joined(parts)
        return self._nameless.checked(Frame(self._nameless(table), values, present))

    def _across(self, context: Context) -> Across:
        def reduce(cut: Cut, starts: Floats, ends: Floats) -> tuple[Floats, Mask]:
            context.budget.charge(2 * len(ends) * cut.series)
            return self._of_cut(cut, starts, ends)

        return self.source.windows(context).reduced(reduce)

    def _of_cut(self, cut: Cut, starts: Floats, ends: Floats) -> tuple[Floats, Mask]:
        look = cut.look(starts, ends)
        count = cut.count(look)
        if not len(cut.cells):
            return np.full(count.shape, np.nan), np.zeros(count.shape, np.bool_)
        top = len(cut.cells) - 1
        first, last = np.minimum(look.first, top), np.maximum(look.end - 1, 0)
        start = cut.at(first)
        change = cut.at(last) - start
        # By slot, of which there are fewer than series.
        reach = reach_of(
            cut.slot_stamps(first),
            cut.slot_stamps(last),
            look.end - look.first,
            starts[:, None],
            ends[:, None],
        )
        if self.kind.is_counter:
            series, lost = cut.fallen(look)
            change[:, series] += lost
        return self._extrapolated(change, start, reach.of(cut.slots), self.source.seconds), count >= 2

    def _of_piece(self, piece: Piece, span: Span, context: Context) -> tuple[Floats, Mask]:
        ends = piece.ends(span.start, span.end)
        change = ends.last - ends.first
        reach = reach_of(ends.first_at, ends.last_at, ends.count, span.start, span.end)
        values = self._extrapolated(change, ends.first, reach, self.source.seconds)
        present = ends.count >= 2
        rest = ~ends.is_exact
        if self.kind.is_counter is False:
            # Resets do not matter to a gauge, only gaps do.
            rest = piece.pool.gap_at[piece.columns] > span.start
        if rest.any():
            part = piece.only(rest)
            samples = part.samples(span.start, span.end)
            context.budget.charge(samples.values.size)
            values[rest], present[rest] = self._of_samples(samples, span)
        return values, present

    def _of_samples(self, samples: Samples, span: Span) -> tuple[Floats, Mask]:
        present = samples.count >= 2
        if not len(samples.values):
            return np.full(len(present), np.nan), present
        first, first_at = samples.values[0], samples.times[0]
        last, last_at = samples.last()
        change = last - first
        if self.kind.is_counter:
            before, after = samples.values[:-1], samples.values[1:]
            fell = (after < before) & samples.held[1:]
            change = change + np.where(fell, before, 0.0).sum(axis=0)
        reach = reach_of(first_at, last_at, samples.count, span.start, span.end)
        return self._extrapolated(change, first, reach, self.source.seconds), present

    def _extrapolated(self, change: Floats, first: Floats, reach: _Reach, seconds: float) -> Floats:
        """
        Args:
            first: the first sample of each series.
            seconds: of the window.
        """
        sampled, to_start, to_end = reach.sampled, reach.to_start, reach.to_end
        if self.kind.is_counter:
            to_zero = np.where((change > 0) & (first >= 0), sampled * (first / change), to_start)
            to_start = np.where(to_zero < to_start, to_zero, to_start)
        factor = (sampled + to_start + to_end) / sampled
        if self.kind.is_rate:
            factor = factor / seconds
        result: Floats = change * factor
        return result


def reach_of(
    first_at: Floats, last_at: Floats, count: Index, start: Floats | float, end: Floats | float
) -> _Reach:
    """How far the samples of a window reach, and how far beyond them the series are taken to go on."""
    sampled = between(first_at, last_at)
    to_start, to_end = between(start, first_at), between(last_at, end)
    average = sampled / (count - 1)
    threshold = average * _THRESHOLD
    half = average / 2
    return _Reach(
        sampled,
        np.where(to_start >= threshold, half, to_start),
        np.where(to_end >= threshold, half, to_end),
    )


def between(earlier: Floats | float, later: Floats | float) -> Floats:
    """Seconds, to the millisecond: Unix seconds as such are a quarter of a microsecond apart."""
    seconds: Floats = np.rint((later - earlier) * 1000) / 1000
    return seconds


class Newest:
    """irate and idelta: from the last two samples."""

    def __init__(self, *, is_rate: bool, source: Range) -> None:
        self.is_rate = is_rate
        self.source = source
        self._nameless = Nameless()

    def evaluate(self, context: Context) -> Frame:
        if context.grid is not None:
            found = context.grid.keep(self, lambda: self.source.windows(context).reduced(self._of_cut)).at(
                context
            )
            return self._nameless.checked(Frame(self._nameless(found.table), found.values, found.present))
        table, parts = self.source.parts(context)
        values, present = joined([self._of(samples) for samples in parts])
        return self._nameless.checked(Frame(self._nameless(table), values, present))

    def _of_cut(self, cut: Cut, starts: Floats, ends: Floats) -> tuple[Floats, Mask]:
        look = cut.look(starts, ends)
        present = cut.count(look) >= 2
        if not present.any():
            return np.full(present.shape, np.nan), present
        last, before = np.maximum(look.end - 1, 0), np.maximum(look.end - 2, 0)
        newest = cut.at(last)
        change = newest - cut.at(before)
        if self.is_rate:
            elapsed = between(cut.slot_stamps(before), cut.slot_stamps(last))
            change = np.where(change < 0, newest, change) / elapsed[:, cut.slots]
        return change, present

    def _of(self, samples: Samples) -> tuple[Floats, Mask]:
        present = samples.count >= 2
        if not present.any():
            return np.full(len(present), np.nan), present
        columns = np.arange(len(present))
        last, before = np.maximum(samples.count - 1, 0), np.maximum(samples.count - 2, 0)
        change = samples.values[last, columns] - samples.values[before, columns]
        if self.is_rate:
            change = np.where(change < 0, samples.values[last, columns], change)
            change = change / between(samples.times[before, columns], samples.times[last, columns])
        return change, present


def joined(parts: list[tuple[Floats, Mask]]) -> tuple[Floats, Mask]:
    if len(parts) == 1:
        return parts[0]
    values = np.concatenate([np.empty(0), *(part for part, _ in parts)])
    return values, np.concatenate([np.empty(0, np.bool_), *(present for _, present in parts)])
