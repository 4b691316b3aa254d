"""HTTP/1.1 on a connection that carries one request."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import httptools

from sentinel.collect.probes.failure import ProbeFailure
from sentinel.collect.probes.message import Head, Request, decoded, encoded
from sentinel.collect.probes.stream import Stream
from sentinel.runtime.clock import Clock

LONGEST_HEAD = 256 * 1024
"""Bytes of status line and headers; interim answers (1xx) count too."""
_NO_BODY = (204, 304)


async def exchange(stream: Stream, request: Request, clock: Clock) -> AsyncGenerator[Head | bytes, None]:
    """The head of the answer, then its body in pieces.

    Raises:
        ProbeFailure: with the reason.
    """
    await stream.send(_written(request))
    answer = _Answer(is_head=request.method == "HEAD")
    parser = httptools.HttpResponseParser(answer)
    began, taken, head = None, 0, None
    while not answer.is_whole:
        data = await stream.receive()
        began = clock.monotonic() if began is None and data else began
        if not data:
            if head is None or not answer.ends_with_connection:
                raise ProbeFailure("closed", "the server closed the connection before its answer was whole")
            return
        answer.feed(parser, data)
        if head is None and answer.is_begun:
            version = f"HTTP/{parser.get_http_version()}"
            head = Head(version, answer.status, decoded(answer.headers), began or 0.0)
            yield head
        elif head is None:
            taken += len(data)
            if taken > LONGEST_HEAD:
                raise ProbeFailure("too_large", f"the answer's headers are longer than {LONGEST_HEAD} bytes")
        for piece in answer.drained():
            yield piece


def _written(request: Request) -> bytes:
    lines = [f"{request.method} {request.url.path} HTTP/1.1", f"Host: {request.host}"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    if request.body or request.method in ("POST", "PUT", "PATCH"):
        lines.append(f"Content-Length: {len(request.body)}")
    lines.append("Connection: close")
    return b"\r\n".join(encoded(line) for line in lines) + b"\r\n\r\n" + request.body


class _Answer:
    """Takes what the parser finds."""

    def __init__(self, *, is_head: bool) -> None:
        self._is_head = is_head
        self._pieces: list[bytes] = []
        self._parser: httptools.HttpResponseParser | None = None
        self.headers: list[tuple[bytes, bytes]] = []
        self.status = 0
        self.is_begun = False
        """The head of the real answer is here; interim ones are passed over."""
        self.is_whole = False

    @property
    def ends_with_connection(self) -> bool:
        """Neither length nor chunks say where the body ends."""
        names = {name.lower() for name, _ in self.headers}
        return not names & {b"content-length", b"transfer-encoding"}

    def feed(self, parser: httptools.HttpResponseParser, data: bytes) -> None:
        self._parser = parser
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.is_begun = self.is_whole = True  # 101: what follows is no HTTP
        except httptools.HttpParserError as error:
            if not self.is_whole:  # what comes after the answer does not matter
                raise ProbeFailure("protocol", f"the answer is not HTTP: {error}") from None

    def drained(self) -> list[bytes]:
        pieces, self._pieces = self._pieces, []
        return pieces

    def on_message_begin(self) -> None:
        if not self.is_begun:
            self.headers.clear()

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.is_begun:
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self.is_begun or self._parser is None:
            return
        self.status = self._parser.get_status_code()
        self.is_begun = self.status >= 200 or self.status == 101
        self.is_whole = self.is_begun and (self._is_head or self.status in _NO_BODY)

    def on_body(self, body: bytes) -> None:
        if self.is_begun and not self.is_whole:
            self._pieces.append(body)

    def on_message_complete(self) -> None:
        self.is_whole = self.is_begun
