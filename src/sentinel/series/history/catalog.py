"""Which files and segments there are and what time they cover: known to the writer, looked at by the readers."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock


@dataclass(frozen=True, slots=True)
class Held:
    """A file, or a segment of the journal that is in no file yet."""

    path: Path
    start: int
    stop: int
    """Milliseconds since 1970 of its first and last sample."""


class Catalog:
    def __init__(self) -> None:
        self._lock = Lock()
        self._files: dict[Path, Held] = {}
        self._segments: dict[Path, Held] = {}
        self.oldest = math.inf
        """Unix seconds of the oldest sample; +Inf: there is none."""

    @property
    def held(self) -> tuple[list[Held], list[Held]]:
        """Files and segments of one moment."""
        with self._lock:
            files, segments = self._files.values(), self._segments.values()
            return sorted(files, key=lambda one: one.path.name), sorted(
                segments, key=lambda one: one.path.name
            )

    @property
    def files(self) -> list[Held]:
        """Oldest first."""
        return self.held[0]

    @property
    def segments(self) -> list[Held]:
        """In the order in which they were written."""
        return self.held[1]

    def set_file(self, path: Path, span: tuple[int, int]) -> None:
        with self._lock:
            self._files[path] = Held(path, *span)
            self._look()

    def remove_file(self, path: Path) -> None:
        with self._lock:
            self._files.pop(path, None)
            self._look()

    def set_segment(self, path: Path, span: tuple[int, int]) -> None:
        """Samples have been written to a segment."""
        with self._lock:
            known = self._segments.get(path)
            start, stop = span
            self._segments[path] = Held(
                path, min(start, known.start if known else start), max(stop, known.stop if known else stop)
            )
            self._look()

    def remove_segment(self, path: Path) -> None:
        with self._lock:
            self._segments.pop(path, None)
            self._look()

    def shift(self, milliseconds: int, since: int) -> None:
        """The clock was stepped: segments that reach beyond that instant hold what was moved, and what was not."""
        with self._lock:
            for path, held in self._segments.items():
                if held.stop > since:
                    start = min(held.start, held.start + milliseconds)
                    stop = max(held.stop, held.stop + milliseconds)
                    self._segments[path] = replace(held, start=start, stop=stop)
            self._look()

    def _look(self) -> None:
        starts = [held.start for held in (*self._files.values(), *self._segments.values())]
        self.oldest = min(starts) / 1000 if starts else math.inf
