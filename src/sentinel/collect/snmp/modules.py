"""Module files: today's snmp.yml (`auths:` and `modules:`), the older one (modules at the top), and ours.

What Sentinel cannot use is refused with its place; nothing is skipped silently.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from sentinel.collect.snmp import ber
from sentinel.collect.snmp.auths import auth_of, parse_auths
from sentinel.collect.snmp.format import (
    AuthFile,
    DynamicFilter,
    Identify,
    Lookup,
    Metric,
    ModuleFile,
    StaticFilter,
)
from sentinel.config.auth import SnmpAuth
from sentinel.config.document import Document, Path, validated
from sentinel.model.problem import Problem, UnusableError, did_you_mean

T = TypeVar("T")

_GENERATOR_KEYS = ("lookups", "overrides")
_TOP_KEYS = ("modules", "auths", "version")
_OWN_KEYS = frozenset({"walk", "get", "metrics", "auth", "extends"})
"""Any of these makes an entry at the top a module of the older form."""

_INHERITED = (
    "max_repetitions",
    "retries",
    "timeout",
    "allow_nonincreasing_oids",
    "use_unconnected_udp_socket",
    "snmp_context",
)
"""Settings taken from the modules that a module extends, unless it has them itself."""


@dataclass(frozen=True, slots=True)
class SnmpModule:
    """One module: which subtrees to walk, which instances to get, and the metrics made of them."""

    name: str
    walk: tuple[str, ...]
    get: tuple[str, ...]
    metrics: tuple[Metric, ...]
    max_repetitions: int = 25
    """Rows of a table asked for at once, at most."""
    retries: int = 3
    timeout: float = 5.0
    """Seconds until a request is repeated."""
    filters: tuple[DynamicFilter, ...] = ()
    allow_nonincreasing_oids: bool = False
    """The agent may give its rows in any order."""
    use_unconnected_udp_socket: bool = False
    """The agent may answer from another address than the one asked."""
    snmp_context: str = ""
    """Context (v3) in place of the auth's."""
    auth: SnmpAuth | None = None
    """From the older form of the file: used where a target names none."""
    extends: frozenset[str] = frozenset()
    """All modules it is made of, directly or not."""
    identify: Identify | None = None


@dataclass(frozen=True, slots=True)
class _Written:
    """A module as its file has it."""

    document: Document
    path: Path
    file: ModuleFile
    auth: SnmpAuth | None = None


@dataclass(slots=True)
class _Files:
    """The modules of all files, and what is wrong with them."""

    written: dict[str, _Written] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def parse_modules(document: Document) -> dict[str, SnmpModule]:
    """The modules of one file, by name.

    Raises:
        UnusableError: every problem of the file, each at its place.
    """
    return join_modules([document])


def join_modules(documents: Sequence[Document]) -> dict[str, SnmpModule]:
    """The modules of several files, which may extend each other's.

    Raises:
        UnusableError: every problem of every file, each at its place.
    """
    files = _Files()
    for document in documents:
        _read(document, files)
    joined = _Joiner(files)
    found = {name: joined.module(name) for name in files.written}
    if files.problems:
        raise UnusableError(dict.fromkeys(files.problems))
    return {name: module for name, module in found.items() if module is not None}


def module_paths(document: Document) -> dict[str, Path]:
    """Names and places of the modules in a file of either form."""
    data = document.data
    if not isinstance(data, Mapping):
        return {}
    modules = data.get("modules")
    if isinstance(modules, Mapping):
        return {name: ("modules", name) for name in modules}
    return {name: (name,) for name, entry in data.items() if _is_module(name, entry)}


def _is_module(name: str, entry: object) -> bool:
    return name not in _TOP_KEYS and isinstance(entry, Mapping) and not _OWN_KEYS.isdisjoint(entry)


def _read(document: Document, files: _Files) -> None:
    files.problems += _frame_problems(document)
    for name, path in module_paths(document).items():
        try:
            files.problems += _generator_problems(document, path)
            file = validated(ModuleFile, document, at=path)
            files.written[name] = _Written(document, path, file, _own_auth(file, document, path))
        except UnusableError as error:
            files.problems += error.problems


