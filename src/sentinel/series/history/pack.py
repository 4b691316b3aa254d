"""From the journal into a file: samples by source become samples by metric, packed."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from sentinel.model.batch import ABSENT_BITS, Floats, Row, Source
from sentinel.series.columns.packed import Packed
from sentinel.series.history.encoding import Bundle, Giver, Stamps
from sentinel.series.history.files import Chunk, HistoryFile
from sentinel.series.history.shape import Index, Shape
from sentinel.series.history.tracks import Track

MOST: Final = 1024
"""Series of a bundle."""
ENOUGH: Final = MOST // 2
"""From here on a bundle may end where its content says so: then series that come and go change one bundle only."""
_ENDS: Final = 16
_CELLS: Final = 1 << 21
"""Cells of a chunk, at most: a window of many polls has smaller bundles."""


class Given(Protocol):
    """What one source gave: a track out of the journal, or out of a file."""

    @property
    def source(self) -> Source: ...
    @property
    def times(self) -> Stamps: ...
    @property
    def shape(self) -> Shape: ...
    def cells(self, first: int, last: int, series: Index | None = None) -> Floats:
        """[polls first … last − 1, series]; of series of one metric."""
        ...


@dataclass(frozen=True, slots=True)
class _Entry:
    """Series of one source with one metric name."""

    name: str
    number: int
    """Of the track."""
    series: Index


def pack_window(file: HistoryFile, segment: str, tracks: Sequence[Track]) -> int:
    """Put what a segment holds into the file.

    Returns:
        how many samples that are.
    Raises:
        OSError: no room, or the segment cannot be read.
        DamagedError: the file is damaged.
    """
    tracks = sorted(tracks, key=lambda track: (track.source.target, track.source.module))
    span = (int(min(track.times[0] for track in tracks)), int(max(track.times[-1] for track in tracks)))
    samples = sum(
        len(part.writes) * len(_written(part.places, track)) for track in tracks for part in track.parts
    )
    stamps = [track.times for track in tracks]
    file.add(segment, span, samples, stamps, chunks_of(tracks))
    return samples


def _written(places: Index | None, track: Track) -> range:
    return range(len(track.shape) if places is None else len(places))


def chunks_of(tracks: Sequence[Given]) -> Iterator[tuple[Bundle, Chunk]]:
    by_interval: dict[float, list[int]] = {}
    for number, track in enumerate(tracks):
        by_interval.setdefault(track.source.interval, []).append(number)
    for numbers in by_interval.values():
        polls = max(len(tracks[number].times) for number in numbers)
        for entries in _bundled(tracks, _entries(tracks, numbers), polls):
            yield _bundle(tracks, entries), _chunk(tracks, entries)


def _entries(tracks: Sequence[Given], numbers: Sequence[int]) -> list[_Entry]:
    """By metric name, then by source."""
    names: dict[str, list[_Entry]] = {}
    for number in numbers:
        for name, series in tracks[number].shape.by_name.items():
            names.setdefault(name, []).append(_Entry(name, number, series))
    return [entry for name in sorted(names) for entry in names[name]]


def _bundled(tracks: Sequence[Given], entries: Sequence[_Entry], polls: int) -> Iterator[list[_Entry]]:
    most = max(min(MOST, _CELLS // max(polls, 1)), 1)
    bundle: list[_Entry] = []
    size = 0
    for entry in entries:
        rest = entry.series
        while len(rest):
            taken, rest = rest[: most - size], rest[most - size :]
            bundle.append(_Entry(entry.name, entry.number, taken))
            size += len(taken)
            if size >= most or (size >= min(ENOUGH, most) and _is_end(entry.name, tracks[entry.number])):
                yield bundle
                bundle, size = [], 0
    if bundle:
        yield bundle


def _is_end(name: str, track: Given) -> bool:
    return zlib.crc32(f"{name} {track.source.name}".encode("utf-8", "replace")) % _ENDS == 0


def _bundle(tracks: Sequence[Given], entries: Sequence[_Entry]) -> Bundle:
    givers: dict[int, int] = {}
    names: dict[str, int] = {}
    rows: dict[Row, int] = {}
    giver_of, name_of, row_of = [], [], []
    for entry in entries:
        shape = tracks[entry.number].shape
        numbers = [rows.setdefault(shape.rows[row], len(rows)) for row in shape.row_of[entry.series].tolist()]
        giver_of.append(np.full(len(numbers), givers.setdefault(entry.number, len(givers))))
        name_of.append(np.full(len(numbers), names.setdefault(entry.name, len(names))))
        row_of.append(np.array(numbers, np.intp))
    sources = [tracks[number].source for number in givers]
    return Bundle(
        tuple(Giver(one.target, one.module, one.labels, one.interval) for one in sources),
        tuple(names),
        tuple(rows),
        np.concatenate(giver_of),
        np.concatenate(name_of),
        np.concatenate(row_of),
    )


def _chunk(tracks: Sequence[Given], entries: Sequence[_Entry]) -> Chunk:
    polls = max(len(tracks[entry.number].times) for entry in entries)
    cells = np.empty((polls, sum(len(entry.series) for entry in entries)))
    column = 0
    for entry in entries:
        track, last = tracks[entry.number], column + len(entry.series)
        count = len(track.times)
        cells[:count, column:last] = track.cells(0, count, entry.series)
        cells[count:, column:last].view(np.uint64)[...] = ABSENT_BITS
        column = last
    givers = np.array(list(dict.fromkeys(entry.number for entry in entries)), np.intp)
    return Chunk(Packed.of(cells), givers)
