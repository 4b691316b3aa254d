"""The layout of received series: their labels stay the bytes they were sent as until somebody looks at them."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

import numpy as np

from sentinel.model.batch import Grid, Layout, Row
from sentinel.model.labels import METRIC_NAME, Labels
from sentinel.series.remote.wire import pairs_of


class ReceivedLayout(Layout):
    """Series by their encoded labels (`wire.labels_of`)."""

    __slots__ = ("encoded", "left_out")

    encoded: tuple[bytes, ...]
    left_out: frozenset[str]
    """Labels that are the source's."""

    def __init__(self, encoded: tuple[bytes, ...], left_out: Collection[str]) -> None:
        object.__setattr__(self, "families", {})
        object.__setattr__(self, "encoded", encoded)
        object.__setattr__(self, "left_out", frozenset(left_out))

    @property
    def series(self) -> tuple[Labels, ...]:
        return _labels(self.encoded, self.left_out)

    @property
    def grid(self) -> Grid:
        names: dict[str, int] = {}
        rows: dict[Row, int] = {}
        name_of, row_of = [], []
        for one in self.encoded:
            name = ""
            row: list[str] = []
            for label, value in pairs_of(one):
                if label == METRIC_NAME:
                    name = value
                elif label not in self.left_out:
                    row += (label, value)
            name_of.append(names.setdefault(name, len(names)))
            row_of.append(rows.setdefault(tuple(row), len(rows)))
        return Grid(tuple(names), tuple(rows), np.array(name_of, np.uint32), np.array(row_of, np.uint32))

    def __len__(self) -> int:
        return len(self.encoded)


@lru_cache(maxsize=1)
def _labels(encoded: tuple[bytes, ...], left_out: frozenset[str]) -> tuple[Labels, ...]:
    """Whoever looks at a new layout looks at it more than once."""
    return tuple(Labels([pair for pair in pairs_of(one) if pair[0] not in left_out]) for one in encoded)
