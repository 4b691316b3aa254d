"""A window over series that gave a sample with every poll: nothing has to be moved together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sentinel.model.batch import Floats

Index = NDArray[np.intp]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """All rows are common to all series; each source's own begin and end a row or so apart from the others'."""

    values: Floats
    """[ticks, series]; not to be written to. Outside a series' own rows there may be anything."""
    times: Floats
    """[ticks, slots] Unix seconds."""
    inside: Mask
    """[ticks, slots] which rows are a source's own: neighbouring ones."""
    slots: Index
    """[series]"""
    firsts: Index
    """[slot] a source's first row, and …"""
    lasts: Index
    """… its last one; before the first where it has none."""
    begin: int
    """Rows begin … end − 1 belong to every series that has any."""
    end: int
    gaps: Mask
    """[series] those that lack a sample in one of their rows, or have no row: what is computed of them is not
    true."""

    @property
    def first(self) -> Index:
        """[series] its own first row."""
        return self.firsts[self.slots]

    @property
    def last(self) -> Index:
        """[series] its own last row."""
        return self.lasts[self.slots]

    @property
    def count(self) -> Index:
        """[series] samples."""
        return (self.lasts - self.firsts + 1)[self.slots]

    @property
    def inner(self) -> Floats:
        """The rows that belong to every series."""
        return self.values[self.begin : self.end]

    def outer(self, fill: float) -> Floats:
        """The few other rows, with `fill` where they are not the series' own."""
        return np.concatenate(
            [self._filled(slice(0, self.begin), fill), self._filled(slice(self.end, None), fill)]
        )

    def picked(self, row: Index) -> Floats:
        """One row of each series."""
        cells: Floats = self.values[row, np.arange(len(self.slots))]
        return cells

    def own(self, series: int) -> Floats:
        """The samples of one series."""
        slot = self.slots[series]
        samples: Floats = self.values[self.firsts[slot] : self.lasts[slot] + 1, series]
        return samples

    def _filled(self, rows: slice, fill: float) -> Floats:
        return np.where(self.inside[rows][:, self.slots], self.values[rows], fill)
