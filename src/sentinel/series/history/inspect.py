"""Looks a history's folder over without changing anything: `sentinel db check`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sentinel.series.history.encoding import stamps_of
from sentinel.series.history.files import Chunk, DamagedError, HistoryFile
from sentinel.series.history.journal import segments_in
from sentinel.series.history.paths import files_in
from sentinel.series.history.segment import Blocks, Segment
from sentinel.series.history.store import DAMAGED, JOURNAL


def look_over(folder: Path) -> Iterator[str]:
    """One line for each thing that is not as it was written; the daemon may be running."""
    for path in files_in(folder):
        try:
            with HistoryFile(path) as file:
                yield from (f"{path}: {text}" for text in _damage(file))
        except (DamagedError, OSError) as error:
            yield f"{path}: {error}"
    for path in segments_in(folder / JOURNAL):
        try:
            with Segment(path, Blocks(1)) as segment:
                if segment.is_damaged:
                    yield f"{path}: {segment.unreadable} bytes unreadable, {segment.bad} records make no sense"
        except FileNotFoundError:
            continue  # packed or deleted in the meantime
        except OSError as error:
            yield f"{path}: {error}"
    for path in sorted((folder / DAMAGED).glob("*")):
        yield f"{path}: was damaged and moved aside"


def _damage(file: HistoryFile) -> Iterator[str]:
    yield from file.quick_check()
    windows = file.windows(-(1 << 62), 1 << 62)
    for window in windows:
        for team in range(file.teams(window.id)):
            try:
                stamps_of(file.stamps(window.id, team))
            except (DamagedError, ValueError) as error:
                yield str(error)
    for bundle in file.bundles(file.names()):
        try:
            file.bundle(bundle)
            for window_id in file.chunk_windows(bundle):
                Chunk.of(file.chunk(bundle, window_id))
        except (DamagedError, ValueError) as error:
            yield str(error)
