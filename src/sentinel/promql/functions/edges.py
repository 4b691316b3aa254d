"""x[5m] anchored and x[5m] smoothed: windows that look beyond their edges instead of extrapolating.

An anchored window begins with the newest sample at or before its start. A smoothed one is interpolated between the
samples on either side of each edge. Source: Prometheus documentation, "Querying basics", extended range selectors;
extendedRate in promql/functions.go.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from sentinel.model.batch import Floats
from sentinel.promql.frame import Context, Frame, Index, Mask, Nameless
from sentinel.promql.functions.rates import KINDS, joined
from sentinel.promql.selectors import RangeSelector, Selector, Span
from sentinel.series.index.selection import Samples

ANCHORED: Final = ("changes", "delta", "increase", "rate", "resets")
"""Functions that can take an anchored window."""

SMOOTHED: Final = ("delta", "increase", "rate")


@dataclass(frozen=True, slots=True, eq=False)
class Edges:
    """The ends of each series' window: where they stand among its samples, and their values."""

    first: Index
    last: Index
    left: Floats
    right: Floats
    present: Mask


class Extended:
    """One of those functions over such a window."""

    def __init__(self, name: str, source: RangeSelector, *, smoothed: bool) -> None:
        self.source = source
        self.smoothed = smoothed
        self._count: Callable[[Floats, Floats], Mask] | None = {"changes": _differs, "resets": _falls}.get(
            name
        )
        self._kind = KINDS.get(name)
        self._nameless = Nameless()

    def evaluate(self, context: Context) -> Frame:
        span = self.source.span(context)
        ahead = context.lookback if self.smoothed else 0.0
        table, parts = self.source.within(context, Span(span.start - context.lookback, span.end + ahead))
        values, present = joined([self._of(samples, span) for samples in parts])
        return self._nameless.checked(Frame(self._nameless(table), values, present))

    def _of(self, samples: Samples, span: Span) -> tuple[Floats, Mask]:
        is_counter = self._kind is not None and self._kind.is_counter
        edges = edges_of(samples, span, smoothed=self.smoothed, is_counter=is_counter)
        if not edges.present.any():
            return np.full(len(edges.present), np.nan), edges.present
        if self._count is not None:
            return _counted(samples, span, edges, self._count), edges.present
        change = edges.right - edges.left
        if is_counter:
            change = change + _corrections(samples, span, edges)
        if self._kind is not None and self._kind.is_rate:
            change = change / span.seconds
        return change, edges.present


class Interpolated:
    """x smoothed: the value between the samples before and after the instant."""

    def __init__(self, selector: Selector) -> None:
        self.selector = selector

    def evaluate(self, context: Context) -> Frame:
        at = self.selector.moment.of(context)
        source = RangeSelector(self.selector, context.lookback)
        table, parts = source.within(context, Span(at - context.lookback, at + context.lookback))
        values, present = joined([_between(samples, at) for samples in parts])
        return Frame(table, values, present)


def _between(samples: Samples, at: float) -> tuple[Floats, Mask]:
    before = (samples.held & (samples.times <= at)).sum(axis=0) if len(samples.values) else samples.count
    present = before > 0
    if not len(samples.values):
        return np.full(len(present), np.nan), present
    columns = np.arange(len(present))
    first = np.maximum(before - 1, 0)
    second = np.minimum(before, np.maximum(samples.count - 1, 0))
    values = _interpolated(samples, (first, second), at)
    return np.where(second > first, values, samples.values[first, columns]), present


def edges_of(samples: Samples, span: Span, *, smoothed: bool, is_counter: bool) -> Edges:
    count = samples.count
    if not len(samples.values):
        nothing = np.full(len(count), np.nan)
        return Edges(count, count, nothing, nothing, np.zeros(len(count), np.bool_))
    columns = np.arange(len(count))
    last = np.maximum(count - 1, 0)
    times, held = samples.times, samples.held
    first = np.maximum(np.minimum((held & (times <= span.start)).sum(axis=0), last) - 1, 0)
    if smoothed:
        last = np.minimum((held & (times < span.end)).sum(axis=0), last)
    present = (count > 0) & (times[last, columns] > span.start)
    left, right = samples.values[first, columns], samples.values[last, columns]
    if smoothed:
        after = np.minimum(first + 1, np.maximum(count - 1, 0))
        before = np.maximum(last - 1, 0)
        begins_before = times[first, columns] < span.start
        ends_after = (last > 0) & (times[last, columns] > span.end)
        # Both edges between the same two samples have to be taken the same way.
        is_one = begins_before & ends_after & (first == before)
        kinds = ("left", "right") if is_counter else ("", "")
        inner = np.where(
            is_one,
            _interpolated(samples, (first, after), span.start, kinds[1]),
            _interpolated(samples, (first, after), span.start, kinds[0]),
        )
        left = np.where(begins_before, inner, left)
        right = np.where(ends_after, _interpolated(samples, (before, last), span.end, kinds[1]), right)
    return Edges(first, last, left, right, present)


def _interpolated(samples: Samples, pairs: tuple[Index, Index], at: float, resets: str = "") -> Floats:
    """The value at an instant between two samples of each series.

    Args:
        resets: "left" or "right" for counters, by the edge: one that was reset in between began anew from zero.
    """
    columns = np.arange(len(samples.count))
    first, second = pairs
    a, b = samples.values[first, columns], samples.values[second, columns]
    fell = b < a
    if resets == "left":
        a = np.where(fell, 0.0, a)
    elif resets == "right":
        b = np.where(fell, b + a, b)
    times = samples.times
    since = times[first, columns]
    value: Floats = a + (b - a) * (at - since) / (times[second, columns] - since)
    return value


def _inner(samples: Samples, span: Span) -> Mask:
    times = samples.times
    inner: Mask = samples.held & (times > span.start) & (times < span.end)
    return inner


def _corrections(samples: Samples, span: Span, edges: Edges) -> Floats:
    """What counters had reached before they were reset between the edges."""
    total = np.zeros(len(samples.count))
    before = edges.left
    for values, within in zip(samples.values, _inner(samples, span), strict=True):
        total += np.where(within & (values < before), before, 0.0)
        before = np.where(within, values, before)
    total += np.where(edges.right < before, before, 0.0)
    return total


def _counted(
    samples: Samples, span: Span, edges: Edges, happened: Callable[[Floats, Floats], Mask]
) -> Floats:
    total = np.zeros(len(samples.count))
    before = edges.left
    rows: Sequence[tuple[Floats, Mask]] = list(zip(samples.values, _inner(samples, span), strict=True))
    for values, within in rows:
        total += within & happened(before, values)
        before = np.where(within, values, before)
    total += happened(before, edges.right)
    return total


def _differs(before: Floats, after: Floats) -> Mask:
    differs: Mask = (before != after) & ~(np.isnan(before) & np.isnan(after))
    return differs


def _falls(before: Floats, after: Floats) -> Mask:
    falls: Mask = after < before
    return falls
