"""The newest sample of every live series as text: Prometheus' format 0.0.4, or OpenMetrics 1.0.

Label bytes are rendered once for as long as the series of a metric stay the same; a scrape formats the numbers
and joins. Formats: https://prometheus.io/docs/instrumenting/exposition_formats/,
https://prometheus.io/docs/specs/om/open_metrics_spec/
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress, groupby
from typing import Final

import numpy as np
import orjson

from sentinel.model.batch import Family, Floats
from sentinel.model.labels import METRIC_NAME
from sentinel.series.head import LOOKBACK, Head
from sentinel.series.index.matcher import Matcher, MatchOperator
from sentinel.series.index.selection import Selection
from sentinel.series.index.table import LabelTable
from sentinel.series.text.openmetrics import Part, as_openmetrics

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS_TYPE: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"
OWN_JOB: Final = "sentinel"
SLICE: Final = 8192
"""Lines made at once."""
_PARTS: Final = {
    "_bucket": ("histogram",),
    "_sum": ("histogram", "summary"),
    "_count": ("histogram", "summary"),
}
_NOT_IN_NAMES: Final = re.compile(r"[^a-zA-Z0-9_:]")


@dataclass(frozen=True, slots=True)
class Style:
    """How samples are written."""

    is_openmetrics: bool = False
    has_timestamps: bool = False
    """With the instant of each sample's poll, so that whoever reads it later knows how old it is."""

    @property
    def content_type(self) -> str:
        return OPENMETRICS_TYPE if self.is_openmetrics else CONTENT_TYPE


PLAIN: Final = Style()


def render(
    head: Head, at: float, matchers: Sequence[Sequence[Matcher]] | None = None, *, skip_own: bool = False
) -> bytes:
    """Everything at once, as text; see `parts`."""
    return b"".join(parts(head, at, matchers, skip_own=skip_own))


def parts(
    head: Head,
    at: float,
    matchers: Sequence[Sequence[Matcher]] | None = None,
    *,
    skip_own: bool = False,
    style: Style = PLAIN,
) -> Iterator[bytes]:
    """The text in parts, each the work of some milliseconds; empty ones are only chances to do something else.

    OpenMetrics needs `openmetrics.END` behind everything.

    Args:
        at: Unix seconds; series without a sample in the last five minutes, and ended ones, are left out.
        matchers: series that satisfy all matchers of any of these sets, as in federation; None: all.
        skip_own: leave out series with job="sentinel", where the daemon's own registry is rendered beside.
    """
    own = (Matcher("job", MatchOperator.NOT_EQUAL, OWN_JOB),) if skip_own else ()
    wanted = [(*chosen, *own) for chosen in ([()] if matchers is None else matchers)]
    families = head.families()
    named = sorted((family_of(name, families), name) for name in head)
    others = {_safe(each) for pair in named for each in pair}
    for family, pairs in groupby(named, key=lambda pair: pair[0]):
        found: list[Part] = []
        for _, name in pairs:
            part = yield from _part(head, at, name, wanted, style)
            if len(part.values):
                found.append(part)
        if not found:
            continue
        if style.is_openmetrics:
            for heading, lines in as_openmetrics(_safe(family), families.get(family), found, others):
                yield heading
                yield from _lines(lines, style)
            continue
        yield _heading(family, families.get(family))
        for part in found:
            yield from _lines(part, style)


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


def _part(
    head: Head, at: float, name: str, wanted: Sequence[tuple[Matcher, ...]], style: Style
) -> Generator[bytes, None, Part]:
    """The live series of one metric."""
    exact = Matcher(METRIC_NAME, MatchOperator.EQUAL, name)
    chosen = [head.select((exact, *matchers)) for matchers in wanted]
    found: list[Part] = []
    for selection in chosen:
        if len(selection):
            part = yield from _live(_safe(name), selection, at, style)
            found.append(part)
    if len(found) == 1:
        return found[0]
    if not found:
        return Part(_safe(name), None, [], np.empty(0), np.empty(0))
    # Several sets of matchers may pick the same series: each goes out once.
    places: dict[bytes, int] = {}
    starts = [start for part in found for start in part.starts]
    for place, start in enumerate(starts):
        places.setdefault(start, place)
    kept = np.array(list(places.values()), np.intp)
    values, times = (np.concatenate([getattr(part, of) for part in found]) for of in ("values", "times"))
    table = found[0].table
    for part in found[1:]:
        table = table.followed_by(part.table) if table is not None and part.table is not None else None
    times = times[kept] if style.has_timestamps else times
    return Part(
        _safe(name), table.take(kept) if table is not None else None, list(places), values[kept], times
    )


