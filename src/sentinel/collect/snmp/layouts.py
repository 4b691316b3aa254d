"""Layouts of devices: a name and a row's labels for each series, shared by devices whose series are equal.

Label sets are made when somebody looks at them, which happens once: one of its own for every series of a fleet
would be most of the daemon's memory.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sentinel.collect.snmp.common import Common
from sentinel.model.batch import EMPTY_LAYOUT, Family, Grid, Layout, Row
from sentinel.model.labels import METRIC_NAME, Labels

_ROW_BITS = 32


class Series:
    """Series that are being found, in the order in which they are added."""

    __slots__ = ("_names", "_rows", "_series")

    def __init__(self) -> None:
        self._names: dict[str, int] = {}
        self._rows: dict[Row, int] = {}
        self._series: dict[int, None] = {}
        """Numbers of name and row, as one."""

    def __len__(self) -> int:
        return len(self._series)

    def row(self, labels: Mapping[str, str]) -> int:
        """The number of a row with these labels; a label without a value does not exist."""
        row: list[str] = []
        for name in sorted(labels):
            if labels[name] and name != METRIC_NAME:
                # Devices of a kind call their interfaces the same. Interned texts go when nobody has them any more.
                row += (name, sys.intern(labels[name]))
        return self._rows.setdefault(tuple(row), len(self._rows))

    def add(self, name: str, row: int) -> bool:
        """Whether the series is a new one.

        Args:
            row: its number.
        """
        count = len(self._series)
        self._series.setdefault(self._names.setdefault(name, len(self._names)) << _ROW_BITS | row)
        return len(self._series) > count

    def content(self, families: Mapping[str, Family]) -> Content:
        series = np.fromiter(self._series, np.int64, len(self._series))
        names, rows = tuple(self._names), tuple(self._rows)
        name_of = (series >> _ROW_BITS).astype(np.min_scalar_type(len(names)))
        row_of = (series & (1 << _ROW_BITS) - 1).astype(np.min_scalar_type(len(rows)))
        return Content(id(families), len(series), names, rows, name_of.tobytes(), row_of.tobytes())


@dataclass(frozen=True, slots=True)
class Content:
    """What tells layouts apart."""

    families: int
    """Their identity: the layout holds them."""
    size: int
    names: tuple[str, ...]
    rows: tuple[Row, ...]
    name_of: bytes
    row_of: bytes
    """The number of each series' name and row, in the smallest unsigned integers that hold it."""

    @property
    def grid(self) -> Grid:
        name_of = np.frombuffer(self.name_of, np.min_scalar_type(len(self.names)))
        row_of = np.frombuffer(self.row_of, np.min_scalar_type(len(self.rows)))
        return Grid(self.names, self.rows, name_of, row_of)


def _labels(content: Content) -> tuple[Labels, ...]:
    grid = content.grid
    names, rows = grid.name_of.tolist(), grid.row_of.tolist()
    labels = [dict(zip(row[::2], row[1::2], strict=True)) for row in content.rows]
    return tuple(
        Labels({**labels[row], METRIC_NAME: content.names[name]})
        for name, row in zip(names, rows, strict=True)
    )


class SnmpLayout(Layout):
    """A layout whose labels are made when they are looked at."""

    __slots__ = ("_look", "content")

    content: Content
    _look: Callable[[Content], tuple[Labels, ...]]

    def __init__(
        self,
        content: Content,
        families: Mapping[str, Family],
        look: Callable[[Content], tuple[Labels, ...]],
    ) -> None:
        object.__setattr__(self, "families", families)
        object.__setattr__(self, "content", content)
        object.__setattr__(self, "_look", look)

    @property
    def series(self) -> tuple[Labels, ...]:
        return self._look(self.content)

    @property
    def grid(self) -> Grid:
        return self.content.grid

    def __len__(self) -> int:
        return self.content.size


class Layouts:
    """Hands out the same layout for equal series; counts its users."""

    def __init__(self) -> None:
        self._common: Common[Content, SnmpLayout] = Common()
        self._look = lru_cache(maxsize=1)(_labels)
        """Whoever looks at a new layout looks at it more than once."""

    def __len__(self) -> int:
        return len(self._common)

    def exchange(self, before: Layout, series: Series, families: Mapping[str, Family]) -> Layout:
        """A layout with these series, in place of the one used before: the same object where they are equal."""
        content = series.content(families)
        if isinstance(before, SnmpLayout) and content == before.content:
            return before
        self.release(before)
        if not content.size:
            return EMPTY_LAYOUT
        return self._common.take(content, lambda kept: SnmpLayout(kept, families, self._look))

    def release(self, layout: Layout) -> None:
        if isinstance(layout, SnmpLayout):
            self._common.release(layout.content)
