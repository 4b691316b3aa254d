"""SSH module files: which commands are run on a host, and which parser reads what they print.

    modules:
      linux:
        description: …
        sections:
          - name: uname
            parser: uname
            every: 10m
            command: cat /proc/sys/kernel/ostype …

A command is fixed text from the file; nothing that a host says ever becomes part of one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from sentinel.collect.ssh.parsers import Parser, parsers
from sentinel.config.document import Document, Written, validated
from sentinel.model.durations import parse_duration
from sentinel.model.problem import Problem, UnusableError, did_you_mean

SECTION_TIMEOUT = 5.0
"""Seconds that a section may take unless it says otherwise."""

_NAME = re.compile("[a-z][a-z0-9_]*")
_TOP = "modules"


@dataclass(frozen=True, slots=True)
class Section:
    """One command and what reads its output."""

    name: str
    command: str
    parser: Parser
    timeout: float
    """Seconds."""
    every: float
    """Seconds between runs; 0 means with every poll. In between, the last values are repeated."""


@dataclass(frozen=True, slots=True)
class SshModule:
    name: str
    description: str
    sections: tuple[Section, ...]


def _duration(written: object) -> float:
    return parse_duration(str(written))


def _known_parser(name: str) -> str:
    known = parsers()
    if name not in known:
        hint = did_you_mean(name, known) or f"; there are {', '.join(sorted(known))}"
        raise ValueError(f"unknown parser '{name}'{hint}")
    return name


def _command(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty")
    if "\0" in text or "\r" in text:
        raise ValueError("has a NUL or carriage return in it")
    return text.strip("\n")


def _section_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError("use small letters, digits and underscores, a letter first")
    return name


Seconds = Annotated[float, BeforeValidator(_duration), Field(ge=0)]


class _WrittenSection(Written):
    name: Annotated[str, AfterValidator(_section_name)]
    command: Annotated[str, AfterValidator(_command)]
    parser: Annotated[str, AfterValidator(_known_parser)]
    timeout: Annotated[float, BeforeValidator(_duration), Field(gt=0)] = SECTION_TIMEOUT
    every: Seconds = 0.0


class _WrittenModule(Written):
    description: str = ""
    sections: Annotated[list[_WrittenSection], Field(min_length=1)]


class _WrittenFile(Written):
    modules: dict[str, _WrittenModule]


def parse_modules(document: Document) -> dict[str, SshModule]:
    """The modules of one file.

    Raises:
        UnusableError: every problem with its place.
    """
    written = validated(_WrittenFile, document)
    problems = [
        problem for name, module in written.modules.items() for problem in _twice(document, name, module)
    ]
    if problems:
        raise UnusableError(problems)
    return {name: _module(name, module, parsers()) for name, module in written.modules.items()}


def _twice(document: Document, name: str, module: _WrittenModule) -> Iterator[Problem]:
    """Sections and parsers whose results would fall on one another."""
    sections: set[str] = set()
    taken: set[str] = set()
    for place, section in enumerate(module.sections):
        where = (_TOP, name, "sections", place)
        if section.name in sections:
            yield document.problem((*where, "name"), f"section '{section.name}' is given twice", value=True)
        if section.parser in taken:
            yield document.problem((*where, "parser"), f"parser '{section.parser}' is used twice", value=True)
        sections.add(section.name)
        taken.add(section.parser)


def _module(name: str, module: _WrittenModule, known: Mapping[str, Parser]) -> SshModule:
    sections = tuple(
        Section(each.name, each.command, known[each.parser], each.timeout, each.every)
        for each in module.sections
    )
    return SshModule(name, module.description, sections)
