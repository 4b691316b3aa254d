"""Remote write 1.0 on the wire: a protobuf WriteRequest, compressed with snappy (block format).

    WriteRequest { repeated TimeSeries timeseries = 1; repeated MetricMetadata metadata = 3; }
    TimeSeries   { repeated Label labels = 1; repeated Sample samples = 2; exemplars = 3; histograms = 4; }
    Label        { string name = 1; string value = 2; }
    Sample       { double value = 1; int64 timestamp = 2; }          timestamp in milliseconds since 1970

Written out by hand because it is the same few bytes for every sample: a series' labels are encoded once for as long
as it lives. Source: https://prometheus.io/docs/specs/prw/remote_write_spec/, prompb/types.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import cramjam

from sentinel.model.batch import Floats
from sentinel.model.labels import Labels

MAX_BYTES: Final = 64 * 1024 * 1024
"""Of one request, decompressed."""

_FLOAT: Final = struct.Struct("<d")
_VARINT, _WIDE, _BYTES, _NARROW = 0, 1, 2, 5
"""Wire types."""


class WireError(ValueError):
    """Not a remote write request, or one that is too large; the text says which."""


@dataclass(frozen=True, slots=True)
class Received:
    """One series of a request."""

    labels: Labels
    samples: tuple[tuple[float, int], ...]
    """Values and milliseconds since 1970."""
    histograms: int = 0
    """Native histograms, which are not taken."""


def head_of(labels: Labels) -> bytes:
    """The labels of a series, with what always comes before the value of its one sample."""
    body = b"".join(
        _field(1, _field(1, name.encode("utf-8", "replace")) + _field(2, value.encode("utf-8", "replace")))
        for name, value in labels.pairs
    )
    return body + b"\x12"


def series_of(heads: Sequence[bytes], values: Floats, at: int) -> Iterator[bytes]:
    """TimeSeries fields of a WriteRequest, one sample each.

    Args:
        heads: of `head_of`, aligned with the values.
        at: milliseconds since 1970.
    """
    instant = b"\x10" + _varint(at)
    size = 9 + len(instant)
    length, data = bytes([size]) + b"\x09", values.astype("<f8").tobytes()
    rest = 1 + size
    for place, head in enumerate(heads):
        start = place * 8
        yield b"\x0a" + _varint(len(head) + rest) + head + length + data[start : start + 8] + instant


def compressed(request: bytes) -> bytes:
    return bytes(cramjam.snappy.compress_raw(request))


def decompressed(body: bytes) -> bytes:
    """
    Raises:
        WireError: not snappy, or more than MAX_BYTES.
    """
    try:
        size, _ = _read_varint(body, 0, len(body))
        if size > MAX_BYTES:
            raise WireError(f"more than {MAX_BYTES >> 20} MiB when decompressed")
        return bytes(cramjam.snappy.decompress_raw(body))
    except (cramjam.DecompressionError, IndexError) as error:
        raise WireError("the body is not compressed with snappy's block format") from error


def parse(request: bytes) -> Iterator[Received]:
    """
    Raises:
        WireError: not a WriteRequest.
    """
    try:
        for number, kind, start, end in _fields(request, 0, len(request)):
            if number == 1 and kind == _BYTES:
                yield _series(request, start, end)
    except (IndexError, struct.error, UnicodeDecodeError) as error:
        raise WireError("not a WriteRequest of remote write 1.0") from error


def _series(data: bytes, start: int, end: int) -> Received:
    labels: list[tuple[str, str]] = []
    samples: list[tuple[float, int]] = []
    histograms = 0
    for number, kind, first, last in _fields(data, start, end):
        if number == 1 and kind == _BYTES:
            labels.append(_label(data, first, last))
        elif number == 2 and kind == _BYTES:
            samples.append(_sample(data, first, last))
        elif number == 4:
            histograms += 1
    if len({name for name, _ in labels}) < len(labels):
        raise WireError("a series names a label twice")
    return Received(Labels(labels), tuple(samples), histograms)


def _label(data: bytes, start: int, end: int) -> tuple[str, str]:
    texts = {1: "", 2: ""}
    for number, kind, first, last in _fields(data, start, end):
        if kind == _BYTES and number in texts:
            texts[number] = data[first:last].decode()
    return texts[1], texts[2]


def _sample(data: bytes, start: int, end: int) -> tuple[float, int]:
    value, at = 0.0, 0
    for number, kind, first, last in _fields(data, start, end):
        if number == 1 and kind == _WIDE:
            (value,) = _FLOAT.unpack_from(data, first)
        elif number == 2 and kind == _VARINT:
            at, _ = _read_varint(data, first, last)
    return value, at - (1 << 64) if at >> 63 else at


def _fields(data: bytes, place: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Number, wire type, and where the content starts and ends, for each field of a message."""
    while place < end:
        key, place = _read_varint(data, place, end)
        number, kind = key >> 3, key & 7
        start = place
        if kind == _VARINT:
            _, place = _read_varint(data, place, end)
        elif kind == _BYTES:
            length, start = _read_varint(data, place, end)
            place = start + length
        elif kind in (_WIDE, _NARROW):
            place += 8 if kind == _WIDE else 4
        else:
            raise WireError("not a WriteRequest of remote write 1.0")
        if place > end:
            raise WireError("the request is cut short")
        yield number, kind, start, place


def _read_varint(data: bytes, place: int, end: int) -> tuple[int, int]:
    number = shift = 0
    while place < end and shift < 70:
        byte = data[place]
        place += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number & (1 << 64) - 1, place
        shift += 7
    raise WireError("the request is cut short")


def _varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | _BYTES]) + _varint(len(content)) + content
