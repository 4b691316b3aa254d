"""Prober grpc: the standard health check, over HTTP/2.

Source: grpc.health.v1 (doc/health-checking.md of gRPC), gRPC over HTTP2 (doc/PROTOCOL-HTTP2.md).
"""

from __future__ import annotations

import struct
from contextlib import aclosing

from sentinel.collect.probes import http2
from sentinel.collect.probes.around import Around
from sentinel.collect.probes.failure import ProbeFailure
from sentinel.collect.probes.format import GrpcSettings
from sentinel.collect.probes.message import Head, Request, Url
from sentinel.collect.probes.stream import Stream
from sentinel.collect.probes.tls import Trust, tell_certificates
from sentinel.collect.probes.travel import USER_AGENT

PATH = "/grpc.health.v1.Health/Check"
STATUSES = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")
LONGEST = 64 * 1024
"""Bytes of an answer."""
UNAVAILABLE, UNIMPLEMENTED, UNKNOWN = 14, 12, 2

_DURATION = "probe_grpc_duration_seconds"
_FRAME = struct.Struct("!BI")
_SERVICE_FIELD, _STATUS_FIELD = 0x0A, 0x08
"""Field 1 of HealthCheckRequest (a text) and of HealthCheckResponse (a number), as protobuf tags them."""


async def probe_grpc(settings: GrpcSettings, trust: Trust, around: Around) -> None:
    """
    Raises:
        ProbeFailure: with the reason.
    """
    findings = around.findings
    for phase in ("resolve", "check"):
        findings.set(_DURATION, 0, phase=phase)
    for status in STATUSES:
        findings.set("probe_grpc_healthcheck_response", 0, serving_status=status)
    findings.set("probe_grpc_ssl", 0)
    findings.set("probe_grpc_status_code", UNAVAILABLE)
    port = around.need_port()
    address = await around.address(settings)
    findings.set(_DURATION, findings.get("probe_dns_lookup_time_seconds") or 0.0, phase="resolve")
    started = around.clock.monotonic()
    stream = await Stream.connect(address, port)
    try:
        if settings.tls:
            await trust.secure(stream, around.place.host)
            findings.set("probe_grpc_ssl", 1)
            tell_certificates(findings, stream, trust)
        code, said, message = await _check(settings, stream, around)
    finally:
        stream.close()
        findings.set(_DURATION, around.clock.monotonic() - started, phase="check")
    findings.set("probe_grpc_status_code", code)
    if code != 0:
        raise ProbeFailure("grpc_status", f"gRPC status {code}: {said}")
    status = _serving_status(message)
    findings.set("probe_grpc_healthcheck_response", 1, serving_status=status)
    if status != "SERVING":
        raise ProbeFailure("not_serving", f"the service says {status}")


async def _check(settings: GrpcSettings, stream: Stream, around: Around) -> tuple[int, str, bytes]:
    """Status code, its text, and the message of the answer."""
    scheme = "https" if settings.tls else "http"
    host = f"[{around.place.host}]" if ":" in around.place.host else around.place.host
    url = Url(scheme, around.place.host, around.need_port(), PATH, f"{host}:{around.need_port()}")
    headers = {"User-Agent": USER_AGENT, "Content-Type": "application/grpc", "TE": "trailers"}
    request = Request(url, "POST", url.authority, headers, _question(settings.service))
    message, ends = b"", {}
    async with aclosing(http2.exchange(stream, request, around.clock)) as pieces:
        async for piece in pieces:
            if isinstance(piece, Head):
                if piece.status != 200:
                    raise ProbeFailure("status", f"status {piece.status} in place of a gRPC answer")
                ends = dict(piece.headers)  # an answer without a message has its status here
            elif isinstance(piece, bytes):
                message += piece
                if len(message) > LONGEST:
                    raise ProbeFailure("too_large", f"the answer is longer than {LONGEST} bytes")
            else:
                ends |= piece
    code = ends.get("grpc-status", "")
    number = int(code) if code.isdecimal() and len(code) < 4 else UNKNOWN
    return number, ends.get("grpc-message", "")[:200], message


def _question(service: str) -> bytes:
    name = service.encode()
    field = bytes((_SERVICE_FIELD,)) + _varint(len(name)) + name if name else b""
    return _FRAME.pack(0, len(field)) + field


def _serving_status(message: bytes) -> str:
    """
    Raises:
        ProbeFailure: not a HealthCheckResponse.
    """
    if len(message) < _FRAME.size:
        raise ProbeFailure("protocol", "the answer has no message")
    packed, size = _FRAME.unpack_from(message)
    content = message[_FRAME.size :]
    if packed or size != len(content):
        raise ProbeFailure("protocol", "the answer's message is not one health check")
    if not content:
        return STATUSES[0]
    if len(content) == 2 and content[0] == _STATUS_FIELD and content[1] < len(STATUSES):
        return STATUSES[content[1]]
    raise ProbeFailure("protocol", "the answer's message is not one health check")


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*out, number))
