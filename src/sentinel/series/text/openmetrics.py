"""What OpenMetrics 1.0 asks of families: counters end in _total, a histogram's lines stand together by series.

What does not keep its rules (SNMP's counters have names of their own, a histogram without +Inf) goes out with type
`unknown` under the same names: readers drop the whole answer for one wrong line.
Source: https://prometheus.io/docs/specs/om/open_metrics_spec/
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sentinel.model.batch import Family, Floats
from sentinel.model.labels import METRIC_NAME
from sentinel.series.index.table import Index, LabelTable, identify

END: Final = b"# EOF\n"
_BOUND: Final = {"histogram": "le", "summary": "quantile"}
_ENDS: Final = ("_bucket", "_count", "_sum", "_created")
"""What such families claim: a metric of another family may not be called that."""
_RESERVED: Final = ("_total", "_created", "_bucket", "_sum", "_count", "_info", "_gcount", "_gsum")


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Live series of one metric."""

    name: str
    """As written."""
    table: LabelTable | None
    """Their labels; None: not at hand."""
    starts: list[bytes]
    """Line starts, each with a line feed before it."""
    values: Floats
    times: Floats
    """Unix seconds; empty where they are not wanted."""


def as_openmetrics(
    name: str, family: Family | None, parts: Sequence[Part], others: Set[str]
) -> Iterator[tuple[bytes, Part]]:
    """A family's headings, each with the lines that belong below it.

    Args:
        name: of the family, as written.
        others: names of all metrics and families: a counter x_total beside a metric x cannot be called x.
    """
    kind = family.type if family is not None else "unknown"
    here = {part.name for part in parts}
    if kind in _BOUND and not any(f"{name}{end}" in others and f"{name}{end}" not in here for end in _ENDS):
        together = _interleaved(name, kind, parts)
        if together is not None:
            yield om_heading(name, kind, family), together
            return
    for part in parts:
        base = part.name.removesuffix("_total")
        is_total = base not in ("", part.name) and not {base, f"{base}_created"} & others
        if kind == "counter" and is_total and bool((part.values >= 0).all()):
            yield om_heading(base, "counter", family), part
        elif kind == "gauge" and not part.name.endswith(_RESERVED):
            yield om_heading(part.name, "gauge", family), part
        else:
            yield om_heading(part.name, "unknown", family), part


def om_heading(name: str, kind: str, family: Family | None) -> bytes:
    lines = [f"# TYPE {name} {kind}\n"]
    if family is not None and family.unit and name.endswith(f"_{family.unit}"):
        lines.append(f"# UNIT {name} {family.unit}\n")
    if family is not None and family.help:
        text = family.help.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
        lines.append(f"# HELP {name} {text}\n")
    return "".join(lines).encode()


def _interleaved(name: str, kind: str, parts: Sequence[Part]) -> Part | None:
    """All lines of a histogram or summary, series by series; None where they are not what they should be."""
    label = _BOUND[kind]
    bounded = f"{name}_bucket" if kind == "histogram" else name
    ranks = {bounded: 0, f"{name}_count": 1, f"{name}_sum": 2}
    if any(part.table is None or part.name not in ranks for part in parts):
        return None
    tables = [part.table for part in parts if part.table is not None]
    names = sorted({each for table in tables for each in table.names} - {METRIC_NAME, label})
    ids, _, _ = identify(np.concatenate([table.matrix(names) for table in tables]))
    rank = np.concatenate([np.full(len(part.values), ranks[part.name]) for part in parts])
    bounds = np.concatenate([_bounds(label, bounded, part) for part in parts])
    starts = [start for part in parts for start in part.starts]
    values = np.concatenate([part.values for part in parts])
    order = np.lexsort((bounds, rank, ids))
    ids, rank, bounds, values = ids[order], rank[order], bounds[order], values[order]
    if not (_is_histogram if kind == "histogram" else _is_summary)(ids, rank, bounds, values):
        return None
    times = np.concatenate([part.times for part in parts])
    return Part(
        name, None, [starts[row] for row in order.tolist()], values, times[order] if len(times) else times
    )


def _bounds(label: str, bounded: str, part: Part) -> Floats:
    """The bound of each line; NaN: not a number, or infinity in other words than +Inf."""
    if part.name != bounded or part.table is None:
        return np.zeros(len(part.values))
    codes = part.table.column(label)
    distinct, places = np.unique(codes, return_inverse=True)
    return np.array([_number(part.table.symbols.text(code)) for code in distinct.tolist()])[places.ravel()]


def _is_histogram(ids: Index, rank: NDArray[np.intp], bounds: Floats, values: Floats) -> bool:
    """Each series has buckets that do not fall, the last one +Inf and equal to its count, and a sum."""
    if np.isnan(bounds).any() or not _are_counts(values[rank < 2]) or not (values[rank == 2] >= 0).all():
        return False
    counts = np.flatnonzero(rank == 1)
    series = int(ids.max()) + 1
    if len(counts) != series or (rank == 2).sum() != series or (counts == 0).any():
        return False
    if not ((rank[counts - 1] == 0) & (ids[counts - 1] == ids[counts])).all():
        return False
    if not (np.isposinf(bounds[counts - 1]) & (values[counts - 1] == values[counts])).all():
        return False
    within = (ids[1:] == ids[:-1]) & (rank[1:] == 0) & (rank[:-1] == 0)
    rising = (values[1:] >= values[:-1]) & (bounds[1:] > bounds[:-1])
    return bool(rising[within].all())


def _is_summary(ids: Index, rank: NDArray[np.intp], bounds: Floats, values: Floats) -> bool:
    """Quantiles between 0 and 1, and at most one count and one sum for each series."""
    quantiles = bounds[rank == 0]
    if not ((quantiles >= 0) & (quantiles <= 1)).all() or (values[rank == 0] < 0).any():
        return False
    if not _are_counts(values[rank == 1]) or not (values[rank == 2] >= 0).all():
        return False
    twice = (ids[1:] == ids[:-1]) & (rank[1:] == rank[:-1]) & (bounds[1:] == bounds[:-1])
    return not twice.any()


def _are_counts(values: Floats) -> bool:
    return bool((np.isfinite(values) & (values >= 0) & (values == np.rint(values))).all())


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        return math.nan
    return number if math.isfinite(number) or text == "+Inf" else math.nan
