"""The script of a device: the requests of a poll whose rows are known, and what their answers taught.

After a walk the rows are known, so all requests of the next poll are (`outline.py`). They do not wait for each
other. An answer with other OIDs than expected means that rows have come or gone; then that table is walked again.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sentinel.collect.snmp import ber
from sentinel.collect.snmp.conversation import Ask
from sentinel.collect.snmp.device import Device
from sentinel.collect.snmp.outline import Outline, Request
from sentinel.collect.snmp.shape import Album, Shape, learn
from sentinel.collect.snmp.walk import ABSENT, Cell, Tables
from sentinel.model.batch import Floats


class Script:
    """What is known of one device's answers."""

    __slots__ = ("album", "outline", "signs")

    def __init__(self, outline: Outline, signs: list[bytes]) -> None:
        self.outline = outline
        self.album = Album([request.size for request in outline.requests])
        self.signs = signs
        """By request, what decides on labels in its answer: tags, and the texts behind them."""

    def tables(self, cells: Floats) -> Tables:
        """What is known, as a walk would give it."""
        columns = self.outline.plan.columns
        tables: Tables = {number: {} for number in range(len(columns))}
        for request, signs in zip(self.outline.requests, self.signs, strict=True):
            numbers, at = cells[request.cells].tolist(), request.size
            for tag, number, (column, suffix) in zip(signs, numbers, request.instances(), strict=False):
                if columns[column].is_number:
                    tables[column][suffix] = (tag, number)
                    continue
                start = at + _LENGTH
                at = start + int.from_bytes(signs[at:start], "big")
                tables[column][suffix] = (tag, signs[start:at])
        return tables


_LENGTH = 2
"""Bytes that a text's length takes; an answer is shorter than 64 KiB."""


def _signs(tags: bytes, texts: Sequence[bytes]) -> bytes:
    """The tag of each cell, then each text behind its length: in one, because it is kept for every device."""
    return tags + b"".join([len(text).to_bytes(_LENGTH, "big") + text for text in texts])


def script_of(outline: Outline, tables: Tables) -> tuple[Script, Floats]:
    """The script of a device that has been walked, and its numbers: NaN for what gives none."""
    nothing: Cell = (ABSENT, b"")
    signs, numbers = [], []
    for request in outline.requests:
        tags, texts = bytearray(), []
        for column, suffix in request.instances():
            tag, content = tables.get(column, {}).get(suffix, nothing)
            tags.append(tag)
            numbers.append(content if isinstance(content, float) else np.nan)
            if not outline.plan.columns[column].is_number:
                texts.append(content if isinstance(content, bytes) else b"")
        signs.append(_signs(bytes(tags), texts))
    return Script(outline, signs), np.array(numbers, np.float64)


class Replay:
    """One poll by script: what it found to have changed, and what did not answer."""

    def __init__(self, script: Script, device: Device) -> None:
        self.cells: Floats = np.full(script.outline.size, np.nan)
        """The numbers of this poll, in the order of the answers' varbinds; NaN for what gives none."""
        self.changed: set[int] = set()
        """Columns of tables whose rows are no longer those of the script."""
        self.failed: dict[int, str] = {}
        """Columns that were not answered for, and why."""
        self.lost: list[Request] = []
        """Requests without an answer that can be used."""
        self.is_relabelled = False
        """A text that decides on labels has changed, or a value has come or gone."""
        self.malformed = 0
        """Answers that looked right until they were read."""
        self._script, self._device = script, device
        self._answers: list[bytes | None] = [None] * len(script.outline.requests)
        self._lengths = script.album.lengths
        self._learned: dict[int, Shape] = {}

    def asks(self) -> list[Ask]:
        return [_RequestAsk(self, request) for request in self._script.outline.requests]

    def read(self, request: Request, data: bytes) -> None:
        """Keep an answer that may be of the known shape until all are there; take any other in at once.

        Raises:
            MalformedError: this is no answer.
        """
        if len(data) == self._lengths[request.number]:
            self._answers[request.number] = data
        else:
            self._decode(request, data)

    def finish(self) -> None:
        """Read what was kept, and remember what the others taught."""
        album = self._script.album
        for number in album.read(self._answers, self.cells):
            request, data = self._script.outline.requests[number], self._answers[number]
            assert data is not None
            try:
                self._decode(request, data)
            except ber.MalformedError:
                self.malformed += 1
                self._change(request)
        album.learn(self._learned)

    def _decode(self, request: Request, data: bytes) -> None:
        reply = ber.read_reply(data)
        if reply.error_status:
            self._change(request)
            return
        binds = ber.read_varbinds(data, reply.start, reply.end, request.asked)
        is_whole = len(binds) >= request.size
        has_same = is_whole and self._has_same_rows(request, binds)
        if not request.exact and (not is_whole or (has_same and len(binds) < request.asked)):
            self._device.cut_short(len(binds), len(data), despite=self._script.outline.limit.frame)
        if has_same:
            self._keep(request, data, binds, reply.id_at)
        else:
            self._change(request)

    def _change(self, request: Request) -> None:
        self.changed.update(request.columns)
        self.lost.append(request)

    def _has_same_rows(self, request: Request, binds: Sequence[ber.Varbind]) -> bool:
        columns, width = self._script.outline.plan.columns, len(request.columns)
        for (column, suffix), (oid, tag, _, _) in zip(request.instances(), binds, strict=False):
            if oid != columns[column].oid + suffix or (tag in ber.EXCEPTIONS and not request.exact):
                return False
        for number in range(request.size, len(binds)):
            oid, tag, _, _ = binds[number]
            if oid.startswith(columns[request.columns[number % width]].oid) and tag not in ber.EXCEPTIONS:
                return False
        return True

    def _keep(self, request: Request, data: bytes, binds: Sequence[ber.Varbind], id_at: int) -> None:
        """Take the values in, see what has changed about them, and learn the answer's shape."""
        columns = self._script.outline.plan.columns
        roles = [columns[column] for column, _ in request.instances()]
        beyond = [None] * (len(binds) - len(roles))
        shape, numbers = learn(data, id_at, binds, [*roles, *beyond])
        tags, texts = bytearray(), []
        for role, number, (_, tag, start, end) in zip(roles, numbers, binds, strict=False):
            if not role.is_number:
                texts.append(data[start:end])
            elif number is None:
                tag = ABSENT
            tags.append(ABSENT if tag in ber.EXCEPTIONS or tag == ber.NULL else tag)
        self.cells[request.cells] = np.array(numbers, np.float64)  # None becomes NaN
        signs = _signs(bytes(tags), texts)
        if signs != self._script.signs[request.number]:
            self._script.signs[request.number] = signs
            self.is_relabelled = True
        self._learned[request.number] = shape

    def lose(self, request: Request, reason: str) -> None:
        self.lost.append(request)
        self.failed.update(dict.fromkeys(request.columns, reason))


class _RequestAsk:
    """A request of the outline as one of a conversation."""

    __slots__ = ("_replay", "_request", "template")

    def __init__(self, replay: Replay, request: Request) -> None:
        self._replay, self._request = replay, request
        self.template = request.template

    def answered(self, data: bytes) -> Sequence[Ask]:
        self._replay.read(self._request, data)
        return ()

    def unanswered(self) -> None:
        pass

    def failed(self, reason: str) -> Sequence[Ask]:
        self._replay.lose(self._request, reason)
        return ()
