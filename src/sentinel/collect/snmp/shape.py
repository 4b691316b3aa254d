"""Learned answers: where in the bytes of an answer the numbers stand, so that the next one needs no decoding.

An answer to the same request has the same bytes as the last one, except for the request-id and the numbers. The
first answer teaches a mask over the rest (lengths, OIDs, types, texts, error-status). While the masked bytes stay
the same, all numbers come out in a few array operations; when they do not, the answer is decoded in full and
taught anew. A number that needs another byte, a changed text, a row more or less: each makes it miss.

The masked bytes are known by a hash of 64 bits that is keyed anew in each process: a fleet's answers would be most
of the daemon's memory.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sentinel.collect.snmp import ber
from sentinel.collect.snmp.plan import WRAP, Column
from sentinel.model.batch import Floats

_WIDE = 8
_SIGNED = _WIDE
"""Kinds of numbers are how many bytes they take; those that have a sign come behind,"""
_WRAPPING = 2 * _WIDE + 1
"""and then those that wrap where float64 is no longer exact."""

_BITS = np.array([0, *[(1 << 8 * size) - 1 for size in range(1, 9)] * 2, WRAP - 1], np.uint64)
"""Of each kind: which bits of eight bytes are the number."""
_SIGNS = np.array([0] * 9 + [1 << 8 * size - 1 for size in range(1, 9)] + [0], np.uint64)
"""Of each kind: the sign, which must not be set."""

_NO_HASH = -1
"""What hash() never gives."""

_ZEROS = tuple(bytes(size) for size in range(_WIDE + 2))

Bytes = NDArray[np.uint8]

Slow = tuple[int, int, int, int, Callable[[int, bytes], float | None]]
"""Cell, tag, start, end and reader of a value that the arrays do not do: negative, floating or a date."""


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """One learned answer: places are counted from its start, cells from its first."""

    length: int
    mark: int
    """What the masked answer is known by."""
    mask: Bytes
    """1 where a byte must stay, 0 where it may change."""
    starts: NDArray[np.intp]
    """Of the eight bytes that end where a number ends."""
    kinds: Bytes
    cells: Bytes
    """1 for cells that are read from the arrays."""
    slow: tuple[Slow, ...]


def _nothing(size: int) -> Shape:
    """In place of an answer that has not been seen."""
    none = np.empty(0, np.uint8)
    return Shape(0, 0, none, np.empty(0, np.intp), none, np.zeros(size, np.uint8), ())


def learn(
    data: bytes, id_at: int, binds: Sequence[ber.Varbind], columns: Sequence[Column | None]
) -> tuple[Shape, list[float | None]]:
    """The shape of an answer, and the numbers in it.

    Args:
        id_at: where the four bytes of the request-id start.
        columns: of each varbind; None behind the last where the value does not matter.
    """
    mask = bytearray(b"\x01") * len(data)
    mask[id_at : id_at + 4] = _ZEROS[4]
    starts, kinds, values = [], bytearray(), list[float | None]()
    slow: list[Slow] = []
    cells = bytearray(len(columns))
    for cell, ((_, tag, start, end), column) in enumerate(zip(binds, columns, strict=True)):
        if column is None:
            mask[start:end] = bytes(end - start)
            continue
        value = column.number(tag, data[start:end]) if column.is_number else None
        values.append(value)
        if value is None:
            continue
        if tag not in ber.NUMBERS or (tag == ber.INTEGER and data[start] >= 0x80):
            mask[start:end] = bytes(end - start)
            slow.append((cell, tag, start, end, column.number))
            continue
        size = min(end - start, _WIDE)
        mask[end - size : end] = _ZEROS[size]  # the zero byte before a large number stays
        starts.append(end - _WIDE)
        kinds.append(_kind(tag, size))
        cells[cell] = 1
    kept = np.frombuffer(bytes(mask), np.uint8)
    mark = hash((np.frombuffer(data, np.uint8) * kept).tobytes())
    shape = Shape(
        len(data),
        mark,
        kept,
        np.array(starts, np.intp),
        np.frombuffer(bytes(kinds), np.uint8),
        np.frombuffer(bytes(cells[: len(values)]), np.uint8),
        tuple(slow),
    )
    return shape, values


def _kind(tag: int, size: int) -> int:
    if tag == ber.INTEGER:
        return _SIGNED + size
    return _WRAPPING if tag == ber.COUNTER64 and size >= _WIDE - 1 else size


class Album:
    """The shapes of all answers of a poll: compared and read at once.

    A shape takes about a twelfth of its answer: bits for the mask, one byte for the place and kind of a number.
    """

    __slots__ = (
        "_cells",
        "_counts",
        "_gaps",
        "_kinds",
        "_lengths",
        "_mark",
        "_marks",
        "_mask",
        "_sizes",
        "_slow",
    )

    _lengths: array[int]
    """Of each answer,"""
    _counts: NDArray[np.uint16]
    """how many numbers it has,"""
    _marks: array[int]
    """and what it is known by;"""
    _mark: int
    """all of them together: the first look at them tells it."""
    _mask: Bytes
    """Bits,"""
    _cells: Bytes
    """and also bits."""
    _gaps: NDArray[np.unsignedinteger]
    """From the start of one number's eight bytes to that of the next one's."""
    _kinds: Bytes
    _slow: dict[int, tuple[int, int, tuple[Slow, ...]]]
    """By answer, where it starts and what its first cell is."""

    def __init__(self, sizes: Sequence[int]) -> None:
        """
        Args:
            sizes: cells of each answer.
        """
        self._sizes = array("H", sizes)
        self._keep([_nothing(size) for size in sizes])

    @property
    def lengths(self) -> Sequence[int]:
        """Bytes of each answer that may be of its shape; 0: none has been seen."""
        return self._lengths

    def learn(self, learned: Mapping[int, Shape]) -> None:
        """Take these shapes in place of those known."""
        if learned:
            self._keep([learned.get(number) or shape for number, shape in enumerate(self._shapes())])

    def read(self, answers: Sequence[bytes | None], cells: Floats) -> list[int]:
        """Fill the cells of the answers that are of their shapes.

        Args:
            answers: each of its shape's length; None: there is none, or not of this length.
            cells: those of all answers.
        Returns:
            Numbers of those that are not of their shapes.
        """
        present = [answer for answer in answers if answer is not None]
        is_whole = len(present) == len(answers)
        if not is_whole:
            present = [one or bytes(length) for one, length in zip(answers, self._lengths, strict=True)]
        data = b"".join(present)
        misses = self._misses(data, answers)
        found = self._numbers(data, misses)
        where = np.unpackbits(self._cells, count=len(cells)).view(np.bool_)
        if is_whole and not misses:
            cells[where] = found
        else:
            is_read = [answer is not None and number not in misses for number, answer in enumerate(answers)]
            wanted = np.repeat(is_read, self._counts)
            cells[np.flatnonzero(where)[wanted]] = found[wanted]
        for number, (start, first, slow) in self._slow.items():
            if answers[number] is not None and number not in misses:
                _read_slow(data, start, slow, cells[first:])
        return sorted(misses)

    def _misses(self, data: bytes, answers: Sequence[bytes | None]) -> set[int]:
        masked = (np.frombuffer(data, np.uint8) * np.unpackbits(self._mask, count=len(data))).tobytes()
        misses, start = set[int](), 0
        mark = hash(masked)
        if mark == self._mark:
            return misses
        for number, length in enumerate(self._lengths):
            end = start + length
            if answers[number] is not None and hash(masked[start:end]) != self._marks[number]:
                misses.add(number)
            start = end
        if not misses and None not in answers:
            self._mark = mark
        return misses

    def _numbers(self, data: bytes, misses: set[int]) -> NDArray[np.uint64]:
        """Eight bytes up to each value's end, as one number each; answers with a negative one are misses."""
        if not len(self._kinds):
            return np.empty(0, np.uint64)
        windows: NDArray[np.uint64] = np.ndarray(len(data) - _WIDE + 1, ">u8", data, 0, (1,))
        found = windows[np.add.accumulate(self._gaps, dtype=np.intp)]
        negative = found & _SIGNS.take(self._kinds)
        if np.count_nonzero(negative):
            answer_of = np.repeat(np.arange(len(self._counts)), self._counts)
            misses.update(answer_of[negative != 0].tolist())
        return found & _BITS.take(self._kinds)

    def _keep(self, shapes: Sequence[Shape]) -> None:
        starts = _starts(shape.length for shape in shapes)
        places = _joined(shape.starts + start for shape, start in zip(shapes, starts, strict=False))
        gaps = np.diff(places, prepend=0)
        self._lengths = array("H", [shape.length for shape in shapes])
        self._mark = _NO_HASH
        self._marks = array("q", [shape.mark for shape in shapes])
        self._counts = np.array([len(shape.kinds) for shape in shapes], np.uint16)
        self._mask = np.packbits(_joined(shape.mask for shape in shapes))
        self._gaps = gaps.astype(np.min_scalar_type(gaps.max(initial=0)))
        self._kinds = _joined(shape.kinds for shape in shapes)
        self._cells = np.packbits(_joined(shape.cells for shape in shapes))
        firsts = _starts(self._sizes)
        self._slow = {
            number: (starts[number], firsts[number], shape.slow)
            for number, shape in enumerate(shapes)
            if shape.slow
        }

    def _shapes(self) -> Iterable[Shape]:
        mask = np.unpackbits(self._mask, count=sum(self._lengths))
        cells = np.unpackbits(self._cells, count=sum(self._sizes))
        places = np.cumsum(self._gaps, dtype=np.intp)
        start = first = at = 0
        for number, length in enumerate(self._lengths):
            end, last, to = start + length, first + self._sizes[number], at + int(self._counts[number])
            slow = self._slow[number][2] if number in self._slow else ()
            yield Shape(
                length,
                self._marks[number],
                mask[start:end],
                places[at:to] - start,
                self._kinds[at:to],
                cells[first:last],
                slow,
            )
            start, first, at = end, last, to


def _starts(lengths: Iterable[int]) -> list[int]:
    return [0, *accumulate(lengths)]


def _joined(arrays: Iterable[NDArray[Any]]) -> NDArray[Any]:
    """In one, also where there are none."""
    return np.concatenate([np.empty(0, np.uint8), *arrays])


def _read_slow(data: bytes, at: int, slow: Sequence[Slow], cells: Floats) -> None:
    for cell, tag, start, end, number in slow:
        value = number(tag, data[at + start : at + end])
        cells[cell] = np.nan if value is None else value
