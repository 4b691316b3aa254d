"""The general walk: reads a plan's columns from a device whose rows are not known, or have changed.

Several columns go into one request, each with its own cursor. Everything an agent may do wrong ends here: OIDs
that do not increase, endless tables, answers cut short, tooBig, errors for one column of many.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from sentinel.collect.snmp import ber, message
from sentinel.collect.snmp.conversation import Ask
from sentinel.collect.snmp.device import Device
from sentinel.collect.snmp.message import Access
from sentinel.collect.snmp.plan import Part, Plan

T = TypeVar("T")

MAX_ROWS = 20_000
"""Rows of one column; more is an agent that never ends."""

COLUMNS_PER_REQUEST = 8

ABSENT = 0
"""In the place of a tag: the instance is there but gives no sample, or is not there although it was asked for."""

NO_ERROR, TOO_BIG, NO_SUCH_NAME = 0, 1, 2

Cell = tuple[int, bytes | float]
"""The value's tag, and its sample (number columns) or its content (all others)."""

Tables = dict[int, dict[bytes, Cell]]
"""Column → suffix → cell."""


@dataclass(slots=True)
class Walk:
    """What has been read so far, and what could not be."""

    plan: Plan
    device: Device
    access: Access
    tables: Tables = field(default_factory=dict)
    unread: dict[int, str] = field(default_factory=dict)
    """Column → reason."""
    error: int = 0
    """The last error-status an agent gave for a column."""

    def asks(self, columns: Iterable[int]) -> list[Ask]:
        """The requests that start the walk of these columns."""
        wanted = set(columns)
        self.tables.update((column, {}) for column in wanted)
        gets = [(column, suffix) for column, suffix in self.plan.gets if column in wanted]
        asks: list[Ask] = [_Get(self, chunk) for chunk in chunks(gets, self.device.budget)]
        singles = [part for part in self.plan.singles if part.column in wanted]
        asks += [
            _Bulk(self, [Cursor(part, part.root) for part in chunk], once=True)
            for chunk in chunks(singles, self.device.budget)
        ]
        tables: dict[bytes, list[Part]] = {}
        for part in self.plan.parts:
            if part.column in wanted:
                tables.setdefault(part.table, []).append(part)
        for parts in tables.values():
            asks += [
                _Bulk(self, [Cursor(part, part.root) for part in chunk])
                for chunk in chunks(parts, min(COLUMNS_PER_REQUEST, self.device.budget))
            ]
        return asks

    def note(self, column: int, oid: bytes, tag: int, content: bytes) -> None:
        """One value that was read."""
        known = self.plan.columns[column]
        suffix = oid[len(known.oid) :]
        if tag == ber.NULL:
            self.tables[column][suffix] = (ABSENT, b"")
        elif not known.is_number:
            self.tables[column][suffix] = (tag, content)
        elif (value := known.number(tag, content)) is None:
            self.tables[column][suffix] = (ABSENT, math.nan)
        else:
            self.tables[column][suffix] = (tag, value)

    def give_up(self, column: int, reason: str) -> None:
        self.unread.setdefault(column, reason)

    def refuse(self, column: int, status: int) -> None:
        """The agent answered with an error for this column."""
        self.error = status
        self.give_up(column, "error_status")

    def oid(self, column: int, suffix: bytes) -> bytes:
        return self.plan.columns[column].oid + suffix

    def version_one(self) -> bool:
        return self.access.version == 1


def chunks(items: Sequence[T], size: int) -> Iterable[Sequence[T]]:
    for start in range(0, len(items), max(size, 1)):
        yield items[start : start + size]


class Knock:
    """Asks for the first thing there is, to see whether anybody answers."""

    def __init__(self, plan: Plan, access: Access) -> None:
        roots = [part.root for part in (*plan.singles, *plan.parts)]
        roots += [plan.columns[column].oid + suffix for column, suffix in plan.gets]
        self.template = message.get_next(access, roots[:1])

    def answered(self, data: bytes) -> Sequence[Ask]:
        ber.read_reply(data)
        return ()

    def unanswered(self) -> None:
        pass

    def failed(self, reason: str) -> Sequence[Ask]:
        return ()


