"""What a module needs from a device: the columns its metrics and lookups read, not the whole subtrees it names.

A column is the OID of a metric or of a lookup; what stands behind it in an OID is the row's suffix.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sentinel.collect.snmp import ber, texts
from sentinel.collect.snmp.families import families_of
from sentinel.collect.snmp.format import COMBINED_TYPES, DATE_TYPES, NUMBER_TYPES, Metric
from sentinel.collect.snmp.interfaces import IF_INDEX, IF_NAME
from sentinel.collect.snmp.modules import SnmpModule
from sentinel.model.batch import Family

_IF_NAME = ber.encode_oid(IF_NAME)

WRAP = 1 << 53
"""Counter64 wraps here, as snmp_exporter does it, so that rates stay exact in float64."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its OID, and what its values are to the module."""

    oid: bytes
    is_number: bool
    """The values become samples and nothing else; otherwise they decide on labels, so a change matters."""
    is_date: bool = False
    metric: Metric | None = None

    def number(self, tag: int, content: bytes) -> float | None:
        """The sample in a value of a number column; None: a value of a type that gives none."""
        if self.is_date and self.metric is not None:
            return texts.seconds_of(self.metric, tag, content)
        value = ber.number(tag, content)
        if tag == ber.COUNTER64 and value is not None:
            return float(int(value) % WRAP)
        return None if value is None else float(value)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a column to be walked: everything below `root`, which is the column or lies in it."""

    column: int
    root: bytes
    table: bytes
    """Columns of the same table are asked for together."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything to read for a module. Columns are known by their number."""

    module: SnmpModule
    columns: tuple[Column, ...]
    parts: tuple[Part, ...]
    """Columns of tables: those that decide on labels come first."""
    singles: tuple[Part, ...]
    """Scalars: one instance each, below the root."""
    gets: tuple[tuple[int, bytes], ...]
    """Column and suffix of single instances."""
    label_groups: tuple[int, ...]
    """Of each column: those with the same number have the same labels in a row, but for the metric's name."""
    families: Mapping[str, Family]
    """# TYPE and # HELP of every metric that the module can give."""

    def needs(self, metric: Metric) -> list[bytes]:
        """OIDs of the columns without which the metric's labels are not known."""
        return _label_oids(metric) + ([_IF_NAME] if self.numbers_interfaces(metric) else [])

    def numbers_interfaces(self, metric: Metric) -> bool:
        """Whether a label tells an interface's number, and the module reads the name that goes with it."""
        by_number = any(index.labelname == IF_INDEX for index in metric.indexes)
        return by_number and any(column.oid == _IF_NAME for column in self.columns)


def plan_of(module: SnmpModule) -> Plan:
    roles: dict[bytes, Column] = {}
    for metric in module.metrics:
        oid = ber.encode_oid(metric.oid)
        is_date = metric.type in DATE_TYPES
        roles[oid] = Column(oid, metric.type in NUMBER_TYPES or is_date, is_date, metric)
    for oid in [oid for oid in roles if any(oid != other and oid.startswith(other) for other in roles)]:
        del roles[oid]  # the metric above it takes everything below, as in snmp_exporter
    metrics = [column.metric for column in roles.values() if column.metric]
    for label_oid in (oid for metric in metrics for oid in _label_oids(metric)):
        known = roles.get(label_oid)
        roles[label_oid] = Column(label_oid, False, False, known.metric if known else None)
    columns = tuple(sorted(roles.values(), key=lambda column: column.is_number))
    walks = [ber.encode_oid(oid) for oid in module.walk]
    parts: list[Part] = []
    singles: list[Part] = []
    for number, column in enumerate(columns):
        for root in _roots(column.oid, walks):
            is_single = column.metric is not None and not column.metric.indexes and root == column.oid
            part = Part(number, root, b"" if is_single else _table(column.oid))
            (singles if is_single else parts).append(part)
    # What is walked within a column may be a single instance, which no GETNEXT from there on would give.
    leaves = [part.root for part in (*singles, *parts) if part.root != columns[part.column].oid]
    gets = tuple(_gets(columns, [*(ber.encode_oid(oid) for oid in module.get), *leaves]))
    groups, families = _label_groups(columns), families_of(module.metrics)
    return Plan(module, columns, tuple(parts), tuple(singles), gets, groups, families)


def _label_groups(columns: tuple[Column, ...]) -> tuple[int, ...]:
    kinds: list[tuple[object, object]] = []
    groups = []
    for column in columns:
        kind = (column.metric.indexes, column.metric.lookups) if column.metric else ((), ())
        if kind not in kinds:
            kinds.append(kind)
        groups.append(kinds.index(kind))
    return tuple(groups)


def _label_oids(metric: Metric) -> list[bytes]:
    found = []
    for lookup in metric.lookups:
        if lookup.labels and lookup.oid is not None:
            found.append(ber.encode_oid(lookup.oid))
            if lookup.type in COMBINED_TYPES:
                found.append(type_oid(lookup.oid))
    if metric.type in COMBINED_TYPES:
        found += [ber.encode_oid(metric.oid), type_oid(metric.oid)]
    return found


def type_oid(oid: str) -> bytes:
    """The column before, in which the type of a combined value stands."""
    above, _, last = oid.rpartition(".")
    return ber.encode_oid(f"{above}.{max(int(last) - 1, 0)}")


def _roots(oid: bytes, walks: Iterable[bytes]) -> list[bytes]:
    """Where to walk for a column: all of it, or the parts that the module names, each once."""
    if any(oid.startswith(walk) for walk in walks):
        return [oid]
    inside = sorted({walk for walk in walks if walk.startswith(oid)})
    return [root for root in inside if not any(root != other and root.startswith(other) for other in inside)]


def _gets(columns: tuple[Column, ...], gets: Iterable[bytes]) -> Iterable[tuple[int, bytes]]:
    for oid in dict.fromkeys(gets):
        for number, column in enumerate(columns):
            if oid.startswith(column.oid):
                yield number, oid[len(column.oid) :]
                break


def _table(oid: bytes) -> bytes:
    """The row object that a column belongs to: the OID without its last number."""
    end = len(oid) - 1
    while end and oid[end - 1] >= 0x80:
        end -= 1
    return oid[:end]
