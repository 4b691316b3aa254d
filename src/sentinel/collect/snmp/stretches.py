"""How the cells of a table are shared out among requests: columns together, and so many rows of them at once.

An answer holds so many bytes, and an agent cuts off what takes more. So more varbinds are asked for at once where
they are short: counters beside descriptions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sentinel.collect.snmp import ber
from sentinel.collect.snmp.device import Limit
from sentinel.collect.snmp.walk import COLUMNS_PER_REQUEST, Cell

Stretches = tuple[tuple[int, int], ...]
"""Of neighbouring columns: how many go together, and how many of their rows are asked for at once."""

Sizes = NDArray[np.int64]
"""[columns, rows] bytes of each varbind."""

_FRAME = 1472
"""Bytes of an answer in one Ethernet frame: assumed where no answer has been cut short."""

_HEAD = 48
"""Bytes of an answer around its varbinds, with a community of some length."""

_AROUND = 6
"""Bytes of a varbind beside the OID and the value: a tag and a length each."""

_NUMBER = 5
"""Bytes of a 32-bit number at most,"""
_LARGE = 6
"""of a Counter64 up to 140 TB,"""
_LARGEST = 9
"""and at most. What counts on shall not change the requests all the time."""


def varbind_sizes(oid: bytes, cells: Mapping[bytes, Cell], rows: Iterable[bytes]) -> list[int]:
    """About how many bytes the varbinds of a column have, in these rows of it."""
    around = _AROUND + len(oid)
    return [around + len(suffix) + _content_size(*cells[suffix]) for suffix in rows]


def _content_size(tag: int, content: bytes | float) -> int:
    if isinstance(content, bytes):
        return len(content) + (2 if len(content) > 0x7F else 0)
    if tag == ber.INTEGER:
        return min(int(abs(content)).bit_length() // 8 + 1, _NUMBER)
    if tag in ber.UNSIGNED and content < 1 << 8 * _LARGE - 1:
        return _LARGE if tag == ber.COUNTER64 else _NUMBER
    return _LARGEST


def shared_out(sizes: Sequence[Sequence[int]], limit: Limit, most_rows: int) -> Stretches:
    """What takes the fewest requests, and of that the fewest groups.

    Args:
        sizes: [columns, rows] bytes of each varbind.
        most_rows: asked for at once.
    """
    # [column, row] of everything before both
    before = np.pad(np.array(sizes, np.int64), ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    rows, widest = before.shape[1] - 1, min(COLUMNS_PER_REQUEST, limit.count)
    best: list[tuple[int, int, Stretches]] = [(0, 0, ())]
    for end in range(1, len(before)):
        found = []
        for width in range(min(widest, end), 0, -1):
            stretch = min(_rows_at_once(before[end] - before[end - width], width, limit), most_rows)
            if stretch > 0 or width == 1:
                stretch = max(stretch, 1)
                cost, groups, firsts = best[end - width]
                # A request for each stretch of rows, and for the look behind the last.
                found.append((cost + rows // stretch + 1, groups + 1, (*firsts, (width, stretch))))
        best.append(min(found))
    return best[-1][2]


def _rows_at_once(before: Sizes, width: int, limit: Limit) -> int:
    """How many rows fit an answer.

    Args:
        before: bytes of the rows before each, and of all.
    """
    by_count = limit.count // width
    if limit.is_firm:
        return by_count
    room = (limit.frame or _FRAME) - _HEAD
    rows = len(before) - 1
    by_size = int(room * rows // before[-1])
    while 0 < by_size < rows and (before[by_size:] - before[:-by_size])[::by_size].max() > room:
        by_size -= 1
    return by_size if limit.frame else max(by_size, by_count)
