"""After a restart: the head as it was, from what the history kept of its last hour.

Works on the head's own parts: series of one metric are placed for all sources at once, and samples go where they
belong without being appended one by one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sentinel.model.batch import Family, Floats, Layout, Source
from sentinel.series.columns.past import PastPolls, fill_pool
from sentinel.series.columns.pool import Index
from sentinel.series.feed import Feed
from sentinel.series.head import Head
from sentinel.series.index.metric import Metric
from sentinel.series.index.placing import own_codes
from sentinel.series.index.table import Codes


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """What is known of one source."""

    source: Source
    layout: Layout
    """All series it gave, those about its polls among them; the same object for sources that gave the same."""
    times: Floats
    """[poll] Unix seconds to the millisecond, ascending."""
    current: Index
    """Which series its newest layout has: its own, then those about the poll."""
    own: int
    """How many of these are its own."""
    down_since: float
    """Unix seconds; +Inf: it could be read in its last poll."""
    is_forgotten: bool
    cells: Callable[[int, int], Floats]
    """The samples of polls first … last − 1, [poll, series]; staleness markers and absent cells as in the head."""


def refill(head: Head, pasts: Sequence[Past], families: Mapping[str, Family]) -> None:
    """Fill an empty head.

    Raises:
        OSError: samples cannot be read; the head is of no use then.
    """
    pasts = _newest(pasts)
    feeds = [head._feed(past.source, float(past.times[0])) for past in pasts]
    columns = [np.full(len(past.layout), -1, np.intp) for past in pasts]
    for name, placed in _by_name(head, pasts).items():
        metric = head.directory.metric(name)
        _place(metric, placed, feeds, columns, pasts)
        head.directory.changed(metric)
    pools: dict[int, list[PastPolls]] = {}
    for past, feed, found in zip(pasts, feeds, columns, strict=True):
        ticks, kept = feed.resume(past.times)
        series = np.flatnonzero(found >= 0)
        last = float(past.times[-1])
        feed.resume_columns(past.layout, found, past.current, past.own, down_since=past.down_since, last=last)
        cells = past.cells if len(kept) == len(past.times) else _picked(past.cells, kept)
        part = PastPolls(feed.slot, ticks, past.times[kept], found[series], series, cells)
        pools.setdefault(id(feed.pool), []).append(part)
    for pool in {id(feed.pool): feed.pool for feed in feeds}.values():
        fill_pool(pool, pools[id(pool)])
    for past in pasts:
        if past.is_forgotten:
            head._forgotten.append(head._feeds.pop(past.source))
    head._families.update(families)
    head._newest = head._vacuumed_at = max((float(past.times[-1]) for past in pasts), default=0.0)
    head._whole_since = min((float(past.times[0]) for past in pasts), default=math.inf)


def _newest(pasts: Iterable[Past]) -> list[Past]:
    """Sources whose interval was changed are known by their newest one."""
    newest: dict[Source, Past] = {}
    for past in pasts:
        if len(past.times):
            other = newest.get(past.source)
            if other is None or other.times[-1] < past.times[-1]:
                newest[past.source] = past
    return list(newest.values())


def _picked(cells: Callable[[int, int], Floats], kept: Index) -> Callable[[int, int], Floats]:
    """Of a source that was polled more often than its interval: the polls that stand for a tick."""

    def some(first: int, last: int) -> Floats:
        chosen = kept[first:last]
        picked: Floats = cells(int(chosen[0]), int(chosen[-1]) + 1)[chosen - chosen[0]]
        return picked

    return some


@dataclass(frozen=True, slots=True, eq=False)
class _Placed:
    """Series of one metric with the same label names, of sources that share their layout."""

    names: tuple[str, ...]
    codes: Codes
    """[series, label]"""
    owners: Index
    """[series] Which of the pasts has it, and where in its layout."""
    places: Index


def _by_name(head: Head, pasts: Sequence[Past]) -> dict[str, list[_Placed]]:
    alike: dict[tuple[int, tuple[str, ...]], list[int]] = {}
    for number, past in enumerate(pasts):
        names = tuple(name for name, _ in past.source.labels.pairs)
        alike.setdefault((id(past.layout), names), []).append(number)
    found: dict[str, list[_Placed]] = {}
    for numbers in alike.values():
        own = [own_codes(pasts[number].source.labels, head.symbols) for number in numbers]
        matrix = np.array([list(codes.values()) for codes in own], np.int32).reshape(len(own), len(own[0]))
        for group in head.directory.groups_of(pasts[numbers[0]].layout):
            names, codes = group.within(own[0])
            count = len(codes)
            everything = np.tile(codes, (len(numbers), 1))
            everything[:, : matrix.shape[1]] = np.repeat(matrix, count, axis=0)
            owners = np.repeat(np.array(numbers, np.intp), count)
            placed = _Placed(names, everything, owners, np.tile(group.rows, len(numbers)))
            found.setdefault(group.name, []).append(placed)
    return found


def _place(
    metric: Metric,
    parts: Sequence[_Placed],
    feeds: Sequence[Feed],
    columns: Sequence[Index],
    pasts: Sequence[Past],
) -> None:
    """Give the series of a metric their columns."""
    for part in parts:
        metric.know(part.names)
    codes = np.concatenate([metric.spread(part.names, part.codes) for part in parts])
    owners = np.concatenate([part.owners for part in parts])
    places = np.concatenate([part.places for part in parts])
    keys = metric.keys(codes)
    if len(np.unique(keys)) < len(keys):
        order = np.argsort(-_ranks(pasts, owners, places), kind="stable")
        _, first = np.unique(codes[order], axis=0, return_index=True)
        chosen = np.sort(order[first])
        codes, owners, places, keys = codes[chosen], owners[chosen], places[chosen], keys[chosen]
    pools = np.array([id(feed.pool) for feed in feeds])[owners]
    slots = np.array([feed.slot for feed in feeds])[owners]
    for pool in np.unique(pools).tolist():
        here = np.flatnonzero(pools == pool)
        block = metric.block(feeds[owners[here[0]]].pool)
        found = block.columns_for(keys[here], codes[here], slots[here])
        _scatter(columns, owners[here], places[here], found)


def _ranks(pasts: Sequence[Past], owners: Index, places: Index) -> Floats:
    """Which of several sources that gave the same series has it now: the one that gave it last."""
    ranks: Floats = np.array([past.times[-1] for past in pasts], np.float64).take(owners)
    for number in np.unique(owners).tolist():
        is_current = np.isin(places, pasts[number].current)
        ranks[(owners == number) & is_current] += 1e12
    return ranks


def _scatter(columns: Sequence[Index], owners: Index, places: Index, found: Index) -> None:
    cuts = np.flatnonzero(np.diff(owners)) + 1
    for part in np.split(np.arange(len(owners)), cuts):
        columns[owners[part[0]]][places[part]] = found[part]