def _own_auth(file: ModuleFile, document: Document, path: Path) -> SnmpAuth | None:
    """The auth of a module of the older form, which says version and community itself."""
    if file.auth is None and "version" not in file.model_fields_set:
        return None
    written = file.auth or AuthFile()
    if "version" in file.model_fields_set:
        written = written.model_copy(update={"version": file.version})
    return auth_of(written, document, (*path, "auth"))


# From files to modules


class _Joiner:
    """Puts modules together from those they extend."""

    def __init__(self, files: _Files) -> None:
        self._files = files
        self._done: dict[str, SnmpModule | None] = {}
        self._under_way: list[str] = []

    def module(self, name: str) -> SnmpModule | None:
        """None: it cannot be put together, and the problem is noted."""
        if name not in self._done:
            self._under_way.append(name)
            self._done[name] = self._joined(name, self._files.written[name])
            self._under_way.pop()
        return self._done[name]

    def _joined(self, name: str, written: _Written) -> SnmpModule | None:
        bases = [self._base(written, place) for place in range(len(written.file.extends))]
        if any(base is None for base in bases):
            return None
        found = _made_of(name, written, [base for base in bases if base is not None])
        problems = list(_module_problems(written, found))
        self._files.problems += problems
        return None if problems else found

    def _base(self, written: _Written, place: int) -> SnmpModule | None:
        """A module that is extended, or None with the problem noted."""
        name, at = written.file.extends[place], (*written.path, "extends", place)
        known = self._files.written
        text = ""
        if name in self._under_way:
            circle = [*self._under_way[self._under_way.index(name) :], name]
            text = f"modules extend each other in a circle: {' → '.join(circle)}"
        elif name not in known:
            text = f"there is no SNMP module '{name}' to extend{did_you_mean(name, known)}"
        if text:
            self._files.problems.append(written.document.problem(at, text, value=True))
            return None
        return self.module(name)


def _made_of(name: str, written: _Written, bases: Sequence[SnmpModule]) -> SnmpModule:
    """What a module says, on top of what it extends: of metrics with the same name the later ones stay."""
    file = written.file
    metrics: tuple[Metric, ...] = ()
    for more in (*(base.metrics for base in bases), file.metrics):
        names = {metric.name for metric in more}
        metrics = (*(metric for metric in metrics if metric.name not in names), *more)
    found = SnmpModule(
        name,
        walk=_joined(*(base.walk for base in bases), file.walk),
        get=_joined(*(base.get for base in bases), file.get),
        metrics=metrics,
        filters=_joined(*(base.filters for base in bases), file.filters.dynamic),
        auth=written.auth or next((base.auth for base in bases if base.auth is not None), None),
        extends=frozenset(file.extends).union(*(base.extends for base in bases)),
        identify=file.identify,
        **{key: getattr(file, key) for key in _INHERITED},
    )
    for base in bases:
        kept = {key: getattr(base, key) for key in _INHERITED if key not in file.model_fields_set}
        found = replace(found, **kept)
    for one in file.filters.static:
        found = _only_rows(found, one)
    return found


def _joined(*parts: tuple[T, ...]) -> tuple[T, ...]:
    """All of them, each once, in order."""
    return tuple(dict.fromkeys(item for part in parts for item in part))


def _only_rows(module: SnmpModule, only: StaticFilter) -> SnmpModule:
    columns = targeted(module, only.targets)
    rest = without(module, only.targets)
    rows = tuple(f"{column}.{index}" for column in columns for index in only.indices)
    return replace(rest, walk=_joined(rest.walk, rows))


def targeted(module: SnmpModule, targets: Iterable[str]) -> tuple[str, ...]:
    """The columns that a filter's targets name: each target, or what the module reads below it."""
    columns = list(_columns(module))
    return _joined(*(tuple(c for c in columns if below(c, target)) or (target,) for target in targets))


