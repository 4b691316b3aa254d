"""SSH module files: which commands are run on a host, and which parser reads what they print.

    modules:
      linux:
        description: …
        sections:
          - name: uname
            parser: uname
            every: 10m
            command: cat /proc/sys/kernel/ostype …
      backups:
        extends: backup_files
        params: {paths: [/srv/backup]}

A section's text is read by a parser that Sentinel has, or as its key `read` says. A command is fixed text from
the file. It may use the module's parameters, which are the operator's, as shell variables: $sentinel_paths.
Nothing that a host says ever becomes part of one. Network devices have a `dialect` instead of a shell; each line of
a command is typed at their prompt.

`input: {section: proc, file: /proc/self/mounts}` puts a file that an earlier section prints before the section's
own text, which saves a process on the host.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from sentinel.collect.ssh.extract.parser import parser_of
from sentinel.collect.ssh.extract.schema import WrittenRead
from sentinel.collect.ssh.parsers import Parser, parsers
from sentinel.collect.ssh.prompt.dialects import DIALECTS
from sentinel.config.document import Document, Written, validated
from sentinel.model.durations import parse_duration
from sentinel.model.problem import Problem, UnusableError, did_you_mean

SECTION_TIMEOUT = 5.0
"""Seconds that a section may take unless it says otherwise."""

_NAME = re.compile("[a-z][a-z0-9_]*")
_TOP = "modules"


@dataclass(frozen=True, slots=True)
class Loan:
    """A file that another section of the same poll prints for this one: each process that a poll starts on the host
    costs more than what it reads."""

    section: str
    file: str
    """It stands under `==> FILE <==`, as head(1) prints it, and is taken out of the other section's text."""


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
    loan: Loan | None = None


@dataclass(frozen=True, slots=True)
class SshModule:
    name: str
    description: str
    sections: tuple[Section, ...]
    dialect: str = ""
    """Of a device that is spoken to through its prompt; empty: the host has a shell."""


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


def _known_dialect(name: str) -> str:
    if name not in DIALECTS:
        hint = did_you_mean(name, DIALECTS) or f"; there are {', '.join(sorted(DIALECTS))}"
        raise ValueError(f"unknown dialect '{name}'{hint}")
    return name


def _section_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError("use small letters, digits and underscores, a letter first")
    return name


Seconds = Annotated[float, BeforeValidator(_duration), Field(ge=0)]


def _param_name(name: str) -> str:
    if name in ("key", "mark"):
        raise ValueError(f"$sentinel_{name} is Sentinel's own: choose another name")
    return _section_name(name)


def _texts(written: object) -> object:
    """A parameter may be one text or several."""
    return written if isinstance(written, list | tuple) else [written]


def _param(text: str) -> str:
    if "\0" in text or "\n" in text or "\r" in text:
        raise ValueError("a parameter is one line")
    return text


class _WrittenInput(Written):
    section: str
    file: str


class _WrittenSection(Written):
    name: Annotated[str, AfterValidator(_section_name)]
    command: Annotated[str, AfterValidator(_command)]
    parser: Annotated[str, AfterValidator(_known_parser)] | None = None
    read: WrittenRead | None = None
    timeout: Annotated[float, BeforeValidator(_duration), Field(gt=0)] = SECTION_TIMEOUT
    every: Seconds = 0.0
    input: _WrittenInput | None = None

    @model_validator(mode="after")
    def _is_read_somehow(self) -> Self:
        if (self.parser is None) == (self.read is None):
            raise ValueError("needs 'parser' or 'read', one of them")
        return self


Param = Annotated[list[Annotated[str, AfterValidator(_param)]], BeforeValidator(_texts)]


class _WrittenModule(Written):
    description: str = ""
    extends: str = ""
    dialect: Annotated[str, AfterValidator(_known_dialect)] | None = None
    params: dict[Annotated[str, AfterValidator(_param_name)], Param] = Field(default_factory=dict)
    sections: list[_WrittenSection] = Field(default_factory=list)

    @model_validator(mode="after")
    def _has_something_to_do(self) -> Self:
        if not self.sections and not self.extends:
            raise ValueError("needs 'sections', or 'extends' with the name of a module that has them")
        if self.dialect and self.params:
            raise ValueError("params: are shell variables, and a device with a dialect has no shell")
        return self


