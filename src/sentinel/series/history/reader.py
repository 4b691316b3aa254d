"""Reads what is older than the head: the archive that queries ask.

Only the chunks of the wanted metrics and time are read; labels, instants and unpacked chunks are kept for the next
query within a limit of memory. What is damaged is told and left out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from sentinel.model.batch import Floats
from sentinel.model.labels import METRIC_NAME, Labels
from sentinel.series.archive import Archived, Charge
from sentinel.series.history.assembly import Assembly, GiverKey
from sentinel.series.history.cache import Cache
from sentinel.series.history.catalog import Catalog
from sentinel.series.history.encoding import Bundle, Giver, Stamps, stamps_of
from sentinel.series.history.files import Chunk, DamagedError, HistoryFile, Window
from sentinel.series.history.journal import PACKED
from sentinel.series.history.segment import Blocks, Segment
from sentinel.series.history.shape import Index
from sentinel.series.history.thin import picked, thin
from sentinel.series.history.tracks import Track, tracks_of
from sentinel.series.matcher import Matcher
from sentinel.series.selecting import exact_name

Damaged = Callable[[Path, Exception], None]

_LABELS: Final = 50_000
"""Series whose labels are kept."""
_CHUNKS: Final = 64 << 20
_STAMPS: Final = 16 << 20
_CHOSEN: Final = 256
"""Answers to which series of a bundle satisfy some matchers."""
_LISTS: Final = 64
_BLOCKS: Final = 16
"""Parts of a segment in memory."""


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
class _Query:
    matchers: tuple[Matcher, ...]
    first: int
    last: int
    """Samples in (first, last], milliseconds."""
    step: int
    """Milliseconds between samples that are enough; 0: all are wanted."""
    charge: Charge
    waiting: frozenset[str]
    """Segments that are read themselves, even if one has come into a file by now."""


@dataclass(frozen=True, slots=True, eq=False)
class _Chosen:
    """The series of a bundle that are wanted."""

    number: int
    """Of the bundle in its file."""
    bundle: Bundle
    places: Index


@dataclass(frozen=True, slots=True, eq=False)
class _Columns:
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
class _Plan:
    """Where everything goes that some bundles have of what is wanted."""

    bundles: tuple[_Columns, ...]
    labels: list[Labels]
    slots: Index
    """Of the columns."""
    givers: int


class HistoryReader:
    """The Archive; see series/archive.py."""

    def __init__(self, catalog: Catalog, damaged: Damaged) -> None:
        """
        Args:
            damaged: told of a file that cannot be read or is damaged, in the reader's thread.
        """
        self._catalog = catalog
        self._damaged = damaged
        self._bundles: Cache[Bundle] = Cache(_LABELS, len)
        self._chunks: Cache[tuple[Floats, Chunk]] = Cache(_CHUNKS, lambda pair: pair[0].nbytes)
        self._stamps: Cache[WindowStamps] = Cache(_STAMPS, lambda made: made.stamps.nbytes)
        self._places: Cache[Index] = Cache(_CHOSEN, lambda _: 1)
        self._plans: Cache[_Plan] = Cache(_LABELS, lambda plan: len(plan.labels))
        self._lists: Cache[list[Labels]] = Cache(_LISTS, lambda _: 1)

    @property
    def oldest(self) -> float:
        return self._catalog.oldest

    def read(
        self, matchers: tuple[Matcher, ...], start: float, end: float, step: float, *, charge: Charge
    ) -> Sequence[Archived]:
        files, segments = self._catalog.held
        waiting = frozenset(held.path.stem for held in segments)
        apart = _milliseconds(step)
        query = _Query(matchers, _milliseconds(start), _milliseconds(end), apart, charge, waiting)
        found: list[Archived] = []
        for read, every in ((self._file, files), (self._segment, segments)):
            for held in every:
                if held.stop > query.first and held.start <= query.last:
                    charge(0)
                    with self._told(held.path):
                        found += read(held.path, query)
        return found

    def labels_of(
        self, matchers: tuple[Matcher, ...], start: float, end: float, *, charge: Charge
    ) -> Sequence[Labels]:
        first, last = _milliseconds(start), _milliseconds(end)
        found: dict[Labels, None] = {}
        seen: set[bytes] = set()
        for held in self._catalog.files:
            if held.stop >= first and held.start <= last:
                charge(0)
                with self._told(held.path), HistoryFile(held.path) as file:
                    for one in self._choose(file, matchers, seen):
                        charge(len(one.places))
                        found.update((one.bundle.labels[place], None) for place in one.places.tolist())
        for held in self._catalog.segments:
            if held.stop >= first and held.start <= last:
                with self._told(held.path), _opened(held.path) as segment:
                    for track in tracks_of([segment]):
                        chosen = self._chosen_of(track, matchers)
                        charge(len(chosen))
                        found.update((labels, None) for _, labels in chosen)
        return list(found)

    def label_names(
        self, matchers: tuple[Matcher, ...], start: float, end: float, *, charge: Charge
    ) -> Collection[str]:
        return {name for labels in self.labels_of(matchers, start, end, charge=charge) for name in labels}

    def label_values(
        self, name: str, matchers: tuple[Matcher, ...], start: float, end: float, *, charge: Charge
    ) -> Collection[str]:
        found = {labels.get(name, "") for labels in self.labels_of(matchers, start, end, charge=charge)}
        return found - {""}

    # Files

    def _file(self, path: Path, query: _Query) -> list[Archived]:
        with HistoryFile(path) as file:
            windows = [w for w in file.windows(query.first, query.last) if w.segment not in query.waiting]
            by_interval: dict[float, list[_Chosen]] = {}
            if windows:
                for one in self._choose(file, query.matchers, set()):
                    by_interval.setdefault(one.bundle.givers[0].interval, []).append(one)
            found = []
            for chosen in by_interval.values():
                held = self._assemble(file, windows, chosen, query)
                if held is not None:
                    found.append(held)
        return found

    def _choose(
        self, file: HistoryFile, matchers: tuple[Matcher, ...], seen: set[bytes]
    ) -> Iterator[_Chosen]:
        """The bundles with series that satisfy the matchers.

        Args:
            seen: digests of bundles to leave out; those that come are added.
        """
        on_name = [matcher for matcher in matchers if matcher.name == METRIC_NAME]
        name = exact_name(matchers)
        names = [name] if name is not None else file.names()
        names = [name for name in names if all(matcher.accepts(name) for matcher in on_name)]
        for number, digest in file.bundles(names).items():
            if digest in seen:
                continue
            seen.add(digest)
            bundle = self._bundles.get(digest, lambda number=number: file.bundle(number))  # type: ignore[misc]
            places = self._places.get((digest, matchers), lambda bundle=bundle: _places(bundle, matchers))  # type: ignore[misc]
            if len(places):
                yield _Chosen(number, bundle, places)

    def _assemble(
        self, file: HistoryFile, windows: Sequence[Window], chosen: Sequence[_Chosen], query: _Query
    ) -> Archived | None:
        apart = max(chosen[0].bundle.givers[0].interval * 1000, query.step, 1)
        polls = sum(int((window.stop - window.start) / apart) + 2 for window in windows)
        key = (query.matchers, *(one.bundle.digest for one in chosen))
        plan = self._plans.get(key, lambda: _plan(chosen))
        assembly = Assembly(plan.labels, plan.slots, plan.givers, polls)
        within = [set(file.chunk_windows(one.number)) for one in chosen]
        for window in windows:
            here = [place for place, ids in enumerate(within) if window.id in ids]
            if not here:
                continue
            stamps = self._window_stamps(file, window)
            parts = []
            for place in here:
                one = plan.bundles[place]
                with self._told(file.path):
                    span = (
                        (window.stop - window.start) // query.step + 2 if query.step else len(stamps.stamps)
                    )
                    query.charge(len(one.columns) * min(span, len(stamps.stamps)))
                    parts.append((one, *self._chunk(file, window, chosen[place].number)))
            assembly.begin()
            _put(assembly, parts, _Polled(stamps, query, window.shift))
            assembly.end()
        return assembly.result()

    def _window_stamps(self, file: HistoryFile, window: Window) -> WindowStamps:
        def make() -> WindowStamps:
            each: list[Stamps] = []
            for team in range(file.teams(window.id)):
                try:
                    each += stamps_of(file.stamps(window.id, team))
                except ValueError as error:
                    raise DamagedError(f"{file.path.name}: {error}") from error
            return WindowStamps.of(each)

        return self._stamps.get((file.path, window.id), make)

    def _chunk(self, file: HistoryFile, window: Window, bundle: int) -> tuple[Floats, Chunk]:
        def make() -> tuple[Floats, Chunk]:
            try:
                chunk = Chunk.of(file.chunk(bundle, window.id))
                return chunk.values.unpack(), chunk
            except ValueError as error:
                raise DamagedError(f"{file.path.name}: {error}") from error

        return self._chunks.get((file.path, window.id, bundle), make)

    # Segments

    def _segment(self, path: Path, query: _Query) -> list[Archived]:
        found = []
        with _opened(path) as segment:
            by_interval: dict[float, list[Track]] = {}
            for track in tracks_of([segment]):
                by_interval.setdefault(track.source.interval, []).append(track)
            for tracks in by_interval.values():
                held = self._assemble_tracks(tracks, query)
                if held is not None:
                    found.append(held)
        return found

    def _assemble_tracks(self, tracks: Sequence[Track], query: _Query) -> Archived | None:
        picked = [(track, chosen) for track in tracks if (chosen := self._chosen_of(track, query.matchers))]
        made = [labels for _, chosen in picked for _, labels in chosen]
        labels = self._lists.get(tuple(made), lambda: made)
        slots = np.repeat(np.arange(len(picked)), [len(chosen) for _, chosen in picked])
        assembly = Assembly(labels, slots, len(picked), max((len(t.times) for t, _ in picked), default=0))
        assembly.begin()
        column = 0
        for slot, (track, chosen) in enumerate(picked):
            low, high = np.searchsorted(track.times, [query.first, query.last], side="right").tolist()
            query.charge(len(chosen) * (high - low))
            times = track.times[low:high]
            # All of them, whatever the step: they are few.
            assembly.place(np.array([slot]), times[:, None], np.array([len(times)]))
            if high > low:
                values = track.cells(low, high, np.array([place for place, _ in chosen], np.intp))
                columns = np.arange(column, column + len(chosen))
                assembly.put(columns, values, np.zeros(len(chosen), np.intp), has_holes=True)
            column += len(chosen)
        assembly.end()
        return assembly.result()

    @staticmethod
    def _chosen_of(track: Track, matchers: tuple[Matcher, ...]) -> list[tuple[int, Labels]]:
        on_name = [matcher for matcher in matchers if matcher.name == METRIC_NAME]
        giver = Giver(track.source.target, track.source.module, track.source.labels, track.source.interval)
        found = []
        for name, places in track.shape.by_name.items():
            if all(matcher.accepts(name) for matcher in on_name):
                for place in places.tolist():
                    labels = giver.series(name, track.shape.rows[track.shape.row_of[place]])
                    if _satisfies(labels, matchers):
                        found.append((place, labels))
        return found

    def _told(self, path: Path) -> _Told:
        return _Told(path, self._damaged)


class _Told(AbstractContextManager[None, bool]):
    """What cannot be read is told and left out; a file that is gone went by its age."""

    def __init__(self, path: Path, damaged: Damaged) -> None:
        self._path = path
        self._damaged = damaged

    def __exit__(self, kind: object, error: object, trace: object) -> bool:
        # A TimeoutError is the query's own.
        if not isinstance(error, OSError | DamagedError) or isinstance(error, TimeoutError):
            return False
        if self._path.exists():
            self._damaged(self._path, error)
        return True


def _opened(path: Path) -> Segment:
    """A segment, also if it has been packed in the meantime.

    Raises:
        OSError: it cannot be read.
    """
    try:
        return Segment(path, Blocks(_BLOCKS))
    except FileNotFoundError:
        return Segment(path.with_suffix(PACKED), Blocks(_BLOCKS))


def _milliseconds(at: float) -> int:
    return round(max(min(at, 1e13), -1e13) * 1000)


def _satisfies(labels: Labels, matchers: tuple[Matcher, ...]) -> bool:
    return all(matcher.accepts(labels.get(matcher.name, "")) for matcher in matchers)


def _places(bundle: Bundle, matchers: tuple[Matcher, ...]) -> Index:
    return np.array(
        [place for place, labels in enumerate(bundle.labels) if _satisfies(labels, matchers)], np.intp
    )


def _plan(chosen: Sequence[_Chosen]) -> _Plan:
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
        bundles.append(_Columns(one.places, np.array(found, np.intp), used, giver_of, slots))
    slots = np.array([slot for slot, _ in columns], np.intp)
    return _Plan(tuple(bundles), [labels for _, labels in columns], slots, len(givers))


@dataclass(frozen=True, slots=True, eq=False)
class _Polls:
    """Of some sources in a window: when they were polled, as far as that is wanted."""

    stamps: Stamps
    """[poll, source] milliseconds"""
    counts: Index
    skip: Index
    """Rows of the chunk before the first of these polls."""
    rows: Index | None
    """[poll, source] rows of the chunk; None: all after those left out."""


@dataclass(frozen=True, slots=True, eq=False)
class _Polled:
    """The polls of a window."""

    window: WindowStamps
    query: _Query
    shift: int
    """Milliseconds by which it was moved."""

    def of(self, sources: Index) -> _Polls:
        query = self.query
        stamps, counts = self.window.stamps[:, sources] + self.shift, self.window.counts[sources]
        skip = np.zeros(len(sources), np.intp)
        if stamps.size and (stamps[0].min() <= query.first or stamps.max() > query.last):
            held = np.arange(len(stamps))[:, None] < counts
            skip = (held & (stamps <= query.first)).sum(axis=0)
            counts = np.maximum((held & (stamps <= query.last)).sum(axis=0) - skip, 0)
            rows = np.minimum(np.arange(len(stamps))[:, None] + skip, len(stamps) - 1)
            stamps = np.take_along_axis(stamps, rows, 0)
        thinned = thin(stamps, counts, query.first, query.step)
        if thinned is None:
            return _Polls(stamps, counts, skip, None)
        rows, counts = thinned
        return _Polls(np.take_along_axis(stamps, rows, 0), counts, np.zeros_like(skip), rows + skip)


def _put(assembly: Assembly, parts: Sequence[tuple[_Columns, Floats, Chunk]], polled: _Polled) -> None:
    """The chunks of a window."""
    if not parts:
        return
    source_of = np.full(max(int(one.slots.max()) for one, _, _ in parts) + 1, -1)
    for one, _, chunk in parts:
        source_of[one.slots] = chunk.stamps[one.givers]
    slots = np.flatnonzero(source_of >= 0)
    polls = polled.of(source_of[slots])
    assembly.place(slots, polls.stamps, polls.counts)
    place_of = np.zeros(len(source_of), np.intp)
    place_of[slots] = np.arange(len(slots))
    for one, unpacked, chunk in parts:
        places = place_of[one.slots][one.giver_of]
        values = unpacked if len(one.columns) == unpacked.shape[1] else unpacked[:, one.places]
        has_holes = bool(chunk.values.places)
        if polls.rows is not None:
            values = picked(values, polls.rows[:, places], has_holes=has_holes)
        assembly.put(one.columns, values, polls.skip[places], has_holes=has_holes)
