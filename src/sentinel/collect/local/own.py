"""The daemon's own metrics as a target, so that rules can judge them."""

from __future__ import annotations

import numpy as np
from prometheus_client import CollectorRegistry

from sentinel.collect.collector import Collector
from sentinel.model.batch import Family, Layout, MetricType, Reading
from sentinel.model.labels import Labels
from sentinel.model.target import Target

_TYPES: dict[str, MetricType] = {
    "counter": "counter",
    "gauge": "gauge",
    "histogram": "histogram",
    "summary": "summary",
    "info": "gauge",
    "stateset": "gauge",
}


class OwnCollector:
    """Reads a registry. The layout stays the same object while the samples keep their names and labels."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._key: list[tuple[str, tuple[tuple[str, str], ...]]] = []
        self._layout = Layout(())

    async def poll(self, *, at: float, timeout: float) -> Reading:
        key: list[tuple[str, tuple[tuple[str, str], ...]]] = []
        values: list[float] = []
        families: dict[str, Family] = {}
        for metric in self._registry.collect():
            family = Family(_TYPES.get(metric.type, "unknown"), metric.documentation, metric.unit)
            for sample in metric.samples:
                # When a counter was made is an OpenMetrics sample that the text format of Prometheus does not have.
                if sample.name.endswith("_created") and metric.type in ("counter", "histogram", "summary"):
                    continue
                key.append((sample.name, tuple(sample.labels.items())))
                values.append(float(sample.value))
                families[_family_name(metric.name, metric.type, sample.name)] = family
        if key != self._key:
            self._key = key
            self._layout = Layout.of((Labels(labels, __name__=name) for name, labels in key), families)
        return Reading(self._layout, np.array(values, np.float64))

    async def close(self) -> None:
        return None


class OwnDriver:
    """See the protocol Driver."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def open(self, target: Target, module: str) -> Collector:
        return OwnCollector(self._registry)

    async def close(self) -> None:
        return None


def _family_name(metric: str, kind: str, sample: str) -> str:
    """The name under which # TYPE stands: a counter's with _total, a histogram's without _bucket."""
    return metric if kind in ("histogram", "summary") else sample
