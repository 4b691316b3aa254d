"""Texts cut into records of named fields. Nothing raises: what cannot be read is left out."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import Any, Final

from sentinel.collect.ssh.extract.schema import WrittenRead
from sentinel.model.pattern import Pattern

Record = Mapping[str, str]
Cut = Callable[[str], Iterator[Record]]

MAX_RECORDS: Final = 10_000
MAX_FIELDS: Final = 2_000
"""Of one record, except that a key_value text is one record of up to MAX_RECORDS fields."""

MAX_DEPTH: Final = 16


def cut(read: WrittenRead) -> Cut:
    """From a text to at most MAX_RECORDS records."""
    match read.format:
        case "key_value":
            found: Cut = partial(_key_value, separator=read.separator or "=")
        case "columns":
            found = partial(_columns, separator=read.separator, fields=read.fields, skip=read.skip)
        case "regex":
            found = partial(_matches, pattern=Pattern.of(read.pattern or ""))
        case "json":
            found = partial(_items, path=[step for step in read.items.split(".") if step])
    return lambda text: islice(found(text), MAX_RECORDS)


def _key_value(text: str, separator: str) -> Iterator[Record]:
    record: dict[str, str] = {}
    for line in _lines(text):
        key, found, value = line.partition(separator)
        if found and key.strip() and len(record) < MAX_RECORDS:
            record.setdefault(key.strip(), value.strip())
    if record:
        yield record


def _columns(text: str, separator: str | None, fields: list[str] | None, skip: int) -> Iterator[Record]:
    rows = _rows(islice(_lines(text), skip, None), separator)
    if fields is None:
        fields = [name.strip() for name in next(rows, [])]
        if fields:
            fields[0] = fields[0].removeprefix("#").strip()
    for row in rows:
        if separator is None and len(row) > len(fields):
            # The last column takes the rest of the line, as in `ps` and `df`.
            row[len(fields) - 1 :] = [" ".join(row[len(fields) - 1 :])]
        yield {name: value.strip() for name, value in zip(fields, row, strict=False) if name}


def _rows(lines: Iterable[str], separator: str | None) -> Iterator[list[str]]:
    if separator is None:
        yield from (line.split() for line in lines if line.strip())
    elif len(separator) > 1:
        yield from (line.split(separator) for line in lines if line.strip())
    else:
        for line in lines:
            try:
                yield from csv.reader([line], delimiter=separator)
            except csv.Error:
                yield line.split(separator)


def _matches(text: str, pattern: Pattern) -> Iterator[Record]:
    for line in _lines(text):
        yield from pattern.groups_in(line)


def _items(text: str, path: list[str]) -> Iterator[Record]:
    for document in _documents(text):
        for item in _at(document, path):
            record: dict[str, str] = {}
            _flatten(item, "", record, MAX_DEPTH)
            yield record


def _documents(text: str) -> Iterator[Any]:
    """The text as one document or, as many tools print them, one in each line."""
    try:
        yield json.loads(text)
    except (ValueError, RecursionError):
        for line in _lines(text):
            try:
                yield json.loads(line)
            except (ValueError, RecursionError):
                continue


def _at(document: Any, path: list[str]) -> Iterator[Any]:
    for number, step in enumerate(path):
        if isinstance(document, list):
            for item in document:
                yield from _at(item, path[number:])
            return
        document = document.get(step) if isinstance(document, dict) else None
    yield from document if isinstance(document, list) else [document]


def _flatten(item: Any, prefix: str, record: dict[str, str], depth: int) -> None:
    """Fields of objects in objects are called outer.inner."""
    if isinstance(item, dict) and depth:
        for key, value in item.items():
            _flatten(value, f"{prefix}.{key}" if prefix else str(key), record, depth - 1)
    elif len(record) >= MAX_FIELDS or item is None or isinstance(item, list | dict):
        return
    elif isinstance(item, bool):
        record[prefix or "value"] = "true" if item else "false"
    else:
        record[prefix or "value"] = str(item)


def _lines(text: str) -> Iterator[str]:
    return (line.removesuffix("\r") for line in text.split("\n"))
