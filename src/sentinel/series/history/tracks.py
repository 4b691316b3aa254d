"""What each source gave, out of segments of the journal: its polls, its series, and the samples as a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sentinel.model.batch import ABSENT_BITS, Floats, Row, Source
from sentinel.series.history.records import PART, UP
from sentinel.series.history.segment import Key, Segment, Series
from sentinel.series.history.shape import Index, Shape

Stamps = NDArray[np.int64]

_NOTHING: Final = np.empty(0, np.intp)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Writes of one segment that are of the same series."""

    segment: Segment
    writes: Index
    polls: Index
    """Which polls of the track they belong to: ascending."""
    places: Index | None
    """Which series of the track they are of; None: all."""


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """One source."""

    source: Source
    times: Stamps
    """[poll] milliseconds since 1970, ascending."""
    shape: Shape
    """All series that it gave in this time."""
    parts: tuple[Part, ...]
    current: Index
    """The series of its newest layout."""
    ups: NDArray[np.bool_]
    """[poll] whether it could be read."""
    is_forgotten: bool

    def cells(self, first: int, last: int, series: Index | None = None) -> Floats:
        """[polls first … last − 1, series]; what was not written is absent.

        Raises:
            OSError: a segment cannot be read.
        """
        width = len(self.shape) if series is None else len(series)
        cells = np.empty((last - first, width))
        cells.view(np.uint64)[...] = ABSENT_BITS
        for part in self.parts:
            self._copy(part, first, last, series, cells)
        return cells

    @staticmethod
    def _copy(part: Part, first: int, last: int, series: Index | None, cells: Floats) -> None:
        low, high = part.polls.searchsorted([first, last]).tolist()
        if low == high:
            return
        if part.places is None:
            begin, end = int(part.polls[low]) - first, int(part.polls[high - 1]) - first + 1
            if end - begin == high - low:
                part.segment.gather(part.writes[low:high], series, cells[begin:end])
                return
            columns, into = series, np.arange(cells.shape[1])
        elif series is None:
            columns, into = None, part.places
        else:
            # Where among the part's series the wanted ones are.
            order = np.argsort(part.places, kind="stable")
            found = np.searchsorted(part.places, series, sorter=order)
            found = order[np.minimum(found, len(order) - 1)] if len(order) else np.zeros(len(series), np.intp)
            held = part.places[found] == series if len(order) else np.zeros(len(series), np.bool_)
            columns, into = found[held], np.flatnonzero(held)
        if not len(into):
            return
        values = np.empty((high - low, len(into)))
        part.segment.gather(part.writes[low:high], columns, values)
        cells[(part.polls[low:high] - first)[:, None], into] = values


def tracks_of(segments: Sequence[Segment], since: float = 0.0) -> list[Track]:
    """
    Args:
        segments: in the order in which they were written.
        since: Unix seconds; earlier polls are left out.
    """
    return [track for flow in _flows(segments, round(since * 1000)) if (track := flow.track()) is not None]


