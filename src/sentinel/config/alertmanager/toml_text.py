"""TOML as people would write it: comments above what they are about."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(slots=True)
class Table:
    """A table to write: its comments, its keys, and the tables in it."""

    values: dict[str, Any] = field(default_factory=dict)
    comments: list[str] = field(default_factory=list)


def lines_of(header: str, table: Table) -> Iterable[str]:
    """The header, the comments and the keys of a table, and an empty line."""
    yield header
    yield from (f"# {plain(comment)}" for comment in table.comments)
    yield from (f"{key} = {value_text(value)}" for key, value in table.values.items())
    yield ""


def value_text(value: Any) -> str:
    """A value in TOML's notation: text, truth, number, list, or an inline table."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(key)} = {value_text(one)}" for key, one in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(value_text, value)) + "]"
    return _text(str(value))


def plain(text: str) -> str:
    """One line without control characters."""
    return "".join(char if char.isprintable() else " " for char in text)


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _text(name)


def _text(text: str) -> str:
    """A literal string where quotes are in it, else a basic one, whose escapes JSON's are a part of."""
    if ('"' in text or "\\" in text) and "'" not in text and text.isprintable():
        return f"'{text}'"
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
