"""Label sets of a table as JSON, and their order: a text for each value rather than for each series."""

from __future__ import annotations

import json

import numpy as np
from numpy.typing import NDArray

from sentinel.model.labels import Labels
from sentinel.series.index.table import LabelTable

_LAST = 1 << 62


def json_of(labels: Labels) -> bytes:
    return b"{" + b",".join(_pair(name, value) for name, value in labels.pairs) + b"}"


def texts_of(table: LabelTable) -> list[bytes]:
    """Each row's labels as a JSON object, sorted by name."""
    columns: list[list[bytes]] = []
    for name in sorted(table.names):
        codes = table.column(name)
        distinct, inverse = np.unique(codes, return_inverse=True)
        texts = [_pair(name, table.symbols.text(code)) if code else b"" for code in distinct.tolist()]
        columns.append([texts[place] for place in inverse.tolist()])
    if not columns:
        return [b"{}"] * len(table)
    return [b"{" + b",".join(filter(None, row)) + b"}" for row in zip(*columns, strict=True)]


def sorted_rows(table: LabelTable) -> NDArray[np.intp]:
    """The rows in the order of their labels: by the first pair in which they differ, then the shorter one first."""
    keys: list[NDArray[np.int64]] = []
    ends = np.ones(len(table), np.bool_)
    for name in sorted(table.names, reverse=True):
        codes = table.column(name)
        distinct, inverse = np.unique(codes, return_inverse=True)
        texts = [table.symbols.text(code) for code in distinct.tolist()]
        rank = np.empty(len(texts), np.int64)
        rank[sorted(range(len(texts)), key=texts.__getitem__)] = np.arange(1, len(texts) + 1)
        is_absent = codes == 0
        # Without this label the next one decides, whose name is greater; without any further one, it is over.
        keys.append(np.where(is_absent, np.where(ends, 0, _LAST), rank[inverse]))
        ends &= is_absent
    return np.lexsort(keys) if keys else np.arange(len(table))


def _pair(name: str, value: str) -> bytes:
    return f"{_quoted(name)}:{_quoted(value)}".encode()


def _quoted(text: str) -> str:
    # Half a character, as devices cut their texts off, becomes a question mark.
    return json.dumps(text.encode("utf-8", "replace").decode(), ensure_ascii=False)