def _live(name: str, selection: Selection, at: float, style: Style) -> Generator[bytes, None, Part]:
    values, present = selection.instant(at, LOOKBACK)
    times = selection.instants(at, LOOKBACK) if style.has_timestamps else np.empty(0)
    table = selection.table
    starts = table.rendered
    if starts is None:
        starts = []
        for some in _render_starts(table):
            starts += some
            yield b""
        table.rendered = starts
    if present.all():
        return Part(name, table, starts, values, times)
    times = times[present] if style.has_timestamps else times
    kept = list(compress(starts, present.tolist()))
    return Part(name, table.take(np.flatnonzero(present)), kept, values[present], times)


def _lines(part: Part, style: Style) -> Iterator[bytes]:
    for first in range(0, len(part.values), SLICE):
        last = first + SLICE
        starts, values = part.starts[first:last], part.values[first:last]
        width = 3 if style.has_timestamps else 2
        pieces = [b""] * (width * len(values) + 1)
        pieces[0:-1:width] = starts
        pieces[1::width] = format_numbers(values)
        if style.has_timestamps:
            pieces[2::width] = _format_times(part.times[first:last], style)
        pieces[-1] = b"\n"
        # Each line start begins with the line feed that ends the line before it.
        pieces[0] = pieces[0][1:]
        yield b"".join(pieces)


def format_numbers(values: Floats) -> list[bytes]:
    """Shortest texts that read back as the same numbers."""
    texts = orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].split(b",")
    # JSON has no words for these, orjson writes null.
    for row in np.flatnonzero(~np.isfinite(values)).tolist():
        value = values[row]
        texts[row] = b"NaN" if np.isnan(value) else b"+Inf" if value > 0 else b"-Inf"
    return texts


def _format_times(times: Floats, style: Style) -> list[bytes]:
    """Sources are few: each instant is written once."""
    distinct, places = np.unique(np.rint(times * 1000).astype(np.int64), return_inverse=True)
    if style.is_openmetrics:
        texts = [f" {at / 1000:.3f}".encode() for at in distinct.tolist()]
    else:
        texts = [f" {at}".encode() for at in distinct.tolist()]
    return [texts[place] for place in places.tolist()]


def _render_starts(table: LabelTable) -> Iterator[list[bytes]]:
    """`\\nname{labels} ` for each row."""
    texts: dict[int, str] = {}
    name_codes = table.column(METRIC_NAME)
    names = {code: _safe(table.symbols.text(code)) for code in np.unique(name_codes).tolist()}
    order = [
        i
        for i in sorted(range(len(table.names)), key=lambda i: table.names[i])
        if table.names[i] != METRIC_NAME
    ]
    labels = {i: _safe(table.names[i], colon=False) for i in order}
    for first in range(0, len(table), SLICE // 2):
        rows = slice(first, first + SLICE // 2)
        columns: list[list[str]] = []
        for i in order:
            column = table.codes[rows, i].tolist()
            texts.clear()
            for code in set(column):
                texts[code] = f'{labels[i]}="{_escaped(table.symbols.text(code))}"' if code else ""
            columns.append([texts[code] for code in column])
        own = name_codes[rows].tolist()
        inner = (
            [",".join(filter(None, row)) for row in zip(*columns, strict=True)]
            if columns
            else [""] * len(own)
        )
        yield [
            f"\n{names[code]}{{{labelled}}} ".encode() if labelled else f"\n{names[code]} ".encode()
            for code, labelled in zip(own, inner, strict=True)
        ]


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _safe(name: str, *, colon: bool = True) -> str:
    """The name with underscores for what the format does not allow in names."""
    safe = _NOT_IN_NAMES.sub("_", name)
    if not colon:
        safe = safe.replace(":", "_")
    return f"_{safe}" if safe[:1].isdigit() else safe
