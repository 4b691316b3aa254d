"""From a device's tables to series, as snmp_exporter makes them (its collector/collector.go)."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from sentinel.collect.snmp import ber, texts
from sentinel.collect.snmp.families import sample_name, sample_names
from sentinel.collect.snmp.format import (
    COMBINED_TYPES,
    DATE_TYPES,
    NUMBER_TYPES,
    Lookup,
    Metric,
)
from sentinel.collect.snmp.interfaces import IF_INDEX, IF_NAME, Interfaces
from sentinel.collect.snmp.layouts import Series
from sentinel.collect.snmp.plan import WRAP, Plan, type_oid
from sentinel.collect.snmp.walk import ABSENT, Cell, Tables
from sentinel.model.batch import Floats

_IF_NAME = ber.encode_oid(IF_NAME)

PAUSE_AFTER = 1000
"""Values after which the loop may do something else."""

Key = tuple[int, bytes]
"""Column and suffix of the value that a series comes from."""


@dataclass(slots=True)
class Translation:
    """The series, and for each of them where its value comes from."""

    series: Series = field(default_factory=Series)
    keys: list[Key] = field(default_factory=list)
    constants: list[float | None] = field(default_factory=list)
    """The value itself, for series whose labels carry the device's value; None: it stands at the key."""
    scales: list[float] = field(default_factory=list)
    offsets: list[float] = field(default_factory=list)
    twice: set[str] = field(default_factory=set)
    """Metrics with rows that have the same labels; the first of them is kept."""

    def add(self, metric: Metric, key: Key, series: tuple[str, int], value: float | None) -> None:
        """
        Args:
            series: name, and number of the row.
            value: the sample, where it does not stand at the key.
        """
        if not self.series.add(*series):
            self.twice.add(series[0])
            return
        self.keys.append(key)
        self.constants.append(value)
        self.scales.append(metric.scale if value is None and metric.scale else 1.0)
        self.offsets.append(metric.offset if value is None else 0.0)

    def values(self, tables: Tables) -> Floats:
        """The samples of the series, from the tables that they came from."""
        values = np.empty(len(self.series))
        for number, ((column, suffix), constant) in enumerate(zip(self.keys, self.constants, strict=True)):
            content = tables[column][suffix][1]
            sample = content if isinstance(content, float) else 0.0
            scaled = sample * self.scales[number] + self.offsets[number]
            values[number] = scaled if constant is None else constant
        return values


async def translated(
    plan: Plan, interfaces: Interfaces | None, tables: Tables, without: Mapping[int, str] | None = None
) -> Translation:
    """The series of these tables; the loop does other things in between, so that large devices hold up nobody.

    Args:
        interfaces: shows the numbers that interfaces were first seen by; None: those they have now.
        without: columns that could not be read whole; metrics whose labels need one of them are left out.
    """
    steps = Translator(plan, interfaces).translate(tables, without)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: Translation = end.value
            return found
        await asyncio.sleep(0)


def unread_metrics(plan: Plan, columns: Mapping[int, str]) -> frozenset[str]:
    """Names of the metrics that need one of these columns."""
    oids = {plan.columns[column].oid for column in columns}
    return frozenset(
        name
        for column in plan.columns
        if column.metric and (column.oid in oids or not oids.isdisjoint(plan.needs(column.metric)))
        for name in sample_names(column.metric)
    )


