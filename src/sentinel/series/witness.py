"""Whoever is told of every sample as the head stores it: the history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sentinel.model.batch import Floats, Grid, Layout, Source

Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The series that values are for: some or all of a layout, then those about the poll itself.

    Compared by identity, and kept for as long as a source's series stay.
    """

    source: Source
    layout: Layout
    meta: tuple[str, ...] = ()
    """Metric names of the series about the poll, which have the source's labels only."""
    kept: Index | None = None
    """Which of all these; None: all."""
    base: Rows | None = None
    """What these rows are a part of, and which part."""
    places: Index | None = None

    def __len__(self) -> int:
        return len(self.layout) + len(self.meta) if self.kept is None else len(self.kept)

    def only(self, places: Index) -> Rows:
        """A part of these rows."""
        kept = places if self.kept is None else self.kept[places]
        if self.base is None or self.places is None:
            return Rows(self.source, self.layout, self.meta, kept, self, places)
        return Rows(self.source, self.layout, self.meta, kept, self.base, self.places[places])

    @property
    def own(self) -> int:
        """How many are the layout's, which come first."""
        count = len(self.layout)
        return count if self.kept is None else int(np.searchsorted(self.kept, count))

    @property
    def grid(self) -> Grid:
        """Without the source's labels; made anew each time."""
        grid = self.layout.grid
        names, rows = list(grid.names), list(grid.rows)
        name_of, row_of = grid.name_of.astype(np.uint32), grid.row_of.astype(np.uint32)
        if self.meta:
            first = len(names)
            names += self.meta
            rows.append(())
            name_of = np.concatenate([name_of, np.arange(first, len(names), dtype=np.uint32)])
            row_of = np.concatenate([row_of, np.full(len(self.meta), len(rows) - 1, np.uint32)])
        if self.kept is not None:
            name_of, row_of = name_of[self.kept], row_of[self.kept]
        return Grid(tuple(names), tuple(rows), name_of, row_of)


class Witness(Protocol):
    """Called on the event loop's thread, in the order in which samples are stored."""

    def write(self, rows: Rows, at: float, values: Floats, *, up: bool, part: bool) -> None:
        """One poll's values, or one more part of it; of series that are not among the parts nothing was stored.

        Args:
            values: aligned with the rows; staleness markers, and absent cells which are none.
            part: the source has other series beside these.
        """
        ...

    def forget(self, source: Source) -> None:
        """The source is gone; the end of its series has been written."""
        ...
