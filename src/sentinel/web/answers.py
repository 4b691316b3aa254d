"""Answers of the query API as JSON: small ones whole, large ones a piece at a time, in the queries' threads."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

import numpy as np
import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sentinel.model.batch import Floats
from sentinel.model.labels import Labels
from sentinel.promql.evaluation import Matrix, Track
from sentinel.promql.value import Value, Vector
from sentinel.web.formats import format_number, format_sample

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
            async with asyncio.timeout(STALL):
                await send({"type": "http.response.body", "body": body, "more_body": True})
            body = await self._work(lambda: next(self._pieces, b""))
        await send({"type": "http.response.body", "body": b""})


def pieces_of(items: Iterator[bytes], kind: str, notes: dict[str, Sequence[str]]) -> Pieces:
    """A success in the envelope, in pieces of about PIECE bytes.

    Args:
        items: the members of the result's list.
        notes: warnings and infos, by what they are called.
    """
    yield from _gathered(_parts(items, kind, notes))


def _parts(items: Iterator[bytes], kind: str, notes: dict[str, Sequence[str]]) -> Iterator[bytes]:
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
    rows = np.flatnonzero(matrix.present.any(axis=1)).tolist()
    ordered = sorted(rows, key=lambda row: matrix.labels[row].pairs)[: limit or None]
    starts = _time_starts(matrix.times)
    for row in ordered:
        held = matrix.present[row]
        if held.all():
            yield _line(matrix.labels[row], starts, matrix.values[row])
        else:
            chosen = [starts[k] for k in np.flatnonzero(held).tolist()]
            yield _line(matrix.labels[row], chosen, matrix.values[row, held])


def track_items(tracks: Sequence[Track], limit: int) -> Iterator[bytes]:
    for track in sorted(tracks, key=lambda track: track.labels.pairs)[: limit or None]:
        yield _line(track.labels, _time_starts(track.times), track.values)


def vector_items(vector: Vector, at: float) -> Iterator[bytes]:
    labels, values = vector.series.labels, format_samples(vector.values)
    start = b',"value":[' + format_time(at) + b',"'
    for row, value in zip(vector.rows.tolist(), values, strict=True):
        yield b"".join([b'{"metric":', _labels(labels[row]), start, value, b'"]}'])


def plain(value: Value, at: float) -> dict[str, Any]:
    """A scalar or a string."""
    if isinstance(value, str):
        return {"resultType": "string", "result": [round(at, 3), value]}
    assert isinstance(value, float)
    return {"resultType": "scalar", "result": [round(at, 3), format_number(value)]}


def format_samples(values: Floats) -> list[bytes]:
    """Each as `format_sample`, many at once."""
    if not len(values):
        return []
    raw: bytes = orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY)
    texts = (raw[1:-1] + b",").replace(b".0,", b",").split(b",")[:-1]
    if b"e" in raw or b"null" in raw:
        for row, text in enumerate(texts):
            if b"e" in text or text == b"null":
                texts[row] = format_sample(float(values[row])).encode()
    # The shortest notation takes over at other sizes than Go's.
    sizes = np.abs(values)
    for row in np.flatnonzero((sizes < 1e-5) & (sizes > 0)).tolist():
        texts[row] = format_sample(float(values[row])).encode()
    return texts


def format_time(at: float) -> bytes:
    """Unix seconds to the millisecond, as Prometheus writes them."""
    return f"{at:.3f}".removesuffix(".000").encode()


def _time_starts(times: Floats) -> list[bytes]:
    return [b"[" + format_time(at) + b',"' for at in times.tolist()]


def _line(labels: Labels, starts: Sequence[bytes], values: Floats) -> bytes:
    points: list[bytes] = [b'"],'] * (3 * len(values))
    points[0::3] = starts
    points[1::3] = format_samples(values)
    points[-1] = b'"]]}'
    return b"".join([b'{"metric":', _labels(labels), b',"values":[', *points])


def _labels(labels: Labels) -> bytes:
    try:
        return orjson.dumps(dict(labels.pairs))
    except orjson.JSONEncodeError:  # half a character, as devices cut their texts off
        return orjson.dumps({name: value.encode("utf-8", "replace").decode() for name, value in labels.pairs})
