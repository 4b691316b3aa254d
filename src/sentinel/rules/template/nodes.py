"""The parts of a parsed template."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Constant:
    value: object


@dataclass(frozen=True, slots=True)
class Dot:
    fields: tuple[str, ...]
    """Of the dot: `.Labels.instance`; empty for the dot itself."""


@dataclass(frozen=True, slots=True)
class Variable:
    name: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Function:
    name: str
    offset: int


@dataclass(frozen=True, slots=True)
class Parenthesis:
    pipeline: Pipeline
    fields: tuple[str, ...]


Operand = Constant | Dot | Variable | Function | Parenthesis


@dataclass(frozen=True, slots=True)
class Command:
    first: Operand
    arguments: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Pipeline:
    commands: tuple[Command, ...]
    names: tuple[str, ...] = ()
    """Variables that take its value: one, or two in range."""
    declares: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class Action:
    pipeline: Pipeline


@dataclass(frozen=True, slots=True)
class Branch:
    """if, with or range."""

    word: str
    pipeline: Pipeline
    body: tuple[Node, ...]
    otherwise: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Jump:
    """break or continue."""

    word: str


Node = Text | Action | Branch | Jump
