"""Prober tcp: a connection, with TLS if wanted, and a conversation by lines."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing

from sentinel.collect.probes.around import Around
from sentinel.collect.probes.failure import ProbeFailure
from sentinel.collect.probes.format import QueryResponse, TcpSettings
from sentinel.collect.probes.stream import Stream
from sentinel.collect.probes.tls import Trust, tell_certificates
from sentinel.model.pattern import Pattern

LONGEST_LINE = 64 * 1024
MOST_READ = 1024 * 1024
"""Bytes of a conversation, after which the target is taken to be talking for talking's sake."""
BREATH = 500
"""Lines, after which others get their turn."""


async def probe_tcp(settings: TcpSettings, trust: Trust, around: Around) -> None:
    """
    Raises:
        ProbeFailure: with the reason.
    """
    findings = around.findings
    findings.set("probe_failed_due_to_regex", 0)
    port = around.need_port()
    address = await around.address(settings)
    stream = await Stream.connect(address, port, source=settings.source_ip_address)
    try:
        if settings.tls:
            await trust.secure(stream, around.place.host)
            tell_certificates(findings, stream, trust)
        await _converse(settings, trust, around, stream)
    finally:
        stream.close()


async def _converse(settings: TcpSettings, trust: Trust, around: Around, stream: Stream) -> None:
    lines = _Lines(stream)
    for step in settings.query_response:
        send = step.send
        if step.expect is not None:
            line = await _expected(step.expect, lines, around)
            send = step.expect.expanded_in(line, send) or ""
            _tell_labels(step, step.expect, line, around)
        if send:
            await stream.send(f"{send}\n".encode("utf-8", "surrogateescape"))
        if step.starttls:
            await trust.secure(stream, around.place.host)
            tell_certificates(around.findings, stream, trust)
            lines = _Lines(stream)  # what came before TLS is not to be believed


async def _expected(pattern: Pattern, lines: _Lines, around: Around) -> str:
    last = ""
    async with aclosing(lines.read()) as reading:
        async for line in reading:
            if pattern.occurs_in(line):
                around.findings.set("probe_failed_due_to_regex", 0)
                return line
            last = line
    around.findings.set("probe_failed_due_to_regex", 1)
    said = f"; its last line was {last[:200]!r}" if last else ", having said nothing"
    raise ProbeFailure("regex", f"the target closed the connection before {pattern.text!r} matched{said}")


def _tell_labels(step: QueryResponse, pattern: Pattern, line: str, around: Around) -> None:
    if step.labels:
        labels = {one.name: pattern.expanded_in(line, one.value) or "" for one in step.labels}
        around.findings.set("probe_expect_info", 1, **labels)


class _Lines:
    """Lines as they come in; the last one counts without its end too."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._waiting: deque[bytes] = deque()
        self._rest = b""
        self._read = 0
        self._taken = 0

    async def read(self) -> AsyncGenerator[str, None]:
        while True:
            while self._waiting:
                self._taken += 1
                if self._taken % BREATH == 0:
                    await asyncio.sleep(0)  # very many short lines: others get their turn
                yield _text(self._waiting.popleft())
            more = await self._stream.receive()
            self._read += len(more)
            if self._read > MOST_READ:
                raise ProbeFailure("too_large", f"the target sent more than {MOST_READ} bytes")
            *lines, self._rest = (self._rest + more).split(b"\n")
            self._waiting.extend(lines)
            if len(self._rest) > LONGEST_LINE:
                raise ProbeFailure("too_large", f"the target sent a line of more than {LONGEST_LINE} bytes")
            if not more:
                last, self._rest = self._rest, b""
                if last:
                    yield _text(last)
                return


def _text(line: bytes) -> str:
    return line.removesuffix(b"\r").decode("utf-8", "replace")
