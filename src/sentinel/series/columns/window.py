"""Windows over packed samples, kept from query to query.

A rule looks at the same series over the same hour again and again, and from one look to the next only the newest
ticks change. So what had to be unpacked stays unpacked while memory allows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from sentinel.model.batch import Floats

Read = Callable[[NDArray[np.int64]], Floats]
"""[ticks, columns]: the cells of ascending ticks."""

_SPARE: Final = 8
"""One spare row for so many of a window, so that a newer tick seldom moves the others."""


class Writes:
    """When each plain row was last written to, counted in writes."""

    def __init__(self, rows: int) -> None:
        self.count = 0
        self._at = np.zeros(rows, np.int64)

    def note(self, tick: int) -> None:
        self.count += 1
        self._at[tick % len(self._at)] = self.count

    def first(self, since: int, low: int, high: int) -> int:
        """The first of the plain ticks low … high that was written to after so many writes; else the one after."""
        ticks = np.arange(low, high + 1)
        written = ticks[self._at[ticks % len(self._at)] > since]
        return int(written[0]) if len(written) else high + 1


class Source(Protocol):
    """Where the cells are: a pool."""

    @property
    def floor(self) -> int:
        """Ticks before this one are packed, and do not change any more."""
        ...

    @property
    def writes(self) -> Writes: ...


class Window:
    """Cells of some columns over neighbouring ticks."""

    def __init__(self) -> None:
        self._cells = np.empty((0, 0))
        self._first = 0
        """The tick of row 0."""
        self._settled = 0
        """Ticks before this one are in the rows for good."""
        self._filled = 0
        """Ticks before this one are in the rows as they were …"""
        self._floor = 0
        """… while this was the source's floor …"""
        self._writes = 0
        """… and it had seen so many writes."""
        self.used = 0
        """A count that grows with every use of any window."""

    @property
    def nbytes(self) -> int:
        return self._cells.nbytes

    def cells(self, low: int, high: int, width: int, source: Source, read: Read) -> Floats:
        """[ticks low … high, columns]. Not to be written to, and good until the next call.

        Args:
            width: how many columns there are.
        """
        # A window that begins behind what is here would leave a hole.
        if low < self._first or low > self._filled or high - self._first >= len(self._cells):
            self._move(low, high, width)
        begin, end = self._changed(source), max(high + 1, self._filled)
        if begin < end:
            self._cells[begin - self._first : end - self._first] = read(np.arange(begin, end))
        self._filled, self._settled = end, max(self._settled, min(source.floor, end))
        self._floor, self._writes = source.floor, source.writes.count
        return self._cells[low - self._first : high - self._first + 1]

    def _changed(self, source: Source) -> int:
        """The first tick whose row is not, or may not be, as it should."""
        if source.floor != self._floor:
            return self._settled
        return source.writes.first(self._writes, self._settled, self._filled - 1)

    def _move(self, low: int, high: int, width: int) -> None:
        rows = high - low + 1
        cells = np.empty((rows + max(rows // _SPARE, 2), width))
        end = min(self._filled, high + 1)
        if self._first <= low < end:
            cells[: end - low] = self._cells[low - self._first : end - self._first]
            self._filled, self._settled = end, max(low, min(self._settled, end))
        else:
            self._filled = self._settled = low
        self._cells, self._first = cells, low


class Windows:
    """The windows of all who look, the least used of them given up when they take too much memory."""

    def __init__(self, most: int) -> None:
        """
        Args:
            most: bytes.
        """
        self.most = most
        self._uses = 0
        self._windows: WeakKeyDictionary[object, Window] = WeakKeyDictionary()

    @property
    def nbytes(self) -> int:
        return sum(window.nbytes for window in self._windows.values())

    def of(self, owner: object) -> Window:
        """The owner's window. It lasts no longer than the owner."""
        window = self._windows.get(owner)
        if window is None:
            if self.nbytes > self.most:
                self._give_up()
            window = self._windows[owner] = Window()
        self._uses += 1
        window.used = self._uses
        return window

    def forget(self) -> None:
        """All of them: ticks mean something else from now on."""
        self._windows.clear()

    def _give_up(self) -> None:
        ordered = sorted(self._windows.items(), key=lambda item: item[1].used)
        left = self.nbytes
        for owner, window in ordered:
            if left <= self.most // 2:
                break
            left -= window.nbytes
            del self._windows[owner]
