"""The sections' parts put together into one layout and one array."""

from __future__ import annotations

from collections.abc import Sequence

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


class Assembly:
    """The layout stays the same object for as long as the series are the same.

    A text may take another form without other series (a number gets a sign, a bar of progress grows): then the
    layout known for these series serves. A series that two sections give counts as the first one has it.
    """

    def __init__(self, parsers: Sequence[Parser]) -> None:
        self._collectors = [
            (place, name) for place, parser in enumerate(parsers) for name in parser.collectors
        ]
        self._known: dict[tuple[Shape | None, ...], tuple[Layout, Places | None]] = {}

    def of(self, parts: Sequence[Part | None], durations: Sequence[float]) -> tuple[Layout, Floats]:
        """One part per section; none where it gave nothing. Durations are seconds, per section."""
        shapes = tuple(part.shape if part is not None else None for part in parts)
        known = self._known.get(shapes)
        if known is None:
            known = self._layout(shapes)
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

    def _layout(self, shapes: Sequence[Shape | None]) -> tuple[Layout, Places | None]:
        """The layout, and which of the values it takes where that is not all of them."""
        series: list[Labels] = []
        families: dict[str, Family] = dict(_FAMILIES)
        for shape in shapes:
            if shape is not None:
                series += shape.series
                families = {**shape.families, **families}
        series += [Labels(__name__=SUCCESS, collector=name) for _, name in self._collectors]
        series += [Labels(__name__=DURATION, collector=name) for _, name in self._collectors]
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
