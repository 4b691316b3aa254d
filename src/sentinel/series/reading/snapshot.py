"""What queries see in another thread: the head as it was at one moment, and before that the archive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from sentinel.model.batch import Floats
from sentinel.model.labels import Labels
from sentinel.series.columns.pool import Index, Mask
from sentinel.series.head import Head
from sentinel.series.index.matcher import Matcher
from sentinel.series.index.symbols import Overlay, Symbols
from sentinel.series.index.table import LabelTable, identify
from sentinel.series.reading.archive import Archive, Archived, Charge, Panes
from sentinel.series.reading.cut import Cut
from sentinel.series.reading.frozen import Frozen, Unpack
from sentinel.series.reading.stacking import beside, stacked

BLOCK: Final = 1 << 20
"""Cells looked at together."""

_ATTEMPTS: Final = 3
_ROWS: Final = 16


@dataclass(frozen=True, slots=True)
class Wanted:
    """Samples in (start, end] of what the matchers choose; Unix seconds."""

    matchers: tuple[Matcher, ...]
    start: float
    end: float


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    """What the head has of one set of matchers."""

    table: LabelTable
    pieces: tuple[Frozen, ...]


Block = tuple[slice, Cut]
"""Which rows of the table, and their samples."""


class Snapshot:
    """Samples that stay as they are while the head goes on.

    `take` runs on the head's thread, everything else in one other.
    """

    def __init__(self, head: Head, archive: Archive | None = None, *, unpack: Unpack) -> None:
        self._head = head
        self._archive = archive
        self._held: dict[tuple[Matcher, ...], _Held] = {}
        self._tables: dict[
            tuple[Matcher, ...], tuple[tuple[Sequence[Labels], ...], LabelTable, list[Index]]
        ] = {}
        self._unpack = unpack
        self._since = head.since
        self.symbols: Symbols = Overlay(head.symbols)

    # On the head's thread

    def take(self, wanted: Iterable[Wanted]) -> Iterator[None]:
        """Copy what is wanted of the head, in small steps between which the head may go on.

        Raises:
            ValueError: a regular expression cannot be used.
        """
        spans = _spans(wanted)
        for _ in range(_ATTEMPTS):
            symbols, shifts = self._head.symbols, self._head.shifts
            self._since = self._head.since
            held: dict[tuple[Matcher, ...], _Held] = {}
            for one in spans:
                selection = self._head.select(one.matchers)
                pieces = tuple(Frozen(piece, one.start, one.end) for piece in selection.pieces)
                held[one.matchers] = _Held(selection.table, pieces)
                for piece in pieces:
                    for _ in piece.steps():
                        yield
            # New codes throughout, or a stepped clock: what was copied before does not fit what came after.
            if self._head.symbols is symbols and self._head.shifts == shifts:
                break
        self.symbols = Overlay(symbols)
        self._held = {
            matchers: _Held(
                LabelTable(self.symbols, one.table.names, one.table.codes, unique=True), one.pieces
            )
            for matchers, one in held.items()
        }

    # In the other thread

    @property
    def since(self) -> float:
        """Unix seconds; what is older comes out of the archive, if there is one."""
        return self._since

    @property
    def series(self) -> int:
        """Series of the head in all that was taken."""
        return sum(len(one.table) for one in self._held.values())

    def table(self, matchers: tuple[Matcher, ...]) -> LabelTable:
        """The series of all blocks that were made so far."""
        known = self._tables.get(matchers)
        return known[1] if known is not None else self._held[matchers].table

    def is_archived(self, start: float) -> bool:
        """Whether samples after that instant are partly in the archive."""
        return self._archive is not None and self._archive.oldest <= self._since and start < self._since

    def blocks(
        self, matchers: tuple[Matcher, ...], starts: Floats, ends: Floats, *, newest: bool, charge: Charge
    ) -> tuple[LabelTable, Iterator[Block]]:
        """The samples of a number of windows (start, end], in ascending order.

        Args:
            matchers: of something that was taken, for at least that time.
            newest: only the newest sample of each window is looked at.
        Returns:
            the series, and their samples a block of series at a time.
        """
        held = self._held[matchers]
        archived: Sequence[Archived] = ()
        if self._archive is not None and self.is_archived(float(starts[0])):
            until = min(float(ends[-1]), self._since)
            archived = self._archive.read(
                matchers, float(starts[0]), until, _panes(starts, ends, newest=newest), charge=charge
            )
        if not archived:
            return held.table, self._recent(held, starts, ends)
        table, places = self._joined(matchers, held.table, archived)
        parts = [(Cut.of_samples(one.samples), rows) for one, rows in zip(archived, places, strict=True)]
        recent = [cut for _, cut in self._recent(held, starts, ends)]
        if recent:
            parts.append((beside(recent), np.arange(len(held.table))))
        return table, iter([(slice(0, len(table)), stacked(parts, len(table)))])

    def present(self, matchers: tuple[Matcher, ...], start: float, end: float) -> tuple[LabelTable, Mask]:
        """The head's series that were taken, and which of them have samples in [start, end]."""
        held = self._held[matchers]
        found = np.zeros(len(held.table), np.bool_)
        first = 0
        for piece in held.pieces:
            rows = piece.near(np.array([start - 0.001]), np.array([end]))
            for newest in range(len(rows), 0, -_ROWS):
                # The newest samples first: most series have some of them.
                some = rows[max(newest - _ROWS, 0) : newest]
                for begin, last in piece.blocks(BLOCK, len(some)):
                    place = slice(first + begin, first + last)
                    if not found[place].all():
                        cut = piece.cut(some, begin, last, self._unpack)
                        look = cut.clean.look(np.array([start - 0.001]), np.array([end]))
                        found[place] |= cut.clean.count(look)[0] > 0
                if found[first : first + len(piece)].all():
                    break
            first += len(piece)
        return held.table, found

    def _recent(self, held: _Held, starts: Floats, ends: Floats) -> Iterator[Block]:
        first = 0
        for piece in held.pieces:
            rows = piece.near(starts, ends)
            for begin, end in piece.blocks(BLOCK, len(rows)):
                yield slice(first + begin, first + end), piece.cut(rows, begin, end, self._unpack)
            first += len(piece)

    def _joined(
        self, matchers: tuple[Matcher, ...], table: LabelTable, archived: Sequence[Archived]
    ) -> tuple[LabelTable, list[Index]]:
        """The head's series, then those that only the archive has; which rows the archived ones are."""
        labels = tuple(one.labels for one in archived)
        known = self._tables.get(matchers)
        if known is not None and _same(known[0], labels):
            return known[1], known[2]
        whole, places = table, []
        made: dict[int, Index] = {}
        for one in labels:
            if id(one) not in made:
                other = LabelTable.of(self.symbols, one)
                both = whole.followed_by(other)
                ids, count, first = identify(both.codes)
                if count > len(whole):
                    whole = LabelTable(self.symbols, both.names, both.codes[first], unique=True)
                made[id(one)] = ids[len(both) - len(other) :]
            places.append(made[id(one)])
        self._tables[matchers] = (labels, whole, places)
        return whole, places


def _panes(starts: Floats, ends: Floats, *, newest: bool) -> Panes | None:
    """What of the windows does not lie in an earlier one; None: all that there is."""
    at = np.rint(ends * 1000).astype(np.int64)
    step = int(np.gcd.reduce(np.diff(at)))
    width = min(int((at - np.rint(starts * 1000).astype(np.int64)).max()), step)
    if step <= 0 or (width == step and not newest):
        return None
    return Panes(int(at[0]), step, width, newest)


def _spans(wanted: Iterable[Wanted]) -> list[Wanted]:
    """One for each set of matchers, over all that is wanted of it."""
    spans: dict[tuple[Matcher, ...], Wanted] = {}
    for one in wanted:
        known = spans.get(one.matchers, one)
        spans[one.matchers] = Wanted(one.matchers, min(known.start, one.start), max(known.end, one.end))
    return list(spans.values())


def _same(one: Sequence[object], other: Sequence[object]) -> bool:
    return len(one) == len(other) and all(a is b for a, b in zip(one, other, strict=True))
