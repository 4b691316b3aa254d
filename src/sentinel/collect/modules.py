"""Module files: which modules there are, and how each of them reads its targets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sentinel.collect.probes.modules import ProbeModule, is_probe_file
from sentinel.collect.probes.modules import parse_modules as parse_probes
from sentinel.collect.snmp.auths import parse_auths
from sentinel.collect.snmp.modules import SnmpModule, join_modules, module_paths
from sentinel.collect.ssh.modules import SshModule
from sentinel.collect.ssh.modules import join_modules as join_ssh
from sentinel.config.auth import SnmpAuth
from sentinel.config.document import Document
from sentinel.config.files import read_text
from sentinel.config.yaml import parse_yaml
from sentinel.inventory.targets import Kind
from sentinel.model.problem import Problem, UnusableError

BUILT_IN: Mapping[str, Kind] = {"local": "local"}
"""Modules that need no file: this machine."""


@dataclass(frozen=True, slots=True)
class FileAuth:
    """An auth that a module file brings along, and where it stands."""

    auth: SnmpAuth
    document: Document

    def problem(self, name: str, text: str) -> Problem:
        return self.document.problem(("auths", name), text)


@dataclass(frozen=True, slots=True)
class Modules:
    """Every module by name, grouped by how it reads."""

    snmp: Mapping[str, SnmpModule] = field(default_factory=dict)
    ssh: Mapping[str, SshModule] = field(default_factory=dict)
    probes: Mapping[str, ProbeModule] = field(default_factory=dict)
    auths: Mapping[str, FileAuth] = field(default_factory=dict)
    """Those under `auths:` of the files, by name."""

    @property
    def kinds(self) -> dict[str, Kind]:
        kinds: dict[str, Kind] = dict(BUILT_IN)
        kinds.update(dict.fromkeys(self.snmp, "snmp"))
        kinds.update(dict.fromkeys(self.ssh, "ssh"))
        kinds.update(dict.fromkeys(self.probes, "probe"))
        return kinds

    def identify(self, sys_object_id: str, sys_descr: str) -> tuple[str, ...]:
        """SNMP modules for a device that names itself so: those that fit most closely first.

        A module that another fitting one is made of (`extends`) is left out: its metrics come with that one.
        """
        fits = {
            name: fit
            for name, module in self.snmp.items()
            if module.identify is not None and (fit := module.identify.fit(sys_object_id, sys_descr))
        }
        inside = frozenset[str]().union(*(self.snmp[name].extends for name in fits))
        return tuple(sorted(fits.keys() - inside, key=lambda name: (-fits[name], name)))


def load_modules(files: Iterable[Path]) -> Modules:
    """
    Raises:
        UnusableError: problems of all files at once, a module or auth name declared twice among them.
    """
    ssh: dict[str, SshModule] = {}
    probes: dict[str, ProbeModule] = {}
    auths: dict[str, FileAuth] = {}
    documents: list[Document] = []
    sectioned: list[Document] = []
    declared: dict[str, Path] = {}
    problems: list[Problem] = []
    for file in files:
        try:
            document = parse_yaml(read_text(file), str(file))
            problems += _twice(document, declared, file)
            if is_probe_file(document):
                probes.update(parse_probes(document))
            else:
                (sectioned if _is_ssh(document) else documents).append(document)
        except UnusableError as error:
            problems += error.problems
    try:
        ssh = join_ssh(sectioned)
    except UnusableError as error:
        problems += error.problems
    try:
        snmp = join_modules(documents)
        for document in documents:
            problems += _adopt(auths, document)
    except UnusableError as error:
        problems += error.problems
    if problems:
        raise UnusableError(problems)
    return Modules(snmp, ssh, probes, auths)


def _adopt(auths: dict[str, FileAuth], document: Document) -> Iterator[Problem]:
    """Take a file's auths in; the same one may stand in several files."""
    for name, auth in parse_auths(document).items():
        known = auths.setdefault(name, FileAuth(auth, document))
        if known.auth != auth:
            text = f"auth '{name}' is declared differently in {known.document.file}"
            yield document.problem(("auths", name), text)


def _twice(document: Document, declared: dict[str, Path], file: Path) -> Iterable[Problem]:
    """Names that an earlier file, or Sentinel itself, has already given to a module."""
    for name, path in module_paths(document).items():
        if name in BUILT_IN:
            yield document.problem(path, f"module '{name}' is built in: choose another name")
        elif name in declared:
            yield document.problem(path, f"module '{name}' is already declared in {declared[name]}")
        declared.setdefault(name, file)


def _is_ssh(document: Document) -> bool:
    """SSH modules are made of sections or parameters; everything else is in snmp_exporter's format."""
    modules = document.data.get("modules") if isinstance(document.data, Mapping) else None
    entries = modules.values() if isinstance(modules, Mapping) else ()
    return any(isinstance(entry, Mapping) and ("sections" in entry or "params" in entry) for entry in entries)
