"""Names, types and help of the metrics that a module gives, as snmp_exporter makes them."""

from __future__ import annotations

from collections.abc import Iterable

from sentinel.collect.snmp.format import ENUM_TYPES, TEXT_TYPES, Metric
from sentinel.model.batch import Family, MetricType


def families_of(metrics: Iterable[Metric]) -> dict[str, Family]:
    """# TYPE and # HELP of every metric that comes out of these."""
    found = {}
    for metric in metrics:
        kind: MetricType = "counter" if metric.type == "counter" else "gauge"
        if metric.type in ENUM_TYPES:
            found[sample_name(metric)] = Family("gauge", f"{metric.help} ({metric.type})")
        elif _is_extracted(metric):
            for name in metric.regex_extracts:
                found[metric.name + name] = Family("gauge", f"{metric.help} (regex extracted)")
        else:
            found[metric.name] = Family(kind, metric.help)
    return found


def sample_names(metric: Metric) -> list[str]:
    """Names of the metrics that come out of this one."""
    if _is_extracted(metric):
        return [metric.name + name for name in metric.regex_extracts]
    return [sample_name(metric)]


def sample_name(metric: Metric) -> str:
    return f"{metric.name}_info" if metric.type == "EnumAsInfo" else metric.name


def _is_extracted(metric: Metric) -> bool:
    """Numbers come out of its text; the text itself is no series then."""
    return bool(metric.regex_extracts) and metric.type in TEXT_TYPES
