"""The series of one metric name: a block for each pool, found by a hash of their labels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from sentinel.series.columns.pool import Index, Mask, Pool
from sentinel.series.index.symbols import Symbols
from sentinel.series.index.table import Codes

Keys = NDArray[np.uint64]

_MIX: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX_AGAIN: Final = np.uint64(0xC2B2AE3D27D4EB4F)
_HALF: Final = np.uint64(32)


class Block:
    """Series with columns in one pool. A series keeps its position here, and its column, while it lives."""

    __slots__ = ("_keys", "_places", "_runs", "codes", "columns", "free", "live", "metric", "pool", "used")

    def __init__(self, metric: Metric, pool: Pool[Block]) -> None:
        self.metric = metric
        self.pool = pool
        self.used = 0
        self.free: list[int] = []
        self.codes = np.zeros((0, len(metric.names)), np.int32)
        """[position, label] as in metric.names"""
        self.columns = np.empty(0, np.int32)
        """[position]"""
        self.live = np.empty(0, np.bool_)
        """[position] False where the position is free."""
        self._runs: list[tuple[int, int]] = []
        """First column and size of the runs that positions are given from, in order."""
        self._keys: Keys = np.empty(0, np.uint64)
        """Hashes of the live series, ascending, and beside them their positions."""
        self._places = np.empty(0, np.int32)

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, keys: Keys, codes: Codes) -> Index:
        """Positions of series; −1 where there is no such one.

        Args:
            codes: [series, label] as in metric.names.
        """
        found = np.full(len(keys), -1, np.intp)
        if not len(self._keys):
            return found
        at = np.searchsorted(self._keys, keys)
        open_ones = np.arange(len(keys))
        # Different series may have the same hash: look on until the hash ends.
        while len(open_ones):
            at_open = at[open_ones]
            near = at_open < len(self._keys)
            near[near] = self._keys[at_open[near]] == keys[open_ones[near]]
            open_ones = open_ones[near]
            places = self._places[at[open_ones]].astype(np.intp)
            same = (self.codes[places] == codes[open_ones]).all(axis=1)
            found[open_ones[same]] = places[same]
            open_ones = open_ones[~same]
            at[open_ones] += 1
        return found

    def add(self, keys: Keys, codes: Codes) -> Index:
        """Positions for new series, which differ from each other and from all that are here."""
        count = len(keys)
        again = self.free[-count:] if count else []
        del self.free[len(self.free) - len(again) :]
        fresh = count - len(again)
        self._make_room(self.used + fresh)
        positions = np.concatenate([np.array(again, np.intp), np.arange(self.used, self.used + fresh)])
        self.used += fresh
        self.codes[positions] = codes
        self.live[positions] = True
        order = np.argsort(keys, kind="stable")
        at = np.searchsorted(self._keys, keys[order])
        self._keys = np.insert(self._keys, at, keys[order])
        self._places = np.insert(self._places, at, positions[order].astype(np.int32))
        return positions

    def columns_for(self, keys: Keys, codes: Codes, slots: Index) -> Index:
        """Columns for new series of several sources, in a pool that has no samples yet."""
        positions = self.add(keys, codes)
        columns: Index = self.columns[positions].astype(np.intp)
        self.pool.open_columns(columns, slots, self.pool.tick, -math.inf)
        return columns

    def remove(self, positions: Index) -> None:
        self.live[positions] = False
        self.codes[positions] = 0
        self.free.extend(positions.tolist())
        kept = self.live[self._places]
        self._keys, self._places = self._keys[kept], self._places[kept]

    def positions(self) -> Index:
        """Positions in use, ascending."""
        return np.flatnonzero(self.live[: self.used])

    def widen(self, labels: int) -> None:
        """Make room for more label names."""
        self.codes = np.pad(self.codes, ((0, 0), (0, labels - self.codes.shape[1])))

    def release(self) -> None:
        for start, size in self._runs:
            self.pool.columns.release(start, size)

    def recode(self, translation: Codes) -> None:
        self.codes = translation[self.codes]
        places = self.positions()
        keys = self.metric.keys(self.codes[places])
        order = np.argsort(keys)
        self._keys, self._places = keys[order], places[order].astype(np.int32)

    def _make_room(self, positions: int) -> None:
        room = sum(size for _, size in self._runs)
        while room < positions:
            start, size = self.pool.reserve(max(positions - room, room), self, room)
            self._runs.append((start, size))
            room += size
        if positions > len(self.columns):
            size = max(positions, min(room, len(self.columns) * 9 // 8))
            self.codes = _longer(self.codes, size)
            self.live = _longer(self.live, size)
            everything = np.concatenate([np.arange(start, start + many) for start, many in self._runs])
            self.columns = _longer(everything[:size].astype(np.int32), size)


@dataclass(slots=True, eq=False)
class Metric:
    """`version` changes whenever its series do."""

    name: str
    version: int = 0
    names: list[str] = field(default_factory=list)
    """Label names in the order of their first appearance: the columns of the blocks' codes."""
    blocks: dict[int, Block] = field(default_factory=dict)
    """By identity of the pool."""
    _seeds: Keys = field(default_factory=lambda: np.empty(0, np.uint64))
    """[label] what its codes are mixed with."""

    def __len__(self) -> int:
        return sum(len(block) for block in self.blocks.values())

    def block(self, pool: Pool[Block]) -> Block:
        found = self.blocks.get(id(pool))
        if found is None:
            found = self.blocks[id(pool)] = Block(self, pool)
        return found

    def know(self, names: Iterable[str]) -> None:
        """Make room for these label names."""
        new = [name for name in names if name not in self.names]
        if new:
            self.names.extend(new)
            self._seeds = np.array([hash(name) & (1 << 64) - 1 for name in self.names], np.uint64)
            for block in self.blocks.values():
                block.widen(len(self.names))

    def spread(self, names: Sequence[str], codes: Codes) -> Codes:
        """Codes of these labels as a matrix of all labels that the metric knows."""
        spread = np.zeros((len(codes), len(self.names)), np.int32)
        spread[:, [self.names.index(name) for name in names]] = codes
        return spread

    def keys(self, codes: Codes) -> Keys:
        """A hash of each series' labels; labels that a series lacks do not count."""
        mixed = (codes.astype(np.uint64) + self._seeds) * _MIX
        mixed ^= mixed >> _HALF
        mixed *= _MIX_AGAIN
        mixed ^= mixed >> _HALF
        mixed[codes == 0] = 0
        keys: Keys = mixed.sum(axis=1, dtype=np.uint64)
        return keys

    def recode(self, translation: Codes) -> None:
        """Take over new codes: `translation[old] = new`."""
        for block in self.blocks.values():
            block.recode(translation)


def codes_in_use(metrics: Iterable[Metric], symbols: Symbols) -> Mask:
    used = np.zeros(len(symbols), np.bool_)
    used[0] = True
    for metric in metrics:
        for block in metric.blocks.values():
            used[block.codes.ravel()] = True
    return used


def _longer(array: NDArray[Any], size: int) -> NDArray[Any]:
    longer = np.zeros((size, *array.shape[1:]), array.dtype)
    longer[: len(array)] = array
    return cast("NDArray[Any]", longer)
