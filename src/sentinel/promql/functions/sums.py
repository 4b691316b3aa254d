"""Sums that keep their digits, and quantiles, over many series at once."""

from __future__ import annotations

import math

import numpy as np

from sentinel.model.batch import Floats
from sentinel.promql.frame import Index, Mask

_CANCELLED = 1e3
"""Where the absolute values add up to that many times the sum, plain addition has lost digits that matter."""


def column_sums(values: Floats, held: Mask | None) -> Floats:
    """Sum of each column over the cells held (None: all); compensated where values cancel each other."""
    cells = values if held is None else np.where(held, values, 0.0)
    total: Floats = cells.sum(axis=0)
    size = np.abs(cells).sum(axis=0)
    for column in np.flatnonzero(is_doubtful(total, size)).tolist():
        total[column] = compensated_sum(cells[:, column])
    return total


def group_sums(values: Floats, present: Mask, groups: Index, count: int) -> Floats:
    """Sum of the present values of each group; compensated where values cancel each other."""
    cells = np.where(present, values, 0.0)
    total: Floats = np.bincount(groups, cells, count).astype(np.float64, copy=False)
    size: Floats = np.bincount(groups, np.abs(cells), count).astype(np.float64, copy=False)
    doubtful = np.flatnonzero(is_doubtful(total, size))
    if len(doubtful) > 16:
        order = np.argsort(groups, kind="stable")
        edges = np.searchsorted(groups[order], np.arange(count + 1))
        for group in doubtful.tolist():
            total[group] = compensated_sum(cells[order[edges[group] : edges[group + 1]]])
    else:
        for group in doubtful.tolist():
            total[group] = compensated_sum(cells[groups == group])
    return total


def is_doubtful(total: Floats, size: Floats) -> Mask:
    doubtful: Mask = (size > _CANCELLED * np.abs(total)) & np.isfinite(size)
    return doubtful


def compensated_sum(values: Floats) -> float:
    """Neumaier's summation, in the order of the values, as Prometheus adds them up."""
    total = compensation = 0.0
    for value in values.tolist():
        new = total + value
        if abs(total) >= abs(value):
            compensation += (total - new) + value
        else:
            compensation += (value - new) + total
        total = new
    return total + compensation


def quantiles(q: float, values: Floats, held: Mask) -> Floats:
    """Quantile of each column over the cells held, interpolated; NaN sorts first, as in Prometheus."""
    count = held.sum(axis=0)
    if math.isnan(q):
        return np.full(values.shape[1], np.nan)
    if q < 0 or q > 1:
        return np.where(count > 0, math.copysign(math.inf, q), np.nan)
    # NaN below everything, absent cells above everything.
    nothing = np.isnan(values) & held
    ranked = np.sort(np.where(held, np.where(nothing, -np.inf, values), np.inf), axis=0)
    blank = nothing.sum(axis=0)
    rank = q * (count - 1)
    lower = np.maximum(np.floor(rank), 0).astype(np.intp)
    upper = np.minimum(lower + 1, np.maximum(count - 1, 0))
    weight = rank - np.floor(rank)
    columns = np.arange(values.shape[1])
    low = np.where(lower < blank, np.nan, ranked[lower, columns])
    high = np.where(upper < blank, np.nan, ranked[upper, columns])
    result: Floats = low * (1 - weight) + high * weight
    return np.where(count > 0, result, np.nan)


def to_millisecond(seconds: Floats) -> Floats:
    """Differences of instants without what these, as floats of 17 digits, have lost of their milliseconds."""
    exact: Floats = np.round(seconds * 1000.0) / 1000.0
    return exact
