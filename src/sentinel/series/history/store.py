"""The history's folder: packs segments into files, moves instants along with the clock, deletes what is too old.

Everything here blocks and runs in one thread at a time.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sentinel.series.head import Head
from sentinel.series.history.catalog import Catalog
from sentinel.series.history.files import DamagedError, HistoryFile
from sentinel.series.history.journal import PACKED, SUFFIX, append, segments_in
from sentinel.series.history.merge import NEW, merge
from sentinel.series.history.metrics import HistoryMetrics
from sentinel.series.history.pack import pack_window
from sentinel.series.history.paths import end_of, file_bytes, files_in, move, path_at, remove
from sentinel.series.history.records import shift_frame
from sentinel.series.history.restore import restore
from sentinel.series.history.salvage import salvage
from sentinel.series.history.segment import Blocks, Segment
from sentinel.series.history.tracks import tracks_of

log = logging.getLogger(__name__)

JOURNAL: Final = "journal"
DAMAGED: Final = "damaged"
_SPARE: Final = 300.0
_PACKING: Final = 16
_RESTORING: Final = 6
"""Parts of segments in memory at a time."""


@dataclass(frozen=True, slots=True)
class Limits:
    memory: float
    """Seconds for which the head keeps samples."""
    retention: float
    """Seconds for which files are kept."""
    size: int
    """Bytes of all files together."""


class Store:
    def __init__(self, folder: Path, limits: Limits, catalog: Catalog, metrics: HistoryMetrics) -> None:
        """
        Raises:
            OSError: the folder cannot be used.
        """
        self.folder = folder
        self.journal = folder / JOURNAL
        self._limits = limits
        self._catalog = catalog
        self._metrics = metrics
        self._told: set[tuple[Path, str]] = set()
        """What has been said of damage: once for each."""
        self._merged: set[Path] = set()
        """Files that have been looked at for that, since they were written to last."""
        self.newest_segment = 0
        """The highest number of a segment that is in a file."""
        self._stops: dict[str, int] = {}
        """The last instant of segments, milliseconds."""
        for each in (folder, self.journal):
            each.mkdir(parents=True, exist_ok=True, mode=0o700)

    def open(self) -> None:
        """Look at what is there."""
        for path in self.folder.glob(f"*{NEW}*"):
            path.unlink(missing_ok=True)  # left by a daemon that was killed
        for path in files_in(self.folder):
            try:
                self._look(path)
            except OSError as error:
                self.tell_damaged(path, error)
        for path in segments_in(self.journal):
            if path.suffix == SUFFIX:
                with self._spoilt_segment(path), Segment(path, Blocks(1)) as segment:
                    at = segment.writes.at
                    if len(at):
                        self._catalog.set_segment(path, (int(at.min()), int(at.max())))
        self.measure()

    def restore(self, head: Head, now: float) -> int:
        """Fill an empty head.

        Returns:
            how many sources it has again.
        """
        blocks, segments = Blocks(_RESTORING), []
        with contextlib.ExitStack() as stack:
            for path in segments_in(self.journal):
                with self._spoilt_segment(path):
                    segment = stack.enter_context(Segment(path, blocks))
                    segments.append(segment)
                    self._stops[path.stem] = int(segment.writes.at.max(initial=0))
                    self._tell_damage(segment)
            return restore(head, segments, now)

    def pack(self, segment_path: Path) -> None:
        """Put a segment that has ended into its file.

        Raises:
            OSError: no room, or it cannot be read.
        """
        with Segment(segment_path, Blocks(_PACKING)) as segment:
            tracks = tracks_of([segment])
            self._stops[segment_path.stem] = int(segment.writes.at.max(initial=0))
            if tracks:
                path = path_at(self.folder, min(int(track.times[0]) for track in tracks))
                self._add(path, segment_path.stem, lambda file: pack_window(file, segment_path.stem, tracks))
            self._tell_damage(segment)
            if segment.is_damaged:
                self._keep_aside(segment_path)
        segment_path.rename(segment_path.with_suffix(PACKED))
        self._catalog.remove_segment(segment_path)

    def shift(self, milliseconds: int, since: int, number: int | None) -> None:
        """The clock was stepped: what reaches beyond that instant moves along, as in the head.

        Args:
            number: the segment that knows of the step already; only older ones are moved. None: all.
        Raises:
            OSError: it could not be written everywhere.
        """
        before = f"{number:012}" if number is not None else "~"
        self._catalog.shift(milliseconds, since)
        for path in segments_in(self.journal):
            if path.stem < before:
                append(path, shift_frame(milliseconds))
                if path.stem in self._stops:
                    self._stops[path.stem] += milliseconds
        for held in self._catalog.files:
            if held.stop > since:
                with self._spoilt_file(held.path), HistoryFile(held.path, writable=True) as file:
                    file.shift(milliseconds, since, before)
                    self._catalog.set_file(held.path, file.span() or (held.start, held.stop))

    def merge(self, now: float) -> None:
        """Write files again whose hours are over and that no step of the clock can move any more.

        Raises:
            OSError: no room, or one cannot be read.
        """
        settled = (now - self._limits.memory - _SPARE) * 1000
        files, segments = self._catalog.held
        waiting = {path_at(self.folder, held.start) for held in segments}
        for held in files:
            is_over = held.stop < settled and end_of(held.path) < settled
            if is_over and held.path not in waiting and held.path not in self._merged:
                self._merged.add(held.path)
                try:
                    merge(held.path)
                except BlockingIOError:
                    self._merged.discard(held.path)  # somebody reads it: later
                except DamagedError as error:
                    # A part is damaged: the rest is as good as it was.
                    self.tell_damaged(held.path, error)

    def retain(self, now: float) -> None:
        """Delete what is too old or too much.

        Raises:
            OSError: something cannot be deleted.
        """
        horizon = (now - self._limits.retention) * 1000
        for path in segments_in(self.journal):
            # The head may want its polls again.
            stop = self._stops.get(path.stem, path.stat().st_mtime * 1000)
            if path.suffix == PACKED and stop < (now - self._limits.memory - _SPARE) * 1000:
                path.unlink()
                self._stops.pop(path.stem, None)
        for path in (self.folder / DAMAGED).glob("*"):
            if path.stat().st_mtime * 1000 < horizon:
                path.unlink()
        files = self._catalog.files
        total = sum(file_bytes(held.path) for held in files) + self._journal_bytes()
        for place, held in enumerate(files):
            is_too_much = total > self._limits.size and place + 1 < len(files)
            if held.stop < horizon or is_too_much:
                total -= file_bytes(held.path)
                self._catalog.remove_file(held.path)
                remove(held.path)
                facts = {"file": held.path.name, "reason": "size" if is_too_much else "age"}
                log.info("history file deleted", extra={"facts": facts})
        self.measure()

    def measure(self) -> None:
        files = self._catalog.files
        self._metrics.files.set(len(files))
        self._metrics.nbytes.labels("files").set(sum(file_bytes(held.path) for held in files))
        self._metrics.nbytes.labels("journal").set(self._journal_bytes())
        self._metrics.oldest.set(self._catalog.oldest)

    def tell_damaged(self, path: Path, error: Exception) -> None:
        """Something cannot be read: say so once for each thing."""
        if (path, str(error)) in self._told:
            return
        self._told.add((path, str(error)))
        kind = "segment" if path.suffix in (SUFFIX, PACKED) else "file"
        if isinstance(error, DamagedError):
            self._metrics.damaged.labels(kind).inc()
        else:
            self._metrics.failures.labels("read").inc()
        log.error("history cannot be read", extra={"facts": {"file": path.name, "error": str(error)}})

    # Files

    def _look(self, path: Path) -> None:
        with self._spoilt_file(path):
            with HistoryFile(path) as file:
                span, newest = file.span(), file.newest_segment()
            if span is not None:
                self._catalog.set_file(path, span)
                self.newest_segment = max(self.newest_segment, newest)

    def _add(self, path: Path, segment: str, write: Callable[[HistoryFile], object]) -> None:
        with self._spoilt_file(path):
            self._write(path, segment, write)
            return
        # The file was damaged and is out of the way.
        self._write(path, segment, write)

    def _write(self, path: Path, segment: str, write: Callable[[HistoryFile], object]) -> None:
        with HistoryFile(path, writable=True) as file:
            if not file.has(segment):
                write(file)
            file.settle()
            span = file.span()
        self._merged.discard(path)
        if span is not None:
            self._catalog.set_file(path, span)

    @contextlib.contextmanager
    def _spoilt_file(self, path: Path) -> Iterator[None]:
        """A file that is damaged as a whole goes out of the way; what can be read of it comes back."""
        try:
            yield
        except DamagedError as error:
            self.tell_damaged(path, error)
            self._catalog.remove_file(path)
            aside = self._keep_aside(path)
            saved = salvage(aside, path)
            facts = {"file": path.name, "kept": str(aside), "windows": saved}
            log.warning("history file moved aside, what can be read is kept", extra={"facts": facts})
            if saved:
                self._look(path)

    @contextlib.contextmanager
    def _spoilt_segment(self, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.tell_damaged(path, error)

    def _tell_damage(self, segment: Segment) -> None:
        if segment.is_damaged:
            text = f"{segment.unreadable} bytes unreadable, {segment.bad} records make no sense"
            self.tell_damaged(segment.path, DamagedError(text))
        elif segment.torn:
            facts = {"segment": segment.path.name, "bytes": segment.torn}
            log.info("journal ends in the middle of a record", extra={"facts": facts})

    def _keep_aside(self, path: Path) -> Path:
        folder = self.folder / DAMAGED
        folder.mkdir(exist_ok=True, mode=0o700)
        number = 0
        while (aside := folder / f"{path.stem}.{number}{path.suffix}").exists():
            number += 1
        if path.suffix == SUFFIX:
            aside.hardlink_to(path)  # the head may still want it under its own name
        else:
            move(path, aside)
        return aside

    def _journal_bytes(self) -> int:
        total = 0
        for path in segments_in(self.journal):
            with contextlib.suppress(OSError):
                total += path.stat().st_size
        return total
