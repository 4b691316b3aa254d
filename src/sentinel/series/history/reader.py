"""Reads what is older than the head: the archive that queries ask.

Only the chunks of the wanted metrics and time are read; labels, instants and unpacked chunks are kept for the next
query within a limit of memory. What is damaged is told and left out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from sentinel.model.labels import METRIC_NAME, Labels
from sentinel.series.history.assembly import Assembly
from sentinel.series.history.cache import Cache
from sentinel.series.history.catalog import Catalog
from sentinel.series.history.content import Contents
from sentinel.series.history.encoding import Bundle, Giver, Stamps, stamps_of
from sentinel.series.history.files import DamagedError, HistoryFile, Window
from sentinel.series.history.journal import PACKED
from sentinel.series.history.plan import (
    Chosen,
    Growing,
    Plan,
    Polled,
    Query,
    WindowStamps,
    plan_of,
    put_window,
)
from sentinel.series.history.segment import Blocks, Segment
from sentinel.series.history.shape import Index
from sentinel.series.history.tracks import Track, tracks_of
from sentinel.series.index.matcher import Matcher
from sentinel.series.index.selecting import exact_name
from sentinel.series.reading.archive import Archived, Charge, Panes

Damaged = Callable[[Path, Exception], None]

_LABELS: Final = 50_000
"""Series whose labels are kept."""
_STAMPS: Final = 16 << 20
_CHOSEN: Final = 256
"""Answers to which series of a bundle satisfy some matchers."""
_LISTS: Final = 64
_BLOCKS: Final = 16
"""Parts of a segment in memory."""


class HistoryReader:
    """The Archive; see series/reading/archive.py."""

    def __init__(self, catalog: Catalog, damaged: Damaged) -> None:
        """
        Args:
            damaged: told of a file that cannot be read or is damaged, in the reader's thread.
        """
        self._catalog = catalog
        self._damaged = damaged
        self._bundles: Cache[Bundle] = Cache(_LABELS, len)
        self._contents = Contents(self._told)
        self._stamps: Cache[WindowStamps] = Cache(_STAMPS, lambda made: made.stamps.nbytes)
        self._places: Cache[Index] = Cache(_CHOSEN, lambda _: 1)
        self._plans: Cache[Plan] = Cache(_LABELS, lambda plan: len(plan.labels))
        self._lists: Cache[list[Labels]] = Cache(_LISTS, lambda _: 1)

    @property
    def oldest(self) -> float:
        return self._catalog.oldest

    def read(
        self, matchers: tuple[Matcher, ...], start: float, end: float, panes: Panes | None, *, charge: Charge
    ) -> Sequence[Archived]:
        files, segments = self._catalog.held
        waiting = frozenset(held.path.stem for held in segments)
        newest = max((held.stop for held in files), default=0)
        query = Query(matchers, _milliseconds(start), _milliseconds(end), panes, charge, waiting, newest)
        growing = Growing()
        for held in files:
            if held.stop > query.first and held.start <= query.last:
                charge(0)
                with self._told(held.path):
                    self._file(held.path, query, growing)
        found = growing.results()
        for held in segments:
            if held.stop > query.first and held.start <= query.last:
                charge(0)
                with self._told(held.path):
                    found += self._segment(held.path, query)
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

    def _file(self, path: Path, query: Query, growing: Growing) -> None:
        with HistoryFile(path) as file:
            windows = [w for w in file.windows(query.first, query.last) if w.segment not in query.waiting]
            by_interval: dict[float, list[Chosen]] = {}
            if windows:
                for one in self._choose(file, query.matchers, set()):
                    by_interval.setdefault(one.bundle.givers[0].interval, []).append(one)
            for interval, chosen in by_interval.items():
                key = (query.matchers, *(one.bundle.digest for one in chosen))
                plan = self._plans.get(key, partial(plan_of, chosen))
                assembly = growing.assembly(interval, plan, query, windows)
                self._put(file, windows, chosen, (plan, assembly), query)

    def _choose(self, file: HistoryFile, matchers: tuple[Matcher, ...], seen: set[bytes]) -> Iterator[Chosen]:
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
                yield Chosen(number, bundle, places)

    def _put(
        self,
        file: HistoryFile,
        windows: Sequence[Window],
        chosen: Sequence[Chosen],
        into: tuple[Plan, Assembly],
        query: Query,
    ) -> None:
        plan, assembly = into
        interval = chosen[0].bundle.givers[0].interval
        within = [set(file.chunk_windows(one.number)) for one in chosen]
        for window in windows:
            here = [place for place, ids in enumerate(within) if window.id in ids]
            if not here:
                continue
            stamps = self._window_stamps(file, window)
            span = max(min(window.stop, query.last) - max(window.start, query.first), 0)
            parts = []
            for place in here:
                one = plan.bundles[place]
                with self._told(file.path):
                    query.charge(len(one.columns) * min(query.polls(span, interval), len(stamps.stamps)))
                    content = self._contents.of(
                        file, window.id, chosen[place].number, is_split=window.stop > query.last
                    )
                    parts.append((one, content))
            assembly.begin()
            put_window(assembly, parts, Polled(stamps, query, window.shift))
            assembly.end()

    def _window_stamps(self, file: HistoryFile, window: Window) -> WindowStamps:
        def make() -> WindowStamps:
            each: list[Stamps] = []
            for team in range(file.teams(window.id)):
                try:
                    each += stamps_of(file.stamps(window.id, team))
                except ValueError as error:
                    raise DamagedError(f"{file.path.name}: {error}") from error
            return WindowStamps.of(each)

        return self._stamps.get((file.id, window.id), make)

    # Segments

    def _segment(self, path: Path, query: Query) -> list[Archived]:
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

    def _assemble_tracks(self, tracks: Sequence[Track], query: Query) -> Archived | None:
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
            # All of them, whatever is wanted: they are few.
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
