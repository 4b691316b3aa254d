"""Syslog: RFC 5424 messages over UDP (RFC 5426), TCP (RFC 6587, octet counting) or TLS (RFC 5425)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import Mapping
from typing import get_args

from sentinel.config.address import split_address
from sentinel.config.receivers.local import Facility, SyslogSettings
from sentinel.incidents.book import one_line
from sentinel.notify.facts import Facts
from sentinel.notify.http import tls_context
from sentinel.notify.receiver import Delivery, Outcome, Result
from sentinel.notify.story import page_of, rfc3339
from sentinel.notify.surroundings import Surroundings
from sentinel.notify.wording import cut, size_in_bytes

FACILITIES = {name: number for number, name in enumerate(get_args(Facility)[:12])} | {
    f"local{number}": 16 + number for number in range(8)
}
"""Source: RFC 5424 §6.2.1."""
SEVERITIES = {"I": 1, "II": 2, "III": 4, "IV": 5}
"""Alert, critical, warning, notice. Source: RFC 5424 §6.2.1."""
INFORMATIONAL = 6
BOM = b"\xef\xbb\xbf"
MAX_BYTES = {"udp": 1180, "tcp": 8192, "tls": 8192}
"""Of a whole message; over UDP what passes any IPv6 path. Source: RFC 5426 §3.2."""
FAREWELL = 0.5
"""Seconds in which a collector that takes no more would say so."""


class Syslog:
    kind = "syslog"

    def __init__(self, settings: SyslogSettings, around: Surroundings) -> None:
        self._settings = settings
        self.timeout = settings.timeout
        self.concurrency = settings.concurrency
        self._guard = around.guard
        self._wording = around.wording(self.kind, settings)
        host, port = split_address(settings.address)
        self._host, self._port = host, port or 514
        self._hostname = settings.hostname or one_line(socket.gethostname(), 255) or "-"
        self._context: ssl.SSLContext | None = tls_context(settings) if settings.transport == "tls" else None

    async def send(self, delivery: Delivery) -> Outcome:
        message = self._message(delivery)
        try:
            addresses = await self._guard.addresses(self._host, self._port)
            if self._settings.transport == "udp":
                await self._send_datagram(addresses[0], message)
            else:
                await self._send_framed(addresses[0], message)
        except ssl.SSLError as error:
            return Outcome(Result.RETRY, one_line(f"TLS: {error.reason or error}", 200), is_unwell=True)
        except OSError as error:
            text = error.strerror or str(error)
            return Outcome(Result.RETRY, one_line(f"cannot send: {text}", 200), is_unwell=True)
        return Outcome(Result.DELIVERED, f"sent by {self._settings.transport}, which is not answered")

    async def close(self) -> None:
        """Nothing stays open between two messages."""

    def _message(self, delivery: Delivery) -> bytes:
        facts, settings = delivery.facts, self._settings
        severity = SEVERITIES[facts["grade"]] if facts["event"] == "firing" else INFORMATIONAL
        priority = FACILITIES[settings.facility] * 8 + severity
        head = (
            f"<{priority}>1 {rfc3339(facts['at'])} {self._hostname} {settings.app_name} {os.getpid()} "
            f"{facts['event']} {structured(settings.enterprise, _parameters(facts, delivery.key))} "
        ).encode()
        room = MAX_BYTES[settings.transport] - len(head) - len(BOM)
        text = self._wording.text("text", facts, limit=max(room, 80), measure=size_in_bytes)
        # One line: a collector that frames by line ends would take a second one for another message.
        line = cut(one_line(text, MAX_BYTES["tcp"]), max(room, 80), size_in_bytes)
        return head + BOM + line.encode()

    async def _send_datagram(self, address: str, message: bytes) -> None:
        loop = asyncio.get_running_loop()
        failures: list[OSError] = []

        class _Protocol(asyncio.DatagramProtocol):
            def error_received(self, exc: Exception) -> None:
                if isinstance(exc, OSError):
                    failures.append(exc)

        transport, _ = await loop.create_datagram_endpoint(_Protocol, remote_addr=(address, self._port))
        try:
            transport.sendto(message)
            await asyncio.sleep(0)
        finally:
            transport.close()
        if failures:
            raise failures[0]

    async def _send_framed(self, address: str, message: bytes) -> None:
        name = self._host if self._context else None
        reader, writer = await asyncio.open_connection(
            address, self._port, ssl=self._context, server_hostname=name
        )
        try:
            writer.write(b"%d " % len(message) + message)
            await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FAREWELL):
                    await reader.read(1)
        finally:
            writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(FAREWELL):
                    await writer.wait_closed()


def structured(enterprise: int, parameters: Mapping[str, str]) -> str:
    """One element of structured data. Source: RFC 5424 §6.3.3: \\, " and ] are escaped in values."""
    written = "".join(f' {name}="{_escaped(value)}"' for name, value in parameters.items())
    return f"[sentinel@{enterprise}{written}]"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")


def _parameters(facts: Facts, key: str) -> dict[str, str]:
    return {
        "incident": str(facts["incident"]),
        "grade": facts["grade"],
        "state": facts["state"],
        "target": one_line(facts["target"], 100),
        "alertname": one_line(facts["grouping"].get("alertname", ""), 100),
        "alerts": str(facts["total"]),
        "url": one_line(page_of(facts), 200),
        "key": key,
    }
