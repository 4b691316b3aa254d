"""The samples themselves: recent ticks as plain numbers, older ones packed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sentinel.model.batch import ABSENT_BITS, Floats
from sentinel.series.columns.packed import Packed

Index = NDArray[np.intp]
Ticks = NDArray[np.int64]

_AHEAD: Final = 32
"""Slabs made at once, at most."""

_UNPACKED_BYTES: Final = 16 << 20
"""Stretches kept unpacked for the next one who looks at them; see `window` for what rules ask for every time."""


class Cells:
    """V[tick, column].

    Slabs of columns; in each, the newest `rows` ticks are a ring, so a poll is one scatter and no sample ever
    moves. Older ticks are packed, a slab and `stretch` ticks at a time.
    """

    def __init__(self, rows: int, stretch: int, slab: int) -> None:
        """
        Args:
            rows: ticks kept as plain numbers.
            slab: columns that lie together in memory, a power of two.
            stretch: ticks packed together; 0: none are.
        """
        self.rows = rows
        self.stretch = stretch
        self.slab = slab
        self._shift = slab.bit_length() - 1
        self.slabs = 0
        """How many there are."""
        self.packed: dict[tuple[int, int], Packed] = {}
        """By stretch and slab; stretch k is the ticks [k * stretch, (k + 1) * stretch)."""
        self._packed_bytes = 0
        self._flat = np.empty(0)
        """[slab, row, column of the slab]"""
        self._unpacked: dict[tuple[int, int], Floats] = {}

    @property
    def nbytes(self) -> int:
        return self.slabs * self.rows * self.slab * 8 + self._packed_bytes

    def extend(self, width: int) -> None:
        """Room for that many columns, without moving those that are there."""
        slabs = width >> self._shift
        if slabs <= self.slabs:
            return
        size = self.rows << self._shift
        if slabs * size > len(self._flat):
            self._grow((slabs + min(slabs // 16, _AHEAD)) * size)
        self._flat[self.slabs * size : slabs * size].view(np.uint64)[...] = ABSENT_BITS
        self.slabs = slabs

    def clear(self, columns: Index) -> None:
        """Nothing in the plain rows of these columns."""
        rows = np.arange(self.rows) << self._shift
        self._flat.view(np.uint64)[self._base(columns)[:, None] + rows] = ABSENT_BITS

    # The plain rows

    def put(self, tick: int, columns: Index, values: Floats, before: int | None = None) -> Floats | None:
        """Write one tick.

        Returns:
            what stands in that tick before; None: none was asked for.
        """
        base = self._base(columns)
        found: Floats | None = None if before is None else self._flat.take(base + self._row(before))
        self._flat[base + self._row(tick)] = values
        return found

    def row(self, tick: int, columns: Index) -> Floats:
        """One tick of the plain rows."""
        cells: Floats = self._flat.take(self._base(columns) + self._row(tick))
        return cells

    # Any rows

    def each(self, ticks: Ticks, slots: Index, columns: Index, floor: int) -> Floats:
        """One cell a column, each at its own tick: `ticks[slots]`.

        Args:
            floor: the oldest tick of the plain rows.
        """
        if not len(columns):
            return np.empty(0)
        lowest = int(ticks.min())
        if lowest == ticks.max() and lowest >= floor:
            return self.row(lowest, columns)
        cells: Floats = self._flat.take(self._base(columns) + ((ticks % self.rows) << self._shift)[slots])
        if lowest < floor:
            wanted = ticks[slots]
            for tick in np.unique(wanted[wanted < floor]).tolist():
                at = np.flatnonzero(wanted == tick)
                cells[at] = self.matrix(np.array([tick]), columns[at], floor)[0]
        return cells

    def matrix(self, ticks: Ticks, columns: Index, floor: int) -> Floats:
        """[ticks, columns]: all cells of ascending ticks."""
        whole = np.empty((len(ticks), len(columns)))
        old = int(np.searchsorted(ticks, floor))
        packed = list(self._packed_parts(ticks[:old]))
        plain = list(_parts(ticks[old:] % self.rows, old))
        for slab, first, last, offsets in _runs(columns, self._shift):
            for stretch, part in packed:
                values = self._unpack(stretch, slab)
                into = whole[part.first : part.last, first:last]
                if values is None:
                    into.view(np.uint64)[...] = ABSENT_BITS
                else:
                    part.copy(values, offsets, into)
            rows = self.plain(slab)
            for part in plain:
                part.copy(rows, offsets, whole[part.first : part.last, first:last])
        return whole

    def _packed_parts(self, ticks: Ticks) -> Iterator[tuple[int, _Part]]:
        """Ticks by their stretches, as rows of those."""
        stretches = ticks // self.stretch if len(ticks) else ticks
        for start, end in _between(np.flatnonzero(np.diff(stretches)) + 1, len(ticks)):
            stretch = int(stretches[start])
            for part in _parts(ticks[start:end] - stretch * self.stretch, start):
                yield stretch, part

    # Packing

    def pack(self, stretch: int, slab: int, gone: NDArray[np.bool_] | None) -> None:
        """Pack one slab of a stretch that is still in the plain rows.

        Args:
            gone: [ticks, columns of the slab] cells of ticks in which their source was not polled; None: none are.
        """
        rows = np.arange(stretch * self.stretch, (stretch + 1) * self.stretch) % self.rows
        values = self.plain(slab)[rows]
        if gone is not None:
            values.view(np.uint64)[gone] = ABSENT_BITS
        packed = self.packed[stretch, slab] = Packed.of(values)
        self._packed_bytes += packed.nbytes

    def load(self, tick: int, cells: Floats, floor: int) -> None:
        """[ticks from that one on, columns]: packed where they are before the floor, plain elsewhere.

        Args:
            tick: where they are packed, the first of a stretch.
        """
        for slab in range(self.slabs):
            values = cells[:, slab << self._shift : (slab + 1) << self._shift]
            if tick >= floor:
                self.plain(slab)[np.arange(tick, tick + len(cells)) % self.rows] = values
                continue
            for first in range(0, len(cells), self.stretch):
                part = values[first : first + self.stretch]
                if (part.view(np.uint64) != ABSENT_BITS).any():
                    packed = self.packed[(tick + first) // self.stretch, slab] = Packed.of(part)
                    self._packed_bytes += packed.nbytes

    def drop(self, before: int) -> None:
        """Forget the stretches before that one."""
        for key in [key for key in self.packed if key[0] < before]:
            self._packed_bytes -= self.packed.pop(key).nbytes
            self._unpacked.pop(key, None)

    def _unpack(self, stretch: int, slab: int) -> Floats | None:
        key = (stretch, slab)
        values = self._unpacked.pop(key, None)
        if values is None:
            packed = self.packed.get(key)
            if packed is None:
                return None
            values = packed.unpack()
            most = max(_UNPACKED_BYTES // (self.stretch * self.slab * 8), 1)
            while len(self._unpacked) >= most:
                del self._unpacked[next(iter(self._unpacked))]
        # Back at the end: the dictionary's order is that of last use.
        self._unpacked[key] = values
        return values

    # Places

    def _base(self, columns: Index) -> Index:
        """Where the columns' rows start in the flat array."""
        base: Index = columns + (columns >> self._shift) * ((self.rows - 1) << self._shift)
        return base

    def _row(self, tick: int) -> int:
        return (tick % self.rows) << self._shift

    def plain(self, slab: int) -> Floats:
        """[rows, columns of the slab]: the plain rows themselves, tick t in row t mod `rows`."""
        size = self.rows << self._shift
        return self._flat[slab * size : (slab + 1) * size].reshape(self.rows, self.slab)

    def _grow(self, size: int) -> None:
        # resize asks for more memory at the same place, and large blocks are moved by their page tables: nothing is
        # copied. It refuses while somebody still looks at the old memory.
        try:
            self._flat.resize(size)
        except ValueError:
            flat = np.empty(size)
            flat[: len(self._flat)] = self._flat
            self._flat = flat


