"""Layouts as label codes: what placing a source's series into columns works with."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from sentinel.model.batch import Layout, Row
from sentinel.model.labels import Labels
from sentinel.series.index.symbols import Symbols
from sentinel.series.index.table import Codes, Index

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
            taken.append(_aside(name, taken))
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
    grid = layout.grid
    forms: dict[Row, int] = {}
    """Label names of rows."""
    codes: list[list[list[int]]] = []
    """[form][row of that form][label]"""
    form_of, place_of = [], []
    for row in grid.rows:
        form = forms.setdefault(row[::2], len(forms))
        if form == len(codes):
            codes.append([])
        form_of.append(form)
        place_of.append(len(codes[form]))
        codes[form].append([symbols.code(value) for value in row[1::2]])
    labels = tuple(forms)
    matrices = [
        np.array(each, np.int32).reshape(len(each), len(labels[form])) for form, each in enumerate(codes)
    ]
    series_form, places = np.array(form_of, np.intp)[grid.row_of], np.array(place_of, np.intp)[grid.row_of]
    kinds = grid.name_of.astype(np.intp) * max(len(forms), 1) + series_form
    order = np.argsort(kinds, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(kinds[order])) + 1):
        if len(rows):
            form = int(series_form[rows[0]])
            yield Group(grid.names[grid.name_of[rows[0]]], labels[form], matrices[form][places[rows]], rows)


def meta_groups(names: tuple[str, ...], first: int) -> Iterator[Group]:
    """Series that have the source's own labels only, from that row on."""
    for row, name in enumerate(names):
        yield Group(name, (), np.zeros((1, 0), np.int32), np.array([first + row], np.intp))


def own_codes(labels: Labels, symbols: Symbols) -> dict[str, int]:
    return {name: symbols.code(value) for name, value in labels.pairs}


def merged(own: Labels, labels: Labels) -> Labels:
    """A series' labels with its source's; what clashes moves aside, as in Prometheus."""
    together = dict(own)
    for name, value in labels.pairs:
        together[_aside(name, together)] = value
    return Labels(together)


def _aside(name: str, taken: Container[str]) -> str:
    while name in taken:
        name = f"exported_{name}"
    return name