@dataclass(slots=True, eq=False)
class _Flow:
    """All writes of one source at one interval."""

    source: Source
    pieces: list[tuple[Segment, Index]]
    forgotten: tuple[int, int]
    """The segment and the write up to which it is gone; (−1, 0): it is not."""

    def track(self) -> Track | None:
        at = np.concatenate([segment.writes.at[writes] for segment, writes in self.pieces])
        flags = np.concatenate([segment.writes.flags[writes] for segment, writes in self.pieces])
        times, first = np.unique(at, return_index=True)
        if not len(times):
            return None
        shape, places_of, current = self._shape(flags)
        parts = []
        for segment, writes in self.pieces:
            rows = segment.writes.rows[writes]
            polls = np.searchsorted(times, segment.writes.at[writes])
            for number in np.unique(rows).tolist():
                chosen = rows == number
                part_polls = polls[chosen]
                if len(part_polls) > 1 and (np.diff(part_polls) <= 0).any():
                    # The clock was stepped back: what was written last counts.
                    part_polls, chosen_writes = _last(part_polls, writes[chosen])
                else:
                    chosen_writes = writes[chosen]
                parts.append(Part(segment, chosen_writes, part_polls, places_of[id(segment), number]))
        return Track(
            self._newest_source(),
            times,
            shape,
            tuple(parts),
            current,
            (flags[first] & UP).astype(np.bool_),
            self.forgotten[0] >= 0,
        )

    def _newest_source(self) -> Source:
        segment, writes = self.pieces[-1]
        return segment.series[int(segment.writes.rows[writes[-1]])].source

    def _shape(self, flags: NDArray[np.uint8]) -> tuple[Shape, dict[tuple[int, int], Index | None], Index]:
        """All series, where each kind of write has its own among them, and which are the newest layout's."""
        kinds: dict[tuple[int, int], Series] = {}
        newest: Series | None = None
        place = 0
        for segment, writes in self.pieces:
            rows = segment.writes.rows[writes]
            for number in np.unique(rows).tolist():
                kinds[id(segment), number] = segment.series[number]
            whole = rows[(flags[place : place + len(writes)] & PART) == 0]
            if len(whole):
                newest = segment.series[int(whole[-1])]
            place += len(writes)
        shapes = {series.shape.digest: series.shape for series in kinds.values()}
        if len(shapes) == 1:
            (shape,) = shapes.values()
            places_of = {kind: series.places for kind, series in kinds.items()}
            current = np.arange(len(shape)) if newest is not None else _NOTHING
            return shape, places_of, current
        return _merged(kinds, newest)


def _merged(
    kinds: dict[tuple[int, int], Series], newest: Series | None
) -> tuple[Shape, dict[tuple[int, int], Index | None], Index]:
    index: dict[tuple[str, Row], int] = {}
    of_shape: dict[bytes, Index] = {}

    def places(series: Series) -> Index:
        found = of_shape.get(series.shape.digest)
        if found is None:
            keys = series.shape.keys
            found = np.fromiter((index.setdefault(key, len(index)) for key in keys), np.intp, len(keys))
            of_shape[series.shape.digest] = found
        return found if series.places is None else found[series.places]

    current = places(newest) if newest is not None else _NOTHING
    own = newest.shape.own if newest is not None else 0
    places_of: dict[tuple[int, int], Index | None] = {kind: places(series) for kind, series in kinds.items()}
    return Shape.joined(list(index), own), places_of, current


def _last(polls: Index, writes: Index) -> tuple[Index, Index]:
    """The last of the writes that fall on the same poll, in the order of the polls."""
    found, place = np.unique(polls[::-1], return_index=True)
    return found, writes[::-1][place]


def _flows(segments: Sequence[Segment], since: int) -> list[_Flow]:
    flows: dict[tuple[Key, float], _Flow] = {}
    gone: dict[Key, tuple[int, int]] = {}
    for number, segment in enumerate(segments):
        for key, place in segment.forgotten.items():
            gone[key] = (number, place)
    for number, segment in enumerate(segments):
        for (key, interval), source, writes in _by_source(segment, since):
            flow = flows.setdefault((key, interval), _Flow(source, [], (-1, 0)))
            flow.pieces.append((segment, writes))
            last = (number, int(writes[-1]))
            flow.forgotten = gone[key] if key in gone and last < gone[key] else (-1, 0)
    return list(flows.values())


def _by_source(segment: Segment, since: int) -> list[tuple[tuple[Key, float], Source, Index]]:
    """Writes of each source, ascending."""
    kept = np.flatnonzero(segment.writes.at >= since)
    if not len(kept):
        return []
    number_of: dict[tuple[Key, float], int] = {}
    sources: list[Source] = []
    translation = np.zeros(max(segment.series, default=0) + 1, np.intp)
    for row, series in segment.series.items():
        source = series.source
        key = ((source.target, source.module), source.interval)
        number = number_of.setdefault(key, len(number_of))
        if number == len(sources):
            sources.append(source)
        translation[row] = number
    owners = translation[segment.writes.rows[kept]]
    order = np.argsort(owners, kind="stable")
    cuts = np.flatnonzero(np.diff(owners[order])) + 1
    keys = list(number_of)
    return [(keys[owners[part[0]]], sources[owners[part[0]]], kept[part]) for part in np.split(order, cuts)]