def without(module: SnmpModule, targets: Sequence[str]) -> SnmpModule:
    """The module without reading what lies below the targets, whatever walk or get covers it."""
    columns = list(_columns(module))
    walk: list[str] = []
    for root in module.walk:
        if any(below(root, target) for target in targets):
            continue
        if any(below(target, root) for target in targets):
            inside = (column for column in columns if below(column, root))
            walk += [c for c in inside if not any(below(c, target) for target in targets)]
        else:
            walk.append(root)
    get = tuple(oid for oid in module.get if not any(below(oid, target) for target in targets))
    return replace(module, walk=tuple(dict.fromkeys(walk)), get=get)


def below(oid: str, root: str) -> bool:
    """Whether the OID is the root or lies below it."""
    return f"{oid}.".startswith(f"{root}.")


def _columns(module: SnmpModule) -> Iterator[str]:
    for metric in module.metrics:
        yield metric.oid
        for lookup in metric.lookups:
            if lookup.oid is not None:
                yield lookup.oid


# Problems


def _frame_problems(document: Document) -> Iterator[Problem]:
    """What is wrong around the modules."""
    data = document.data
    if not isinstance(data, Mapping) or not data:
        yield document.problem((), "not a module file: 'modules:' is missing")
        return
    is_new = "modules" in data
    others = [key for key in data if key not in _TOP_KEYS and (is_new or not _is_module(key, data[key]))]
    for key in others:
        if _is_module(key, data[key]):
            text = f"module '{key}' stands at the top beside 'modules:': put it below that"
        else:
            text = f"unknown key '{key}'{did_you_mean(key, _TOP_KEYS)}"
        yield document.problem((key,), text)
    if is_new and not isinstance(data["modules"], Mapping):
        yield document.problem(("modules",), "'modules:' must map names to modules")
    if "version" in data and not str(data["version"]).isdecimal():
        yield document.problem(("version",), "version: not a number", value=True)
    try:
        parse_auths(document)
    except UnusableError as error:
        yield from error.problems


def _generator_problems(document: Document, path: Path) -> list[Problem]:
    data = document.data
    for step in path:
        data = data[step]
    if not isinstance(data, Mapping):
        return []
    return [
        document.problem((*path, key), f"'{key}' belongs to generator.yml: load the snmp.yml made from it")
        for key in _GENERATOR_KEYS
        if key in data
    ]


def _module_problems(written: _Written, module: SnmpModule) -> Iterator[Problem]:
    """What no single field shows."""
    document, path = written.document, written.path
    filtered = [target for one in module.filters for target in one.targets]
    read = [ber.encode_oid(oid) for oid in (*module.walk, *module.get, *filtered)]
    for number, metric in enumerate(written.file.metrics):
        at: Path = (*path, "metrics", number)
        oid = ber.encode_oid(metric.oid)
        if not any(oid.startswith(one) or one.startswith(oid) for one in read):
            text = f"metric '{metric.name}': no walk or get of the module reads {metric.oid}"
            yield document.problem((*at, "oid"), text, value=True)
        if metric.type == "Bits" and not metric.enum_values:
            yield document.problem((*at, "type"), "Bits need enum_values", value=True)
        if metric.type == "ParseDateAndTime" and not metric.datetime_pattern:
            yield document.problem((*at, "type"), "ParseDateAndTime needs datetime_pattern", value=True)
        known = {index.labelname for index in metric.indexes}
        for place, lookup in enumerate(metric.lookups):
            yield from _lookup_problems(document, (*at, "lookups", place), lookup, known)
            known.add(lookup.labelname)


def _lookup_problems(document: Document, at: Path, lookup: Lookup, known: set[str]) -> Iterator[Problem]:
    for number, label in enumerate(lookup.labels):
        if label not in known:
            text = f"'{label}' is no index or earlier lookup of this metric"
            yield document.problem((*at, "labels", number), text)
    if lookup.labels and lookup.oid is None:
        yield document.problem(at, "'oid' is missing")
    if lookup.labels and lookup.type is None:
        yield document.problem(at, "'type' is missing")
