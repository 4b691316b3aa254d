"""Module files: which modules there are, and how each of them reads its targets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sentinel.collect.snmp.modules import SnmpModule
from sentinel.collect.snmp.modules import parse_modules as parse_snmp
from sentinel.collect.ssh.modules import SshModule
from sentinel.collect.ssh.modules import parse_modules as parse_ssh
from sentinel.config.document import Document
from sentinel.config.files import read_text
from sentinel.config.yaml import parse_yaml
from sentinel.inventory.targets import Kind
from sentinel.model.problem import Problem, UnusableError

BUILT_IN: Mapping[str, Kind] = {"local": "local"}
"""Modules that need no file: this machine."""


@dataclass(frozen=True, slots=True)
class Modules:
    """Every module by name, grouped by how it reads."""

    snmp: Mapping[str, SnmpModule] = field(default_factory=dict)
    ssh: Mapping[str, SshModule] = field(default_factory=dict)

    @property
    def kinds(self) -> dict[str, Kind]:
        kinds: dict[str, Kind] = dict(BUILT_IN)
        kinds.update(dict.fromkeys(self.snmp, "snmp"))
        kinds.update(dict.fromkeys(self.ssh, "ssh"))
        return kinds


def load_modules(files: Iterable[Path]) -> Modules:
    """
    Raises:
        UnusableError: problems of all files at once, a module name declared twice among them.
    """
    snmp: dict[str, SnmpModule] = {}
    ssh: dict[str, SshModule] = {}
    declared: dict[str, Path] = {}
    problems: list[Problem] = []
    for file in files:
        try:
            document = parse_yaml(read_text(file), str(file))
            problems += _twice(document, declared, file)
            if _is_ssh(document):
                ssh.update(parse_ssh(document))
            else:
                snmp.update(parse_snmp(document))
        except UnusableError as error:
            problems += error.problems
    if problems:
        raise UnusableError(problems)
    return Modules(snmp, ssh)


def _twice(document: Document, declared: dict[str, Path], file: Path) -> Iterable[Problem]:
    """Names that an earlier file, or Sentinel itself, has already given to a module."""
    for name in _entries(document):
        if name in BUILT_IN:
            yield document.problem(("modules", name), f"module '{name}' is built in: choose another name")
        elif name in declared:
            text = f"module '{name}' is already declared in {declared[name]}"
            yield document.problem(("modules", name), text)
        declared.setdefault(name, file)


def _is_ssh(document: Document) -> bool:
    """SSH modules are made of sections; everything else is in snmp_exporter's format."""
    return any(isinstance(entry, Mapping) and "sections" in entry for entry in _entries(document).values())


def _entries(document: Document) -> Mapping[str, object]:
    modules = document.data.get("modules") if isinstance(document.data, Mapping) else None
    return modules if isinstance(modules, Mapping) else {}