class _Get:
    """GET of single instances."""

    def __init__(self, walk: Walk, items: Sequence[tuple[int, bytes]]) -> None:
        self._walk, self._items = walk, items
        self.template = message.get(walk.access, [walk.oid(*item) for item in items])

    def answered(self, data: bytes) -> Sequence[Ask]:
        reply = ber.read_reply(data)
        if reply.error_status:
            return self._refused(reply)
        binds = ber.read_varbinds(data, reply.start, reply.end, len(self._items))
        if len(binds) != len(self._items):
            raise ber.MalformedError("not as many values as were asked for")
        for (column, suffix), (oid, tag, start, end) in zip(self._items, binds, strict=True):
            if oid != self._walk.oid(column, suffix):
                raise ber.MalformedError("another instance than was asked for")
            if tag not in ber.EXCEPTIONS:
                self._walk.note(column, oid, tag, data[start:end])
        return ()

    def _refused(self, reply: ber.Reply) -> Sequence[Ask]:
        """Ask for the others again; the one that the agent points at is not there (v1) or cannot be read."""
        if reply.error_status == TOO_BIG and len(self._items) > 1:
            self._walk.device.shrink(len(self._items) // 2)
            return [_Get(self._walk, half) for half in halves(self._items)]
        at = reply.error_index - 1
        if len(self._items) > 1 and not 0 <= at < len(self._items):
            return [_Get(self._walk, half) for half in halves(self._items)]
        at = max(min(at, len(self._items) - 1), 0)
        if reply.error_status != NO_SUCH_NAME:
            self._walk.refuse(self._items[at][0], reply.error_status)
        rest = [*self._items[:at], *self._items[at + 1 :]]
        return [_Get(self._walk, rest)] if rest else ()

    def unanswered(self) -> None:
        pass

    def failed(self, reason: str) -> Sequence[Ask]:
        for column, _ in self._items:
            self._walk.give_up(column, reason)
        return ()


@dataclass(slots=True)
class Cursor:
    """How far a part has been walked."""

    part: Part
    last: bytes
    rows: int = 0
    numbers: tuple[int, ...] = ()
    """Those of the last suffix: what comes next must be greater."""


class _Bulk:
    """GETBULK (v1: GETNEXT) over some columns of a table, from their cursors on."""

    def __init__(
        self, walk: Walk, cursors: Sequence[Cursor], *, repetitions: int = 0, once: bool = False
    ) -> None:
        self._walk, self._cursors, self._once = walk, cursors, once
        budget = walk.device.budget // max(len(cursors), 1)
        wanted = repetitions or min(budget, walk.plan.module.max_repetitions)
        self._repetitions = 1 if once else max(wanted, 1)
        self.template = self._encoded()

    def _encoded(self) -> message.Template:
        oids = [cursor.last for cursor in self._cursors]
        if self._walk.version_one() or self._once:
            self._repetitions = 1
            return message.get_next(self._walk.access, oids)
        return message.get_bulk(self._walk.access, oids, non_repeaters=0, repetitions=self._repetitions)

    def answered(self, data: bytes) -> Sequence[Ask]:
        reply = ber.read_reply(data)
        if reply.error_status:
            return self._refused(reply)
        asked = len(self._cursors) * self._repetitions
        binds = ber.read_varbinds(data, reply.start, reply.end, asked)
        if not binds:
            raise ber.MalformedError("an answer without values")
        is_done = [False] * len(self._cursors)
        for number, bind in enumerate(binds):
            at = number % len(self._cursors)
            if not is_done[at]:
                is_done[at] = not self._note(self._cursors[at], data, bind)
        if self._once:
            rest = list(self._cursors[len(binds) :])
            return [_Bulk(self._walk, rest, once=True)] if rest else ()
        rest = [cursor for cursor, done in zip(self._cursors, is_done, strict=True) if not done]
        if len(binds) < asked and rest:
            self._walk.device.cut_short(len(binds), len(data))
        return self._next(rest, cut_to=len(binds))

    def _next(self, rest: Sequence[Cursor], cut_to: int) -> Sequence[Ask]:
        if not rest:
            return ()
        if cut_to < len(self._cursors):
            return [_Bulk(self._walk, chunk) for chunk in chunks(rest, cut_to)]
        return [_Bulk(self._walk, rest)]

    def _note(self, cursor: Cursor, data: bytes, bind: ber.Varbind) -> bool:
        """Keep one value and move on; False where the column has ended."""
        oid, tag, start, end = bind
        root, column = cursor.part.root, cursor.part.column
        if tag in ber.EXCEPTIONS or not oid.startswith(root):
            return False
        numbers = ber.oid_numbers(oid[len(root) :])
        if cursor.rows and not self._goes_on(cursor, oid, numbers):
            self._walk.give_up(column, "not_increasing")
            return False
        if cursor.rows >= MAX_ROWS:
            self._walk.give_up(column, "too_many")
            return False
        cursor.last, cursor.numbers, cursor.rows = oid, numbers, cursor.rows + 1
        self._walk.note(column, oid, tag, data[start:end])
        return True

    def _goes_on(self, cursor: Cursor, oid: bytes, numbers: tuple[int, ...]) -> bool:
        """Whether the OID is a new one; a module may allow that they come in any order."""
        if not self._walk.plan.module.allow_nonincreasing_oids:
            return numbers > cursor.numbers
        column = cursor.part.column
        return oid[len(self._walk.plan.columns[column].oid) :] not in self._walk.tables[column]

    def _refused(self, reply: ber.Reply) -> Sequence[Ask]:
        cursors, at = self._cursors, reply.error_index - 1
        if reply.error_status == TOO_BIG:
            return self._too_big()
        if len(cursors) > 1 and not 0 <= at < len(cursors):
            return [_Bulk(self._walk, half, once=self._once) for half in halves(cursors)]
        at = max(min(at, len(cursors) - 1), 0)
        # In v1 noSuchName says that nothing comes after the cursor: the column has ended.
        if not (reply.error_status == NO_SUCH_NAME and self._walk.version_one()):
            self._walk.refuse(cursors[at].part.column, reply.error_status)
        rest = [*cursors[:at], *cursors[at + 1 :]]
        return [_Bulk(self._walk, rest, repetitions=self._repetitions, once=self._once)] if rest else ()

    def _too_big(self) -> Sequence[Ask]:
        cursors = self._cursors
        self._walk.device.shrink(len(cursors) * self._repetitions // 2)
        if self._repetitions > 1:
            return [_Bulk(self._walk, cursors, repetitions=self._repetitions // 2)]
        if len(cursors) > 1:
            return [_Bulk(self._walk, half, once=self._once) for half in halves(cursors)]
        self._walk.give_up(cursors[0].part.column, "too_big")
        return ()

    def unanswered(self) -> None:
        """Ask for half as much: answers in several fragments get lost where small ones pass."""
        if self._repetitions > 1:
            self._repetitions //= 2
            self.template = self._encoded()

    def failed(self, reason: str) -> Sequence[Ask]:
        for cursor in self._cursors:
            self._walk.give_up(cursor.part.column, reason)
        return ()


def halves(items: Sequence[T]) -> tuple[Sequence[T], Sequence[T]]:
    middle = len(items) // 2
    return items[:middle], items[middle:]
