"""The script of a device: the requests of a poll whose rows are known, encoded once, and what they taught.

After a walk the rows are known, so all requests of the next poll are: each asks for a stretch of rows, the last of
a table for one row more, to see that nothing has come after the end. They do not wait for each other. An answer
with other OIDs than expected means that rows have come or gone; then that table is walked again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from sentinel.collect.snmp import ber, message
from sentinel.collect.snmp.conversation import Ask
from sentinel.collect.snmp.device import Device
from sentinel.collect.snmp.message import Access, Template
from sentinel.collect.snmp.plan import Plan
from sentinel.collect.snmp.shape import Album, Shape
from sentinel.collect.snmp.walk import ABSENT, COLUMNS_PER_REQUEST, Tables, chunks
from sentinel.model.batch import Floats


@dataclass(slots=True, eq=False)
class Chunk:
    """One request of the script.

    Varbind k of the answer belongs to columns[k % len(columns)]; it must be row k // len(columns) of `rows`, or,
    behind those, must not belong to the column.
    """

    template: Template
    columns: tuple[int, ...]
    rows: tuple[tuple[bytes, ...], ...]
    """Suffixes of each column, all of the same length."""
    first_cell: int
    tags: bytes
    texts: tuple[bytes, ...]
    """Contents of the values that decide on labels; empty for the others."""
    looks_beyond: bool = False
    """One row more than there should be is asked for."""
    exact: bool = False
    """A GET: an instance may be missing without a change of rows."""
    shape: Shape | None = None

    @property
    def size(self) -> int:
        return len(self.columns) * len(self.rows)

    @property
    def asked(self) -> int:
        """Varbinds that a whole answer has."""
        return self.size + (len(self.columns) if self.looks_beyond else 0)

    @property
    def cells(self) -> slice:
        return slice(self.first_cell, self.first_cell + self.size)


@dataclass(slots=True, eq=False)
class Script:
    """All requests for a plan whose rows are known, and the numbers of the last poll."""

    plan: Plan
    chunks: list[Chunk]
    cells: Floats
    """The last numbers, in the order of the chunks' varbinds; NaN for what gives none."""
    budget: int
    album: Album | None = None
    """The shapes of all chunks together; None while one is missing or new."""

    def places(self) -> dict[tuple[int, bytes], int]:
        """Where each value stands in `cells`."""
        return {
            (column, suffix): chunk.first_cell + row * len(chunk.columns) + at
            for chunk in self.chunks
            for row, suffixes in enumerate(chunk.rows)
            for at, (column, suffix) in enumerate(zip(chunk.columns, suffixes, strict=True))
        }

    def tables(self) -> Tables:
        """What is known, as a walk would give it."""
        tables: Tables = {number: {} for number in range(len(self.plan.columns))}
        for (column, suffix), (chunk, number) in self._values():
            is_number = self.plan.columns[column].is_number
            value = float(self.cells[chunk.first_cell + number]) if is_number else chunk.texts[number]
            tables[column][suffix] = (chunk.tags[number], value)
        return tables

    def _values(self) -> Iterable[tuple[tuple[int, bytes], tuple[Chunk, int]]]:
        for chunk in self.chunks:
            for row, suffixes in enumerate(chunk.rows):
                for at, (column, suffix) in enumerate(zip(chunk.columns, suffixes, strict=True)):
                    yield (column, suffix), (chunk, row * len(chunk.columns) + at)


def script_of(plan: Plan, tables: Tables, device: Device, access: Access) -> Script:
    """The script for a device that has these rows."""
    return _Writer(plan, tables, device, access).write()


