"""What each source gave, out of a file: the same as tracks out of the journal, to be packed anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from sentinel.model.batch import ABSENT_BITS, Floats, Row, Source
from sentinel.series.history.cache import Cache
from sentinel.series.history.encoding import Bundle, Giver, Stamps, stamps_of
from sentinel.series.history.files import Chunk, DamagedError, HistoryFile, Window
from sentinel.series.history.shape import Index, Shape

_CHUNKS: Final = 96 << 20
"""Bytes of unpacked chunks in memory at a time."""


class _Chunks:
    """The chunks of some windows, unpacked when they are wanted."""

    def __init__(self, file: HistoryFile, windows: Sequence[Window]) -> None:
        self._file = file
        self.windows = windows
        self._kept: Cache[Floats] = Cache(_CHUNKS, lambda values: values.nbytes)

    def values(self, bundle: int, window: int) -> Floats:
        def unpacked() -> Floats:
            return self.chunk(bundle, window).values.unpack()

        return self._kept.get((bundle, window), unpacked)

    def chunk(self, bundle: int, window: int) -> Chunk:
        """
        Raises:
            DamagedError: it is not what was written.
        """
        try:
            return Chunk.of(self._file.chunk(bundle, window))
        except ValueError as error:
            raise DamagedError(f"{self._file.path.name}: {error}") from error

    def stamps(self, window: Window) -> list[Stamps]:
        found: list[Stamps] = []
        for team in range(self._file.teams(window.id)):
            try:
                found += [one + window.shift for one in stamps_of(self._file.stamps(window.id, team))]
            except ValueError as error:
                raise DamagedError(f"{self._file.path.name}: {error}") from error
        return found


class FiledTrack:
    """One source with its labels; see pack.Given."""

    def __init__(self, giver: Giver, chunks: _Chunks) -> None:
        self.source = Source(giver.target, giver.module, giver.labels, giver.interval)
        self.times: Stamps = np.empty(0, np.int64)
        self._chunks = chunks
        self._places: dict[tuple[str, Row], int] = {}
        self._pieces: dict[str, list[tuple[int, Index, Index]]] = {}
        """By metric name: a bundle, which of its series, and which of the track's these are."""
        self._windows: dict[int, list[int]] = {}
        """By bundle: the windows that it is in."""
        self._rows: dict[int, tuple[int, int]] = {}
        """By window: the first of its polls, and how many."""
        self._shape: Shape | None = None

    @property
    def shape(self) -> Shape:
        if self._shape is None:
            self._shape = Shape.joined(list(self._places), len(self._places))
        return self._shape

    def add(self, number: int, bundle: Bundle, series: Index, windows: list[int]) -> None:
        """Series of a bundle that are this source's."""
        self._windows[number] = windows
        for name in np.unique(bundle.name_of[series]).tolist():
            part = series[bundle.name_of[series] == name]
            keys = [(bundle.names[name], bundle.rows[row]) for row in bundle.row_of[part].tolist()]
            places = [self._places.setdefault(key, len(self._places)) for key in keys]
            self._pieces.setdefault(bundle.names[name], []).append((number, part, np.array(places, np.intp)))

    def arrange(self, stamps: dict[int, Stamps]) -> None:
        """When it was polled, by window in the order in which they were written."""
        first = 0
        for window, each in stamps.items():
            self._rows[window] = (first, len(each))
            first += len(each)
        self.times = np.concatenate([*stamps.values()]) if stamps else self.times

    def cells(self, first: int, last: int, series: Index | None = None) -> Floats:
        chosen = np.arange(len(self.shape)) if series is None else series
        into = np.full(len(self.shape), -1, np.intp)
        into[chosen] = np.arange(len(chosen))
        cells = np.empty((len(self.times), len(chosen)))
        cells.view(np.uint64)[...] = ABSENT_BITS
        for name in {self.shape.names[name] for name in np.unique(self.shape.name_of[chosen]).tolist()}:
            for bundle, columns, places in self._pieces[name]:
                wanted = into[places]
                held = wanted >= 0
                for window in self._windows[bundle]:
                    row, count = self._rows[window]
                    values = self._chunks.values(bundle, window)
                    cells[row : row + count, wanted[held]] = values[:count, columns[held]]
        return cells[first:last]


def tracks_in(file: HistoryFile, windows: Sequence[Window], bundles: dict[int, Bundle]) -> list[FiledTrack]:
    """
    Raises:
        DamagedError: a part is not what was written.
        OSError: it cannot be read.
    """
    chunks = _Chunks(file, windows)
    tracks: dict[Giver, FiledTrack] = {}
    polled: dict[Giver, dict[int, int]] = {}
    for number, bundle in bundles.items():
        held = set(file.chunk_windows(number))
        here = [window.id for window in windows if window.id in held]
        if not here:
            continue
        for place, giver in enumerate(bundle.givers):
            track = tracks.get(giver)
            if track is None:
                track = tracks[giver] = FiledTrack(giver, chunks)
            track.add(number, bundle, np.flatnonzero(bundle.giver_of == place), here)
        for window_id in here:
            for giver, stamp in zip(
                bundle.givers, chunks.chunk(number, window_id).stamps.tolist(), strict=True
            ):
                polled.setdefault(giver, {})[window_id] = stamp
    stamps = {window.id: chunks.stamps(window) for window in windows}
    for giver, track in tracks.items():
        order = [window.id for window in windows if window.id in polled[giver]]
        track.arrange({window_id: stamps[window_id][polled[giver][window_id]] for window_id in order})
    return sorted(tracks.values(), key=lambda track: (track.source.target, track.source.module))
