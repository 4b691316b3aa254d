"""YAML with places. Scalars stay text: the model that reads them knows what they should be."""

from __future__ import annotations

from typing import Any

import yaml

from sentinel.config.document import Document, Path, Place
from sentinel.model.problem import Problem, UnusableError

MAX_DEPTH = 64
MAX_NODES = 1_000_000


def parse_yaml(text: str, file: str) -> Document:
    """One YAML document. Scalars come back as text, null ones are left out of mappings.

    Raises:
        UnusableError: not YAML, a key given twice, an alias (they allow texts that grow without bound),
            or nested too deep; each with line and column.
    """
    try:
        root = _Composer(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = error.problem or error.context or "cannot be read"
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise UnusableError([Problem(file, *place, f"not YAML: {what}")]) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise UnusableError([Problem(file, 1, 1, f"not YAML: {_first_line(error)}")]) from None
    reader = _Reader(file, text)
    data = reader.read(root, ()) if root is not None else {}
    if reader.problems:
        raise UnusableError(reader.problems)
    return Document(file, data, reader.keys, reader.values, reader.blocks)


class _Composer(yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader):  # type: ignore[misc]
    """Composes nodes with the C scanner where it is there."""


class _Reader:
    def __init__(self, file: str, text: str) -> None:
        self.keys: dict[Path, Place] = {}
        self.values: dict[Path, Place] = {}
        self.blocks: dict[Path, int] = {}
        self.problems: list[Problem] = []
        self._file = file
        self._lines = text.split("\n")
        self._count = 0
        self._seen: set[int] = set()

    def read(self, node: yaml.Node, path: Path) -> Any:
        self._count += 1
        if len(path) > MAX_DEPTH or self._count > MAX_NODES:
            self._problem(node, "nested too deep or too large")
            return None
        if id(node) in self._seen:
            self._problem(node, "aliases are not supported here: write the value out")
            return None
        self.values[path] = self._content_place(node, path)
        if isinstance(node, yaml.MappingNode):
            self._seen.add(id(node))
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            self._seen.add(id(node))
            items = []
            for index, item in enumerate(node.value):
                self.keys[(*path, index)] = _start(item)
                items.append(self.read(item, (*path, index)))
            return items
        return node.value

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._problem(key, "a key must be a plain word")
                continue
            if key.value in found:
                self._problem(key, f"key '{key.value}' is given twice")
                continue
            self.keys[(*path, key.value)] = _start(key)
            if value.tag == "tag:yaml.org,2002:null":
                continue
            found[key.value] = self.read(value, (*path, key.value))
        return found

    def _content_place(self, node: yaml.Node, path: Path) -> Place:
        start = _start(node)
        style = getattr(node, "style", None)
        if style in ("'", '"'):
            return Place(start.line, start.column + 1)
        if style in ("|", ">"):
            line = start.line  # the content's first line is the one below, from 1
            while line < len(self._lines) and not self._lines[line].strip():
                line += 1
            text = self._lines[line] if line < len(self._lines) else ""
            column = len(text) - len(text.lstrip(" ")) + 1
            self.blocks[path] = column
            return Place(start.line + 1, column)
        return start

    def _problem(self, node: yaml.Node, text: str) -> None:
        place = _start(node)
        self.problems.append(Problem(self._file, place.line, place.column, text))


def _start(node: yaml.Node) -> Place:
    return Place(node.start_mark.line + 1, node.start_mark.column + 1)


def _first_line(error: BaseException) -> str:
    return str(error).split("\n", 1)[0]
