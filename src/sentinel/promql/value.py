"""What an expression evaluates to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sentinel.model.batch import Floats
from sentinel.model.labels import Labels


@dataclass(frozen=True, slots=True, eq=False)
class SeriesSet:
    """Label sets of a result. Compared by identity: the same object comes back for as long as the series
    under the expression stay the same, so consumers keep arrays aligned with it."""

    labels: Sequence[Labels]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True, eq=False)
class Vector:
    """An instant vector: which label sets are present, and their values."""

    series: SeriesSet
    rows: NDArray[np.intp]
    """Positions in `series.labels` that are present, in result order, each at most once."""
    values: Floats
    """Aligned with `rows`."""

    def __len__(self) -> int:
        return len(self.rows)

    def samples(self) -> list[tuple[Labels, float]]:
        """Label sets with values: for people and JSON, not for the hot path."""
        labels = self.series.labels
        return [(labels[row], float(value)) for row, value in zip(self.rows, self.values, strict=True)]


Value = float | str | Vector
"""Scalar, string or instant vector."""
