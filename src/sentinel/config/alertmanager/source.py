"""Reading an Alertmanager's configuration: values with defaults, and what is told about them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path as FilePath
from typing import Any

from sentinel.config.document import Document, Path
from sentinel.model.problem import Problem

_TRUE = ("true", "yes", "on", "y")


class Source:
    """The document and the findings about it so far. Secrets are kept as references where they are some."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.findings: list[Problem] = []

    def at(self, path: Path) -> Any:
        """What stands at a path; None if nothing does."""
        data = self.document.data
        for step in path:
            is_there = (isinstance(data, Mapping) and step in data) or (
                isinstance(data, list) and isinstance(step, int) and step < len(data)
            )
            if not is_there:
                return None
            data = data[step]
        return data

    def text(self, *paths: Path) -> str:
        """The first of the paths that holds a text."""
        return next((found for path in paths if isinstance(found := self.at(path), str)), "")

    def truth(self, path: Path, default: bool) -> bool:
        found = self.at(path)
        return default if not isinstance(found, str) else found.lower() in _TRUE

    def items(self, path: Path) -> list[Path]:
        """The paths of a list's items."""
        found = self.at(path)
        return [(*path, index) for index in range(len(found))] if isinstance(found, list) else []

    def keys(self, path: Path) -> list[str]:
        """The keys of a mapping, those without a value included."""
        depth = len(path)
        return [str(key[-1]) for key in self.document.keys if len(key) == depth + 1 and key[:depth] == path]

    def note(self, path: Path, text: str) -> str:
        """Tell something about a place; returns it as a comment, without the column."""
        problem = self.document.problem(path, text)
        self.findings.append(problem)
        return f"{FilePath(problem.file).name}:{problem.line}: {text}"

    def file(self, written: str) -> str:
        """A file that the configuration names: relative to it there, whole here."""
        return str((FilePath(self.document.file).parent / written).absolute())

    def secret(self, comments: list[str], *paths: Path) -> Any:
        """The first secret that is given, at a path or, with _file, as a reference; None: there is none.

        One that stands in the file itself is taken over and pointed out.
        """
        for path in paths:
            key = str(path[-1])
            if reference := self.text((*path[:-1], f"{key}_file")):
                return {"file": self.file(reference)}
            if found := self.text(path):
                if found == "<secret>":
                    comments.append(self.note(path, f"{key} is masked in this file: write the secret itself"))
                else:
                    text = f'{key} is a secret in plain text: better {{file = "…"}} or {{env = "…"}}'
                    comments.append(self.note(path, text))
                return found
        return None

    def unsupported(self, comments: list[str], path: Path, keys: Mapping[str, str] | Iterable[str]) -> None:
        """A comment for each of the keys that stands below a path, with its reason."""
        reasons = keys if isinstance(keys, Mapping) else dict.fromkeys(keys, "has no counterpart")
        found = [key for key in self.keys(path) if key in reasons]
        comments += [self.note((*path, key), f"{key}: {reasons[key]}") for key in found]
