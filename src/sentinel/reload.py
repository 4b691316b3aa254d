"""Build everything that can fail, then swap: a reload puts the whole configuration in force, or nothing of it."""

from __future__ import annotations

import asyncio
import glob
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge

from sentinel.collect.discovery.calendar import file_of, sweep_problems
from sentinel.collect.modules import Modules, load_modules
from sentinel.collect.ssh.credentials import auth_problem
from sentinel.collect.ssh.hostkeys import read_host_key
from sentinel.config.auth import SshAuth
from sentinel.config.document import Document
from sentinel.config.notify import routing_problems
from sentinel.config.settings import HistorySettings, Settings, load_document
from sentinel.inventory.targets import Declaration, build_targets, jump_problem, read_targets
from sentinel.model.problem import Problem, UnusableError, did_you_mean
from sentinel.model.target import Target
from sentinel.notify.checking import receiver_problems
from sentinel.notify.heartbeat.heart import heartbeat_problems
from sentinel.promql.engine import Engine
from sentinel.rules.files import load_rules
from sentinel.rules.rule import RuleGroup
from sentinel.rules.seams import Expressions
from sentinel.runtime.clock import Clock
from sentinel.series.head import Head

log = logging.getLogger(__name__)

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
    ("history", "disk"),
    ("history", "folder"),
    ("history", "retention"),
    ("history", "max_size"),
    ("history", "keep_free"),
    ("collect", "concurrency"),
    ("collect", "ssh_connects"),
    ("rules", "external_labels"),
    ("traps", "listen"),
    ("care", "backup_at"),
    ("care", "restart_grace"),
    ("history", "remote_write"),
    ("intake", "enabled"),
    ("intake", "max_series"),
    ("intake", "lag"),
)
"""Keys that a running daemon cannot take over."""


@dataclass(frozen=True)
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

    @cached_property
    def criticality(self) -> Mapping[str, int]:
        """By target name."""
        return {target.name: target.criticality for target in self.targets}


def build(path: Path, expressions: Expressions | None = None) -> Configuration:
    """The configuration file and all files it names.

    Args:
        expressions: what compiles rules; None: an engine without samples, which is enough to check them.
    Raises:
        UnusableError: every problem of every file.
    """
    settings, document = load_document(path)
    base = path.parent
    problems = list(routing_problems(document, settings.route, settings.receiver, settings.time_interval))
    problems += _credentials(settings, document)
    problems += receiver_problems(settings, document, base)
    problems += heartbeat_problems(settings, document)
    problems += _without_file(document, ("collect", "collectors"), settings.collect.collectors, base)
    problems += _without_file(document, ("rules", "files"), settings.rules.files, base)
    modules = Modules()
    targets: tuple[Target, ...] = ()
    groups: tuple[RuleGroup, ...] = ()
    try:
        modules = load_modules(expand(settings.collect.collectors, base))
        problems += _auth_clashes(settings, modules)
        brought = {name: one.auth for name, one in modules.auths.items()}
        settings = settings.model_copy(update={"auth": brought | settings.auth})
    except UnusableError as error:
        problems += error.problems
    else:
        problems += _trap_auths(settings, document)
        problems += sweep_problems(settings, document, base)
        # Targets name modules: judging them without the modules would blame the wrong file.
        try:
            targets = _targets(settings, document, modules, base)
        except UnusableError as error:
            problems += error.problems
    try:
        rule_files = expand(settings.rules.files, base)
        expressions = expressions or bare_engine(settings.history)
        groups = load_rules(rule_files, expressions, default_interval=settings.rules.interval)
    except UnusableError as error:
        problems += error.problems
    if problems:
        raise UnusableError(problems)
    return Configuration(path, document, settings, modules, targets, groups)


def bare_engine(history: HistorySettings) -> Engine:
    """An engine without samples, which refuses what the daemon's would refuse."""
    return Engine(Head(retention=history.memory), horizon=history.reach)


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
    # What a sweep has found nothing for is not there yet.
    coming = {file_of(sweep, base) for sweep in settings.discovery.sweeps}
    files = [file for file in expand(settings.discovery.files, base) if file not in coming or file.exists()]
    written = list(read_targets(settings.target, document, files))
    wrong_keys = list(_host_keys(written))
    if wrong_keys:
        raise UnusableError(wrong_keys)
    return build_targets(written, defaults=settings.collect, auths=settings.auth, kinds=modules.kinds)


def _credentials(settings: Settings, document: Document) -> Iterator[Problem]:
    """Keys and passphrases that cannot be used."""
    for name, auth in settings.auth.items():
        text = auth_problem(auth) if isinstance(auth, SshAuth) else ""
        if text:
            yield document.problem(("auth", name), f"{name}: {text}")
        for index, jump in enumerate(auth.jump if isinstance(auth, SshAuth) else ()):
            text = jump_problem(jump, settings.auth) or _host_key_problem(jump.host_key)
            if text:
                yield document.problem(("auth", name, "jump", index), text, value=True)


