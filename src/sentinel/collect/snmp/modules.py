"""Module files in snmp_exporter's format (its snmp.yml, version 0.23 and later): what to read, and as what.

Source of the format: snmp_exporter, generator/FORMAT.md and config/config.go. What Sentinel cannot read yet is
refused with its place; nothing is skipped silently.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from sentinel.collect.snmp import ber
from sentinel.config.auth import SnmpAuth
from sentinel.config.document import Document, Path, Written, validated
from sentinel.config.secret import Secret
from sentinel.model.durations import parse_duration
from sentinel.model.problem import Problem, UnusableError, did_you_mean

NUMBER_TYPES = frozenset(("gauge", "counter", "Float", "Double"))
ENUM_TYPES = frozenset(("EnumAsInfo", "EnumAsStateSet", "Bits"))
COMBINED_TYPES = frozenset(("InetAddress", "InetAddressMissingSize", "LldpPortId"))
"""Their real type stands in the column before, or in the first number of the index."""
TEXT_TYPES = COMBINED_TYPES | {
    "OctetString",
    "DisplayString",
    "PhysAddress48",
    "InetAddressIPv4",
    "InetAddressIPv6",
}
METRIC_TYPES = NUMBER_TYPES | ENUM_TYPES | TEXT_TYPES | {"DateAndTime"}
LOOKUP_TYPES = TEXT_TYPES | {"gauge", "counter", "Integer", "Integer32", "Bits", "EnumAsInfo"}
INDEX_TYPES = TEXT_TYPES | {"gauge", "counter", "Integer", "Integer32", "EnumAsInfo"}

_METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_GENERATOR_KEYS = ("lookups", "overrides")


def _refused(text: str) -> BeforeValidator:
    def refuse(written: Any) -> Any:
        raise ValueError(text)

    return BeforeValidator(refuse)


def _check_oid(text: str) -> str:
    text = text.removeprefix(".")
    try:
        ber.encode_oid(text)
    except ValueError:
        raise ValueError(f"not an object identifier in numbers: '{text}'") from None
    return text


def _named(pattern: re.Pattern[str], what: str) -> AfterValidator:
    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(f"not a {what}: '{text}'")
        return text

    return AfterValidator(check)


def _one_of(known: frozenset[str]) -> AfterValidator:
    def check(word: str) -> str:
        if word not in known:
            raise ValueError(f"type '{word}' is not supported{did_you_mean(word, known)}")
        return word

    return AfterValidator(check)


def _is_off(written: Any) -> Any:
    if str(written).lower() in ("true", "yes", "on"):
        raise ValueError("not supported yet; leave it out or set it to false")
    return False


Oid = Annotated[str, AfterValidator(_check_oid)]
MetricName = Annotated[str, _named(_METRIC_NAME, "metric name")]
LabelName = Annotated[str, _named(_LABEL_NAME, "label name")]
Seconds = Annotated[float, BeforeValidator(lambda written: parse_duration(str(written)))]
Off = Annotated[bool, BeforeValidator(_is_off)]


class Index(Written):
    """One part of a row's index, and the label it becomes."""

    labelname: LabelName
    type: Annotated[str, _one_of(INDEX_TYPES)]
    fixed_size: int = Field(default=0, ge=0, le=128)
    implied: bool = False
    enum_values: Mapping[int, str] = Field(default_factory=dict)


class Lookup(Written):
    """A label whose value stands in another column of the same row; without labels: a label to drop."""

    labels: tuple[LabelName, ...] = ()
    labelname: LabelName
    oid: Oid | None = None
    type: Annotated[str, _one_of(LOOKUP_TYPES)] | None = None


class Metric(Written):
    """A column or scalar, and the metric it becomes."""

    name: MetricName
    oid: Oid
    type: Annotated[str, _one_of(METRIC_TYPES)]
    help: str = ""
    indexes: tuple[Index, ...] = ()
    lookups: tuple[Lookup, ...] = ()
    enum_values: Mapping[int, str] = Field(default_factory=dict)
    scale: float = 0.0
    """Factor for the value; 0 means none, as in snmp_exporter."""
    offset: float = 0.0
    """Added after scaling."""
    regex_extracts: Annotated[None, _refused("regex_extracts are not supported yet")] = None
    datetime_pattern: Annotated[None, _refused("datetime_pattern is not supported yet")] = None


class _ModuleFile(Written):
    walk: tuple[Oid, ...] = ()
    get: tuple[Oid, ...] = ()
    metrics: tuple[Metric, ...] = ()
    max_repetitions: int = Field(default=25, ge=0, le=1000)
    retries: int = Field(default=3, ge=0, le=10)
    timeout: Seconds = Field(default=5.0, gt=0)
    allow_nonincreasing_oids: Off = False
    use_unconnected_udp_socket: Off = False
    filters: Annotated[None, _refused("filters are not supported yet")] = None
    version: Annotated[None, _refused("the version belongs into [auth.NAME] of the configuration")] = None
    auth: Annotated[None, _refused("auth belongs into [auth.NAME] of the configuration")] = None


