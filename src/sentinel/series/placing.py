"""Layouts as label codes: what placing a source's series into columns works with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from sentinel.model.batch import Layout
from sentinel.model.labels import METRIC_NAME, Labels
from sentinel.series.symbols import Symbols
from sentinel.series.table import Codes, Index

_KEPT: Final = 16


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """The series of a layout that have one metric name and the same label names."""

    name: str
    names: tuple[str, ...]
    codes: Codes
    """[series, label]"""
    rows: Index
    """Which series of the layout they are."""

    def within(self, own: Mapping[str, int]) -> tuple[tuple[str, ...], Codes]:
        """Label names and codes with the source's own; what clashes moves aside, as in Prometheus."""
        taken = list(own)
        for name in self.names:
            while name in taken:
                name = f"exported_{name}"
            taken.append(name)
        codes = np.empty((len(self.codes), len(taken)), np.int32)
        codes[:, : len(own)] = list(own.values())
        codes[:, len(own) :] = self.codes
        return tuple(taken), codes


class Groups:
    """The groups of layouts. Devices of a kind share their layout, and so this work."""

    def __init__(self, symbols: Symbols) -> None:
        self._symbols = symbols
        self._kept: dict[Layout, tuple[Group, ...]] = {}

    def of(self, layout: Layout) -> tuple[Group, ...]:
        found = self._kept.pop(layout, None)
        if found is None:
            found = tuple(_grouped(layout, self._symbols))
            while len(self._kept) >= _KEPT:
                del self._kept[next(iter(self._kept))]
        # Back at the end: the dictionary's order is that of last use.
        self._kept[layout] = found
        return found


def _grouped(layout: Layout, symbols: Symbols) -> Iterator[Group]:
    found: dict[tuple[str, tuple[str, ...]], tuple[list[int], list[list[int]]]] = {}
    for row, labels in enumerate(layout.series):
        rows, codes = found.setdefault((labels.name, tuple(labels)), ([], []))
        rows.append(row)
        codes.append([symbols.code(value) for value in labels.values()])
    for (name, names), (rows, codes) in found.items():
        kept = [place for place, label in enumerate(names) if label != METRIC_NAME]
        matrix = np.array(codes, np.int32).reshape(len(rows), len(names))[:, kept]
        yield Group(name, tuple(names[place] for place in kept), matrix, np.array(rows, np.intp))


def meta_groups(names: tuple[str, ...], first: int) -> Iterator[Group]:
    """Series that have the source's own labels only, from that row on."""
    for row, name in enumerate(names):
        yield Group(name, (), np.zeros((1, 0), np.int32), np.array([first + row], np.intp))


def own_codes(labels: Labels, symbols: Symbols) -> dict[str, int]:
    return {name: symbols.code(value) for name, value in labels.pairs}
