"""Layouts shared by devices of a kind: equal series are kept once, for as long as somebody uses them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sentinel.model.batch import EMPTY_LAYOUT, Family, Layout
from sentinel.model.labels import Labels


class Layouts:
    """Hands out the same layout for equal series; counts its users."""

    def __init__(self) -> None:
        self._kept: dict[tuple[Labels, ...], tuple[Layout, int]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def exchange(self, before: Layout, series: Sequence[Labels], families: Mapping[str, Family]) -> Layout:
        """A layout with these series, in place of the one used before: the same object where they are equal."""
        wanted = tuple(series)
        if wanted == before.series:
            return before
        self.release(before)
        if not wanted:
            return EMPTY_LAYOUT
        layout, users = self._kept.get(wanted) or (Layout(wanted, families), 0)
        self._kept[layout.series] = (layout, users + 1)
        return layout

    def release(self, layout: Layout) -> None:
        kept, users = self._kept.get(layout.series, (None, 0))
        if kept is not layout:
            return
        if users > 1:
            self._kept[layout.series] = (layout, users - 1)
        else:
            del self._kept[layout.series]
