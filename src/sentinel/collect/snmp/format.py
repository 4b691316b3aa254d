"""What a module file may say: snmp_exporter's format, and what Sentinel adds to it (`extends`, `identify`).

Source of the format: snmp_exporter, config/config.go, generator/FORMAT.md and generator/README.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from sentinel.collect.snmp import ber
from sentinel.config.document import Written
from sentinel.config.secret import Secret
from sentinel.model.durations import parse_duration
from sentinel.model.pattern import Pattern
from sentinel.model.problem import did_you_mean

NUMBER_TYPES = frozenset(("gauge", "counter", "Float", "Double"))
DATE_TYPES = frozenset(("DateAndTime", "ParseDateAndTime", "NTPTimeStamp"))
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
METRIC_TYPES = NUMBER_TYPES | DATE_TYPES | ENUM_TYPES | TEXT_TYPES
LOOKUP_TYPES = TEXT_TYPES | NUMBER_TYPES | ENUM_TYPES | {"Integer", "Integer32"}
INDEX_TYPES = TEXT_TYPES | {"gauge", "counter", "Integer", "Integer32", "EnumAsInfo"}
SUFFIX = "Suffix"
"""An index type that files cannot name: all numbers that are left, with dots between them."""

_METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_NAME_PART = re.compile(r"[a-zA-Z0-9_:]*")
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def _check_oid(text: str) -> str:
    text = text.strip(".")
    try:
        ber.encode_oid(text)
    except ValueError:
        hint = ""
        if text[:1].isalpha():
            hint = ": names belong to generator.yml, load the snmp.yml made from it"
        raise ValueError(f"not an object identifier in numbers: '{text}'{hint}") from None
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


def _seconds(written: Any) -> float:
    """A duration of ours, or one that Go writes: 1.5s, 1m0.5s."""
    text = str(written)
    if "." in text and re.fullmatch(r"(\d+h)?(\d+m)?(\d+\.\d+s)", text):
        whole, fraction = text[:-1].split(".")
        return parse_duration(f"{whole}s") + float(f"0.{fraction}")
    return parse_duration(text)


def _check_hint(text: str) -> str:
    if text.startswith("@"):
        raise ValueError(f"'{text}' belongs to generator.yml: load the snmp.yml made from it")
    return text


Oid = Annotated[str, AfterValidator(_check_oid)]
MetricName = Annotated[str, _named(_METRIC_NAME, "metric name")]
NamePart = Annotated[str, _named(_NAME_PART, "part of a metric name")]
LabelName = Annotated[str, _named(_LABEL_NAME, "label name")]
Seconds = Annotated[float, BeforeValidator(_seconds)]
LinePattern = Annotated[Pattern, BeforeValidator(lambda text: Pattern.of(str(text), dot_is_any=False))]
"""A regular expression as Go's regexp takes it: a dot does not match the end of a line."""
Index32 = Annotated[str, _named(re.compile(r"\d+(\.\d+)*"), "row index in numbers")]
DisplayHint = Annotated[str, AfterValidator(_check_hint)]


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
    enum_values: Mapping[int, str] = Field(default_factory=dict)
    display_hint: DisplayHint = ""


class Extract(Written):
    """A number taken out of a text."""

    regex: LinePattern
    """Must match the whole text."""
    value: str = "$1"
    """What becomes the number, with the groups of the expression."""


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
    regex_extracts: Mapping[NamePart, tuple[Extract, ...]] = Field(default_factory=dict)
    """What is added to the metric's name → where its number may stand in the text; the first that fits counts."""
    datetime_pattern: str = Field(default="", max_length=200)
    """How ParseDateAndTime is written, in strptime's letters."""
    display_hint: DisplayHint = ""
    """How an OctetString is written (RFC 2579 §3.1)."""


class StaticFilter(Written):
    """Only these rows of some columns are read."""

    targets: tuple[Oid, ...] = Field(min_length=1)
    indices: tuple[Index32, ...] = Field(min_length=1)


class DynamicFilter(Written):
    """Only rows of some columns are read in which another column has a certain value."""

    oid: Oid
    """The column that decides."""
    targets: tuple[Oid, ...] = Field(min_length=1)
    values: tuple[LinePattern, ...] = Field(min_length=1)
    """Patterns, of which one must occur in the value."""


class Filters(Written):
    """Both kinds, as generator.yml writes them; a list holds dynamic ones, as snmp.yml has them."""

    static: tuple[StaticFilter, ...] = ()
    dynamic: tuple[DynamicFilter, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _from_list(cls, written: Any) -> Any:
        return {"dynamic": written} if isinstance(written, list) else written


class Identify(Written):
    """Which devices a module is for."""

    sys_object_id: tuple[Oid, ...] = ()
    """Prefixes of sysObjectID."""
    sys_descr: tuple[Annotated[Pattern, BeforeValidator(lambda text: Pattern.of(str(text)))], ...] = ()
    """Patterns, of which one occurs in sysDescr."""

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if not self.sys_object_id and not self.sys_descr:
            raise ValueError("needs sys_object_id or sys_descr")
        return self

    def fit(self, sys_object_id: str, sys_descr: str) -> int:
        """How closely it fits: 0 not at all, 1 by its text, more for each number of the prefix."""
        asked = f"{sys_object_id.strip('.')}."
        prefixes = [oid for oid in self.sys_object_id if asked.startswith(f"{oid}.")]
        if prefixes:
            return 1 + max(len(oid.split(".")) for oid in prefixes)
        return int(any(pattern.occurs_in(sys_descr) for pattern in self.sys_descr))


class AuthFile(Written):
    """An entry of `auths:`, and `auth:` inside a module of the older format."""

    version: int = Field(default=2, ge=1, le=3)
    community: Secret = Secret("public")
    security_level: str = "noAuthNoPriv"
    username: str = ""
    password: Secret | None = None
    auth_protocol: str = "MD5"
    priv_protocol: str = "DES"
    priv_password: Secret | None = None
    context_name: str = ""


class ModuleFile(Written):
    """One module."""

    extends: tuple[str, ...] = ()
    """Modules whose walks, gets and metrics it has as well."""
    identify: Identify | None = None
    walk: tuple[Oid, ...] = ()
    get: tuple[Oid, ...] = ()
    metrics: tuple[Metric, ...] = ()
    filters: Filters = Filters()
    max_repetitions: int = Field(default=25, ge=0, le=100_000)
    retries: int = Field(default=3, ge=0, le=100)
    timeout: Seconds = Field(default=5.0, gt=0)
    allow_nonincreasing_oids: bool = False
    use_unconnected_udp_socket: bool = False
    snmp_context: str = Field(default="", max_length=255)
    version: int = Field(default=2, ge=1, le=3)
    """The older format has it here; today's in `auths:`."""
    auth: AuthFile | None = None
