"""The outline of a device: all requests of a poll whose rows are known, encoded once, and what they ask for.

It follows from the plan, the access and the rows alone. So devices of a kind, which have the same rows, share it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sentinel.collect.snmp import message
from sentinel.collect.snmp.common import Common
from sentinel.collect.snmp.device import Limit
from sentinel.collect.snmp.message import Access, Template
from sentinel.collect.snmp.plan import Plan
from sentinel.collect.snmp.stretches import Stretches, shared_out, varbind_sizes
from sentinel.collect.snmp.walk import Tables, chunks

Suffixes = tuple[bytes, ...]


@dataclass(slots=True, eq=False)
class Request:
    """One request of an outline, and what its answer must be.

    Varbind k of the answer belongs to columns[k % len(columns)]. The first `size` varbinds are the instances asked
    for, row by row; those behind must not belong to their column.
    """

    number: int
    """Its place in the outline."""
    template: Template
    columns: tuple[int, ...]
    suffixes: Suffixes
    """One for each row, the same for all columns; where `is_across`, of the one row, for each column its own."""
    first_cell: int
    is_across: bool = False
    looks_beyond: bool = False
    """One row more than there should be is asked for."""
    exact: bool = False
    """A GET: an instance may be missing without a change of rows."""

    @property
    def size(self) -> int:
        return len(self.suffixes) * (1 if self.is_across else len(self.columns))

    @property
    def asked(self) -> int:
        """Varbinds that a whole answer has."""
        return self.size + (len(self.columns) if self.looks_beyond else 0)

    @property
    def cells(self) -> slice:
        return slice(self.first_cell, self.first_cell + self.size)

    def instances(self) -> Iterator[tuple[int, bytes]]:
        """Column and suffix of each cell."""
        if self.is_across:
            yield from zip(self.columns, self.suffixes, strict=True)
            return
        for suffix in self.suffixes:
            for column in self.columns:
                yield column, suffix


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """All requests for a plan and the rows of a device."""

    plan: Plan
    requests: tuple[Request, ...]
    size: int
    """Cells: values of all answers together."""
    limit: Limit
    """What the device bore when it was made."""
    key: _Rows

    def places(self) -> dict[int, dict[bytes, int]]:
        """Where each value stands among the cells, by column and suffix."""
        found: dict[int, dict[bytes, int]] = {}
        for request in self.requests:
            for cell, (column, suffix) in enumerate(request.instances(), request.first_cell):
                found.setdefault(column, {})[suffix] = cell
        return found


@dataclass(frozen=True, slots=True)
class _Rows:
    """What an outline is made of."""

    plan: int
    """Its identity: the outline holds the plan."""
    access: Access
    limit: Limit
    singles: tuple[tuple[int, bytes, bytes], ...]
    """Column, root and suffix of scalars that the device has."""
    empty: tuple[tuple[int, bytes], ...]
    """Column and root of what it does not have."""
    tables: tuple[tuple[Suffixes, tuple[tuple[int, bytes], ...]], ...]
    """Rows, and columns (with their roots) of a table that have these,"""
    stretches: tuple[Stretches, ...]
    """and how those are shared out among requests."""


class Outlines:
    """Hands out outlines: the same one for devices with the same rows."""

    def __init__(self) -> None:
        self._common: Common[_Rows, Outline] = Common()

    def __len__(self) -> int:
        return len(self._common)

    def take(self, plan: Plan, tables: Tables, limit: Limit, access: Access) -> Outline:
        """The outline for a device that has these rows. Give it back by `release`."""
        rows = _rows(plan, tables, limit, access)
        return self._common.take(rows, lambda kept: _Writer(plan, kept).write())

    def release(self, outline: Outline) -> None:
        self._common.release(outline.key)


def _rows(plan: Plan, tables: Tables, limit: Limit, access: Access) -> _Rows:
    singles = [(part.column, part.root, tables.get(part.column)) for part in plan.singles]
    empty = [(column, root) for column, root, found in singles if not found]
    groups: dict[tuple[bytes, Suffixes], list[tuple[int, bytes]]] = {}
    for part in plan.parts:
        inside = part.root[len(plan.columns[part.column].oid) :]
        found = tables.get(part.column, {})
        rows = tuple(suffix for suffix in found if suffix.startswith(inside)) if inside else tuple(found)
        if rows:
            groups.setdefault((part.table, rows), []).append((part.column, part.root))
        else:
            empty.append((part.column, part.root))
    most_rows = 1 if access.version == 1 else plan.module.max_repetitions
    return _Rows(
        id(plan),
        access,
        limit,
        tuple((column, root, min(found)) for column, root, found in singles if found),
        tuple(empty),
        tuple((rows, tuple(members)) for (_, rows), members in groups.items()),
        tuple(
            shared_out(_sizes(plan, tables, rows, members), limit, most_rows)
            for (_, rows), members in groups.items()
        ),
    )


def _sizes(
    plan: Plan, tables: Tables, rows: Suffixes, members: Sequence[tuple[int, bytes]]
) -> list[list[int]]:
    """[columns, rows] bytes of each varbind."""
    return [varbind_sizes(plan.columns[column].oid, tables[column], rows) for column, _ in members]


class _Writer:
    def __init__(self, plan: Plan, rows: _Rows) -> None:
        self._plan, self._rows = plan, rows
        self._requests: list[Request] = []
        self._cells = 0

    def write(self) -> Outline:
        plan, rows = self._plan, self._rows
        for gets in chunks(plan.gets, rows.limit.count):
            oids = [self._oid(*one) for one in gets]
            columns, suffixes = tuple(one[0] for one in gets), tuple(one[1] for one in gets)
            self._add(message.get(rows.access, oids), columns, suffixes, is_across=True, exact=True)
        self._write_once()
        for (suffixes, members), stretches in zip(rows.tables, rows.stretches, strict=True):
            first = 0
            for width, stretch in stretches:
                self._write_rows(members[first : first + width], suffixes, stretch)
                first += width
        return Outline(plan, tuple(self._requests), self._cells, rows.limit, rows)

    def _write_once(self) -> None:
        """Scalars, and one look behind each column that has no rows, to see whether they have come."""
        rows = self._rows
        for some in chunks(rows.singles, rows.limit.count):
            template = message.get_next(rows.access, [root for _, root, _ in some])
            columns, suffixes = tuple(one[0] for one in some), tuple(one[2] for one in some)
            self._add(template, columns, suffixes, is_across=True)
        for few in chunks(rows.empty, rows.limit.count):
            template = message.get_next(rows.access, [root for _, root in few])
            self._add(template, tuple(column for column, _ in few), (), looks_beyond=True)

    def _write_rows(self, members: Sequence[tuple[int, bytes]], rows: Suffixes, stretch: int) -> None:
        """Stretches of rows; the last asks for one row more than there are."""
        columns = tuple(column for column, _ in members)
        start = 0
        while start <= len(rows):
            some = rows[start : start + stretch]
            has_room = len(some) < stretch
            if start == 0:
                cursors = [root for _, root in members]
            else:
                cursors = [self._oid(column, rows[start - 1]) for column in columns]
            template = self._rows_template(cursors, len(some) + has_room)
            self._add(template, columns, some, looks_beyond=has_room)
            start += stretch

    def _rows_template(self, cursors: Sequence[bytes], repetitions: int) -> Template:
        access = self._rows.access
        if access.version == 1:
            return message.get_next(access, cursors)
        return message.get_bulk(access, cursors, non_repeaters=0, repetitions=repetitions)

    def _add(
        self,
        template: Template,
        columns: tuple[int, ...],
        suffixes: Suffixes,
        *,
        is_across: bool = False,
        looks_beyond: bool = False,
        exact: bool = False,
    ) -> None:
        number = len(self._requests)
        request = Request(number, template, columns, suffixes, self._cells, is_across, looks_beyond, exact)
        self._requests.append(request)
        self._cells += request.size

    def _oid(self, column: int, suffix: bytes) -> bytes:
        return self._plan.columns[column].oid + suffix
