"""Prometheus' text format 0.0.4 of the newest sample of every live series.

Label bytes are rendered once for as long as the series of a metric stay the same; a scrape formats the numbers
and joins. Format: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import compress
from typing import Final

import numpy as np
import orjson

from sentinel.model.batch import Family, Floats
from sentinel.model.labels import METRIC_NAME
from sentinel.series.head import LOOKBACK, Head
from sentinel.series.matcher import Matcher, MatchOperator
from sentinel.series.selection import Selection
from sentinel.series.table import LabelTable

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
OWN_JOB: Final = "sentinel"
_PARTS: Final = {
    "_bucket": ("histogram",),
    "_sum": ("histogram", "summary"),
    "_count": ("histogram", "summary"),
}
_NOT_IN_NAMES: Final = re.compile(r"[^a-zA-Z0-9_:]")


def render(
    head: Head, at: float, matchers: Sequence[Sequence[Matcher]] | None = None, *, skip_own: bool = False
) -> bytes:
    """
    Args:
        at: Unix seconds; series without a sample in the last five minutes, and ended ones, are left out.
        matchers: series that satisfy all matchers of any of these sets, as in federation; None: all.
        skip_own: leave out series with job="sentinel", where the daemon's own registry is rendered beside.
    """
    own = (Matcher("job", MatchOperator.NOT_EQUAL, OWN_JOB),) if skip_own else ()
    wanted = [(*chosen, *own) for chosen in ([()] if matchers is None else matchers)]
    parts: list[bytes] = []
    families = head.families()
    last_family = ""
    for family, name in sorted((family_of(name, families), name) for name in head):
        lines = _lines(head, at, name, wanted)
        if lines:
            if family != last_family:
                parts.append(_heading(family, families.get(family)))
                last_family = family
            parts.append(lines)
    return b"".join(parts)


def family_of(name: str, families: Mapping[str, Family]) -> str:
    """The family that a metric belongs to: x for x_bucket where x is a histogram."""
    if name not in families:
        for suffix, types in _PARTS.items():
            base = name.removesuffix(suffix)
            if base != name and base in families and families[base].type in types:
                return base
    return name


def _heading(name: str, family: Family | None) -> bytes:
    if family is None:
        return b""
    safe = _safe(name)
    lines = []
    if family.help:
        text = family.help.replace("\\", "\\\\").replace("\n", "\\n")
        lines.append(f"# HELP {safe} {text}\n")
    lines.append(f"# TYPE {safe} {'untyped' if family.type == 'unknown' else family.type}\n")
    return "".join(lines).encode()


def _lines(head: Head, at: float, name: str, wanted: Sequence[tuple[Matcher, ...]]) -> bytes:
    exact = Matcher(METRIC_NAME, MatchOperator.EQUAL, name)
    chosen = [head.select((exact, *matchers)) for matchers in wanted]
    if len(chosen) == 1:
        return _joined(chosen[0], at)
    # Several sets of matchers may pick the same series: each goes out once.
    lines = dict.fromkeys(line for one in chosen for line in _joined(one, at).splitlines(keepends=True))
    return b"".join(lines)


def _joined(selection: Selection, at: float) -> bytes:
    if not len(selection):
        return b""
    values, present = selection.instant(at, LOOKBACK)
    starts: Iterable[bytes] = line_starts(selection.table)
    if not present.all():
        starts = compress(starts, present.tolist())
        values = values[present]
        if not len(values):
            return b""
    pieces = [b""] * (2 * len(values) + 1)
    pieces[0:-1:2] = list(starts)
    pieces[1::2] = format_numbers(values)
    # Each line start begins with the line feed that ends the line before it.
    return b"".join(pieces)[1:] + b"\n"


def format_numbers(values: Floats) -> list[bytes]:
    """Shortest texts that read back as the same numbers."""
    texts = orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].split(b",")
    # JSON has no words for these, orjson writes null.
    for row in np.flatnonzero(~np.isfinite(values)).tolist():
        value = values[row]
        texts[row] = b"NaN" if np.isnan(value) else b"+Inf" if value > 0 else b"-Inf"
    return texts


def line_starts(table: LabelTable) -> list[bytes]:
    """`\\nname{labels} ` for each row, kept with the table."""
    if table.rendered is None:
        table.rendered = _render_starts(table)
    return table.rendered


def _render_starts(table: LabelTable) -> list[bytes]:
    texts: dict[int, str] = {}
    columns = [(_safe(label, colon=False), table.codes[:, i]) for i, label in enumerate(table.names)]
    order = sorted(range(len(columns)), key=lambda i: table.names[i])
    parts: list[list[str]] = []
    for i in order:
        label, codes = columns[i]
        if table.names[i] == METRIC_NAME:
            continue
        column = codes.tolist()
        for code in set(column):
            texts[code] = f'{label}="{_escaped(table.symbols.text(code))}"' if code else ""
        parts.append([texts[code] for code in column])
    name_codes = table.column(METRIC_NAME).tolist()
    names = {code: _safe(table.symbols.text(code)) for code in set(name_codes)}
    labels = [",".join(filter(None, row)) for row in zip(*parts, strict=True)] if parts else [""] * len(table)
    return [
        f"\n{names[code]}{{{inner}}} ".encode() if inner else f"\n{names[code]} ".encode()
        for code, inner in zip(name_codes, labels, strict=True)
    ]


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _safe(name: str, *, colon: bool = True) -> str:
    """The name with underscores for what the format does not allow in names."""
    safe = _NOT_IN_NAMES.sub("_", name)
    if not colon:
        safe = safe.replace(":", "_")
    return f"_{safe}" if safe[:1].isdigit() else safe