class Translator:
    """Turns the tables of one device into series, once."""

    def __init__(self, plan: Plan, interfaces: Interfaces | None = None) -> None:
        """
        Args:
            interfaces: shows the numbers that interfaces were first seen by; None: those they have now.
        """
        self._plan, self._interfaces = plan, interfaces
        self._if_numbers: dict[int, int] = {}
        self._numbers = {column.oid: number for number, column in enumerate(plan.columns)}
        self._columns: dict[str, bytes] = {}
        """Encoded OIDs of lookups."""
        self._looked_up: dict[tuple[str, str, str, texts.Numbers], tuple[str, texts.Numbers | None]] = {}
        self._of_rows: dict[tuple[int, bytes], dict[str, str]] = {}
        """Labels of rows that have been worked out for another metric of the same table,"""
        self._row_numbers: dict[tuple[int, bytes], int] = {}
        """and their numbers among the rows of the series."""

    def translate(
        self, tables: Tables, without: Mapping[int, str] | None = None
    ) -> Generator[None, None, Translation]:
        """Pauses every now and then."""
        result = Translation()
        gone = {self._plan.columns[column].oid for column in without or ()}
        self._if_numbers = self._numbers_of_interfaces(tables, gone)
        for number, column in enumerate(self._plan.columns):
            metric = column.metric
            if metric is None or not (gone - {column.oid}).isdisjoint(self._plan.needs(metric)):
                continue
            is_plain = metric.type in NUMBER_TYPES or metric.type in DATE_TYPES
            for count, (suffix, cell) in enumerate(tables.get(number, {}).items(), 1):
                if cell[0] == ABSENT:
                    continue
                row = self._plan.label_groups[number], suffix
                labels = self._of_rows.get(row)
                if labels is None:
                    labels = self._of_rows[row] = self._labels(metric, suffix, tables)
                if is_plain:
                    self._add_plain(result, metric, (number, suffix), cell, row)
                else:
                    for name, own, value in self._samples(metric, suffix, cell, tables, labels.copy()):
                        result.add(metric, (number, suffix), (name, result.series.row(own)), value)
                if count % PAUSE_AFTER == 0:
                    yield
            yield
        return result

    def _add_plain(
        self, result: Translation, metric: Metric, key: Key, cell: Cell, row: tuple[int, bytes]
    ) -> None:
        """A number, whose labels are those of the row."""
        value = None
        if not isinstance(cell[1], float) and (value := self._number(metric, cell)) is None:
            return
        number = self._row_numbers.get(row)
        if number is None:
            number = self._row_numbers[row] = result.series.row(self._of_rows[row])
        result.add(metric, key, (sample_name(metric), number), value)

    def _samples(
        self, metric: Metric, suffix: bytes, cell: Cell, tables: Tables, labels: dict[str, str]
    ) -> Iterator[Sample]:
        """The series of one value that becomes labels: name, labels, and the sample.

        Args:
            labels: those of the row; they are changed here.
        """
        tag, content = cell
        if isinstance(content, float):
            return
        name = sample_name(metric)
        if metric.type == "Bits":
            if tag == ber.OCTET_STRING:
                yield from _bits(metric, labels, content)
        elif metric.type in ("EnumAsInfo", "EnumAsStateSet"):
            number = ber.number(tag, content)
            if number is not None and not (metric.type == "EnumAsInfo" and metric.name in labels):
                yield from _enum(metric, labels, int(number))
        else:
            kind = metric.type
            if kind in COMBINED_TYPES:
                kind = texts.combined_type(kind, self._type_number(metric.oid, suffix, tables))
            text = texts.value_text(tag, content, kind, metric.display_hint)
            if metric.regex_extracts:
                yield from _extracts(metric, labels, text)
            else:
                labels.setdefault(metric.name, text)
                yield name, labels, _scaled(metric, 1.0)

    def _number(self, metric: Metric, cell: Cell) -> float | None:
        """The sample of a number that also decides on labels, and is therefore kept as its bytes."""
        tag, content = cell
        if not isinstance(content, bytes):
            return content
        is_date = metric.type in DATE_TYPES
        number = texts.seconds_of(metric, tag, content) if is_date else ber.number(tag, content)
        if number is None:
            return None
        return _scaled(metric, float(int(number) % WRAP) if tag == ber.COUNTER64 else float(number))

    def _labels(self, metric: Metric, suffix: bytes, tables: Tables) -> dict[str, str]:
        labels: dict[str, str] = {}
        used: dict[str, texts.Numbers] = {}
        numbers = ber.oid_numbers(suffix)
        for index in metric.indexes:
            labels[index.labelname], used[index.labelname], numbers = texts.index_text(index, numbers)
        for lookup in metric.lookups:
            if not lookup.labels:
                labels.pop(lookup.labelname, None)
                continue
            self._look_up(lookup, labels, used, tables)
        if self._if_numbers and IF_INDEX in labels:
            present = used.get(IF_INDEX, (-1,))[0]
            if labels[IF_INDEX] == str(present):
                labels[IF_INDEX] = str(self._if_numbers.get(present, present))
        return labels

    def _numbers_of_interfaces(self, tables: Tables, gone: set[bytes]) -> dict[int, int]:
        """Which number to show for each present one; empty: they are shown as they are."""
        column = self._numbers.get(_IF_NAME)
        if self._interfaces is None or column is None or _IF_NAME in gone:
            return {}
        names: dict[int, str] = {}
        for suffix, (tag, content) in tables.get(column, {}).items():
            numbers = ber.oid_numbers(suffix)
            if tag == ber.OCTET_STRING and isinstance(content, bytes) and len(numbers) == 1:
                names[numbers[0]] = texts.display_text(content)
        return self._interfaces.numbers(names)

    def _look_up(
        self, lookup: Lookup, labels: dict[str, str], used: dict[str, texts.Numbers], tables: Tables
    ) -> None:
        numbers = tuple(number for label in lookup.labels for number in used.get(label, ()))
        asked = (lookup.oid or "", lookup.type or "", lookup.display_hint, numbers)
        found = self._looked_up.get(asked)
        if found is None:
            found = self._looked_up[asked] = self._found(*asked, tables)
        text, number = found
        if lookup.type == "EnumAsInfo" and number is not None:
            text = lookup.enum_values.get(number[0], text)
        labels[lookup.labelname] = text
        if number is not None:
            used[lookup.labelname] = number

    def _found(
        self, oid: str, kind: str, hint: str, numbers: texts.Numbers, tables: Tables
    ) -> tuple[str, texts.Numbers | None]:
        """A looked-up label, and the index numbers with which a later lookup may go on from it."""
        suffix = ber.encode_numbers(numbers)
        column = self._columns.get(oid)
        if column is None:
            column = self._columns[oid] = ber.encode_oid(oid)
        cell = self._cell(column, suffix, tables)
        if cell is None:
            return "", None
        if kind in COMBINED_TYPES:
            kind = texts.combined_type(kind, self._type_number(oid, suffix, tables))
        number = ber.number(*cell)
        return texts.value_text(*cell, kind, hint), (number & 0xFFFFFFFF if isinstance(number, int) else 0,)

    def _type_number(self, oid: str, suffix: bytes, tables: Tables) -> int | None:
        """The number in the column before, which says of what type a combined value is."""
        cell = self._cell(type_oid(oid), suffix, tables)
        number = ber.number(*cell) if cell else None
        return None if number is None else int(number)

    def _cell(self, oid: bytes, suffix: bytes, tables: Tables) -> tuple[int, bytes] | None:
        number = self._numbers.get(oid)
        cell = tables.get(number, {}).get(suffix) if number is not None else None
        if cell is None or cell[0] == ABSENT or not isinstance(cell[1], bytes):
            return None
        return cell[0], cell[1]


