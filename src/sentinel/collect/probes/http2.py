"""HTTP/2 on a connection that carries one request. Source: RFC 9113."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

from sentinel.collect.probes.failure import ProbeFailure
from sentinel.collect.probes.message import Head, Request, decoded, encoded
from sentinel.collect.probes.stream import Stream
from sentinel.runtime.clock import Clock

MOST_EVENTS = 20_000
"""Events of one answer, after which the server is taken to send frames for their own sake."""
_HEADER_LIST = 256 * 1024


Piece = Head | bytes | dict[str, str]
"""The head of an answer, a part of its body, or its trailers."""


async def exchange(stream: Stream, request: Request, clock: Clock) -> AsyncGenerator[Piece, None]:
    """The head of the answer, then its body in pieces, and its trailers if there are any.

    Raises:
        ProbeFailure: with the reason.
    """
    talk = _Talk(request)
    await stream.send(talk.outgoing())
    while not talk.is_whole:
        data = await stream.receive()
        if not data:
            raise ProbeFailure("closed", "the server closed the connection before its answer was whole")
        for piece in talk.take(data, clock.monotonic()):
            yield piece
        more = talk.outgoing()
        if more:
            await stream.send(more)


class _Talk:
    """Our side of the exchange: bytes in, pieces and bytes out."""

    def __init__(self, request: Request) -> None:
        self._peer = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding=None))
        self._peer.local_settings[h2.settings.SettingCodes.ENABLE_PUSH] = 0
        self._peer.local_settings[h2.settings.SettingCodes.MAX_HEADER_LIST_SIZE] = _HEADER_LIST
        self._peer.initiate_connection()
        self._number = self._peer.get_next_available_stream_id()
        self._left = request.body
        self._peer.send_headers(self._number, _headers(request), end_stream=not request.body)
        self._events = 0
        self.is_whole = False

    def outgoing(self) -> bytes:
        """What is to be sent now: as much of the request as the server takes, and what the protocol asks for."""
        while self._left and not self.is_whole:
            room = min(self._peer.local_flow_control_window(self._number), self._peer.max_outbound_frame_size)
            if room <= 0:
                break
            piece, self._left = self._left[:room], self._left[room:]
            self._peer.send_data(self._number, piece, end_stream=not self._left)
        return self._peer.data_to_send()

    def take(self, data: bytes, at: float) -> Iterator[Piece]:
        try:
            events = self._peer.receive_data(data)
        except (h2.exceptions.H2Error, ValueError, IndexError) as error:
            raise ProbeFailure("protocol", f"the answer is not HTTP/2: {error}") from None
        self._events += len(events)
        if self._events > MOST_EVENTS:
            raise ProbeFailure("protocol", "the server sends frames without end")
        for event in events:
            if isinstance(event, h2.events.ResponseReceived):
                yield _head(event, at)
            elif isinstance(event, h2.events.DataReceived):
                self._peer.acknowledge_received_data(event.flow_controlled_length, self._number)
                yield event.data
            elif isinstance(event, h2.events.TrailersReceived):
                yield dict(decoded(event.headers))
            elif isinstance(event, h2.events.StreamEnded):
                self.is_whole = True
            elif _is_refusal(event) and not self.is_whole:
                raise ProbeFailure("closed", f"the server ended the exchange: {event}")


def _is_refusal(event: h2.events.Event) -> bool:
    ends = isinstance(event, h2.events.StreamReset | h2.events.ConnectionTerminated)
    return ends and getattr(event, "error_code", None) != h2.errors.ErrorCodes.NO_ERROR


def _headers(request: Request) -> list[tuple[bytes, bytes]]:
    headers = [
        (b":method", encoded(request.method)),
        (b":scheme", encoded(request.url.scheme)),
        (b":authority", encoded(request.host)),
        (b":path", encoded(request.url.path)),
    ]
    headers += [(encoded(name.lower()), encoded(value)) for name, value in request.headers.items()]
    if request.body:
        headers.append((b"content-length", str(len(request.body)).encode()))
    return headers


def _head(event: h2.events.ResponseReceived, at: float) -> Head:
    headers = decoded(event.headers)
    status = next((value for name, value in headers if name == ":status"), "0")
    plain = tuple(pair for pair in headers if not pair[0].startswith(":"))
    return Head("HTTP/2.0", int(status) if status.isdecimal() else 0, plain, at)
