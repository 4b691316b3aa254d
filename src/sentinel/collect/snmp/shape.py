"""Learned answers: where in the bytes of an answer the numbers stand, so that the next one needs no decoding.

An answer to the same request has the same bytes as the last one, except for the request-id and the numbers. The
first answer teaches a mask over the rest (lengths, OIDs, types, texts, error-status). While the masked bytes stay
the same, all numbers come out in a few array operations; when they do not, the answer is decoded in full and
taught anew. A number that needs another byte, a changed text, a row more or less: each makes it miss.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
    """One learned answer. Instances hold about 60 bytes per value beside the masked answer itself."""

    __slots__ = ("_bits", "_cells", "_ends", "_expected", "_length", "_mask", "_slow")

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
        self._length = len(data)
        self._mask = mask
        self._expected = (np.frombuffer(data, np.uint8) & mask).tobytes()
        self._cells = _run(cells)
        self._ends = np.array(ends, np.intp)
        self._bits = np.array(bits, np.uint64)
        self._slow = tuple(slow)

    def read(self, data: bytes, cells: Floats) -> bool:
        """Fill the answer's cells; False where it is not of this shape."""
        if len(data) != self._length:
            return False
        if (np.frombuffer(data, np.uint8) & self._mask).tobytes() != self._expected:
            return False
        # Eight bytes up to each value's end, as one number each: windows onto the answer, not copies of it.
        windows: NDArray[np.uint64] = np.ndarray(len(data) - _WIDE + 1, ">u8", data, 0, (1,))
        cells[self._cells] = windows[self._ends] & self._bits
        for cell, tag, start, end, number in self._slow:
            value = number(tag, data[start:end])
            cells[cell] = np.nan if value is None else value
        return True


def _run(cells: list[int]) -> slice | NDArray[np.intp]:
    """Consecutive cells as a slice, which is cheaper to assign to."""
    if cells and cells[-1] - cells[0] + 1 == len(cells):
        return slice(cells[0], cells[-1] + 1)
    return np.array(cells, np.intp)
