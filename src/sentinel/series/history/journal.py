"""The journal: what is not in files yet, and enough of what is to fill the head again.

Numbered segments, each whole in itself: it names all series that it has samples of. A frame is on the disk when
`write` returns; a crash tears the last one off at most. A segment that has been packed into a file changes its name
from `.journal` to `.packed`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from io import FileIO
from pathlib import Path
from typing import Final

SUFFIX: Final = ".journal"
PACKED: Final = ".packed"


class Journal:
    """Blocking: for one thread at a time."""

    def __init__(self, folder: Path) -> None:
        """
        Raises:
            OSError: the folder cannot be used.
        """
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder = folder
        self._number = _newest(folder)
        self._out: FileIO | None = None
        self.size = 0
        """Bytes of the segment that is being written."""

    @property
    def number(self) -> int | None:
        """The segment that is being written; None between two."""
        return self._number if self._out is not None else None

    def begin_after(self, number: int) -> None:
        """Segments with numbers up to that one have been: they are never used again."""
        self._number = max(self._number, number)

    def write(self, frames: Iterable[bytes]) -> None:
        """Append; it is on the disk when this returns.

        Raises:
            OSError: it could not be written. The segment ends before it, and the next one has to begin anew.
        """
        if self._out is None:
            self._open()
        assert self._out is not None
        data = b"".join(frames)
        try:
            _put(self._out, data)
            os.fdatasync(self._out.fileno())
        except OSError:
            # Readers may be at it: what of the frame is there stays, and fails its checksum.
            self.close()
            raise
        self.size += len(data)

    def close(self) -> Path | None:
        """End the segment; the next write begins another.

        Returns:
            the segment; None where there is none with anything in it.
        """
        if self._out is None:
            return None
        out, self._out = self._out, None
        path = self.path(self._number)
        with contextlib.suppress(OSError):
            out.close()
        if self.size:
            return path
        with contextlib.suppress(OSError):
            path.unlink()
        return None

    def path(self, number: int) -> Path:
        return self.folder / f"{number:012}{SUFFIX}"

    def _open(self) -> None:
        number = max(self._number, _newest(self.folder)) + 1
        self._out = FileIO(self.path(number), "x", opener=lambda path, flags: os.open(path, flags, 0o600))
        self._number, self.size = number, 0
        _sync_folder(self.folder)


def segments_in(folder: Path) -> list[Path]:
    """In the order in which they were written."""
    return sorted(
        [*folder.glob(f"[0-9]*{SUFFIX}"), *folder.glob(f"[0-9]*{PACKED}")], key=lambda path: path.stem
    )


def append(path: Path, frame: bytes) -> None:
    """Add to a segment that has ended.

    Raises:
        OSError: it could not be written.
    """
    with FileIO(path, "a") as out:
        _put(out, bytes(-os.fstat(out.fileno()).st_size % 8) + frame)
        os.fdatasync(out.fileno())


def _newest(folder: Path) -> int:
    return max((int(path.stem) for path in segments_in(folder) if path.stem.isdigit()), default=0)


def _put(out: FileIO, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[out.write(rest) or 0 :]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
