"""Remote write 1.0 on the wire: a protobuf WriteRequest, compressed with snappy (block format).

    WriteRequest { repeated TimeSeries timeseries = 1; repeated MetricMetadata metadata = 3; }
    TimeSeries   { repeated Label labels = 1; repeated Sample samples = 2; exemplars = 3; histograms = 4; }
    Label        { string name = 1; string value = 2; }
    MetricMetadata { MetricType type = 1; string metric_family_name = 2; string help = 4; string unit = 5; }
    Sample       { double value = 1; int64 timestamp = 2; }          timestamp in milliseconds since 1970

Written out by hand because it is the same few bytes for every sample: a series' labels are encoded once for as long
as it lives. Source: https://prometheus.io/docs/specs/prw/remote_write_spec/, prompb/types.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import cramjam

from sentinel.model.batch import Family, Floats, MetricType
from sentinel.model.labels import Labels

MAX_BYTES: Final = 16 * 1024 * 1024
"""Of one request, decompressed."""

MAX_LABELS: Final = 100
MAX_NAME: Final = 1024
MAX_VALUE: Final = 8192
"""Characters of a label."""

_FLOAT: Final = struct.Struct("<d")
_VARINT, _WIDE, BYTES, _NARROW = 0, 1, 2, 5
"""Wire types."""

_SMALL: Final = [bytes([number]) for number in range(128)]
_NOT_ONE: Final = "not a WriteRequest of remote write 1.0"
_TYPES: Final[Mapping[int, MetricType]] = {1: "counter", 2: "gauge", 3: "histogram", 5: "summary"}


class WireError(ValueError):
    """Not a remote write request, or one that is too large; the text says which."""


class TooLargeError(WireError):
    """More than MAX_BYTES."""


@dataclass(frozen=True, slots=True)
class Received:
    """One series of a request."""

    labels: Labels
    encoded: bytes
    """The labels as they were sent; empty where other fields stand among them."""
    is_usual: bool
    """In their order, none of them empty: as `labels_of` encodes them."""
    samples: tuple[tuple[float, int], ...]
    """Values and milliseconds since 1970."""
    histograms: int = 0
    """Native histograms, which are not taken."""
    fault: str = ""
    """What is wrong with the labels."""


def fault_of(labels: Labels) -> str:
    """Why a series with these labels is not taken; empty where it is."""
    if not labels.name:
        return "no metric name"
    if len(labels) > MAX_LABELS:
        return "too many labels"
    for name, value in labels.pairs:
        if not name or len(name) > MAX_NAME or len(value) > MAX_VALUE:
            return "a label that is too long" if name else "a label without a name"
    return ""


def labels_of(labels: Labels) -> bytes:
    """The labels of a series."""
    return b"".join(
        _field(1, _field(1, name.encode("utf-8", "replace")) + _field(2, value.encode("utf-8", "replace")))
        for name, value in labels.pairs
    )


def pairs_of(encoded: bytes) -> Iterator[tuple[str, str]]:
    """What `labels_of` has encoded."""
    for _, _, start, end in fields(encoded, 0, len(encoded)):
        yield _label(encoded, start, end)


def head_of(labels: Labels) -> bytes:
    """The labels of a series, with what always comes before the value of its one sample."""
    return labels_of(labels) + b"\x12"


def series_of(heads: Sequence[bytes], values: Floats, at: int) -> Iterator[bytes]:
    """TimeSeries fields of a WriteRequest, one sample each.

    Args:
        heads: of `head_of`, aligned with the values.
        at: milliseconds since 1970.
    """
    instant = b"\x10" + varint(at)
    size = 9 + len(instant)
    length, data = bytes([size]) + b"\x09", values.astype("<f8").tobytes()
    rest = 1 + size
    for place, head in enumerate(heads):
        start = place * 8
        yield b"\x0a" + varint(len(head) + rest) + head + length + data[start : start + 8] + instant


def compressed(request: bytes) -> bytes:
    return bytes(cramjam.snappy.compress_raw(request))


def decompressed(body: bytes) -> bytes:
    """
    Raises:
        WireError: not snappy, or more than MAX_BYTES.
    """
    try:
        size, _ = read_varint(body, 0, len(body))
        if size > MAX_BYTES:
            raise TooLargeError(f"more than {MAX_BYTES >> 20} MiB when decompressed")
        return bytes(cramjam.snappy.decompress_raw(body))
    except (cramjam.DecompressionError, IndexError) as error:
        raise WireError("the body is not compressed with snappy's block format") from error


def parse(request: bytes) -> Iterator[Received]:
    """
    Raises:
        WireError: not a WriteRequest.
    """
    try:
        for number, kind, start, end in fields(request, 0, len(request)):
            if number == 1 and kind == BYTES:
                yield series(request, start, end)
    except IndexError as error:
        raise WireError(_NOT_ONE) from error


def series(data: bytes, start: int, end: int) -> Received:
    """One TimeSeries.

    Raises:
        WireError: not one.
    """
    labels: list[tuple[str, str]] = []
    samples: list[tuple[float, int]] = []
    histograms, rest, fault = 0, start, ""
    try:
        for number, kind, first, last in fields(data, start, end):
            if number == 1 and kind == BYTES:
                rest = last if rest >= start and not samples and not histograms else -1
                try:
                    labels.append(_label(data, first, last))
                except UnicodeDecodeError:
                    fault = "labels that are not UTF-8"
            elif number == 2 and kind == BYTES:
                samples.append(_sample(data, first, last))
            else:
                histograms += number == 4
                rest = rest if number == 4 else -1
    except (IndexError, struct.error) as error:
        raise WireError(_NOT_ONE) from error
    if len({name for name, _ in labels}) < len(labels):
        fault = "a label is named twice"
    encoded = data[start:rest] if rest >= start else b""
    names = [name for name, _ in labels]
    is_usual = bool(encoded) and all(value for _, value in labels) and names == sorted(names)
    return Received(Labels(labels), encoded, is_usual, tuple(samples), histograms, fault)


def family(data: bytes, start: int, end: int) -> tuple[str, Family]:
    """One MetricMetadata: a metric family's name and what it means.

    Raises:
        WireError: not one.
    """
    texts = {2: "", 4: "", 5: ""}
    kind_of = 0
    try:
        for number, kind, first, last in fields(data, start, end):
            if kind == BYTES and number in texts:
                texts[number] = data[first:last].decode()
            elif kind == _VARINT and number == 1:
                kind_of, _ = read_varint(data, first, last)
    except (IndexError, UnicodeDecodeError) as error:
        raise WireError(_NOT_ONE) from error
    return texts[2], Family(_TYPES.get(kind_of, "unknown"), texts[4], texts[5])


def _label(data: bytes, start: int, end: int) -> tuple[str, str]:
    size = data[start + 1] if start + 1 < end else 0
    if size < 128 and data[start] == 0x0A:
        # As nearly all are: name, then value, both short.
        middle = start + 2 + size
        if (
            middle + 2 <= end
            and data[middle] == 0x12
            and middle + 2 + data[middle + 1] == end
            and end - middle < 130
        ):
            return data[start + 2 : middle].decode(), data[middle + 2 : end].decode()
    texts = {1: "", 2: ""}
    for number, kind, first, last in fields(data, start, end):
        if kind == BYTES and number in texts:
            texts[number] = data[first:last].decode()
    return texts[1], texts[2]


def _sample(data: bytes, start: int, end: int) -> tuple[float, int]:
    value, at = 0.0, 0
    for number, kind, first, last in fields(data, start, end):
        if number == 1 and kind == _WIDE:
            (value,) = _FLOAT.unpack_from(data, first)
        elif number == 2 and kind == _VARINT:
            at, _ = read_varint(data, first, last)
    return value, at - (1 << 64) if at >> 63 else at


def fields(data: bytes, place: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Number, wire type, and where the content starts and ends, for each field of a message.

    Raises:
        WireError, IndexError: it is none.
    """
    while place < end:
        key, place = read_varint(data, place, end)
        number, kind = key >> 3, key & 7
        start = place
        if kind == _VARINT:
            _, place = read_varint(data, place, end)
        elif kind == BYTES:
            length, start = read_varint(data, place, end)
            place = start + length
        elif kind in (_WIDE, _NARROW):
            place += 8 if kind == _WIDE else 4
        else:
            raise WireError(_NOT_ONE)
        if place > end:
            raise WireError("the request is cut short")
        yield number, kind, start, place


def read_varint(data: bytes, place: int, end: int) -> tuple[int, int]:
    number = shift = 0
    while place < end and shift < 70:
        byte = data[place]
        place += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number & (1 << 64) - 1, place
        shift += 7
    raise WireError("the request is cut short")


def varint(number: int) -> bytes:
    """A number as protobuf writes it; a negative one as 64 bits."""
    if 0 <= number < 128:
        return _SMALL[number]
    number &= (1 << 64) - 1
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def _field(number: int, content: bytes) -> bytes:
    return _SMALL[number << 3 | BYTES] + varint(len(content)) + content