class _AuthFile(Written):
    version: int = Field(default=2, ge=1, le=3)
    community: Secret = Secret("public")
    security_level: str = "noAuthNoPriv"
    username: str = ""
    password: Secret | None = None
    auth_protocol: str = ""
    priv_protocol: str = ""
    priv_password: Secret | None = None
    context_name: str = ""


@dataclass(frozen=True, slots=True)
class SnmpModule:
    """One module: which subtrees to walk, which instances to get, and the metrics made of them."""

    name: str
    walk: tuple[str, ...]
    get: tuple[str, ...]
    metrics: tuple[Metric, ...]
    max_repetitions: int
    """Rows of a table asked for at once, at most."""
    retries: int
    timeout: float
    """Seconds until a request is repeated."""


def parse_modules(document: Document) -> dict[str, SnmpModule]:
    """The modules of a file, by name.

    Raises:
        UnusableError: every problem of the file, each at its place.
    """
    problems = list(_frame_problems(document))
    found: dict[str, SnmpModule] = {}
    modules = document.data.get("modules") if isinstance(document.data, Mapping) else None
    for name in modules if isinstance(modules, Mapping) else ():
        path: Path = ("modules", name)
        try:
            problems += _generator_problems(document, path)
            written = validated(_ModuleFile, document, at=path)
            problems += _module_problems(document, path, written)
            found[name] = SnmpModule(
                name,
                written.walk,
                written.get,
                written.metrics,
                written.max_repetitions,
                written.retries,
                written.timeout,
            )
        except UnusableError as error:
            problems += error.problems
    if problems:
        raise UnusableError(dict.fromkeys(problems))
    return found


def parse_auths(document: Document) -> dict[str, SnmpAuth]:
    """The communities under `auths:` of the same file, by name.

    Raises:
        UnusableError: version 3, or not in the format.
    """
    auths = document.data.get("auths") if isinstance(document.data, Mapping) else None
    found: dict[str, SnmpAuth] = {}
    problems: list[Problem] = []
    for name in auths if isinstance(auths, Mapping) else ():
        path: Path = ("auths", name)
        try:
            written = validated(_AuthFile, document, at=path)
        except UnusableError as error:
            problems += error.problems
            continue
        if written.version == 3:
            problems.append(document.problem((*path, "version"), "SNMP version 3 is not supported yet"))
            continue
        version: Any = written.version
        found[name] = SnmpAuth(kind="snmp", version=version, community=written.community)
    if problems:
        raise UnusableError(problems)
    return found


def _frame_problems(document: Document) -> list[Problem]:
    """What is wrong around the modules."""
    data = document.data
    if not isinstance(data, Mapping):
        return [document.problem((), "not a module file: 'modules:' is missing")]
    problems = []
    for key in data:
        if key in ("modules", "auths"):
            continue
        if isinstance(data[key], Mapping) and {"walk", "get", "metrics"} & set(data[key]):
            text = f"module '{key}' stands at the top, the older form of the file: put it under 'modules:'"
        else:
            text = f"unknown key '{key}'{did_you_mean(key, ('modules', 'auths'))}"
        problems.append(document.problem((key,), text))
    if not problems and not isinstance(data.get("modules"), Mapping) and "auths" not in data:
        problems.append(document.problem(("modules",), "'modules:' must map names to modules"))
    try:
        parse_auths(document)
    except UnusableError as error:
        problems += error.problems
    return problems


def _generator_problems(document: Document, path: Path) -> list[Problem]:
    data = document.data["modules"][path[-1]]
    if not isinstance(data, Mapping):
        return []
    return [
        document.problem((*path, key), f"'{key}' belongs to generator.yml: load the snmp.yml made from it")
        for key in _GENERATOR_KEYS
        if key in data
    ]


def _module_problems(document: Document, path: Path, module: _ModuleFile) -> list[Problem]:
    """What no single field shows."""
    problems = []
    read = [ber.encode_oid(oid) for oid in (*module.walk, *module.get)]
    for number, metric in enumerate(module.metrics):
        at: Path = (*path, "metrics", number)
        oid = ber.encode_oid(metric.oid)
        if not any(oid.startswith(one) or one.startswith(oid) for one in read):
            text = f"metric '{metric.name}': no walk or get of the module reads {metric.oid}"
            problems.append(document.problem((*at, "oid"), text, value=True))
        if metric.type in ENUM_TYPES and not metric.enum_values:
            problems.append(document.problem((*at, "type"), f"{metric.type} needs enum_values", value=True))
        known = {index.labelname for index in metric.indexes}
        for place, lookup in enumerate(metric.lookups):
            problems += _lookup_problems(document, (*at, "lookups", place), lookup, known)
            known.add(lookup.labelname)
    return problems


def _lookup_problems(document: Document, at: Path, lookup: Lookup, known: set[str]) -> list[Problem]:
    problems = [
        document.problem((*at, "labels", number), f"'{label}' is no index or earlier lookup of this metric")
        for number, label in enumerate(lookup.labels)
        if label not in known
    ]
    if lookup.labels and lookup.oid is None:
        problems.append(document.problem(at, "'oid' is missing"))
    if lookup.labels and lookup.type is None:
        problems.append(document.problem(at, "'type' is missing"))
    return problems
