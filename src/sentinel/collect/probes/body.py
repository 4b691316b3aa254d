"""What is kept of an answer's body, and how much of one is taken at all."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from sentinel.collect.probes.failure import ProbeFailure

LIMIT = 10 * 1024 * 1024
"""Bytes after decompression, unless the module says otherwise."""
PIECE = 65536

_WINDOW = {"gzip": 31, "deflate": -15}
"""zlib's window bits: with gzip's header, and bare (what blackbox_exporter means by deflate)."""


class Body:
    """Counts, decompresses and keeps an answer's body, as far as its limit."""

    def __init__(self, *, limit: int, compression: str, keep: bool) -> None:
        self._limit = limit or LIMIT
        window = _WINDOW.get(compression)
        self._unpack = zlib.decompressobj(window) if window is not None else None
        self._keep = keep
        self._kept: list[bytes] = []
        self.length = 0
        """Bytes after decompression."""

    def take(self, data: bytes) -> None:
        """
        Raises:
            ProbeFailure: not compressed as expected, or longer than the limit.
        """
        for piece in self._pieces(data):
            room = self._limit - self.length
            self.length += min(len(piece), room)
            if self._keep:
                self._kept.append(piece[:room])
            if len(piece) > room:
                raise ProbeFailure(
                    "too_large",
                    f"the body is longer than {self._limit} bytes (body_size_limit of the module)",
                )

    def finish(self) -> None:
        """
        Raises:
            ProbeFailure: compressed data ends too early.
        """
        if self._unpack is not None and not self._unpack.eof:
            raise ProbeFailure("decompression", "the compressed body ends before its end")

    @property
    def text(self) -> str:
        return b"".join(self._kept).decode("utf-8", "replace")

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        """Small ones, so that a little data that unpacks to very much is noticed early."""
        if self._unpack is None:
            yield data
            return
        while data and not self._unpack.eof:
            try:
                piece = self._unpack.decompress(data, PIECE)
            except zlib.error as error:
                raise ProbeFailure(
                    "decompression", f"the body is not compressed as expected: {error}"
                ) from None
            data = self._unpack.unconsumed_tail
            if piece:
                yield piece
