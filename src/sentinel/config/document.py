"""What a person wrote, as plain data with the place of every key and value.

TOML and YAML files become a `Document`; `validated` turns one into a pydantic model, or raises every problem
at once with its place. All formats that people write go through here, so all errors look alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from sentinel.model.problem import Problem, UnusableError, close_to, did_you_mean

Path = tuple[str | int, ...]
"""Where in the data: keys and list positions from the root."""

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Place:
    """A line and column, both from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Document:
    """Parsed data with the places of its parts."""

    file: str
    data: Any
    keys: Mapping[Path, Place] = field(default_factory=dict)
    """Place of the key that leads to each path (of the item itself in lists)."""
    values: Mapping[Path, Place] = field(default_factory=dict)
    """Place of the first character of each value's content, inside quotes and below a block's marker."""
    blocks: Mapping[Path, int] = field(default_factory=dict)
    """Of block scalars (| and >): the column their text starts at, on every line."""

    def place(self, path: Path, *, value: bool = False) -> Place:
        """The place of a path, or of the nearest thing above it that has one."""
        first, second = (self.values, self.keys) if value else (self.keys, self.values)
        for end in range(len(path), -1, -1):
            found = first.get(path[:end]) or second.get(path[:end])
            if found is not None:
                return found
        return Place(1, 1)

    def problem(self, path: Path, text: str, *, value: bool = False) -> Problem:
        place = self.place(path, value=value)
        return Problem(self.file, place.line, place.column, text)

    def problem_in(self, path: Path, content: str, offset: int, text: str) -> Problem:
        """A problem at a character of a text value, such as a place in an expression.

        Exact for plain, quoted (without escapes) and literal block text; folded text keeps the line.
        """
        start = self.place(path, value=True)
        before = content[:offset]
        line, newline, tail = before.count("\n"), before.rfind("\n"), offset
        if newline >= 0:
            tail = offset - newline - 1
        column = start.column + tail if not line else self.blocks.get(path, start.column) + tail
        return Problem(self.file, start.line + line, column, text)


class Written(BaseModel):
    """Base of everything that people write: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


def validated(model: type[M], document: Document, *, at: Path = (), context: Any = None) -> M:
    """The part of the document below `at` as `model`.

    Raises:
        UnusableError: every problem found, each at its place.
    """
    data = document.data
    for step in at:
        data = data[step]
    try:
        return model.model_validate(data, context=context)
    except ValidationError as error:
        details = _without_echoes(model, error.errors())
        raise UnusableError(_problem(model, document, at, detail) for detail in details) from None


def _without_echoes(model: type[BaseModel], details: list[ErrorDetails]) -> list[ErrorDetails]:
    """Leave out keys that are only missing because they stand there misspelt."""
    misspelt = {
        (*detail["loc"][:-1], meant[0])
        for detail in details
        if detail["type"] == "extra_forbidden"
        and (meant := close_to(str(detail["loc"][-1]), _known_keys(model, detail["loc"][:-1])))
    }
    return [detail for detail in details if detail["type"] != "missing" or detail["loc"] not in misspelt]


def _problem(model: type[BaseModel], document: Document, at: Path, detail: ErrorDetails) -> Problem:
    kind, where = detail["type"], at + _real_path(document, at, tuple(detail["loc"]))
    if kind in ("extra_forbidden", "missing"):
        where = at + _real_path(document, at, tuple(detail["loc"])[:-1]) + tuple(detail["loc"])[-1:]
    name = str(where[-1]) if where else ""
    if kind == "extra_forbidden":
        hint = did_you_mean(name, _known_keys(model, detail["loc"][:-1]))
        return document.problem(where, f"unknown key '{name}'{hint}")
    if kind == "missing":
        return document.problem(where, f"'{name}' is missing")
    if kind == "union_tag_not_found":
        return document.problem(where, "'kind' is missing")
    if kind == "union_tag_invalid":
        return _unknown_kind(document, where, detail["ctx"])
    text = detail["msg"].removeprefix("Value error, ")
    prefix = f"{name}: " if where and isinstance(where[-1], str) else ""
    return document.problem(where, prefix + text, value=True)


def _unknown_kind(document: Document, where: Path, context: Mapping[str, Any]) -> Problem:
    """The tag of a table is none of those that there are."""
    tag, known = str(context["tag"]), [one.strip(" '") for one in context["expected_tags"].split(",")]
    hint = did_you_mean(tag, known) or f" (known: {', '.join(sorted(known))})"
    return document.problem((*where, "kind"), f"unknown kind '{tag}'{hint}", value=True)


def _real_path(document: Document, at: Path, loc: Path) -> Path:
    """The error's location without the names that pydantic adds for union members."""
    data = document.data
    for step in at:
        data = data[step]
    path: list[str | int] = []
    for step in loc:
        is_key = isinstance(data, Mapping) and step in data
        is_item = isinstance(data, Sequence) and isinstance(step, int) and step < len(data)
        if is_key or is_item:
            data = data[step]
            path.append(step)
    return tuple(path)


def _known_keys(model: type[BaseModel], loc: Path) -> list[str]:
    """Keys allowed where the location points to: looked up through the model's fields."""
    current: type[BaseModel] = model
    candidates: list[type[BaseModel]] = []
    for step in loc:
        found = current.model_fields.get(str(step)) or next(
            (info for info in current.model_fields.values() if info.alias == step), None
        )
        if found:
            candidates = _models_in(found.annotation)
        else:
            # The tag of a union, such as the kind of an auth, says which of its members is meant.
            candidates = [one for one in candidates if _tag_of(one) == step] or candidates
        current = candidates[0] if candidates else current
    return [info.alias or name for name, info in current.model_fields.items()]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """The models inside an annotation such as list[Model] or Model | None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in getattr(annotation, "__args__", ()) for model in _models_in(argument)]


def _tag_of(model: type[BaseModel]) -> object:
    kind = model.model_fields.get("kind")
    return getattr(kind.annotation, "__args__", (None,))[0] if kind else None