@dataclass(frozen=True, slots=True)
class _Part:
    """Rows first, …, last − 1 of an answer: neighbouring rows of something else, from `row` on."""

    first: int
    last: int
    row: int

    def copy(self, source: Floats, offsets: slice | Index, into: Floats) -> None:
        rows = source[self.row : self.row + self.last - self.first]
        if isinstance(offsets, slice):
            into[...] = rows[:, offsets]
        else:
            rows.take(offsets, axis=1, out=into, mode="clip")


def _parts(rows: Ticks, first: int) -> Iterator[_Part]:
    """Rows, cut where they do not follow one another.

    Args:
        first: the row of the answer that is rows[0].
    """
    for start, end in _between(np.flatnonzero(np.diff(rows) != 1) + 1, len(rows)):
        yield _Part(first + start, first + end, int(rows[start]))


def _runs(columns: Index, shift: int) -> Iterator[tuple[int, int, int, slice | Index]]:
    """Columns by slab: its number, which of the columns, and where in the slab they are."""
    slabs = columns >> shift
    for first, last in _between(np.flatnonzero(np.diff(slabs)) + 1, len(columns)):
        slab = int(slabs[first])
        offsets = columns[first:last] - (slab << shift)
        start = int(offsets[0])
        if int(offsets[-1]) - start == last - first - 1 and (np.diff(offsets) == 1).all():
            yield slab, first, last, slice(start, start + last - first)
        else:
            yield slab, first, last, offsets


def _between(cuts: Index, length: int) -> Iterator[tuple[int, int]]:
    """The stretches that cuts leave of so many things."""
    first = 0
    for last in [*cuts.tolist(), length]:
        if last > first:
            yield first, last
        first = last