class _WrittenFile(Written):
    modules: dict[str, _WrittenModule]


@dataclass(frozen=True, slots=True)
class _Found:
    """A module as its file has it."""

    document: Document
    written: _WrittenModule


def parse_modules(document: Document) -> dict[str, SshModule]:
    """The modules of one file that stands alone.

    Raises:
        UnusableError: every problem with its place.
    """
    return join_modules([document])


def join_modules(documents: Iterable[Document]) -> dict[str, SshModule]:
    """The modules of all files, each with what it extends.

    Raises:
        UnusableError: every problem of all files, with its place.
    """
    found: dict[str, _Found] = {}
    problems: list[Problem] = []
    for document in documents:
        try:
            written = validated(_WrittenFile, document)
        except UnusableError as error:
            problems += error.problems
            continue
        for name, module in written.modules.items():
            problems += _twice(document, name, module)
            found[name] = _Found(document, module)
    for name, one in found.items():
        problems += _family_problems(name, one, found)
    if problems:
        raise UnusableError(problems)
    return {name: _module(name, found) for name in found}


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
        if section.input is not None and section.input.section not in sections:
            hint = did_you_mean(section.input.section, sections)
            text = f"there is no section '{section.input.section}' above this one{hint}"
            yield document.problem((*where, "input", "section"), text, value=True)
        sections.add(section.name)
        taken |= {section.parser} if section.parser else set()


def _family_problems(name: str, one: _Found, found: Mapping[str, _Found]) -> Iterator[Problem]:
    """What is wrong with what the module extends, and with its parameters."""
    where, parent = (_TOP, name, "extends"), one.written.extends
    if not parent:
        return
    if parent not in found:
        yield one.document.problem(
            where, f"unknown module '{parent}'{did_you_mean(parent, found)}", value=True
        )
        return
    line = [name]
    while parent and parent in found:
        if parent in line:
            yield one.document.problem(where, f"goes in a circle: {' → '.join([*line, parent])}", value=True)
            return
        line.append(parent)
        parent = found[parent].written.extends
    known = _params(one.written.extends, found)
    sections = {section.name for each in line[1:] for section in found[each].written.sections}
    for place, section in enumerate(one.written.sections):
        if section.name in sections:
            at = (_TOP, name, "sections", place, "name")
            yield one.document.problem(
                at, f"section '{section.name}' is there already, from what it extends", value=True
            )
    for param in one.written.params:
        if param not in known:
            hint = did_you_mean(param, known) or f"; it has {', '.join(sorted(known)) or 'none'}"
            text = f"unknown parameter '{param}' of module '{one.written.extends}'{hint}"
            yield one.document.problem((_TOP, name, "params", param), text)


def _params(name: str, found: Mapping[str, _Found]) -> dict[str, list[str]]:
    """A module's parameters, its own on top of those that it extends."""
    written = found[name].written
    return (_params(written.extends, found) if written.extends else {}) | written.params


def _module(name: str, found: Mapping[str, _Found]) -> SshModule:
    line = [name]
    while parent := found[line[-1]].written.extends:
        line.append(parent)
    prelude, known = _prelude(_params(name, found)), parsers()
    sections = tuple(
        Section(
            each.name,
            prelude + each.command,
            parser_of(f"{name}.{each.name}", each.read) if each.read else known[each.parser or ""],
            each.timeout,
            each.every,
            Loan(each.input.section, each.input.file) if each.input else None,
        )
        for part in reversed(line)
        for each in found[part].written.sections
    )
    description = next((text for part in line if (text := found[part].written.description)), "")
    dialects = [found[part].written.dialect or "" for part in line]
    return SshModule(name, description, sections, next(filter(None, dialects), ""))


def _prelude(params: Mapping[str, list[str]]) -> str:
    """Shell variables: several values stand in lines of their own.

    $sentinel_key is different for different parameters: commands that keep something in variables from poll to poll
    make these variables' names of it, since modules of a host share its shell.
    """
    lines = [
        f"sentinel_{name}={shlex.quote(chr(10).join(texts))}\n" for name, texts in sorted(params.items())
    ]
    key = hashlib.blake2b("".join(lines).encode(), digest_size=6).hexdigest()
    return "".join([*lines, f"sentinel_key={key}\n"]) if lines else ""
