"""The sections' parts put together into one layout and one array."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from sentinel.collect.ssh.parsers import Parser, Part
from sentinel.collect.ssh.shape import Places, Shape
from sentinel.model.batch import Family, Floats, Layout
from sentinel.model.labels import Labels

SUCCESS = "node_scrape_collector_success"
DURATION = "node_scrape_collector_duration_seconds"
_FAMILIES = {
    SUCCESS: Family("gauge", "node_exporter: Whether a collector succeeded."),
    DURATION: Family("gauge", "node_exporter: Duration of a collector scrape."),
}
_KEPT = 8
"""Combinations of shapes remembered per collector: with and without a section that comes and goes, for example."""


_SHARED = 200
"""Layouts remembered for hosts that are alike."""

_Shapes = tuple[Shape | None, ...]
_Known = tuple[Layout, Places | None]


class Layouts:
    """Layouts of hosts whose texts have the same forms: they share one. The least used go first."""

    def __init__(self, limit: int = _SHARED) -> None:
        self._limit = limit
        self._known: OrderedDict[tuple[tuple[str, ...], _Shapes], _Known] = OrderedDict()

    def get(self, collectors: tuple[str, ...], shapes: _Shapes) -> _Known | None:
        return self._known.get((collectors, shapes))

    def keep(self, collectors: tuple[str, ...], shapes: _Shapes, known: _Known) -> None:
        key = collectors, shapes
        self._known[key] = known
        self._known.move_to_end(key)
        while len(self._known) > self._limit:
            self._known.popitem(last=False)


@lru_cache(maxsize=100)
def _placed(collectors: tuple[tuple[str, ...], ...]) -> tuple[tuple[int, str], ...]:
    """Each section's collectors with the section's place."""
    return tuple((place, name) for place, names in enumerate(collectors) for name in names)


@lru_cache(maxsize=100)
def _named(placed: tuple[tuple[int, str], ...]) -> tuple[str, ...]:
    return tuple(name for _, name in placed)


@lru_cache(maxsize=100)
def _own(collectors: tuple[str, ...]) -> tuple[Labels, ...]:
    """The series about the collectors themselves."""
    return tuple(Labels(__name__=name, collector=each) for name in (SUCCESS, DURATION) for each in collectors)


class Assembly:
    """The layout stays the same object for as long as the series are the same.

    A text may take another form without other series (a number gets a sign, a bar of progress grows): then the
    layout known for these series serves. A series that two sections give counts as the first one has it.
    """

    def __init__(self, parsers: Sequence[Parser], layouts: Layouts | None = None) -> None:
        """`layouts` are those of other hosts."""
        self._collectors = _placed(tuple(parser.collectors for parser in parsers))
        self._names = _named(self._collectors)
        self._layouts = layouts or Layouts()
        self._known: dict[_Shapes, _Known] = {}

    def of(self, parts: Sequence[Part | None], durations: Sequence[float]) -> tuple[Layout, Floats]:
        """One part per section; none where it gave nothing. Durations are seconds, per section."""
        shapes = tuple(part.shape if part is not None else None for part in parts)
        known = self._known.get(shapes)
        if known is None:
            known = self._layouts.get(self._names, shapes)
            if known is None or not self._is_ours(known):
                known = self._layout(shapes)
            self._layouts.keep(self._names, shapes, known)
            while len(self._known) >= _KEPT:
                del self._known[next(iter(self._known))]
            self._known[shapes] = known
        layout, kept = known
        success = [
            1.0 if (shape := shapes[place]) is not None and shape.success.get(name) else 0.0
            for place, name in self._collectors
        ]
        taken = [durations[place] for place, _ in self._collectors]
        arrays = [part.values for part in parts if part is not None]
        values = np.concatenate([*arrays, success, taken])
        return layout, values if kept is None else values[kept]

    def _is_ours(self, known: _Known) -> bool:
        """Whether another host's layout can serve: not where an own one has the same series already."""
        layout, _ = known
        return not any(
            own is not layout and own.series == layout.series and own.families == layout.families
            for own, _ in self._known.values()
        )

    def _layout(self, shapes: _Shapes) -> _Known:
        """The layout, and which of the values it takes where that is not all of them."""
        series: list[Labels] = []
        families: dict[str, Family] = dict(_FAMILIES)
        for shape in shapes:
            if shape is not None:
                series += shape.series
                families = {**shape.families, **families}
        series += _own(self._names)
        first = {labels: place for place, labels in reversed(list(enumerate(series)))}
        kept = None
        if len(first) < len(series):
            kept = np.array(sorted(first.values()), np.intp)
            series = [series[place] for place in kept]
        wanted = tuple(series)
        for layout, _ in self._known.values():
            if layout.series == wanted and layout.families == families:
                return layout, kept
        return Layout.of(wanted, families), kept
