"""How samples of a window's chunks get into an assembly: which columns, which polls."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sentinel.model.batch import Floats
from sentinel.model.labels import Labels
from sentinel.series.history.assembly import Assembly, GiverKey
from sentinel.series.history.encoding import Bundle, Stamps
from sentinel.series.history.files import Window
from sentinel.series.history.shape import Index
from sentinel.series.history.thin import Thinned, picked, thin
from sentinel.series.index.matcher import Matcher
from sentinel.series.reading.archive import Archived, Charge, Panes


@dataclass(frozen=True, slots=True, eq=False)
class WindowStamps:
    """Instants of all sources of a window."""

    stamps: Stamps
    """[poll, source] milliseconds"""
    counts: Index

    @classmethod
    def of(cls, each: Sequence[Stamps]) -> WindowStamps:
        counts = np.array([len(one) for one in each], np.intp)
        stamps = np.zeros((int(counts.max(initial=0)), len(each)), np.int64)
        held = np.arange(len(stamps))[:, None] < counts
        stamps.T[held.T] = np.concatenate(each) if len(each) else np.empty(0, np.int64)
        return cls(stamps, counts)


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    matchers: tuple[Matcher, ...]
    first: int
    last: int
    """Samples in (first, last], milliseconds."""
    panes: Panes | None
    """None: all are wanted."""
    charge: Charge
    waiting: frozenset[str]
    """Segments that are read themselves, even if one has come into a file by now."""
    newest: int
    """Milliseconds of the newest sample of all files."""

    def polls(self, span: float, interval: float) -> int:
        """About how many of a source's polls are wanted.

        Args:
            span: milliseconds.
            interval: seconds between the polls.
        """
        apart, panes = max(interval * 1000, 1), self.panes
        if panes is None:
            return int(span / apart) + 2
        each = 1 if panes.is_newest else math.ceil(panes.width / apart)
        return int(min(span / panes.step * each, span / apart)) + each + 2


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """The series of a bundle that are wanted."""

    number: int
    """Of the bundle in its file."""
    bundle: Bundle
    places: Index


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Where in an assembly a bundle's chosen series and their sources are."""

    places: Index
    """Which of the bundle's series are chosen."""
    columns: Index
    givers: Index
    """Which of the bundle's sources they are of."""
    giver_of: Index
    """[column] index of `givers`"""
    slots: Index
    """Of those."""


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Where everything goes that some bundles have of what is wanted."""

    bundles: tuple[Columns, ...]
    labels: list[Labels]
    slots: Index
    """Of the columns."""
    givers: int


def plan_of(chosen: Sequence[Chosen]) -> Plan:
    """A column for each series, also where it is in several bundles; a slot for each source."""
    givers: dict[GiverKey, int] = {}
    columns: dict[tuple[int, Labels], int] = {}
    bundles = []
    for one in chosen:
        used, giver_of = np.unique(one.bundle.giver_of[one.places], return_inverse=True)
        slots = np.array(
            [givers.setdefault(one.bundle.givers[g].key, len(givers)) for g in used.tolist()], np.intp
        )
        found = [
            columns.setdefault((slot, one.bundle.labels[place]), len(columns))
            for slot, place in zip(slots[giver_of].tolist(), one.places.tolist(), strict=True)
        ]
        bundles.append(Columns(one.places, np.array(found, np.intp), used, giver_of, slots))
    slots = np.array([slot for slot, _ in columns], np.intp)
    return Plan(tuple(bundles), [labels for _, labels in columns], slots, len(givers))


class Growing:
    """Assemblies that go on from file to file for as long as the same series come in the same order."""

    def __init__(self) -> None:
        self._open: dict[float, tuple[Plan, Assembly]] = {}
        """By the sources' interval."""
        self._done: list[Archived] = []

    def assembly(self, interval: float, plan: Plan, query: Query, windows: Sequence[Window]) -> Assembly:
        """Where the next samples of sources with that interval go."""
        known = self._open.get(interval)
        if known is not None and known[0] is plan:
            return known[1]
        if known is not None:
            self._close(known[1])
        # Room for all that the query may want from here on; memory that is never written to is never taken.
        until = max(min(query.last, query.newest), windows[-1].stop)
        span = max(until - max(query.first, windows[0].start), 0)
        assembly = Assembly(plan.labels, plan.slots, plan.givers, int(query.polls(span, interval) * 1.05) + 8)
        self._open[interval] = (plan, assembly)
        return assembly

    def results(self) -> list[Archived]:
        """All of them, the older first."""
        for _, assembly in self._open.values():
            self._close(assembly)
        self._open.clear()
        return sorted(self._done, key=lambda one: float(one.samples.stamps[0].min(initial=math.inf)))

    def _close(self, assembly: Assembly) -> None:
        made = assembly.result()
        if made is not None:
            self._done.append(made)


