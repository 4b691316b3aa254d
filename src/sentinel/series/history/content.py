"""Samples of chunks as queries take them, unpacked as far as they are wanted and kept for the next query."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sentinel.model.batch import Floats
from sentinel.series.history.cache import Cache
from sentinel.series.history.files import Chunk, DamagedError, HistoryFile
from sentinel.series.history.shape import Index

_VALUES: Final = 64 << 20
_ABOUT: Final = 20_000
"""Chunks of which it is kept what they are, not what is in them."""

Told = Callable[[Path], AbstractContextManager[None]]
"""In it what is damaged is told, and left out."""


@dataclass(frozen=True, slots=True, eq=False)
class _About:
    stamps: Index
    has_holes: bool


class Contents:
    """Makes and keeps contents; for any number of threads."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._about: Cache[_About] = Cache(_ABOUT, lambda _: 1)
        self._values: Cache[Floats] = Cache(_VALUES, lambda values: values.nbytes)

    def of(self, file: HistoryFile, window: int, bundle: int, *, is_split: bool) -> ChunkContent:
        """
        Args:
            is_split: the window goes on after what is asked for: the rest of it is likely to be asked for next.
        Raises:
            DamagedError: it is not what was written.
            OSError: it cannot be read.
        """
        return ChunkContent(
            (self._about, self._values), self._told, file, (window, bundle), is_split=is_split
        )


class ChunkContent:
    """The samples of one chunk, while its file is open: a `plan.Content`."""

    def __init__(
        self,
        kept: tuple[Cache[_About], Cache[Floats]],
        told: Told,
        file: HistoryFile,
        place: tuple[int, int],
        *,
        is_split: bool,
    ) -> None:
        """
        Args:
            place: window and bundle.
        """
        about, self._values = kept
        self._told = told
        self._file = file
        self._place = place
        self._is_split = is_split
        self._read: Chunk | None = None
        self._key = (file.id, *place)
        self._about = about.get(self._key, self._look)

    @property
    def stamps(self) -> Index:
        return self._about.stamps

    @property
    def has_holes(self) -> bool:
        return self._about.has_holes

    def values(self, rows: Index | None) -> Floats | None:
        with self._told(self._file.path):
            if rows is None:
                return self._values.get(self._key, lambda: self._unpack(None))
            known = self._values.peek(self._key)
            if known is None and self._is_split:
                known = self._values.get(self._key, lambda: self._unpack(None))
            if known is not None:
                return known[rows]
            return self._values.get((*self._key, rows.tobytes()), lambda: self._unpack(rows))
        return None

    def _look(self) -> _About:
        chunk = self._chunk()
        return _About(chunk.stamps, bool(chunk.values.places))

    def _unpack(self, rows: Index | None) -> Floats:
        chunk, self._read = self._chunk(), None
        try:
            return chunk.values.unpack(rows)
        except (ValueError, IndexError) as error:
            raise DamagedError(f"{self._file.path.name}: {error}") from error

    def _chunk(self) -> Chunk:
        if self._read is None:
            try:
                window, bundle = self._place
                self._read = Chunk.of(self._file.chunk(bundle, window))
            except ValueError as error:
                raise DamagedError(f"{self._file.path.name}: {error}") from error
        return self._read