def _scaled(metric: Metric, number: float) -> float:
    return number * (metric.scale or 1.0) + metric.offset


Sample = tuple[str, dict[str, str], float]


def _extracts(metric: Metric, labels: dict[str, str], text: str) -> Iterator[Sample]:
    """Numbers in a text: of each name the first expression that matches and gives a number."""
    for name, extracts in metric.regex_extracts.items():
        for extract in extracts:
            written = extract.regex.expanded(text, extract.value)
            number = texts.number_in(written) if written is not None else None
            if number is not None:
                yield metric.name + name, labels, _scaled(metric, number)
                break


def _enum(metric: Metric, labels: dict[str, str], number: int) -> Iterator[Sample]:
    state = metric.enum_values.get(number, str(number))
    name = sample_name(metric)
    yield name, labels | {metric.name: state}, 1.0
    if metric.type == "EnumAsStateSet":
        for other, text in metric.enum_values.items():
            if other != number:
                yield name, labels | {metric.name: text}, 0.0


def _bits(metric: Metric, labels: dict[str, str], content: bytes) -> Iterator[Sample]:
    """Bit 0 is the highest of the first byte."""
    for bit, text in metric.enum_values.items():
        is_set = bit < len(content) * 8 and content[bit // 8] & (0x80 >> bit % 8)
        yield sample_name(metric), labels | {metric.name: text}, float(bool(is_set))
