"""What can be wrong with sweeps by the calendar, found when the configuration is read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePath

from sentinel.collect.discovery.sweep import LARGE, Network
from sentinel.config.document import Document
from sentinel.config.settings import Settings
from sentinel.config.sweeps import SweepSettings
from sentinel.model.problem import Problem, did_you_mean


def sweep_problems(settings: Settings, document: Document, base: Path) -> Iterator[Problem]:
    """Unknown auths, networks that are too large or asked twice, files that cannot be written or are never read.

    Args:
        base: folder that relative paths start from.
    """
    yield from _auth_problems(settings, document)
    yield from _network_problems(settings.discovery.sweeps, document)
    yield from _file_problems(settings, document, base)


def file_of(sweep: SweepSettings, base: Path) -> Path:
    return base / sweep.file


def _auth_problems(settings: Settings, document: Document) -> Iterator[Problem]:
    known = [name for name, auth in settings.auth.items() if auth.kind == "snmp"]
    for index, sweep in enumerate(settings.discovery.sweeps):
        where = ("discovery", "sweeps", index, "auth")
        for number, name in enumerate(sweep.auth):
            if name not in known:
                text = f"unknown SNMP auth '{name}'{did_you_mean(name, known)}"
                yield document.problem((*where, number), text, value=True)


def _network_problems(sweeps: Sequence[SweepSettings], document: Document) -> Iterator[Problem]:
    asked: list[tuple[Network, int, int]] = []
    for index, sweep in enumerate(sweeps):
        where = ("discovery", "sweeps", index, "networks")
        count = sum(network.num_addresses for network in sweep.networks)
        if count > LARGE:
            text = f"{count} addresses are too many for one sweep (at most {LARGE}): name the networks in use"
            yield document.problem(where, text, value=True)
        for number, network in enumerate(sweep.networks):
            for other, port, line in asked:
                if port == sweep.port and other.version == network.version and other.overlaps(network):
                    text = f"{network} overlaps {other} (line {line}): its addresses would be asked twice"
                    yield document.problem((*where, number), text, value=True)
            line = document.place((*where, number), value=True).line
            asked.append((network, sweep.port, line))


def _file_problems(settings: Settings, document: Document, base: Path) -> Iterator[Problem]:
    written: dict[Path, int] = {}
    for index, sweep in enumerate(settings.discovery.sweeps):
        where = ("discovery", "sweeps", index, "file")
        path = file_of(sweep, base)
        first = written.setdefault(path.resolve(), index)
        text = _cannot_take(path, Path(document.file))
        if first != index:
            line = document.place(("discovery", "sweeps", first, "file"), value=True).line
            text = f"the sweep in line {line} writes to this file: give each its own"
        elif not text and not any(is_named(str(base / one), path) for one in settings.discovery.files):
            text = f"[discovery] files does not name '{sweep.file}': what is found would never be polled"
        if text:
            yield document.problem(where, text, value=True)


def _cannot_take(path: Path, configuration: Path) -> str:
    """Why new targets cannot be written to a file; empty: they can."""
    if path.suffix != ".toml":
        return "a target file ends in .toml"
    if path.resolve() == configuration.resolve():
        return "this is the configuration itself: name a target file"
    if path.exists() and not path.is_file():
        return "this is no file"
    # It is replaced as a whole, so what counts is the folder.
    folder = path.resolve().parent
    if not folder.is_dir():
        return f"there is no folder {folder}"
    if not os.access(folder, os.W_OK | os.X_OK) or (path.exists() and not os.access(path, os.R_OK)):
        return f"the daemon may not write to {folder}"
    return ""


def is_named(pattern: str, path: Path) -> bool:
    """Whether a pattern as `glob` reads it names a path, also where nothing is there yet."""
    return _matches(PurePath(os.path.normpath(pattern)).parts, PurePath(os.path.normpath(path)).parts)


def _matches(patterns: Sequence[str], parts: Sequence[str]) -> bool:
    if not patterns:
        return not parts
    first, rest = patterns[0], patterns[1:]
    if first == "**":
        visible = bool(parts) and not parts[0].startswith(".")
        return _matches(rest, parts) or (visible and _matches(patterns, parts[1:]))
    if not parts or (parts[0].startswith(".") and not first.startswith(".")):
        return False
    return fnmatchcase(parts[0], first) and _matches(rest, parts[1:])
