"""The whole of an Alertmanager's configuration as Sentinel's tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath

from pydantic import TypeAdapter, ValidationError

from sentinel.config.alertmanager.channels import KINDS, REASONS, fill
from sentinel.config.alertmanager.muting import InhibitRules, TimeIntervals
from sentinel.config.alertmanager.routes import MAX_ROUTES, Routes, size
from sentinel.config.alertmanager.source import Source
from sentinel.config.alertmanager.toml_text import Table, lines_of, plain
from sentinel.config.document import Path
from sentinel.config.notify import NOBODY, AnyReceiver, ReceiverSettings
from sentinel.config.yaml import parse_yaml
from sentinel.model.problem import Problem, UnusableError

_MODEL: TypeAdapter[AnyReceiver] = TypeAdapter(ReceiverSettings)
_STAND_IN = {"url": "https://secret.invalid/", "proxy": "http://secret.invalid/"}
"""For secrets in files, which may not be readable here."""

_APART = {"templates": "texts of your own go into a receiver's templates"}


@dataclass(frozen=True, slots=True)
class Converted:
    text: str
    """TOML to be put into a configuration."""
    channels: Mapping[str, tuple[str, ...]]
    """Sentinel's receivers by the name of the Alertmanager's; none where nobody can be told."""
    findings: tuple[Problem, ...]
    """What has no counterpart, and secrets that stand in the file, each with its place."""


def convert(text: str, file: str) -> Converted:
    """
    Raises:
        UnusableError: not YAML, no routes, a matcher or receiver that an Alertmanager would refuse too.
    """
    source = Source(parse_yaml(text, file))
    if not isinstance(source.at(("route",)), dict):
        raise UnusableError(
            [Problem(file, 1, 1, "there is no route: this is no Alertmanager's configuration")]
        )
    receivers = _Receivers(source)
    receivers.read()
    intervals = TimeIntervals(source)
    intervals.read()
    inhibitions = InhibitRules(source)
    inhibitions.read()
    routes = Routes(source, receivers.channels, intervals.names)
    top = routes.node(("route",))
    routes.time(("global", "resolve_timeout"))
    problems = receivers.problems + intervals.problems + inhibitions.problems + routes.problems
    for matcher in top.matchers[:1]:
        problems.append(
            source.document.problem(("route",), f"the top route may not have matchers: {matcher}")
        )
    if size(top) > MAX_ROUTES:
        problems.append(source.document.problem(("route",), f"more than {MAX_ROUTES} routes"))
    if problems:
        raise UnusableError(problems)
    top.continues = False
    lines = [f"# From {plain(FilePath(file).name)}, an Alertmanager's configuration."]
    remarks: list[str] = []
    source.unsupported(remarks, (), _APART)
    if timeout := source.text(("global", "resolve_timeout")):
        top.groups = {"resolve_timeout": timeout} | top.groups
    lines += [f"# {plain(remark)}" for remark in remarks]
    lines += ["", *top.lines(), *intervals.lines, *inhibitions.lines, *receivers.lines]
    findings = tuple(sorted(set(source.findings)))
    return Converted("\n".join(lines).rstrip("\n") + "\n", receivers.channels, findings)


class _Receivers:
    def __init__(self, source: Source) -> None:
        self._source = source
        self._names: set[str] = set()
        self.channels: dict[str, tuple[str, ...]] = {}
        self.lines: list[str] = []
        self.problems: list[Problem] = []

    def read(self) -> None:
        paths = self._source.items(("receivers",))
        self._names = {self._source.text((*path, "name")) for path in paths} | {NOBODY}
        for path in paths:
            name = self._source.text((*path, "name"))
            if not name or name in self.channels:
                text = f"receiver '{name}' is defined twice" if name else "a receiver needs a name"
                self.problems.append(self._source.document.problem((*path, "name"), text))
                continue
            self.channels[name] = self._channels(path, name)

    def _channels(self, path: Path, name: str) -> tuple[str, ...]:
        keys = [key for key in self._source.keys(path) if key != "name"]
        wanted = [(key, one) for key in keys if key in KINDS for one in self._source.items((*path, key))]
        for key in keys:
            if key not in KINDS:
                reason = REASONS.get(key, "this kind has no counterpart")
                self._aside(self._source.note((*path, key), f"receiver '{name}': {key}: {reason}"))
        found = []
        for key, one in wanted:
            own = name if len(wanted) == 1 and name != NOBODY else self._free(f"{name} {KINDS[key][0]}")
            if self._write(key, one, own):
                found.append(own)
        return tuple(found)

    def _write(self, key: str, path: Path, name: str) -> bool:
        table, why = fill(self._source, key, path, name)
        why = why or _refusal(table)
        if why is None:
            self.lines += lines_of("[[receiver]]", table)
        else:
            self._aside(self._source.note(path, f"receiver '{name}' cannot be taken over: {why}"))
        return why is None

    def _aside(self, comment: str) -> None:
        self.lines += [f"# {plain(comment)}", ""]

    def _free(self, name: str) -> str:
        """The name, with a number behind it if it is taken."""
        number, free = 1, name
        while free in self._names:
            number += 1
            free = f"{name} {number}"
        self._names.add(free)
        return free


def _refusal(table: Table) -> str | None:
    """What Sentinel has against a receiver; secrets in files are taken as they should be."""
    written = {key: _stand_in(key, value) for key, value in table.values.items()}
    try:
        _MODEL.validate_python(written)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"][1:])
        return f"{where}: {first['msg'].removeprefix('Value error, ')}".removeprefix(": ")
    return None


def _stand_in(key: str, value: object) -> object:
    if isinstance(value, Mapping) and value.keys() == {"file"}:
        return _STAND_IN.get(key, "a-secret-in-a-file")
    return value
