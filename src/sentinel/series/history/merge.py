"""A finished file is written once more with longer chunks: smaller, and read in a fraction of the time."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from sentinel.series.history.encoding import Bundle
from sentinel.series.history.filed import tracks_in
from sentinel.series.history.files import HistoryFile, Window
from sentinel.series.history.pack import Given, chunks_of
from sentinel.series.history.paths import remove

ROWS: Final = 2048
"""Polls of a chunk, at most."""
NEW: Final = ".new"


def merge(path: Path) -> bool:
    """Write the file again with fewer windows, in its own place.

    Returns:
        False where there is nothing to gain: windows are long already, or they go back in time.
    Raises:
        BlockingIOError: somebody reads the file.
        OSError: no room, or it cannot be read.
        DamagedError: something in it is damaged; it stays as it is.
    """
    new = path.with_name(path.name + NEW)
    remove(new)
    try:
        with HistoryFile(path, writable=True) as file:
            file.finish()  # what stands beside the old file must not meet the new one
            bundles = {number: file.bundle(number) for number in file.bundles(file.names())}
            groups = list(_grouped(file, bundles))
            if len(groups) == sum(map(len, groups)):
                return False
            with HistoryFile(new, writable=True) as into:
                for windows in groups:
                    tracks = tracks_in(file, windows, bundles)
                    if any((np.diff(track.times) <= 0).any() for track in tracks):
                        return False
                    _write(file, into, windows, tracks)
                into.finish()
        os.replace(new, path)
    finally:
        with contextlib.suppress(OSError):
            remove(new)
    return True


def _grouped(file: HistoryFile, bundles: dict[int, Bundle]) -> Iterator[list[Window]]:
    """Windows one after the other, as long as their chunks are not too long together."""
    windows = file.windows(-(1 << 62), 1 << 62)
    shortest = min((bundle.givers[0].interval for bundle in bundles.values()), default=60.0)
    group: list[Window] = []
    rows = 0.0
    for window in windows:
        more = (window.stop - window.start) / 1000 / max(shortest, 0.001) + 2
        if group and rows + more > ROWS:
            yield group
            group, rows = [], 0.0
        group.append(window)
        rows += more
    if group:
        yield group


def _write(file: HistoryFile, into: HistoryFile, windows: Sequence[Window], tracks: Sequence[Given]) -> None:
    span = (min(window.start for window in windows), max(window.stop for window in windows))
    samples = file.samples([window.id for window in windows])
    into.add(windows[-1].segment, span, samples, [track.times for track in tracks], chunks_of(tracks))
    into.note_merged([window.segment for window in windows])
