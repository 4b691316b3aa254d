"""The series of one metric name: a block of neighbouring columns for each pool."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sentinel.series.pool import Index, Pairs, Pool
from sentinel.series.symbols import Symbols
from sentinel.series.table import Codes


class Block:
    """Columns [start, start + used) of one pool, some of them free for reuse."""

    __slots__ = ("codes", "free", "ids", "index", "metric", "pool", "room", "start", "used")

    def __init__(self, metric: Metric, pool: Pool) -> None:
        self.metric = metric
        self.pool = pool
        self.room = 4
        self.start = pool.reserve(self.room)
        self.used = 0
        self.free: list[int] = []
        self.index: dict[Pairs, int] = {}
        """Position in the block by series."""
        self.codes = np.zeros((self.room, len(metric.names)), np.int32)
        self.ids = np.full(self.room, -1, np.int64)
        """[position] id of the series, −1 where the position is free."""

    def __len__(self) -> int:
        return len(self.index)

    def add(self, pairs: Pairs, series_id: int) -> tuple[int, bool]:
        """
        Returns:
            the position given to the series, and whether the block moved to other columns for it.
        """
        moved = False
        if self.free:
            position = self.free.pop()
        else:
            if self.used == self.room:
                self._grow()
                moved = True
            position = self.used
            self.used += 1
        self.index[pairs] = position
        self.ids[position] = series_id
        row = self.codes[position]
        row[:] = 0
        columns = self.metric.columns
        for name, code in pairs:
            row[columns[name]] = code
        return position, moved

    def remove(self, pairs: Pairs) -> int:
        """
        Returns:
            the position that became free.
        """
        position = self.index.pop(pairs)
        self.ids[position] = -1
        self.codes[position] = 0
        self.free.append(position)
        return position

    def positions(self) -> Index:
        """Positions in use, ascending."""
        return np.flatnonzero(self.ids[: self.used] >= 0)

    def widen(self, labels: int) -> None:
        """Make room for more label names."""
        codes = np.zeros((self.room, labels), np.int32)
        codes[:, : self.codes.shape[1]] = self.codes
        self.codes = codes

    def release(self) -> None:
        self.pool.release(self.start, self.room)

    def _grow(self) -> None:
        room = self.room * 2 if self.room < 64 else self.room + self.room // 4
        start = self.pool.reserve(room)
        self.pool.move(slice(self.start, self.start + self.used), slice(start, start + self.used))
        self.pool.release(self.start, self.room)
        self.start = start
        codes = np.zeros((room, self.codes.shape[1]), np.int32)
        codes[: self.room] = self.codes
        ids = np.full(room, -1, np.int64)
        ids[: self.room] = self.ids
        self.codes, self.ids, self.room = codes, ids, room


@dataclass(slots=True, eq=False)
class Metric:
    """`version` changes whenever its series or their columns do."""

    name: str
    version: int = 0
    names: list[str] = field(default_factory=list)
    """Label names in the order of their first appearance: the columns of the blocks' codes."""
    columns: dict[str, int] = field(default_factory=dict)
    blocks: dict[int, Block] = field(default_factory=dict)
    """By identity of the pool."""

    def __len__(self) -> int:
        return sum(len(block) for block in self.blocks.values())

    def block(self, pool: Pool) -> Block:
        found = self.blocks.get(id(pool))
        if found is None:
            found = self.blocks[id(pool)] = Block(self, pool)
        return found

    def know(self, names: Iterable[str]) -> None:
        """Make room for these label names."""
        new = [name for name in names if name not in self.columns]
        for name in new:
            self.columns[name] = len(self.names)
            self.names.append(name)
        if new:
            for block in self.blocks.values():
                block.widen(len(self.names))

    def find(self, pairs: Pairs) -> tuple[Block, int] | None:
        for block in self.blocks.values():
            position = block.index.get(pairs)
            if position is not None:
                return block, position
        return None

    def recode(self, translation: Codes) -> None:
        """Take over new codes: `translation[old] = new`."""
        for block in self.blocks.values():
            block.codes = translation[block.codes]
            numbers: Sequence[int] = translation.tolist()
            block.index = {
                tuple((name, numbers[code]) for name, code in pairs): position
                for pairs, position in block.index.items()
            }


def codes_in_use(metrics: Iterable[Metric], symbols: Symbols) -> NDArray[np.bool_]:
    used = np.zeros(len(symbols), np.bool_)
    used[0] = True
    for metric in metrics:
        for block in metric.blocks.values():
            used[block.codes.ravel()] = True
    return used