def _auth_clashes(settings: Settings, modules: Modules) -> Iterator[Problem]:
    """Auths of module files whose name the configuration has given to another one."""
    for name, one in modules.auths.items():
        if settings.auth.get(name, one.auth) != one.auth:
            yield one.problem(
                name, f"auth '{name}' is declared differently by [auth.{name}]; rename one of them"
            )


def _trap_auths(settings: Settings, document: Document) -> Iterator[Problem]:
    """Names in [traps] auth that are not there, and networks that nobody could send from."""
    known = [name for name, auth in settings.auth.items() if auth.kind == "snmp"]
    for index, name in enumerate(settings.traps.auth):
        if name not in known:
            text = f"unknown SNMP auth '{name}'{did_you_mean(name, known)}"
            yield document.problem(("traps", "auth", index), text, value=True)
    if settings.traps.allow and not settings.traps.auth:
        text = "allow: senders that are no targets need 'auth' beside it: a community or user to accept"
        yield document.problem(("traps", "allow"), text)


def _host_keys(written: Iterable[Declaration]) -> Iterator[Problem]:
    for one in written:
        text = _host_key_problem(one.settings.host_key)
        if text:
            yield one.document.problem((*one.path, "host_key"), text, value=True)
        for index, jump in enumerate(one.settings.jump or ()):
            text = _host_key_problem(jump.host_key)
            if text:
                yield one.document.problem((*one.path, "jump", index), text, value=True)


def _host_key_problem(written: str) -> str:
    try:
        if written:
            read_host_key(written)
    except ValueError as error:
        return f"host_key: {error}"
    return ""


def _without_file(
    document: Document, where: tuple[str, str], patterns: Sequence[str], base: Path
) -> Iterator[Problem]:
    """Patterns that name no file at all: a typing error rather than a wish."""
    for index, pattern in enumerate(patterns):
        if _is_wild(pattern) and not expand([pattern], base):
            yield document.problem((*where, index), f"no file matches '{pattern}'", value=True)


def _is_wild(pattern: str) -> bool:
    return any(char in pattern for char in _WILD)


class ReloadMetrics:
    """Whether the configuration in force is the one on disk."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.successful = Gauge(
            "sentinel_config_last_reload_successful",
            "1 if the last attempt to read the configuration succeeded.",
            registry=registry,
        )
        self.succeeded_at = Gauge(
            "sentinel_config_last_reload_success_timestamp_seconds",
            "When the configuration in force was read.",
            registry=registry,
        )


class Reloader:
    """Reads everything again and puts it in force as a whole."""

    def __init__(
        self,
        running: Configuration,
        expressions: Expressions,
        registry: CollectorRegistry,
        clock: Clock,
        swap: Callable[[Configuration], None],
    ) -> None:
        """
        Args:
            swap: puts a configuration in force; it may raise UnusableError only before it has changed anything.
        """
        self.running = running
        self._expressions = expressions
        self._clock = clock
        self._swap = swap
        self._turn = asyncio.Lock()
        self._metrics = ReloadMetrics(registry)
        self._note(is_success=True)

    async def reload(self) -> Sequence[Problem]:
        """Every problem found; empty: the new configuration is in force."""
        async with self._turn:
            try:
                wanted = await asyncio.to_thread(build, self.running.path, self._expressions)
                problems = list(unchangeable(self.running, wanted))
                if problems:
                    raise UnusableError(problems)
                self._swap(wanted)
            except UnusableError as error:
                for problem in error.problems:
                    log.error("reload refused", extra={"facts": {"problem": problem}})
                self._note(is_success=False)
                return error.problems
            self.running = wanted
            self._note(is_success=True)
            facts = {"targets": len(wanted.targets), "groups": len(wanted.groups)}
            log.info("configuration reloaded", extra={"facts": facts})
            return ()

    async def reread_targets(self) -> Sequence[Problem]:
        """Read the target files again and put them in force with the rest of the running configuration.

        What else may have been written meanwhile waits for a reload.

        Returns:
            Every problem found, for the caller to tell; empty: they are in force.
        """
        async with self._turn:
            running = self.running
            try:
                targets = await asyncio.to_thread(
                    _targets, running.settings, running.document, running.modules, running.path.parent
                )
                wanted = replace(running, targets=targets)
                self._swap(wanted)
            except UnusableError as error:
                return error.problems
            self.running = wanted
            log.info("target files read", extra={"facts": {"targets": len(targets)}})
            return ()

    def _note(self, *, is_success: bool) -> None:
        self._metrics.successful.set(is_success)
        if is_success:
            self._metrics.succeeded_at.set(self._clock.now())
