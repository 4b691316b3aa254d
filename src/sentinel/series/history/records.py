"""What stands in the journal: frames with a checksum each.

A frame is a head of four little-endian 32-bit numbers (mark, kind, length, CRC-32 of the first three and the
content) and its content, filled up to a multiple of eight bytes, so that samples can be read where they lie.

    SERIES   JSON, deflated: which series the numbers in later samples stand for
    SAMPLES  count; count × instants (int64, milliseconds), rows (uint32), sizes (uint32), flags (uint8);
             then all values (float64), one write after the other
    SHIFT    milliseconds (int64) by which everything before moves: the clock was stepped
    FORGET   JSON: a source that is gone
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from io import FileIO
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from sentinel.model.batch import Floats

MARK: Final = 0x4C4E534A
_FRAME: Final = struct.Struct("<IIII")
_COUNT: Final = struct.Struct("<Q")
_SHIFT: Final = struct.Struct("<q")
_MARK_BYTES: Final = MARK.to_bytes(4, "little")

UP: Final = 1
"""Flag of a write: the source could be read."""
PART: Final = 2
"""Flag of a write: the source has more series than these."""


class Kind(IntEnum):
    SERIES = 1
    SAMPLES = 2
    SHIFT = 3
    FORGET = 4


@dataclass(frozen=True, slots=True, eq=False)
class Writes:
    """A number of writes: entry k is of series `rows[k]` at `at[k]`."""

    at: NDArray[np.int64]
    """Milliseconds since 1970."""
    rows: NDArray[np.uint32]
    sizes: NDArray[np.uint32]
    flags: NDArray[np.uint8]
    values: Floats
    """Of all of them, one after the other."""


@dataclass(frozen=True, slots=True)
class Frame:
    kind: int
    start: int
    """Where the content starts in the file."""
    content: memoryview


def frame(kind: Kind, *parts: bytes | memoryview) -> bytes:
    length = sum(len(part) for part in parts)
    head = struct.pack("<III", MARK, kind, length)
    checksum = zlib.crc32(head)
    for part in parts:
        checksum = zlib.crc32(part, checksum)
    return b"".join((head, checksum.to_bytes(4, "little"), *parts, bytes(-length % 8)))


def samples_frame(writes: Writes) -> bytes:
    fixed = b"".join(
        (
            _COUNT.pack(len(writes.at)),
            writes.at.astype("<i8").tobytes(),
            writes.rows.astype("<u4").tobytes(),
            writes.sizes.astype("<u4").tobytes(),
            writes.flags.tobytes(),
        )
    )
    values = np.ascontiguousarray(writes.values, "<f8")
    return frame(Kind.SAMPLES, fixed, bytes(-len(fixed) % 8), values.view(np.uint8).data)


def samples_of(content: memoryview) -> tuple[Writes, int]:
    """The writes, and where in the content their values start.

    Raises:
        ValueError: the sizes do not agree.
    """
    if len(content) < _COUNT.size:
        raise ValueError("too short")
    (count,) = _COUNT.unpack_from(content)
    end = _COUNT.size + count * 17
    first = end + -end % 8
    if first > len(content):
        raise ValueError("too short for its count")
    at = np.frombuffer(content, "<i8", count, 8)
    rows = np.frombuffer(content, "<u4", count, 8 + 8 * count)
    sizes = np.frombuffer(content, "<u4", count, 8 + 12 * count)
    flags = np.frombuffer(content, np.uint8, count, 8 + 16 * count)
    total = int(sizes.sum(dtype=np.int64))
    if len(content) != first + 8 * total:
        raise ValueError("sizes and values differ")
    return Writes(at, rows, sizes, flags, np.frombuffer(content, "<f8", total, first)), first


def shift_frame(milliseconds: int) -> bytes:
    return frame(Kind.SHIFT, _SHIFT.pack(milliseconds))


def shift_of(content: memoryview) -> int:
    """
    Raises:
        ValueError: not eight bytes.
    """
    if len(content) != _SHIFT.size:
        raise ValueError("not a shift")
    milliseconds: int = _SHIFT.unpack(content)[0]
    return milliseconds


def json_frame(kind: Kind, what: object) -> bytes:
    return frame(kind, zlib.compress(dumped(what), 1))


def json_of(content: memoryview) -> Any:
    """
    Raises:
        ValueError: not what json_frame writes.
    """
    try:
        return loaded(zlib.decompress(content))
    except zlib.error as error:
        raise ValueError("cannot be inflated") from error


def frames(file: FileIO) -> Iterator[Frame | int]:
    """The frames of a segment; in place of what cannot be read, how many bytes it is long.

    Raises:
        OSError: the file cannot be read.
    """
    place, end = 0, os.fstat(file.fileno()).st_size
    while place < end:
        found = _at(file, place, end)
        if found is not None:
            yield found
            place = found.start + len(found.content) + -len(found.content) % 8
            continue
        further = _next(file, place + 8, end)
        yield min(further, end) - place
        place = further


def dumped(what: object) -> bytes:
    try:
        return orjson.dumps(what)
    except TypeError:  # half of a surrogate pair in a text of a device
        return json.dumps(what).encode()


def loaded(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text)


def _at(file: FileIO, place: int, end: int) -> Frame | None:
    start = place + _FRAME.size
    if start > end:
        return None
    head = os.pread(file.fileno(), _FRAME.size, place)
    if len(head) < _FRAME.size:
        return None
    mark, kind, length, checksum = _FRAME.unpack(head)
    if mark != MARK or start + length > end:
        return None
    content = os.pread(file.fileno(), length, start)
    if len(content) != length or zlib.crc32(content, zlib.crc32(head[:12])) != checksum:
        return None
    return Frame(kind, start, memoryview(content))


def _next(file: FileIO, place: int, end: int) -> int:
    """Where a whole frame stands again; the end where none does."""
    step = 1 << 20
    while place < end:
        block = os.pread(file.fileno(), step + len(_MARK_BYTES), place)
        found = block.find(_MARK_BYTES)
        while 0 <= found < step:
            at = place + found
            if at % 8 == 0 and _at(file, at, end) is not None:
                return at
            found = block.find(_MARK_BYTES, found + 1)
        place += step
    return end
