"""Series of a source as the history knows them: a name and a row of labels each, compared by content."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sentinel.model.batch import Grid, Layout, Row
from sentinel.model.labels import METRIC_NAME, Labels
from sentinel.series.history.records import dumped

Index = NDArray[np.intp]
Numbers = NDArray[np.uint32]


@dataclass(frozen=True, eq=False)
class Shape:
    names: tuple[str, ...]
    rows: tuple[Row, ...]
    name_of: Numbers
    row_of: Numbers
    own: int
    """How many are of the source's own layout: the first ones. The rest are about its polls."""

    @classmethod
    def of(cls, said: Sequence[Any]) -> Shape:
        """
        Raises:
            ValueError: not what a SERIES frame says of a shape.
        """
        try:
            names, rows, name_of, row_of, own = said
            made = cls(
                tuple(map(str, names)),
                tuple(tuple(map(str, row)) for row in rows),
                np.array(name_of, np.uint32),
                np.array(row_of, np.uint32),
                int(own),
            )
        except (TypeError, ValueError, OverflowError) as error:
            raise ValueError("not a shape") from error
        if len(made.name_of) != len(made.row_of) or not 0 <= made.own <= len(made):
            raise ValueError("a shape of no size")
        if len(made) and (made.name_of.max() >= len(made.names) or made.row_of.max() >= len(made.rows)):
            raise ValueError("a shape that names what it has not")
        return made

    @classmethod
    def joined(cls, keys: Sequence[tuple[str, Row]], own: int) -> Shape:
        names: dict[str, int] = {}
        rows: dict[Row, int] = {}
        numbers = [(names.setdefault(n, len(names)), rows.setdefault(r, len(rows))) for n, r in keys]
        both = np.array(numbers, np.uint32).reshape(len(numbers), 2)
        return cls(tuple(names), tuple(rows), both[:, 0], both[:, 1], own)

    def __len__(self) -> int:
        return len(self.name_of)

    @cached_property
    def digest(self) -> bytes:
        said = dumped([self.names, self.rows, self.own])
        return hashlib.blake2b(said + self.name_of.tobytes() + self.row_of.tobytes(), digest_size=16).digest()

    @cached_property
    def by_name(self) -> dict[str, Index]:
        """Which series have that metric name."""
        order = np.argsort(self.name_of, kind="stable")
        cuts = np.flatnonzero(np.diff(self.name_of[order])) + 1
        parts = np.split(order, cuts) if len(order) else []
        return {self.names[self.name_of[part[0]]]: part for part in parts}

    @cached_property
    def keys(self) -> list[tuple[str, Row]]:
        names, rows = self.name_of.tolist(), self.row_of.tolist()
        return [(self.names[n], self.rows[r]) for n, r in zip(names, rows, strict=True)]

    @property
    def grid(self) -> Grid:
        return Grid(self.names, self.rows, self.name_of, self.row_of)

    def only(self, places: Index) -> Shape:
        own = int((places < self.own).sum())
        return Shape(self.names, self.rows, self.name_of[places], self.row_of[places], own)


class RestoredLayout(Layout):
    """A layout out of the journal; its label sets are made when they are looked at."""

    __slots__ = ("shape",)

    shape: Shape

    def __init__(self, shape: Shape) -> None:
        object.__setattr__(self, "families", {})
        object.__setattr__(self, "shape", shape)

    @property
    def series(self) -> tuple[Labels, ...]:
        return tuple(
            Labels({METRIC_NAME: name, **dict(zip(row[::2], row[1::2], strict=True))})
            for name, row in self.shape.keys
        )

    @property
    def grid(self) -> Grid:
        return self.shape.grid

    def __len__(self) -> int:
        return len(self.shape)
