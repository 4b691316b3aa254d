"""PromQL the slow way: one sample at a time, straight from the documentation. What the engine is compared with."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

Points = list[tuple[float, float]]
"""(Unix seconds, value), oldest first; a value of None would be no sample, a stale series simply ends."""


@dataclass(frozen=True)
class Series:
    labels: dict[str, str]
    points: list[tuple[float, float | None]]
    """None: a staleness marker."""


def window(series: Series, start: float, end: float) -> Points:
    """Samples in (start, end], staleness markers left out."""
    return [(at, value) for at, value in series.points if start < at <= end and value is not None]


def newest(series: Series, at: float) -> float | None:
    recent = [value for when, value in series.points if at - 300 < when <= at]
    return recent[-1] if recent else None


def extrapolated(points: Points, start: float, end: float, *, counter: bool, rate: bool) -> float | None:
    if len(points) < 2:
        return None
    (first_at, first), (last_at, last) = points[0], points[-1]
    change = last - first
    if counter:
        for (_, before), (_, after) in pairwise(points):
            if after < before:
                change += before
    # Whole milliseconds, as Prometheus keeps them.
    sampled = round(last_at - first_at, 3)
    average = sampled / (len(points) - 1)
    to_start, to_end = round(first_at - start, 3), round(end - last_at, 3)
    if to_start >= average * 1.1:
        to_start = average / 2
    if counter and change > 0 and first >= 0:
        to_start = min(to_start, sampled * (first / change))
    if to_end >= average * 1.1:
        to_end = average / 2
    result = change * (sampled + to_start + to_end) / sampled
    return result / round(end - start, 3) if rate else result


def quantile(q: float, values: Sequence[float]) -> float:
    ordered = sorted(values)
    rank = q * (len(ordered) - 1)
    lower = math.floor(rank)
    upper = min(lower + 1, len(ordered) - 1)
    weight = rank - lower
    return ordered[lower] * (1 - weight) + ordered[upper] * weight


def variance(values: Sequence[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values) / len(values)


def slope(points: Points) -> float | None:
    if len(points) < 2:
        return None
    base = points[0][0]
    n = len(points)
    mean_x = math.fsum(at - base for at, _ in points) / n
    mean_y = math.fsum(value for _, value in points) / n
    spread = math.fsum((at - base - mean_x) ** 2 for at, _ in points)
    return math.fsum((at - base - mean_x) * (value - mean_y) for at, value in points) / spread


OVER_TIME: dict[str, Callable[[Points], float]] = {
    "avg_over_time": lambda p: math.fsum(v for _, v in p) / len(p),
    "sum_over_time": lambda p: math.fsum(v for _, v in p),
    "min_over_time": lambda p: min(v for _, v in p),
    "max_over_time": lambda p: max(v for _, v in p),
    "count_over_time": lambda p: float(len(p)),
    "last_over_time": lambda p: p[-1][1],
    "first_over_time": lambda p: p[0][1],
    "present_over_time": lambda _: 1.0,
    "stdvar_over_time": lambda p: variance([v for _, v in p]),
    "stddev_over_time": lambda p: math.sqrt(variance([v for _, v in p])),
    "changes": lambda p: float(sum(a[1] != b[1] for a, b in pairwise(p))),
    "resets": lambda p: float(sum(b[1] < a[1] for a, b in pairwise(p))),
}

AGGREGATIONS: dict[str, Callable[[list[float]], float]] = {
    "sum": math.fsum,
    "avg": lambda v: math.fsum(v) / len(v),
    "min": min,
    "max": max,
    "count": lambda v: float(len(v)),
    "group": lambda _: 1.0,
    "stddev": lambda v: math.sqrt(variance(v)),
    "stdvar": variance,
}


def aggregate(
    vector: list[tuple[dict[str, str], float]], operator: str, *, by: tuple[str, ...]
) -> dict[tuple[str, ...], float]:
    groups: dict[tuple[str, ...], list[float]] = {}
    for labels, value in vector:
        groups.setdefault(tuple(labels.get(name, "") for name in by), []).append(value)
    return {key: AGGREGATIONS[operator](values) for key, values in groups.items()}
