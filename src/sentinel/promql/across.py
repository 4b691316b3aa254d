"""Reading samples for all instants of a grid at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from sentinel.model.batch import Floats
from sentinel.promql.frame import Context, Frame, Mask
from sentinel.series.index.table import LabelTable
from sentinel.series.reading.cut import Cut
from sentinel.series.reading.snapshot import Block


@dataclass(frozen=True, slots=True, eq=False)
class Across:
    """Vectors over one table, [instant, row]; a single instant, of something fixed by `@`, stands for all."""

    table: LabelTable
    values: Floats
    present: Mask

    def at(self, context: Context) -> Frame:
        place = context.place if len(self.values) > 1 else 0
        return Frame(self.table, self.values[place], self.present[place])


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """One window (start, end] for each instant of a grid, and the samples in them, some series at a time."""

    table: LabelTable
    starts: Floats
    ends: Floats
    blocks: Iterator[Block]
    """Cuts without gaps."""

    def reduced(self, reduce: Callable[[Cut, Floats, Floats], tuple[Floats, Mask]]) -> Across:
        """
        Args:
            reduce: from a cut, starts and ends to one number and whether there is one, [window, series].
        """
        values = np.empty((len(self.ends), len(self.table)))
        present = np.zeros(values.shape, np.bool_)
        for rows, cut in self.blocks:
            values[:, rows], present[:, rows] = reduce(cut, self.starts, self.ends)
        return Across(self.table, values, present)


def to_milliseconds(instants: Floats) -> Floats:
    """As pool.milliseconds, of many."""
    rounded: Floats = np.rint(instants * 1000) / 1000
    return rounded
