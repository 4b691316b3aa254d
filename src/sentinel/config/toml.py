"""TOML with places: tomllib reads the values, tree-sitter finds where they stand."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import tree_sitter
import tree_sitter_toml

from sentinel.config.document import Document, Path, Place
from sentinel.model.problem import Problem, UnusableError

_KEYS = ("bare_key", "quoted_key", "dotted_key")
_AT = re.compile(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)$")


def parse_toml(text: str, file: str) -> Document:
    """
    Raises:
        UnusableError: the text is not TOML; with line and column.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UnusableError([_syntax_problem(str(error), text, file)]) from None
    places = _Places(text)
    return Document(file, data, places.keys, places.values)


def _syntax_problem(message: str, text: str, file: str) -> Problem:
    match = _AT.search(message)
    lines = text.split("\n")
    line, column = (int(match[1]), int(match[2])) if match and match[1] else (len(lines), len(lines[-1]) + 1)
    return Problem(file, line, column, f"not TOML: {_AT.sub('', message).lower()}")


class _Places:
    """Walks the syntax tree and notes where every path's key and value stand."""

    def __init__(self, text: str) -> None:
        self.keys: dict[Path, Place] = {}
        self.values: dict[Path, Place] = {}
        self._lines = text.encode().split(b"\n")
        self._counts: dict[Path, int] = {}
        parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_toml.language()))
        for node in parser.parse(text.encode()).root_node.named_children:
            if node.type == "pair":
                self._pair(node, ())
            elif node.type in ("table", "table_array_element"):
                self._table(node)

    def _place(self, node: Any, skip: int = 0) -> Place:
        row, byte = node.start_point
        column = len(self._lines[row][:byte].decode("utf-8", "replace"))
        return Place(row + 1, column + 1 + skip)

    def _table(self, node: Any) -> None:
        name = next(child for child in node.named_children if child.type in _KEYS)
        path = self._resolved(_key_parts(name), node.type == "table_array_element")
        self.keys[path] = self._place(name)
        for child in node.named_children:
            if child.type == "pair":
                self._pair(child, path)

    def _resolved(self, parts: list[str], is_element: bool) -> Path:
        """The path of a table header: names of arrays of tables lead to their newest element."""
        path: Path = ()
        for index, part in enumerate(parts):
            path = (*path, part)
            is_last = index == len(parts) - 1
            if is_last and is_element:
                self._counts[path] = self._counts.get(path, -1) + 1
            if path in self._counts:
                path = (*path, self._counts[path])
        return path

    def _pair(self, node: Any, prefix: Path) -> None:
        key, value = node.named_children[0], node.named_children[-1]
        path = (*prefix, *_key_parts(key))
        self.keys[path] = self._place(key)
        self._value(value, path)

    def _value(self, node: Any, path: Path) -> None:
        self.values[path] = self._place(node, skip=1 if node.type == "string" else 0)
        if node.type == "array":
            items = [child for child in node.named_children if child.type != "comment"]
            for index, item in enumerate(items):
                self._value(item, (*path, index))
        elif node.type == "inline_table":
            for child in node.named_children:
                if child.type == "pair":
                    self._pair(child, path)


def _key_parts(node: Any) -> list[str]:
    if node.type == "dotted_key":
        return [part for child in node.named_children for part in _key_parts(child)]
    text: str = node.text.decode()
    if node.type == "quoted_key":
        return [next(iter(tomllib.loads(f"{text} = 0")))]
    return [text]
