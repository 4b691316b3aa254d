"""The sections' parts put together into one layout and one array."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sentinel.collect.ssh.parsers import Parser, Part
from sentinel.collect.ssh.shape import Shape
from sentinel.model.batch import Family, Floats, Layout
from sentinel.model.labels import Labels

SUCCESS = "node_scrape_collector_success"
DURATION = "node_scrape_collector_duration_seconds"
_FAMILIES = {
    SUCCESS: Family("gauge", "node_exporter: Whether a collector succeeded."),
    DURATION: Family("gauge", "node_exporter: Duration of a collector scrape."),
}
_KEPT = 4
"""Layouts remembered per collector: with and without a section that comes and goes."""


class Assembly:
    """The layout stays the same object for as long as every section's shape does."""

    def __init__(self, parsers: Sequence[Parser]) -> None:
        self._collectors = [
            (place, name) for place, parser in enumerate(parsers) for name in parser.collectors
        ]
        self._known: dict[tuple[Shape | None, ...], Layout] = {}

    def of(self, parts: Sequence[Part | None], durations: Sequence[float]) -> tuple[Layout, Floats]:
        """One part per section; none where it gave nothing. Durations are seconds, per section."""
        shapes = tuple(part.shape if part is not None else None for part in parts)
        layout = self._known.get(shapes)
        if layout is None:
            layout = self._layout(shapes)
            while len(self._known) >= _KEPT:
                del self._known[next(iter(self._known))]
            self._known[shapes] = layout
        success = [
            1.0 if (shape := shapes[place]) is not None and shape.success.get(name) else 0.0
            for place, name in self._collectors
        ]
        taken = [durations[place] for place, _ in self._collectors]
        arrays = [part.values for part in parts if part is not None]
        return layout, np.concatenate([*arrays, success, taken])

    def _layout(self, shapes: Sequence[Shape | None]) -> Layout:
        series: list[Labels] = []
        families: dict[str, Family] = dict(_FAMILIES)
        for shape in shapes:
            if shape is not None:
                series += shape.series
                families.update(shape.families)
        series += [Labels(__name__=SUCCESS, collector=name) for _, name in self._collectors]
        series += [Labels(__name__=DURATION, collector=name) for _, name in self._collectors]
        return Layout.of(series, families)
