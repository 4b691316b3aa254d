"""How the values of a layout come out of the cells of a poll."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sentinel.collect.snmp.translate import Translation
from sentinel.model.batch import STALE, Floats

Places = NDArray[np.unsignedinteger]


@dataclass(frozen=True, slots=True, eq=False)
class Gather:
    """Kept for every device, hence in the smallest integers."""

    cells: Places
    """The cell of each value of the layout."""
    constant: Places
    """Values that the labels tell, and nothing else does,"""
    constants: Floats
    """and what they are."""
    scaled: Places
    """Values that are scaled or shifted,"""
    scales: Floats
    offsets: Floats
    """and by what."""

    @classmethod
    def of(cls, translation: Translation, places: Mapping[int, Mapping[bytes, int]]) -> Gather:
        """
        Args:
            places: of each cell, by column and suffix.
        """
        known = {at: value for at, value in enumerate(translation.constants) if value is not None}
        pairs = zip(translation.scales, translation.offsets, strict=True)
        moved = {at: pair for at, pair in enumerate(pairs) if pair != (1.0, 0.0)}
        return cls(
            _small([places[column][suffix] for column, suffix in translation.keys]),
            _small(list(known)),
            np.array(list(known.values()), np.float64),
            _small(list(moved)),
            np.array([scale for scale, _ in moved.values()], np.float64),
            np.array([offset for _, offset in moved.values()], np.float64),
        )

    def values(self, cells: Floats, lost: Sequence[slice]) -> Floats:
        """The layout's values.

        Args:
            lost: cells that this poll did not give.
        """
        values: Floats = cells.take(self.cells)
        if len(self.scaled):
            values[self.scaled] = values[self.scaled] * self.scales + self.offsets
        if len(self.constant):
            values[self.constant] = self.constants
        for taken in lost:
            values[(self.cells >= taken.start) & (self.cells < taken.stop)] = STALE
        return values


def _small(numbers: Sequence[int]) -> Places:
    return np.array(numbers, np.min_scalar_type(max(numbers, default=0)))
