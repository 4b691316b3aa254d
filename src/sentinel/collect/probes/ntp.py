"""Prober ntp: one question for the time, without authentication.

Source: RFC 5905 §7.3 (packet), §8 (offset and delay), §7.4 (kiss codes).
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass

from sentinel.collect.probes.around import Around
from sentinel.collect.probes.datagram import datagrams
from sentinel.collect.probes.failure import ProbeFailure
from sentinel.collect.probes.format import NtpSettings

PORT = 123
UNIX = 2_208_988_800
"""Seconds from NTP's first era (1900) to Unix time's start (1970)."""
ERA = 1 << 32
STRANGERS = 100
"""Answers to other questions that are passed over."""

_PACKET = struct.Struct("!BBbbII4s8s8s8s8s")
_CLIENT, _SERVER = 3, 4
_UNSYNCHRONIZED = 3
_DURATION = "probe_ntp_duration_seconds"


@dataclass(frozen=True, slots=True)
class Answer:
    """A server's packet, in seconds."""

    leap: int
    stratum: int
    root_delay: float
    root_dispersion: float
    code: str
    """Kiss code, where the stratum is 0."""
    reference: float
    """Unix seconds; 0 where the server's clock has never been set."""
    received: float
    sent: float


async def probe_ntp(settings: NtpSettings, around: Around) -> None:
    """
    Raises:
        ProbeFailure: with the reason.
    """
    findings, clock = around.findings, around.clock
    address = await around.address(settings)
    findings.set(_DURATION, findings.get("probe_dns_lookup_time_seconds") or 0.0, phase="resolve")
    with datagrams(address, around.place.own_port or PORT, settings.source_ip_address) as socket:
        cookie = os.urandom(
            8
        )  # in place of our time: nobody can answer who has not seen it, nor learns our clock
        here, started = clock.now(), clock.monotonic()
        await socket.send(_PACKET.pack(4 << 3 | _CLIENT, 0, 0, 0, 0, 0, b"", b"", b"", b"", cookie))
        for _ in range(STRANGERS):
            packet = await socket.receive()
            elapsed = clock.monotonic() - started
            answer = read(packet, cookie, here)
            if answer is not None:
                break
        else:
            raise ProbeFailure("protocol", f"{address} sends no answer to the question asked")
    findings.set(_DURATION, elapsed, phase="request")
    offset = ((answer.received - here) + (answer.sent - (here + elapsed))) / 2
    _tell(answer, around)
    if answer.stratum == 0:
        raise ProbeFailure("kiss_of_death", f"{address} refuses to tell the time: {answer.code}")
    findings.set("probe_ntp_offset_seconds", offset)
    findings.set("probe_ntp_round_trip_seconds", max(elapsed - (answer.sent - answer.received), 0.0))
    _judge(settings, answer, offset)


def _tell(answer: Answer, around: Around) -> None:
    findings = around.findings
    findings.set("probe_ntp_leap", answer.leap)
    findings.set("probe_ntp_stratum", answer.stratum)
    findings.set("probe_ntp_root_delay_seconds", answer.root_delay)
    findings.set("probe_ntp_root_dispersion_seconds", answer.root_dispersion)
    findings.set("probe_ntp_reference_timestamp_seconds", answer.reference)


def _judge(settings: NtpSettings, answer: Answer, offset: float) -> None:
    if answer.leap == _UNSYNCHRONIZED or answer.stratum > 15:
        raise ProbeFailure("unsynchronized", "the server's own clock is not synchronized")
    if answer.stratum > settings.max_stratum:
        text = f"the server has stratum {answer.stratum}, more than {settings.max_stratum}"
        raise ProbeFailure("stratum", text)
    if settings.max_offset is not None and abs(offset) > settings.max_offset:
        text = f"the server's clock differs by {offset:.3f} s, more than {settings.max_offset:g} s"
        raise ProbeFailure("offset", text)


def read(packet: bytes, cookie: bytes, near: float) -> Answer | None:
    """
    Args:
        near: Unix seconds; timestamps are taken from the era that lies closest.
    Returns:
        None: not an answer to this question.
    """
    if len(packet) < _PACKET.size:
        return None
    first, stratum, _, _, delay, dispersion, code, reference, origin, received, sent = _PACKET.unpack_from(
        packet
    )
    if first & 7 != _SERVER or origin != cookie:
        return None
    return Answer(
        leap=first >> 6,
        stratum=stratum,
        root_delay=_signed(delay) / 65536,
        root_dispersion=dispersion / 65536,
        code="".join(chr(byte) for byte in code if 32 < byte < 127) if stratum == 0 else "",
        reference=_instant(reference, near) if any(reference) else 0.0,
        received=_instant(received, near),
        sent=_instant(sent, near),
    )


def _signed(number: int) -> int:
    return number - ERA if number >= ERA >> 1 else number


def _instant(stamp: bytes, near: float) -> float:
    seconds, fraction = int.from_bytes(stamp[:4]), int.from_bytes(stamp[4:])
    unix = seconds - UNIX
    eras = round((near - unix) / ERA)
    return unix + eras * ERA + fraction / ERA
