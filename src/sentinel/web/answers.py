"""Answers of the query API as JSON: small ones whole, large ones a piece at a time, in the queries' threads."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from itertools import compress, islice
from typing import Any, Final

import numpy as np
import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sentinel.model.batch import Floats
from sentinel.promql.evaluation import Matrix, Track
from sentinel.promql.value import Value, Vector
from sentinel.web.formats import format_number, format_sample
from sentinel.web.label_texts import json_of, sorted_rows, texts_of

PIECE: Final = 512 * 1024
"""Bytes of a piece, about."""
STALL: Final = 60.0
"""Seconds that a client may take for a piece."""

Pieces = Iterator[bytes]
Work = Callable[[Callable[[], bytes]], Awaitable[bytes]]


class PiecewiseResponse(Response):
    """JSON that is made and sent a piece at a time; who does not read it is cut off."""

    def __init__(self, first: bytes, pieces: Pieces, work: Work) -> None:
        super().__init__(media_type="application/json")
        del self.headers["content-length"]
        self._first = first
        self._pieces = pieces
        self._work = work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        body = self._first
        while body:
            try:
                async with asyncio.timeout(STALL):
                    await send({"type": "http.response.body", "body": body, "more_body": True})
            except TimeoutError:
                return  # the server closes a connection whose answer was not finished
            body = await self._work(lambda: next(self._pieces, b""))
        await send({"type": "http.response.body", "body": b""})


def pieces_of(items: Iterator[bytes], kind: str, notes: Mapping[str, Sequence[str]]) -> Pieces:
    """A success in the envelope, in pieces of about PIECE bytes.

    Args:
        items: the members of the result's list.
        notes: warnings and infos, by what they are called.
    """
    yield from _gathered(_parts(items, kind, notes))


def _parts(items: Iterator[bytes], kind: str, notes: Mapping[str, Sequence[str]]) -> Iterator[bytes]:
    yield b'{"status":"success","data":{"resultType":"' + kind.encode() + b'","result":['
    yield from islice(items, 1)
    for item in items:
        yield b","
        yield item
    ends = [b'"%s":%s' % (name.encode(), orjson.dumps(list(texts))) for name, texts in notes.items() if texts]
    yield b"".join([b"]}", *(b"," + end for end in ends), b"}"])


def _gathered(parts: Iterator[bytes]) -> Pieces:
    held: list[bytes] = []
    size = 0
    for part in parts:
        held.append(part)
        size += len(part)
        if size >= PIECE:
            yield b"".join(held)
            held, size = [], 0
    yield b"".join(held)


def matrix_items(matrix: Matrix, limit: int) -> Iterator[bytes]:
    """Series with values, sorted by their labels."""
    rows = np.flatnonzero(matrix.present.any(axis=1))
    table = matrix.labels.take(rows)
    texts = texts_of(table)
    order = sorted_rows(table)[: limit or None].tolist()
    starts = _time_starts(matrix.times)
    for place in order:
        row = rows[place]
        held = matrix.present[row]
        if held.all():
            yield _line(texts[place], starts, matrix.values[row])
        else:
            yield _line(texts[place], list(compress(starts, held)), matrix.values[row, held])


def track_items(tracks: Sequence[Track], limit: int) -> Iterator[bytes]:
    for track in sorted(tracks, key=lambda track: track.labels.pairs)[: limit or None]:
        yield _line(json_of(track.labels), _time_starts(track.times), track.values)


def vector_items(vector: Vector, at: float) -> Iterator[bytes]:
    labels, values = vector.series.labels, format_samples(vector.values)
    start = b',"value":[' + format_time(at).encode() + b',"'
    for row, value in zip(vector.rows.tolist(), values, strict=True):
        yield b"".join([b'{"metric":', json_of(labels[row]), start, value.encode(), b'"]}'])


def plain(value: Value, at: float) -> dict[str, Any]:
    """A scalar or a string."""
    if isinstance(value, str):
        return {"resultType": "string", "result": [round(at, 3), value]}
    assert isinstance(value, float)
    return {"resultType": "scalar", "result": [round(at, 3), format_number(value)]}


def format_samples(values: Floats) -> list[str]:
    """Each as `format_sample`, many at once."""
    if not len(values):
        return []
    text = orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].decode()
    if ".0," in text or text.endswith(".0"):
        text = (text + ",").replace(".0,", ",")[:-1]
    texts = text.split(",")
    # The shortest notation takes over at other sizes than Go's, and JSON has no word for what is no number.
    sizes = np.abs(values)
    is_plain = (sizes >= 1e-5) & (sizes < 1e16)
    if not is_plain.all():
        for row in np.flatnonzero(~is_plain & (sizes != 0)).tolist():
            texts[row] = format_sample(float(values[row]))
    return texts


def format_time(at: float) -> str:
    """Unix seconds to the millisecond, as Prometheus writes them."""
    return f"{at:.3f}".removesuffix(".000")


def _time_starts(times: Floats) -> list[str]:
    """Of each point what stands before its value: the end of the point before, and its time."""
    return [f'"],[{format_time(at)},"' for at in times.tolist()]


def _line(labels: bytes, starts: Sequence[str], values: Floats) -> bytes:
    """One series."""
    points = [""] * (2 * len(values))
    points[0::2] = starts
    points[1::2] = format_samples(values)
    points[0] = points[0].removeprefix('"],')
    return b"".join([b'{"metric":', labels, b',"values":[', "".join(points).encode(), b'"]]}'])
