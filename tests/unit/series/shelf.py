"""An archive in memory: keeps every sample that a head stores."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from sentinel.model.batch import ABSENT_BITS, STALE_BITS, Floats, Source
from sentinel.model.labels import METRIC_NAME, Labels
from sentinel.series.head import Head
from sentinel.series.index.matcher import Matcher
from sentinel.series.index.selection import Samples
from sentinel.series.reading.archive import Archived, Charge, Panes
from sentinel.series.witness import Rows


class Shelf:
    """Both ends of it: the head's witness and the queries' archive."""

    def __init__(self, head: Head, *, until: float = np.inf, parts: int = 1) -> None:
        """
        Args:
            until: Unix seconds of the end of what is kept.
            parts: into how many pieces of time an answer is cut.
        """
        self.points: dict[Labels, list[tuple[float, float]]] = {}
        self.asked: list[Panes | None] = []
        """What of it was wanted; nothing else was given."""
        self._until = until
        self._parts = parts
        head.tell(self)

    # Witness

    def write(self, rows: Rows, at: float, values: Floats, *, up: bool, part: bool) -> None:
        grid = rows.grid
        for number, value in enumerate(values):
            bits = int(np.float64(value).view(np.uint64))
            if bits == ABSENT_BITS or at > self._until:
                continue
            row = grid.rows[grid.row_of[number]]
            labels = dict(zip(row[::2], row[1::2], strict=True)) | dict(rows.source.labels)
            labels[METRIC_NAME] = grid.names[grid.name_of[number]]
            points = self.points.setdefault(Labels(labels), [])
            if bits != STALE_BITS or points:
                points.append((at, float(value)))

    def forget(self, source: Source) -> None:
        pass

    # Archive

    @property
    def oldest(self) -> float:
        return min((points[0][0] for points in self.points.values() if points), default=np.inf)

    def read(
        self, matchers: tuple[Matcher, ...], start: float, end: float, panes: Panes | None, *, charge: Charge
    ) -> Sequence[Archived]:
        self.asked.append(panes)
        edges = np.linspace(start, end, self._parts + 1)
        found = []
        for low, high in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            chosen = {
                labels: _wanted([(at, value) for at, value in points if low < at <= high], panes)
                for labels, points in self.points.items()
                if _accepts(matchers, labels)
            }
            chosen = {labels: points for labels, points in chosen.items() if points}
            if chosen:
                charge(sum(map(len, chosen.values())))
                found.append(Archived(tuple(chosen), _samples(list(chosen.values()))))
        return found

    def labels_of(
        self, matchers: tuple[Matcher, ...], start: float, end: float, *, charge: Charge
    ) -> Sequence[Labels]:
        found = [
            labels
            for labels, points in self.points.items()
            if _accepts(matchers, labels) and any(start <= at <= end for at, _ in points)
        ]
        charge(len(found))
        return found

    def label_names(
        self, matchers: tuple[Matcher, ...], start: float, end: float, *, charge: Charge
    ) -> Collection[str]:
        return {name for labels in self.labels_of(matchers, start, end, charge=charge) for name in labels}

    def label_values(
        self, name: str, matchers: tuple[Matcher, ...], start: float, end: float, *, charge: Charge
    ) -> Collection[str]:
        found = self.labels_of(matchers, start, end, charge=charge)
        return {labels[name] for labels in found if name in labels}


def _accepts(matchers: tuple[Matcher, ...], labels: Labels) -> bool:
    return all(matcher.accepts(labels.get(matcher.name, "")) for matcher in matchers)


def _wanted(points: list[tuple[float, float]], panes: Panes | None) -> list[tuple[float, float]]:
    if panes is None:
        return points
    found: dict[int, tuple[float, float]] = {}
    for at, value in points:
        when = round(at * 1000)
        ahead = (panes.first - when) % panes.step
        if ahead < panes.width:
            found[when + ahead if panes.is_newest else when] = (at, value)
    return list(found.values())


def _samples(series: list[list[tuple[float, float]]]) -> Samples:
    count = np.array([len(points) for points in series], np.intp)
    values = np.full((int(count.max()), len(series)), np.nan)
    times = np.zeros(values.shape)
    for column, points in enumerate(series):
        for row, (at, value) in enumerate(points):
            times[row, column], values[row, column] = at, value
    return Samples(values, count, times)
