"""Older samples, packed: a stretch of a matrix as bytes, and back, bit for bit.

Whole numbers (nearly all of what devices count) are packed as differences from sample to sample, everything else
as it is; both by pcodec, which stores numbers at about the entropy of their digits (https://github.com/pcodec/pcodec).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pcodec import ChunkConfig, DeltaSpec, standalone

from sentinel.model.batch import Floats

_EXACT: Final = 2.0**53
"""Whole numbers below this are the same as float64 and as int64."""

Index = NDArray[np.intp]

_PLAIN: Final = ChunkConfig(compression_level=4, delta_spec=DeltaSpec.no_op())
_FREE: Final = ChunkConfig(compression_level=4)


@dataclass(frozen=True, slots=True)
class Packed:
    """A matrix [ticks, columns] of samples, packed."""

    shape: tuple[int, int]
    whole: bytes
    """Which columns hold nothing but whole numbers: a bit each."""
    first: bytes
    """Of those columns, the first row."""
    steps: bytes
    """Of those columns, each further row's difference to the row before."""
    others: bytes
    """The other columns, one after the other."""
    places: bytes
    """Cells that hold no finite number, as positions in the flat matrix."""
    specials: bytes
    """What those cells hold: the bits of staleness markers, infinities and so on."""

    @classmethod
    def of(cls, values: Floats) -> Packed:
        """
        Args:
            values: [ticks, columns], any bits.
        """
        filled = np.array(values, np.float64, order="C")
        odd = ~np.isfinite(filled)
        places = specials = b""
        if odd.any():
            flat = np.flatnonzero(odd)
            places, specials = (
                _bytes(flat.astype(np.uint32), _FREE),
                _bytes(filled.ravel()[flat].view(np.uint64), _FREE),
            )
            _fill(filled, odd)
        with np.errstate(invalid="ignore"):
            numbers = filled.astype(np.int64)
        # The same bits when they come back: neither fractions nor minus zero.
        same = numbers.astype(np.float64).view(np.uint64) == filled.view(np.uint64)
        whole = (same & (np.abs(filled) < _EXACT)).all(axis=0)
        if not whole.all():
            numbers = numbers[:, whole]
        return cls(
            (filled.shape[0], filled.shape[1]),
            np.packbits(whole).tobytes(),
            _bytes(numbers[:1].ravel(), _FREE),
            _bytes(np.diff(numbers, axis=0).ravel(), _PLAIN),
            _bytes(filled[:, ~whole].T.ravel(), _FREE),
            places,
            specials,
        )

    def unpack(self, rows: Index | None = None) -> Floats:
        """[ticks, columns], as it was.

        Args:
            rows: only these ticks, ascending.
        Raises:
            ValueError: the parts do not agree.
        """
        height, columns = self.shape
        wanted = np.arange(height) if rows is None else rows
        whole = np.unpackbits(np.frombuffer(self.whole, np.uint8), count=columns).astype(np.bool_)
        count = int(whole.sum())
        values = np.empty((len(wanted), columns))
        if count == columns:
            self._add_up(wanted, values)
        elif count:
            numbers = np.empty((len(wanted), count))
            self._add_up(wanted, numbers)
            values[:, np.flatnonzero(whole)] = numbers
        if count < columns:
            others = _numbers(self.others).reshape(columns - count, height)
            others = (others if rows is None else others[:, rows]).T
            if count:
                values[:, np.flatnonzero(~whole)] = others
            else:
                values[...] = others
        if self.places:
            self._put_specials(wanted, values)
        return values

    def _add_up(self, rows: Index, into: Floats) -> None:
        """The whole numbers of some ticks."""
        level = _numbers(self.first)
        steps = _numbers(self.steps).reshape(self.shape[0] - 1, into.shape[1])
        done = 0
        # Row by row: numpy's cumsum walks down the columns, which takes three times as long.
        for place, row in enumerate(rows.tolist()):
            if row == done + 1:
                np.add(level, steps[done], out=level)
            elif row > done:
                np.add(level, steps[done:row].sum(axis=0), out=level)
            done = row
            into[place] = level

    def _put_specials(self, rows: Index, into: Floats) -> None:
        height, columns = self.shape
        places, specials = _numbers(self.places).astype(np.intp), _numbers(self.specials)
        if len(rows) < height:
            row_of = np.full(height, -1, np.intp)
            row_of[rows] = np.arange(len(rows))
            row, column = row_of[places // columns], places % columns
            held = row >= 0
            places, specials = (row * columns + column)[held], specials[held]
        into.ravel().view(np.uint64)[places] = specials

    @property
    def nbytes(self) -> int:
        return sum(
            len(getattr(self, part)) for part in ("whole", "first", "steps", "others", "places", "specials")
        )


def _fill(values: Floats, odd: NDArray[np.bool_]) -> None:
    """Something that packs well in place of what is no number: what stands in the row before."""
    values[0][odd[0]] = 0.0
    for row in range(1, len(values)):
        np.copyto(values[row], values[row - 1], where=odd[row])


def _bytes(numbers: NDArray[Any], config: ChunkConfig) -> bytes:
    return bytes(standalone.simple_compress(np.ascontiguousarray(numbers), config)) if len(numbers) else b""


def _numbers(data: bytes) -> NDArray[Any]:
    if not data:
        return np.empty(0, np.int64)
    numbers: NDArray[Any] = standalone.simple_decompress(data)
    return numbers
