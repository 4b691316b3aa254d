"""Series that rules produce, in a layout that is kept while the label sets stay."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from sentinel.model.batch import (
    EMPTY_LAYOUT,
    EMPTY_READING,
    STALE_BITS,
    Batch,
    Floats,
    Layout,
    Reading,
    Source,
)
from sentinel.model.labels import EMPTY, METRIC_NAME, Labels
from sentinel.promql.value import SeriesSet, Vector
from sentinel.rules.alerts import RuleAlerts
from sentinel.rules.result import RuleError

ALERTS = "ALERTS"
ALERTS_FOR_STATE = "ALERTS_FOR_STATE"
ALERT_METRICS = frozenset({ALERTS, ALERTS_FOR_STATE})

_NO_ROWS = np.empty(0, np.intp)


def rule_source(group: str, rule: str, interval: float) -> Source:
    """The source under which one rule's series are stored.

    Args:
        rule: tells the rule from the others of its group, wherever it stands in the file.
    """
    return Source(group, f"rule {rule}", EMPTY, interval)


def ending(source: Source, at: float) -> Batch:
    """Ends every series of a rule that is gone."""
    return Batch(source, at, EMPTY_READING, up=True, duration=0.0)


class Rows:
    """A growing layout: a row that vanishes is stale in place, so that one that comes and goes costs nothing.

    Rows that are long gone are dropped once they are the greater part.
    """

    def __init__(self) -> None:
        self.layout = EMPTY_LAYOUT
        self._index: dict[Labels, int] = {}

    def positions(self, labels: Sequence[Labels]) -> NDArray[np.intp]:
        """Where these label sets stand; those not there yet are added."""
        before = len(self._index)
        if before > 2 * len(labels) + 32:
            self._index, before = {}, -1
        for one in labels:
            self._index.setdefault(one, len(self._index))
        if len(self._index) != before:
            self.layout = Layout(tuple(self._index))
        return np.fromiter((self._index[one] for one in labels), np.intp, len(labels))

    def reading(self, positions: NDArray[np.intp], values: Floats) -> Reading:
        """Values at those positions, staleness markers everywhere else."""
        cells = np.full(len(self.layout), STALE_BITS, np.uint64).view(np.float64)
        cells[positions] = values
        return Reading(self.layout, cells)


class RecordedRows:
    """The series of one recording rule."""

    def __init__(self, name: str, labels: Iterable[tuple[str, str]]) -> None:
        self._added = dict(labels) | {METRIC_NAME: name}
        self._rows = Rows()
        self._series: SeriesSet | None = None
        self._outputs: list[Labels | None] = []
        self._last = _NO_ROWS
        self._positions = _NO_ROWS

    def reading(self, vector: Vector, limit: int) -> Reading | None:
        """What to store; None where there is nothing and was nothing.

        Raises:
            RuleError: two series would be the same, or there are more than the limit.
        """
        if limit and len(vector) > limit:
            raise RuleError(f"more than the group's limit of {limit} series")
        if not len(vector) and not len(self._rows.layout):
            return None
        is_same = vector.series is self._series and np.array_equal(vector.rows, self._last)
        if not is_same:
            self._positions = self._rows.positions(self._named(vector))
            self._last = vector.rows
        return self._rows.reading(self._positions, vector.values)

    def _named(self, vector: Vector) -> list[Labels]:
        if vector.series is not self._series:
            self._series, self._outputs = vector.series, [None] * len(vector.series)
        named = []
        for row in vector.rows.tolist():
            output = self._outputs[row]
            if output is None:
                output = self._outputs[row] = vector.series.labels[row].updated(self._added)
            named.append(output)
        if len(set(named)) < len(named):
            self._series = None
            raise RuleError("the result holds the same series twice once the rule's labels are on it")
        return named


class AlertRows:
    """ALERTS and ALERTS_FOR_STATE of one alerting rule."""

    def __init__(self) -> None:
        self._rows = Rows()
        self._version = -1
        self._reading: Reading | None = None

    def reading(self, alerts: RuleAlerts) -> Reading | None:
        """What to store; None where there is nothing and was nothing."""
        if not len(alerts) and not len(self._rows.layout):
            return None
        if alerts.version != self._version:
            self._version = alerts.version
            self._reading = self._made(alerts)
        return self._reading

    def _made(self, alerts: RuleAlerts) -> Reading:
        labels: list[Labels] = []
        values: list[float] = []
        for one, state, active_at in alerts.states():
            labels += (
                one.updated({METRIC_NAME: ALERTS, "alertstate": str(state)}),
                one.updated({METRIC_NAME: ALERTS_FOR_STATE}),
            )
            values += (1.0, active_at)
        positions = self._rows.positions(labels)
        return self._rows.reading(positions, np.array(values))