class _Writer:
    def __init__(self, plan: Plan, tables: Tables, device: Device, access: Access) -> None:
        self._plan, self._tables, self._device, self._access = plan, tables, device, access
        self._chunks: list[Chunk] = []
        self._cells: list[float] = []

    def write(self) -> Script:
        budget = self._device.budget
        for gets in chunks(self._plan.gets, budget):
            oids = [self._oid(column, suffix) for column, suffix in gets]
            columns, suffixes = tuple(item[0] for item in gets), tuple(item[1] for item in gets)
            self._add(message.get(self._access, oids), columns, (suffixes,), exact=True)
        self._write_once()
        for (_, rows), members in self._groups().items():
            for some in chunks(members, min(COLUMNS_PER_REQUEST, budget)):
                self._write_rows(some, rows)
        return Script(self._plan, self._chunks, np.array(self._cells, np.float64), budget)

    def _write_once(self) -> None:
        """Scalars, and one look behind each column that has no rows, to see whether they have come."""
        singles = [part for part in self._plan.singles if self._tables.get(part.column)]
        for some in chunks(singles, self._device.budget):
            columns = tuple(part.column for part in some)
            suffixes = tuple(min(self._tables[column]) for column in columns)
            roots = [part.root for part in some]
            self._add(message.get_next(self._access, roots), columns, (suffixes,))
        roots = [part.root for part in self._plan.singles if not self._tables.get(part.column)]
        roots += [part.root for part in self._plan.parts if not self._suffixes(part.column, part.root)]
        columns_by_root = {part.root: part.column for part in (*self._plan.singles, *self._plan.parts)}
        for few in chunks(roots, self._device.budget):
            self._add(
                message.get_next(self._access, few),
                tuple(columns_by_root[root] for root in few),
                (),
                looks_beyond=True,
            )

    def _groups(self) -> dict[tuple[bytes, tuple[bytes, ...]], list[tuple[int, bytes]]]:
        """Columns of a table with the same rows: (table, suffixes) → (column, root)."""
        groups: dict[tuple[bytes, tuple[bytes, ...]], list[tuple[int, bytes]]] = {}
        for part in self._plan.parts:
            rows = self._suffixes(part.column, part.root)
            if rows:
                groups.setdefault((part.table, rows), []).append((part.column, part.root))
        return groups

    def _suffixes(self, column: int, root: bytes) -> tuple[bytes, ...]:
        inside = root[len(self._plan.columns[column].oid) :]
        return tuple(suffix for suffix in self._tables.get(column, ()) if suffix.startswith(inside))

    def _write_rows(self, members: Sequence[tuple[int, bytes]], rows: tuple[bytes, ...]) -> None:
        """Stretches of rows; the last asks for one row more than there are."""
        columns = tuple(column for column, _ in members)
        stretch = 1 if self._access.version == 1 else self._stretch(len(members))
        start = 0
        while start <= len(rows):
            some = rows[start : start + stretch]
            has_room = len(some) < stretch
            if start == 0:
                cursors = [root for _, root in members]
            else:
                cursors = [self._oid(column, rows[start - 1]) for column in columns]
            self._add(
                self._rows_template(cursors, len(some) + has_room),
                columns,
                tuple((suffix,) * len(columns) for suffix in some),
                looks_beyond=has_room,
            )
            start += stretch

    def _stretch(self, width: int) -> int:
        return max(1, min(self._device.budget // width, self._plan.module.max_repetitions))

    def _rows_template(self, cursors: Sequence[bytes], repetitions: int) -> Template:
        if self._access.version == 1:
            return message.get_next(self._access, cursors)
        return message.get_bulk(self._access, cursors, non_repeaters=0, repetitions=repetitions)

    def _add(
        self,
        template: Template,
        columns: tuple[int, ...],
        rows: tuple[tuple[bytes, ...], ...],
        *,
        looks_beyond: bool = False,
        exact: bool = False,
    ) -> None:
        tags, texts, first_cell = bytearray(), [], len(self._cells)
        for suffixes in rows:
            for column, suffix in zip(columns, suffixes, strict=True):
                tag, content = self._tables.get(column, {}).get(suffix, (ABSENT, b""))
                tags.append(tag)
                texts.append(content if isinstance(content, bytes) else b"")
                self._cells.append(content if isinstance(content, float) else np.nan)
        chunk = Chunk(template, columns, rows, first_cell, bytes(tags), tuple(texts), looks_beyond, exact)
        self._chunks.append(chunk)

    def _oid(self, column: int, suffix: bytes) -> bytes:
        return self._plan.columns[column].oid + suffix


class Replay:
    """One poll by script: what it found to have changed, and what did not answer."""

    def __init__(self, script: Script, device: Device) -> None:
        self.changed: set[int] = set()
        """Columns of tables whose rows are no longer those of the script."""
        self.failed: dict[int, str] = {}
        """Columns that were not answered for, and why."""
        self.lost: list[Chunk] = []
        """Chunks without an answer: their cells are not of this poll."""
        self.is_relabelled = False
        """A text that decides on labels has changed, or a value has come or gone."""
        self.malformed = 0
        """Answers that looked right until they were read."""
        self._script, self._device = script, device
        self._kept: dict[Chunk, bytes] = {}

    def asks(self) -> list[Ask]:
        return [_ChunkAsk(self, chunk) for chunk in self._script.chunks]

    def read(self, chunk: Chunk, data: bytes) -> None:
        """Keep an answer that may be of the known shape until all are there; take any other in at once.

        Raises:
            MalformedError: this is no answer.
        """
        if chunk.shape is not None and len(data) == chunk.shape.length:
            self._kept[chunk] = data
        else:
            self._decode(chunk, data)

    def finish(self) -> None:
        """Read what was kept: all answers at once where they are those of last time."""
        script, kept = self._script, self._kept
        if len(kept) == len(script.chunks):
            if script.album is None:
                script.album = Album([chunk.shape for chunk in script.chunks if chunk.shape is not None])
            if script.album.read([kept[chunk] for chunk in script.chunks], script.cells):
                return
        for chunk, data in kept.items():
            if chunk.shape is not None and chunk.shape.read(data, script.cells):
                continue
            try:
                self._decode(chunk, data)
            except ber.MalformedError:
                self.malformed += 1
                self.changed.update(chunk.columns)

    def _decode(self, chunk: Chunk, data: bytes) -> None:
        reply = ber.read_reply(data)
        if reply.error_status:
            self.changed.update(chunk.columns)
            return
        binds = ber.read_varbinds(data, reply.start, reply.end, chunk.asked)
        if len(binds) < chunk.size:
            if not chunk.exact:
                self._device.cut_short(len(binds))
            self.changed.update(chunk.columns)
        elif self._has_same_rows(chunk, binds):
            if not chunk.exact and len(binds) < chunk.asked:
                self._device.cut_short(len(binds))
            self._keep(chunk, data, binds, reply.id_at)
        else:
            self.changed.update(chunk.columns)

    def _has_same_rows(self, chunk: Chunk, binds: Sequence[ber.Varbind]) -> bool:
        columns, width = self._script.plan.columns, len(chunk.columns)
        for number, (oid, tag, _, _) in enumerate(binds):
            column, row = columns[chunk.columns[number % width]], number // width
            if row < len(chunk.rows):
                if oid != column.oid + chunk.rows[row][number % width]:
                    return False
                if tag in ber.EXCEPTIONS and not chunk.exact:
                    return False
            elif oid.startswith(column.oid) and tag not in ber.EXCEPTIONS:
                return False
        return True

    def _keep(self, chunk: Chunk, data: bytes, binds: Sequence[ber.Varbind], id_at: int) -> None:
        """Take the values in, see what has changed about them, and learn the answer's shape."""
        columns, width = self._script.plan.columns, len(chunk.columns)
        roles = [columns[chunk.columns[number % width]] for number in range(chunk.size)]
        tags, texts = bytearray(), []
        for number, column in enumerate(roles):
            _, tag, start, end = binds[number]
            content = data[start:end]
            if tag in ber.EXCEPTIONS or tag == ber.NULL:
                tag = ABSENT
            if column.is_number:
                value = column.number(tag, content) if tag else None
                self._script.cells[chunk.first_cell + number] = np.nan if value is None else value
                tag = ABSENT if value is None else tag
                texts.append(b"")
            else:
                texts.append(content)
            tags.append(tag)
        if chunk.tags != tags or chunk.texts != tuple(texts):
            chunk.tags, chunk.texts = bytes(tags), tuple(texts)
            self.is_relabelled = True
        known = [*roles, *[None] * (len(binds) - chunk.size)]
        chunk.shape = Shape(data, id_at, binds, known, chunk.first_cell)
        self._script.album = None

    def lose(self, chunk: Chunk, reason: str) -> None:
        self.lost.append(chunk)
        self.failed.update(dict.fromkeys(chunk.columns, reason))


class _ChunkAsk:
    """A chunk as a request of a conversation."""

    __slots__ = ("_chunk", "_replay", "template")

    def __init__(self, replay: Replay, chunk: Chunk) -> None:
        self._replay, self._chunk = replay, chunk
        self.template = chunk.template

    def answered(self, data: bytes) -> Sequence[Ask]:
        self._replay.read(self._chunk, data)
        return ()

    def unanswered(self) -> None:
        pass

    def failed(self, reason: str) -> Sequence[Ask]:
        self._replay.lose(self._chunk, reason)
        return ()
