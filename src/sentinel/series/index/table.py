"""Label sets as a matrix of codes: what plans work with instead of label dictionaries."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray

from sentinel.model.labels import Labels
from sentinel.series.index.symbols import Symbols

Codes = NDArray[np.int32]
Index = NDArray[np.intp]


class LabelTable(Sequence[Labels]):
    """Rows of labels: `codes[row, i]` is the code of the value of label `names[i]`, 0 where the row lacks it.

    Compared by identity: plans are remembered by it. As a sequence it gives Labels, made when first asked for.
    """

    __slots__ = ("__weakref__", "_made", "_unique", "codes", "names", "rendered", "symbols")

    def __init__(
        self, symbols: Symbols, names: Sequence[str], codes: Codes, *, unique: bool | None = None
    ) -> None:
        """`unique` says whether label sets are known to differ; None: not known."""
        self.symbols = symbols
        self.names = tuple(names)
        self.codes = codes
        self._made: dict[int, Labels] = {}
        self._unique = unique
        self.rendered: list[bytes] | None = None
        """Text of each row, kept for the exposition."""

    @classmethod
    def of(cls, symbols: Symbols, rows: Sequence[Labels]) -> LabelTable:
        names = sorted({name for row in rows for name in row})
        codes = np.zeros((len(rows), len(names)), np.int32)
        for position, row in enumerate(rows):
            for column, name in enumerate(names):
                codes[position, column] = symbols.code(row.get(name, ""))
        return cls(symbols, names, codes)

    def __len__(self) -> int:
        return len(self.codes)

    @overload
    def __getitem__(self, row: int) -> Labels: ...
    @overload
    def __getitem__(self, row: slice) -> tuple[Labels, ...]: ...
    def __getitem__(self, row: int | slice) -> Labels | tuple[Labels, ...]:
        if isinstance(row, slice):
            return tuple(self[i] for i in range(*row.indices(len(self))))
        row = int(row)
        made = self._made.get(row)
        if made is None:
            text = self.symbols.text
            made = Labels(
                {name: text(code) for name, code in zip(self.names, self.codes[row].tolist(), strict=True)}
            )
            self._made[row] = made
        return made

    @property
    def is_unique(self) -> bool:
        """No two rows have the same labels."""
        if self._unique is None:
            self._unique = len(self) < 2 or identify(self.codes)[1] == len(self)
        return self._unique

    def column(self, name: str) -> Codes:
        if name in self.names:
            return self.codes[:, self.names.index(name)]
        return np.zeros(len(self), np.int32)

    def matrix(self, names: Sequence[str]) -> Codes:
        """Codes of exactly these labels, in this order."""
        if not names:
            return np.zeros((len(self), 0), np.int32)
        return np.stack([self.column(name) for name in names], axis=1)

    def take(self, rows: Index) -> LabelTable:
        return LabelTable(self.symbols, self.names, self.codes[rows], unique=self._unique or None)

    def without(self, names: Collection[str]) -> LabelTable:
        kept = [i for i, name in enumerate(self.names) if name not in names]
        if len(kept) == len(self.names):
            return self
        return LabelTable(self.symbols, [self.names[i] for i in kept], self.codes[:, kept])

    def only(self, names: Collection[str]) -> LabelTable:
        kept = [i for i, name in enumerate(self.names) if name in names]
        return LabelTable(self.symbols, [self.names[i] for i in kept], self.codes[:, kept])

    def replaced(self, name: str, codes: Codes) -> LabelTable:
        """With that label's values in place of what was there."""
        if name in self.names:
            copy = self.codes.copy()
            copy[:, self.names.index(name)] = codes
            return LabelTable(self.symbols, self.names, copy)
        return LabelTable(self.symbols, (*self.names, name), np.column_stack([self.codes, codes]))

    def followed_by(self, other: LabelTable) -> LabelTable:
        names = list(dict.fromkeys((*self.names, *other.names)))
        return LabelTable(self.symbols, names, np.concatenate([self.matrix(names), other.matrix(names)]))


def identify(codes: Codes) -> tuple[Index, int, Index]:
    """Which rows are equal.

    Returns:
        an id from 0 for each row, how many ids there are, and for each id the first row that has it.
    """
    ids = np.zeros(len(codes), np.intp)
    if len(codes) == 0:
        return ids, 0, ids
    count, first = 1, np.zeros(1, np.intp)
    for column in codes.T:
        top = int(column.max()) + 1
        if top == 1:
            continue
        keys = ids.astype(np.int64) * top + column
        _, first, ids = np.unique(keys, return_index=True, return_inverse=True)
        count = len(first)
        if count == len(codes):
            break
    # Ids in the order in which they first appear, so that results keep the order of their input.
    order = np.argsort(first, kind="stable")
    rank = np.empty(count, np.intp)
    rank[order] = np.arange(count)
    return rank[ids], count, first[order]
