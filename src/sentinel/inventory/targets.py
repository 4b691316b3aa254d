"""Targets from the configuration and its target files, checked against what they refer to."""

from __future__ import annotations

import graphlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sentinel.config.address import is_url, split_place
from sentinel.config.auth import Auth
from sentinel.config.document import Document, Written, validated
from sentinel.config.document import Path as Where
from sentinel.config.files import read_text
from sentinel.config.jump import JumpSettings
from sentinel.config.settings import CollectSettings, TargetSettings
from sentinel.config.toml import parse_toml
from sentinel.model.labels import Labels
from sentinel.model.problem import Problem, UnusableError, did_you_mean
from sentinel.model.target import Target

Kind = Literal["snmp", "ssh", "local", "probe"]
"""How a module reads its targets."""


class TargetFile(Written):
    """A file of [[target]] tables."""

    target: tuple[TargetSettings, ...] = ()


@dataclass(frozen=True, slots=True)
class Declaration:
    """A target as written, and where."""

    settings: TargetSettings
    document: Document
    path: Where


def read_targets(
    targets: Sequence[TargetSettings], document: Document, files: Iterable[Path]
) -> Iterator[Declaration]:
    """Targets of the configuration itself, then those of the target files.

    Raises:
        UnusableError: problems of all files at once.
    """
    problems: list[Problem] = []
    found = [Declaration(one, document, ("target", index)) for index, one in enumerate(targets)]
    for file in files:
        try:
            part = parse_toml(read_text(file), str(file))
            content = validated(TargetFile, part)
        except UnusableError as error:
            problems += error.problems
            continue
        found += [Declaration(one, part, ("target", index)) for index, one in enumerate(content.target)]
    if problems:
        raise UnusableError(problems)
    yield from found


def build_targets(
    written: Iterable[Declaration],
    *,
    defaults: CollectSettings,
    auths: Mapping[str, Auth],
    kinds: Mapping[str, Kind],
) -> tuple[Target, ...]:
    """Targets with their defaults filled in.

    Args:
        kinds: every known module and how it reads.
    Raises:
        UnusableError: duplicate names, unknown modules, auths or parents, circles, times that do not fit.
    """
    everything = list(written)
    problems: list[Problem] = []
    first: dict[str, Declaration] = {}
    for one in everything:
        before = first.setdefault(one.settings.name, one)
        if before is not one:
            place = before.document.place((*before.path, "name"), value=True)
            where = f"{before.document.file}:{place.line}"
            text = f"target '{one.settings.name}' is already declared at {where}"
            problems.append(one.document.problem((*one.path, "name"), text, value=True))
    for one in everything:
        problems += _references(one, auths=auths, kinds=kinds, names=first)
        problems += _url(one, kinds)
        problems += _times(one, defaults)
    targets = tuple(_target(one, defaults) for one in everything)
    problems += _circles(first, {target.name: target for target in targets})
    if problems:
        raise UnusableError(problems)
    return targets


def _target(one: Declaration, defaults: CollectSettings) -> Target:
    settings = one.settings
    host, port = split_place(settings.address)
    interval = settings.interval or defaults.interval
    place = one.document.place(one.path)
    return Target(
        name=settings.name,
        host=host,
        port=port,
        url=settings.address if is_url(settings.address) else "",
        modules=tuple(dict.fromkeys(settings.modules)),
        auths=_several(settings.auth),
        host_key=settings.host_key,
        jump=None if settings.jump is None else tuple(one.hop for one in settings.jump),
        labels=Labels(settings.labels),
        interval=interval,
        timeout=settings.timeout or min(defaults.timeout, interval),
        criticality=settings.criticality,
        owner=settings.owner,
        team=settings.team,
        parents=_several(settings.parent),
        origin=f"{one.document.file}:{place.line}",
    )


def _references(
    one: Declaration,
    *,
    auths: Mapping[str, Auth],
    kinds: Mapping[str, Kind],
    names: Mapping[str, Declaration],
) -> Iterator[Problem]:
    settings, document, path = one.settings, one.document, one.path
    for index, module in enumerate(settings.modules):
        if module not in kinds:
            text = f"unknown module '{module}'{did_you_mean(module, kinds)}"
            yield document.problem((*path, "modules", index), text, value=True)
    for index, auth in enumerate(_several(settings.auth)):
        if auth not in auths:
            where = (*path, "auth") if isinstance(settings.auth, str) else (*path, "auth", index)
            yield document.problem(where, f"unknown auth '{auth}'{did_you_mean(auth, auths)}", value=True)
    for index, jump in enumerate(settings.jump or ()):
        text = jump_problem(jump, auths)
        if text:
            yield document.problem((*path, "jump", index), text, value=True)
    for index, parent in enumerate(_several(settings.parent)):
        if parent not in names:
            where = (*path, "parent") if isinstance(settings.parent, str) else (*path, "parent", index)
            yield document.problem(
                where, f"unknown target '{parent}'{did_you_mean(parent, names)}", value=True
            )
    offered = {auths[auth].kind for auth in _several(settings.auth) if auth in auths}
    for index, module in enumerate(settings.modules):
        if kinds.get(module) == "ssh" and "ssh" not in offered:
            text = f"module '{module}' reads over SSH: name an [auth.NAME] with kind = \"ssh\""
            yield document.problem((*path, "modules", index), text, value=True)


def _url(one: Declaration, kinds: Mapping[str, Kind]) -> Iterator[Problem]:
    """A URL where other modules than probes are to be read."""
    settings = one.settings
    others = [module for module in settings.modules if kinds.get(module, "probe") != "probe"]
    if others and is_url(settings.address):
        text = f"address: a URL is for probe modules, and '{others[0]}' is none: write HOST or HOST:PORT"
        yield one.document.problem((*one.path, "address"), text, value=True)


def jump_problem(jump: JumpSettings, auths: Mapping[str, Auth]) -> str:
    """What is wrong with the auth that an entry of `jump` names, or an empty string."""
    if not jump.auth:
        return ""
    offered = [name for name, auth in auths.items() if auth.kind == "ssh"]
    return "" if jump.auth in offered else f"unknown SSH auth '{jump.auth}'{did_you_mean(jump.auth, offered)}"


def _times(one: Declaration, defaults: CollectSettings) -> Iterator[Problem]:
    interval = one.settings.interval or defaults.interval
    if one.settings.timeout is not None and one.settings.timeout > interval:
        text = f"timeout: longer than the interval ({interval:g} s), so polls would run into each other"
        yield one.document.problem((*one.path, "timeout"), text, value=True)


def _circles(written: Mapping[str, Declaration], targets: Mapping[str, Target]) -> Iterator[Problem]:
    """Targets that are, over their parents, their own ancestor."""
    graph = {name: target.parents for name, target in targets.items()}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        circle: list[str] = error.args[1]
        one = written[next(name for name in circle if name in written)]
        text = f"parent: goes round in a circle ({' → '.join(circle)})"
        yield one.document.problem((*one.path, "parent"), text, value=True)


def _several(written: tuple[str, ...] | str) -> tuple[str, ...]:
    return (written,) if isinstance(written, str) else written
