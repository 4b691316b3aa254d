"""Reads remote write requests of series that were seen before without looking at their labels.

A sender encodes a series the same way each time, and nearly always with one sample: its labels are found by their
bytes in one look-up, and values and instants of all such series come out of the request in a few array operations.
Everything else (new series, several samples, other encodings) is left to the reader in wire.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sentinel.model.batch import Floats
from sentinel.series.remote.wire import BYTES, WireError, fields, read_varint

Index = NDArray[np.intp]
Instants = NDArray[np.int64]
_Bytes = NDArray[np.uint8]

# The end of a TimeSeries with one sample: field 2, its length, the value (field 1), the instant (field 2, six bytes
# of varint from 2004 to 3084). Value 0 is left out by some encoders.
_SERIES: Final = 0x0A
_TAIL: Final = 18
_TAIL_OF_ZERO: Final = 9
_INSTANT: Final = 6
_VALUE: Final = np.arange(-15, -7)
_INSTANTS: Final = np.arange(-_INSTANT, 0)
_NONE: Final = np.empty(0, np.intp)
_WEIGHTS: Final = np.array([1 << 7 * place for place in range(_INSTANT)], np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """Part of a request."""

    next: int
    """Where the next slice begins; the request's length: this was the last one."""
    numbers: Index
    """Of the series found, as the caller knows them."""
    values: Floats
    instants: Instants
    """Milliseconds since 1970."""
    series: list[tuple[int, int]]
    """Start and end of other TimeSeries."""
    metadata: list[tuple[int, int]]
    """Start and end of MetricMetadata."""


def scan(  # noqa: C901, PLR0912  one loop, as it runs for every sample
    data: bytes, place: int, known: Mapping[bytes, int], most: int
) -> Slice:
    """
    Args:
        data: a WriteRequest.
        place: where to begin.
        known: numbers of series by the bytes of their labels (`wire.labels_of`).
        most: fields to read.
    Raises:
        WireError: not a WriteRequest.
    """
    numbers: list[int] = []
    ends: list[int] = []
    series: list[tuple[int, int]] = []
    metadata: list[tuple[int, int]] = []
    found, add_number, add_end = known.get, numbers.append, ends.append
    begin, end = place, len(data)
    try:
        for _ in range(most):
            if place >= end:
                break
            if data[place] != _SERIES:
                number, kind, start, place = next(fields(data, place, end))
                if kind == BYTES and number in (1, 3):
                    (series if number == 1 else metadata).append((start, place))
                continue
            size, start = data[place + 1], place + 2
            if size > 127:
                size, start = size & 127 | data[start] << 7, start + 1
                if size >= 1 << 14:
                    size, start = read_varint(data, place + 1, end)
            place = start + size
            if (number_of := found(data[start : place - _TAIL])) is not None:
                add_number(number_of)
                add_end(place)
            elif (number_of := found(data[start : place - _TAIL_OF_ZERO])) is not None:
                add_number(number_of)
                add_end(-place)
            else:
                series.append((start, place))
    except IndexError:
        raise WireError("the request is cut short") from None
    if place > end:
        raise WireError("the request is cut short")
    if not numbers:
        return Slice(place, _NONE, np.empty(0), np.empty(0, np.int64), series, metadata)
    samples = _samples(np.frombuffer(data, np.uint8), np.array(ends, np.intp))
    if samples is None:
        # Bytes that look like a known series and are not: leave everything to the other reader.
        return scan(data, begin, {}, most)
    return Slice(place, np.array(numbers, np.intp), *samples, series, metadata)


def _samples(data: _Bytes, ends: Index) -> tuple[Floats, Instants] | None:
    """Values and instants; None where the bytes before an end are not what they should be.

    Args:
        ends: of TimeSeries messages; negative where the value is left out.
    """
    is_zero, at = ends < 0, np.abs(ends)
    if at.min() < _TAIL:
        return None
    instant = data[at[:, None] + _INSTANTS].astype(np.int64)
    is_right = (data[at - 18] == 0x12) & (data[at - 17] == 0x10) & (data[at - 16] == 0x09)
    if is_zero.any():
        is_right = np.where(is_zero, (data[at - 9] == 0x12) & (data[at - 8] == 0x07), is_right)
    is_right &= (data[at - 7] == 0x10) & (instant[:, -1] < 128) & (instant[:, :-1] > 127).all(axis=1)
    if not is_right.all():
        return None
    values: Floats = data[at[:, None] + _VALUE].view("<f8").ravel().astype(np.float64, copy=False)
    values[is_zero] = 0.0
    return values, (instant & 127) @ _WEIGHTS
