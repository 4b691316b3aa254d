"""A queue on disk: what is to be sent outlives the process and the far side's absence.

Records stand in numbered segment files, each as length, checksum and content. A segment is deleted once all of it
has been sent; how far the oldest one has been sent stands in the file `sent`. A record may be sent again after a
crash, never left out.
"""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import BinaryIO, Final

SEGMENT_BYTES: Final = 8 * 1024 * 1024
MAX_RECORD: Final = 64 * 1024 * 1024
_HEAD: Final = struct.Struct("<II")
_PLACE: Final = struct.Struct("<QQ")


class Spool:
    """Blocking: meant for a thread, one call at a time."""

    def __init__(self, folder: Path, limit: int) -> None:
        """
        Args:
            limit: bytes on disk; the oldest segments go first.
        Raises:
            OSError: the folder cannot be used.
        """
        self._folder = folder
        self._limit = limit
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._sizes = {
            int(file.stem): file.stat().st_size for file in folder.glob("*.segment") if file.stem.isdigit()
        }
        self._number, self._offset = self._place()
        self._out: BinaryIO | None = None
        self._in: BinaryIO | None = None
        self.damaged = 0
        """Segments whose end could not be read."""
        self.dropped = 0
        """Segments deleted before they were sent, for want of room."""

    @property
    def nbytes(self) -> int:
        """Bytes that wait."""
        return sum(self._sizes.values()) - min(self._offset, self._sizes.get(self._number, 0))

    @property
    def is_empty(self) -> bool:
        return self.nbytes == 0

    def put(self, content: bytes) -> None:
        """Append a record; it is on the disk when this returns.

        Raises:
            OSError: it could not be written.
        """
        if self._out is None or self._sizes[self._last] >= SEGMENT_BYTES:
            self._open_segment()
        assert self._out is not None
        record = _HEAD.pack(len(content), zlib.crc32(content)) + content
        try:
            self._out.write(record)
            self._out.flush()
            os.fdatasync(self._out.fileno())
        except OSError:
            # Whatever of it was written has no right checksum: the next record goes into a segment of its own.
            self._close_segment()
            raise
        self._sizes[self._last] += len(record)
        while sum(self._sizes.values()) > self._limit and len(self._sizes) > 1:
            self.dropped += 1
            self._drop(min(self._sizes))

    def peek(self) -> bytes | None:
        """The oldest record; None: nothing waits."""
        while self._number in self._sizes or self._skip():
            content = self._read()
            if content is not None:
                return content
            if self._number == self._last and self._out is not None:
                return None
            if self._offset < self._sizes[self._number]:
                self.damaged += 1
            self._drop(self._number)
        return None

    def take(self) -> None:
        """The record of the last `peek` has been sent."""
        content = self._read()
        if content is None:
            return
        self._offset += _HEAD.size + len(content)
        temporary = self._folder / "sent.new"
        temporary.write_bytes(_PLACE.pack(self._number, self._offset))
        temporary.replace(self._folder / "sent")
        if self._number != self._last and self._offset >= self._sizes[self._number]:
            self._drop(self._number)

    def close(self) -> None:
        self._close_segment()
        if self._in is not None:
            self._in.close()
            self._in = None

    @property
    def _last(self) -> int:
        return max(self._sizes, default=0)

    def _place(self) -> tuple[int, int]:
        first = min(self._sizes, default=1)
        try:
            number, offset = _PLACE.unpack((self._folder / "sent").read_bytes())
        except (OSError, struct.error):
            return first, 0
        return (number, offset) if number in self._sizes and offset <= self._sizes[number] else (first, 0)

    def _skip(self) -> bool:
        """Go to the oldest segment that is there."""
        if not self._sizes:
            return False
        self._number, self._offset = min(self._sizes), 0
        self._in = None
        return True

    def _read(self) -> bytes | None:
        """The record at the present place; None where none stands whole."""
        try:
            if self._in is None:
                self._in = self._file(self._number).open("rb")
            self._in.seek(self._offset)
            head = self._in.read(_HEAD.size)
            if len(head) < _HEAD.size:
                return None
            length, checksum = _HEAD.unpack(head)
            content = self._in.read(length) if length <= MAX_RECORD else b""
        except OSError:
            return None
        return content if len(content) == length and zlib.crc32(content) == checksum else None

    def _drop(self, number: int) -> None:
        if number == self._number and self._in is not None:
            self._in.close()
            self._in = None
        if self._out is not None and number == self._last:
            self._close_segment()
        del self._sizes[number]
        self._file(number).unlink(missing_ok=True)

    def _open_segment(self) -> None:
        self._close_segment()
        number = max(self._last, self._number) + 1
        self._out = self._file(number).open("xb")
        self._sizes[number] = 0

    def _close_segment(self) -> None:
        if self._out is not None:
            try:
                self._out.close()
            finally:
                self._out = None

    def _file(self, number: int) -> Path:
        return self._folder / f"{number:012}.segment"
