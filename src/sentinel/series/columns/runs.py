"""Which columns are whose: runs of neighbouring columns, handed out and taken back."""

from __future__ import annotations

from typing import Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

Owner = TypeVar("Owner")
Index = NDArray[np.intp]

SMALLEST: Final = 4


class Columns(Generic[Owner]):
    """Runs of 4, 8, 16, … columns, each at a multiple of its size, so that neighbours can be joined again."""

    def __init__(self, slab: int) -> None:
        """
        Args:
            slab: columns that lie together in memory, a power of two: the largest run.
        """
        self.slab = slab
        self.width = 0
        """Columns that exist: a multiple of `slab`."""
        self._free: dict[int, set[int]] = {}
        self._owners: dict[int, tuple[Owner, int]] = {}
        self._starts: Index | None = None

    def reserve(self, wanted: int, owner: Owner, first: int) -> tuple[int, int]:
        """A run of at least that many columns, or of a slab where more are wanted.

        Args:
            first: what the owner calls the run's first column.
        Returns:
            its first column and its size.
        """
        size = SMALLEST
        while size < min(wanted, self.slab):
            size *= 2
        start = self._take(size)
        self._owners[start] = (owner, first)
        self._starts = None
        return start, size

    def release(self, start: int, size: int) -> None:
        del self._owners[start]
        self._starts = None
        while size < self.slab and start ^ size in self._free.get(size, ()):
            self._free[size].discard(start ^ size)
            start, size = start & ~size, size * 2
        self._free.setdefault(size, set()).add(start)

    def locate(self, columns: Index) -> list[tuple[Owner, Index]]:
        """Whose columns these are, and what their owners call them."""
        if self._starts is None:
            self._starts = np.array(sorted(self._owners), np.intp)
        runs = np.searchsorted(self._starts, columns, side="right") - 1
        found = []
        for run in np.unique(runs).tolist():
            start = int(self._starts[run])
            owner, first = self._owners[start]
            found.append((owner, columns[runs == run] - start + first))
        return found

    def _take(self, size: int) -> int:
        found = self._free.get(size)
        if found:
            return found.pop()
        if size == self.slab:
            self.width += size
            return self.width - size
        start = self._take(size * 2)
        self._free.setdefault(size, set()).add(start + size)
        return start
