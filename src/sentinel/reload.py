"""Build everything that can fail, then swap: a reload puts the whole configuration in force, or nothing of it."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sentinel.collect.modules import Modules, load_modules
from sentinel.config.document import Document
from sentinel.config.notify import routing_problems
from sentinel.config.settings import Settings, load_document
from sentinel.inventory.targets import build_targets, read_targets
from sentinel.model.problem import Problem, UnusableError
from sentinel.model.target import Target
from sentinel.rules.files import Expressions, RuleGroup, load_rules

_WILD = "*?["

_FIXED = (
    ("daemon", "data_dir"),
    ("daemon", "log_level"),
    ("daemon", "timezone"),
    ("daemon", "language"),
    ("daemon", "external_url"),
    ("web", "listen"),
    ("web", "allowed_hosts"),
    ("store", "url"),
    ("history", "memory"),
    ("collect", "concurrency"),
    ("collect", "ssh_connects"),
    ("care", "backup_at"),
)
"""Keys that a running daemon cannot take over."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """Everything that people wrote, read and checked."""

    path: Path
    document: Document
    settings: Settings
    modules: Modules
    targets: tuple[Target, ...]
    groups: tuple[RuleGroup, ...]

    @property
    def data_dir(self) -> Path:
        return self.path.parent / self.settings.daemon.data_dir


def build(path: Path, expressions: Expressions) -> Configuration:
    """The configuration file and all files it names.

    Raises:
        UnusableError: every problem of every file.
    """
    settings, document = load_document(path)
    base = path.parent
    problems = list(routing_problems(document, settings.route, settings.receiver))
    problems += _without_file(document, ("collect", "collectors"), settings.collect.collectors, base)
    problems += _without_file(document, ("rules", "files"), settings.rules.files, base)
    modules, targets = Modules(), ()
    groups: tuple[RuleGroup, ...] = ()
    try:
        modules = load_modules(expand(settings.collect.collectors, base))
    except UnusableError as error:
        problems += error.problems
    else:
        # Targets name modules: judging them without the modules would blame the wrong file.
        try:
            targets = _targets(settings, document, modules, base)
        except UnusableError as error:
            problems += error.problems
    try:
        rule_files = expand(settings.rules.files, base)
        groups = load_rules(rule_files, expressions, default_interval=settings.rules.interval)
    except UnusableError as error:
        problems += error.problems
    if problems:
        raise UnusableError(problems)
    return Configuration(path, document, settings, modules, targets, groups)


def unchangeable(running: Configuration, wanted: Configuration) -> Iterator[Problem]:
    """What differs and would need a restart."""
    for section, key in _FIXED:
        before = getattr(getattr(running.settings, section), key)
        after = getattr(getattr(wanted.settings, section), key)
        if before != after:
            text = f"{key}: changes only with a restart of the daemon"
            yield wanted.document.problem((section, key), text, value=True)


def expand(patterns: Iterable[str], base: Path) -> list[Path]:
    """Files that the patterns name, relative to `base`, each once, in order."""
    found: dict[Path, None] = {}
    for pattern in patterns:
        whole = str(base / pattern)
        paths = sorted(glob.glob(whole, recursive=True)) if _is_wild(pattern) else [whole]
        found.update(dict.fromkeys(Path(path) for path in paths))
    return list(found)


def _targets(settings: Settings, document: Document, modules: Modules, base: Path) -> tuple[Target, ...]:
    written = read_targets(settings.target, document, expand(settings.discovery.files, base))
    return build_targets(written, defaults=settings.collect, auths=settings.auth, kinds=modules.kinds)


def _without_file(
    document: Document, where: tuple[str, str], patterns: Sequence[str], base: Path
) -> Iterator[Problem]:
    """Patterns that name no file at all: a typing error rather than a wish."""
    for index, pattern in enumerate(patterns):
        if _is_wild(pattern) and not expand([pattern], base):
            yield document.problem((*where, index), f"no file matches '{pattern}'", value=True)


def _is_wild(pattern: str) -> bool:
    return any(char in pattern for char in _WILD)
