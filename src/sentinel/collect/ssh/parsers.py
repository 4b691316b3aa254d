"""The parsers that module files may name, and reading a section's text through its learned shape."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from sentinel.collect.ssh.linux import (
    clock,
    cpus,
    disks,
    filesystem,
    hardware,
    identity,
    interfaces,
    proc,
    storage,
    system,
    systemd,
    textfile,
)
from sentinel.collect.ssh.parser import Parser
from sentinel.collect.ssh.shape import Shape, Tokens, learn
from sentinel.collect.ssh.text import Text
from sentinel.model.batch import Floats

__all__ = ["Parser", "Part", "Shapes", "parsers"]


_SUBJECTS = (
    proc,
    interfaces,
    filesystem,
    clock,
    cpus,
    hardware,
    storage,
    textfile,
    disks,
    identity,
    system,
    systemd,
)


def parsers() -> dict[str, Parser]:
    """By name."""
    return {parser.name: parser for subject in _SUBJECTS for parser in subject.PARSERS}


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What one section gave: a shape and the values aligned with its series."""

    shape: Shape
    values: Floats


_SHORT = 1024
"""Bytes of a text that is remembered as a whole."""


class Shapes:
    """Learned shapes, shared by hosts whose texts have the same form. The least used go first."""

    def __init__(self, limit: int = 2000) -> None:
        self._limit = limit
        self._known: OrderedDict[tuple[str, bytes], list[Shape]] = OrderedDict()
        self._short: OrderedDict[tuple[str, bytes], Part] = OrderedDict()
        """What short texts said: many are empty, or the same each time."""

    def read(self, parser: Parser, data: bytes, last: Shape | None) -> Part:
        """The text through the section's last shape, through one another host taught, or parsed in full."""
        if len(data) > _SHORT:
            return self._read(parser, data, last)
        key = parser.name, data
        part = self._short.get(key)
        if part is None:
            part = self._short[key] = self._read(parser, data, last)
            if len(self._short) > self._limit:
                self._short.popitem(last=False)
        else:
            self._short.move_to_end(key)
        return part

    def _read(self, parser: Parser, data: bytes, last: Shape | None) -> Part:
        if parser.prepare is not None:
            data = parser.prepare(data)
        tokens = Tokens(data)
        folded = tokens.folded()
        candidates = self._known.get((parser.name, folded), [])
        for shape in ([last] if last is not None else []) + [each for each in candidates if each is not last]:
            values = shape.values(data, tokens, folded)
            if values is not None:
                return Part(shape, values)
        text = Text.of(data)
        shape = learn(data, tokens, folded, text, parser.parse(text))
        self._remember((parser.name, folded), shape)
        values = shape.values(data, tokens, folded)
        assert values is not None
        return Part(shape, values)

    def _remember(self, key: tuple[str, bytes], shape: Shape) -> None:
        alike = self._known.setdefault(key, [])
        alike.insert(0, shape)
        del alike[16:]
        self._known.move_to_end(key)
        while len(self._known) > self._limit:
            self._known.popitem(last=False)