@dataclass(frozen=True, slots=True, eq=False)
class Polls:
    """Of some sources in a window: when they were polled, as far as that is wanted."""

    stamps: Stamps
    """[poll, source] milliseconds"""
    counts: Index
    skip: Index
    """Rows of the chunk before the first of these polls."""
    few: Thinned | None
    """Rows of the chunk; None: all after those left out."""


@dataclass(frozen=True, slots=True, eq=False)
class Polled:
    """The polls of a window."""

    window: WindowStamps
    query: Query
    shift: int
    """Milliseconds by which it was moved."""

    def of(self, sources: Index) -> Polls:
        query = self.query
        stamps, counts = self.window.stamps[:, sources] + self.shift, self.window.counts[sources]
        skip = np.zeros(len(sources), np.intp)
        if stamps.size and (stamps[0].min() <= query.first or stamps.max() > query.last):
            held = np.arange(len(stamps))[:, None] < counts
            skip = (held & (stamps <= query.first)).sum(axis=0)
            counts = np.maximum((held & (stamps <= query.last)).sum(axis=0) - skip, 0)
            rows = np.minimum(np.arange(len(stamps))[:, None] + skip, len(stamps) - 1)
            stamps = np.take_along_axis(stamps, rows, 0)
        few = thin(stamps, counts, query.panes)
        if few is None:
            return Polls(stamps, counts, skip, None)
        times = np.take_along_axis(stamps, few.rows, 0)
        few = Thinned(few.rows + skip, few.lowest + skip, few.counts)
        return Polls(times, few.counts, np.zeros_like(skip), few)


class Content(Protocol):
    """A bundle's samples in a window."""

    @property
    def stamps(self) -> Index:
        """Of each of the bundle's sources: which of the window's instants are its own."""
        ...

    @property
    def has_holes(self) -> bool: ...

    def values(self, rows: Index | None) -> Floats | None:
        """[poll, series], of those polls, ascending, or of all. None: damaged, which has been told."""
        ...


def put_window(assembly: Assembly, parts: Sequence[tuple[Columns, Content]], polled: Polled) -> None:
    """The chunks of a window."""
    if not parts:
        return
    source_of = np.full(max(int(one.slots.max()) for one, _ in parts) + 1, -1)
    for one, content in parts:
        source_of[one.slots] = content.stamps[one.givers]
    slots = np.flatnonzero(source_of >= 0)
    polls = polled.of(source_of[slots])
    assembly.place(slots, polls.stamps, polls.counts)
    place_of = np.zeros(len(source_of), np.intp)
    place_of[slots] = np.arange(len(slots))
    for one, content in parts:
        sources = place_of[one.slots]
        values = _all(one, content) if polls.few is None else _few(one, content, polls.few, sources)
        if values is not None:
            assembly.put(one.columns, values, polls.skip[sources][one.giver_of], has_holes=content.has_holes)


def _all(one: Columns, content: Content) -> Floats | None:
    values = content.values(None)
    return values if values is None or len(one.columns) == values.shape[1] else values[:, one.places]


def _few(one: Columns, content: Content, few: Thinned, sources: Index) -> Floats | None:
    """The cells of the polls that are left.

    Args:
        sources: of the bundle, among those of `few`.
    """
    if content.has_holes:
        values = _all(one, content)
        if values is None:
            return None
        places = sources[one.giver_of]
        return picked(values, few.rows[:, places], few.lowest[:, places])
    rows = few.rows[:, sources]
    held = np.arange(len(rows))[:, None] < few.counts[sources]
    wanted = np.unique(rows[held])
    values = content.values(wanted)
    if values is None:
        return None
    if len(one.columns) < values.shape[1]:
        values = values[:, one.places]
    place = np.zeros(int(rows.max(initial=0)) + 1, np.intp)
    place[wanted] = np.arange(len(wanted))
    return _rows_of(values, place[rows], one.giver_of)


def _rows_of(values: Floats, rows: Index, source_of: Index) -> Floats:
    """Other rows for the columns of each source. Most sources want the same ones: whole rows are cheaper.

    Args:
        rows: [row, source]
        source_of: [column]
    """
    alike: dict[bytes, list[int]] = {}
    for source, own in enumerate(np.ascontiguousarray(rows.T)):
        alike.setdefault(own.tobytes(), []).append(source)
    groups = sorted(alike.values(), key=len, reverse=True)
    common = rows[:, groups[0][0]]
    if len(groups) == 1 and len(common) == len(values) and (common == np.arange(len(values))).all():
        return values
    cells = values[common]
    for sources in groups[1:]:
        columns = np.flatnonzero(np.isin(source_of, sources))
        cells[:, columns] = values[rows[:, sources[0]][:, None], columns]
    return cells
