"""Numbers as bytes: packed matrices, instants, and labels of a bundle of series."""

from __future__ import annotations

import hashlib
import struct
import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pcodec import ChunkConfig, standalone

from sentinel.model.batch import Row
from sentinel.model.labels import METRIC_NAME, Labels
from sentinel.series.columns.packed import Packed
from sentinel.series.history.records import dumped, loaded
from sentinel.series.history.shape import Index
from sentinel.series.index.placing import merged

Stamps = NDArray[np.int64]

_CONFIG: Final = ChunkConfig(compression_level=4)
_PACKED: Final = struct.Struct("<8I")
_PAIR: Final = struct.Struct("<2I")
_PARTS: Final = ("whole", "first", "steps", "others", "places", "specials")


def packed_bytes(packed: Packed) -> bytes:
    parts = [getattr(packed, part) for part in _PARTS]
    return _PACKED.pack(*packed.shape, *map(len, parts)) + b"".join(parts)


def packed_of(data: bytes) -> Packed:
    """
    Raises:
        ValueError: the lengths do not agree.
    """
    if len(data) < _PACKED.size:
        raise ValueError("a chunk cut short")
    rows, columns, *lengths = _PACKED.unpack_from(data)
    parts, place = [], _PACKED.size
    for length in lengths:
        parts.append(data[place : place + length])
        place += length
    if place != len(data):
        raise ValueError("a chunk of the wrong length")
    return Packed((rows, columns), *parts)


def numbers_bytes(numbers: NDArray[Any]) -> bytes:
    return bytes(standalone.simple_compress(np.ascontiguousarray(numbers), _CONFIG)) if len(numbers) else b""


def numbers_of(data: bytes) -> Stamps:
    """
    Raises:
        ValueError: not what numbers_bytes writes.
    """
    if not data:
        return np.empty(0, np.int64)
    try:
        numbers: Stamps = standalone.simple_decompress(data).astype(np.int64, copy=False)
    except Exception as error:  # pcodec raises what it likes on bytes that are not its own
        raise ValueError("numbers that cannot be unpacked") from error
    return numbers


def stamps_bytes(times: list[Stamps]) -> bytes:
    """Instants of a number of sources."""
    counts = numbers_bytes(np.array([len(each) for each in times], np.int64))
    stamps = numbers_bytes(np.concatenate(times)) if times else b""
    return _PAIR.pack(len(counts), len(stamps)) + counts + stamps


def stamps_of(data: bytes) -> list[Stamps]:
    """
    Raises:
        ValueError: not what stamps_bytes writes.
    """
    if len(data) < _PAIR.size:
        raise ValueError("instants cut short")
    first, second = _PAIR.unpack_from(data)
    if len(data) != _PAIR.size + first + second:
        raise ValueError("instants of the wrong length")
    counts = numbers_of(data[_PAIR.size : _PAIR.size + first])
    stamps = numbers_of(data[_PAIR.size + first :])
    if counts.sum() != len(stamps) or (counts < 0).any():
        raise ValueError("instants that do not agree")
    return np.split(stamps, np.cumsum(counts)[:-1]) if len(counts) else []


@dataclass(frozen=True, slots=True)
class Giver:
    """A source, as a bundle names it."""

    target: str
    module: str
    labels: Labels
    interval: float

    @property
    def key(self) -> tuple[str, str, float]:
        return self.target, self.module, self.interval

    def series(self, name: str, row: Row) -> Labels:
        """The labels of one of its series."""
        inner = Labels(zip(row[::2], row[1::2], strict=True))
        return Labels({**merged(self.labels, inner), METRIC_NAME: name})


@dataclass(frozen=True)
class Bundle:
    """Up to some thousand series of sources that are polled at one interval, and of one metric or few."""

    givers: tuple[Giver, ...]
    names: tuple[str, ...]
    rows: tuple[Row, ...]
    giver_of: Index
    name_of: Index
    row_of: Index

    def __len__(self) -> int:
        return len(self.giver_of)

    @cached_property
    def json(self) -> bytes:
        givers = [[one.target, one.module, dict(one.labels), one.interval] for one in self.givers]
        numbers = [self.giver_of.tolist(), self.name_of.tolist(), self.row_of.tolist()]
        return dumped([givers, self.names, self.rows, *numbers])

    @property
    def content(self) -> bytes:
        return zlib.compress(self.json, 6)

    @cached_property
    def digest(self) -> bytes:
        return hashlib.blake2b(self.json, digest_size=16).digest()

    @classmethod
    def of(cls, content: bytes, digest: bytes) -> Bundle:
        """
        Raises:
            ValueError: damaged.
        """
        try:
            text = zlib.decompress(content)
        except zlib.error as error:
            raise ValueError("labels that cannot be inflated") from error
        if hashlib.blake2b(text, digest_size=16).digest() != digest:
            raise ValueError("labels with a wrong checksum")
        givers, names, rows, *numbers = loaded(text)
        return cls(
            tuple(
                Giver(target, module, Labels(labels), interval) for target, module, labels, interval in givers
            ),
            tuple(names),
            tuple(map(tuple, rows)),
            *(np.array(each, np.intp) for each in numbers),
        )

    @cached_property
    def labels(self) -> list[Labels]:
        """Of each series, with the metric name and the source's own."""
        numbers = zip(self.giver_of.tolist(), self.name_of.tolist(), self.row_of.tolist(), strict=True)
        return [self.givers[giver].series(self.names[name], self.rows[row]) for giver, name, row in numbers]
