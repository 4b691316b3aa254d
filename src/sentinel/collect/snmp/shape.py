"""Learned answers: where in the bytes of an answer the numbers stand, so that the next one needs no decoding.

An answer to the same request has the same bytes as the last one, except for the request-id and the numbers. The
first answer teaches a mask over the rest (lengths, OIDs, types, texts, error-status). While the masked bytes stay
the same, all numbers come out in a few array operations; when they do not, the answer is decoded in full and
taught anew. A number that needs another byte, a changed text, a row more or less: each makes it miss.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from sentinel.collect.snmp import ber
from sentinel.collect.snmp.plan import WRAP, Column
from sentinel.model.batch import Floats

_WIDE = 8
_ALL = (1 << 64) - 1

Slow = tuple[int, int, int, int, Callable[[int, bytes], float | None]]
"""Cell, tag, start, end and reader of a value that the arrays do not do: negative, floating or a date."""


class Shape:
    """One learned answer."""

    __slots__ = ("bits", "cells", "ends", "expected", "length", "mask", "slow")

    expected: bytes | memoryview
    """The answer with everything zero that may change."""

    def __init__(
        self,
        data: bytes,
        id_at: int,
        binds: Sequence[ber.Varbind],
        columns: Sequence[Column | None],
        first_cell: int,
    ) -> None:
        """
        Args:
            id_at: where the four bytes of the request-id start.
            columns: of each varbind; None where the value does not matter.
            first_cell: the cell of the first varbind; the others follow.
        """
        mask = np.full(len(data), 0xFF, np.uint8)
        mask[id_at : id_at + 4] = 0
        cells, ends, bits = [], [], []
        slow: list[Slow] = []
        for number, ((_, tag, start, end), column) in enumerate(zip(binds, columns, strict=True)):
            if column is None:
                mask[start:end] = 0
            elif column.is_number and column.number(tag, data[start:end]) is not None:
                mask[start:end] = 0
                if tag not in ber.NUMBERS or (tag == ber.INTEGER and data[start] >= 0x80):
                    slow.append((first_cell + number, tag, start, end, column.number))
                    continue
                size = end - start
                if size > _WIDE:
                    mask[start] = 0xFF  # the zero byte before a large number
                elif tag == ber.INTEGER:
                    mask[start] = 0x80  # the sign
                cells.append(first_cell + number)
                ends.append(end - _WIDE)
                bits.append(min((1 << 8 * size) - 1, WRAP - 1 if tag == ber.COUNTER64 else _ALL))
        self.length = len(data)
        self.mask = mask
        self.expected = (np.frombuffer(data, np.uint8) & mask).tobytes()
        self.cells = np.array(cells, np.intp)
        self.ends = np.array(ends, np.intp)
        self.bits = np.array(bits, np.uint64)
        self.slow = tuple(slow)

    def read(self, data: bytes, cells: Floats) -> bool:
        """Fill the answer's cells; False where it is not of this shape."""
        if len(data) != self.length or not _fits(data, self.mask, self.expected):
            return False
        cells[self.cells] = _numbers(data, self.ends, self.bits)
        _read_slow(data, 0, self.slow, cells)
        return True


class Album:
    """All answers of a poll as one: compared and read at once.

    The shapes it is made of use its memory from then on, so that nothing is kept twice.
    """

    __slots__ = ("_bits", "_cells", "_ends", "_expected", "_mask", "_slow")

    def __init__(self, shapes: Sequence[Shape]) -> None:
        starts = [0, *accumulate(shape.length for shape in shapes)]
        self._mask = np.concatenate([shape.mask for shape in shapes])
        self._expected = b"".join(shape.expected for shape in shapes)
        self._ends = np.concatenate([shape.ends + at for at, shape in zip(starts, shapes, strict=False)])
        self._bits = np.concatenate([shape.bits for shape in shapes])
        self._cells = _run(np.concatenate([shape.cells for shape in shapes]))
        self._slow = [(at, shape.slow) for at, shape in zip(starts, shapes, strict=False) if shape.slow]
        view, first = memoryview(self._expected), 0
        for at, shape in zip(starts, shapes, strict=False):
            last = first + len(shape.bits)
            shape.mask, shape.bits = self._mask[at : at + shape.length], self._bits[first:last]
            shape.expected, first = view[at : at + shape.length], last

    def read(self, answers: Sequence[bytes], cells: Floats) -> bool:
        """Fill all cells; False, and nothing done, where an answer is not of its shape.

        Args:
            answers: in the order of the shapes, each of its shape's length.
        """
        data = b"".join(answers)
        if not _fits(data, self._mask, self._expected):
            return False
        cells[self._cells] = _numbers(data, self._ends, self._bits)
        for at, slow in self._slow:
            _read_slow(data, at, slow, cells)
        return True


def _fits(data: bytes, mask: NDArray[np.uint8], expected: bytes | memoryview) -> bool:
    return (np.frombuffer(data, np.uint8) & mask).tobytes() == expected


def _numbers(data: bytes, ends: NDArray[np.intp], bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Eight bytes up to each value's end, as one number each: windows onto the answer, not copies of it."""
    windows: NDArray[np.uint64] = np.ndarray(len(data) - _WIDE + 1, ">u8", data, 0, (1,))
    found: NDArray[np.uint64] = windows[ends] & bits
    return found


def _read_slow(data: bytes, at: int, slow: Sequence[Slow], cells: Floats) -> None:
    for cell, tag, start, end, number in slow:
        value = number(tag, data[at + start : at + end])
        cells[cell] = np.nan if value is None else value


def _run(cells: NDArray[np.intp]) -> slice | NDArray[np.intp]:
    """Consecutive cells as a slice, which is cheaper to assign to."""
    if len(cells) and (np.diff(cells) == 1).all():
        return slice(int(cells[0]), int(cells[-1]) + 1)
    return cells
