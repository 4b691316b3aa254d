"""Prober dns: one question to a name server over UDP, TCP or TLS."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from sentinel.collect.probes.around import Around
from sentinel.collect.probes.datagram import datagrams
from sentinel.collect.probes.failure import ProbeFailure
from sentinel.collect.probes.format import DnsSettings, RecordRules
from sentinel.collect.probes.resolve import Address
from sentinel.collect.probes.stream import Stream
from sentinel.collect.probes.tls import Trust

PORT, TLS_PORT = 53, 853
STRANGERS = 100
"""Datagrams with another question's number that are passed over."""

_DURATION = "probe_dns_duration_seconds"
_LENGTH = struct.Struct("!H")


async def probe_dns(settings: DnsSettings, trust: Trust, around: Around) -> None:
    """
    Raises:
        ProbeFailure: with the reason.
    """
    findings = around.findings
    for phase in ("resolve", "connect", "request"):
        findings.set(_DURATION, 0, phase=phase)
    for section in ("answer", "authority", "additional"):
        findings.set(f"probe_dns_{section}_rrs", 0)
    findings.set("probe_dns_query_succeeded", 0)
    address = await around.address(settings)
    findings.set(_DURATION, findings.get("probe_dns_lookup_time_seconds") or 0.0, phase="resolve")
    query = dns.message.make_query(settings.query_name, settings.query_type, settings.query_class)
    if not settings.recursion_desired:
        query.flags &= ~dns.flags.RD
    port = around.place.own_port or (TLS_PORT if settings.dns_over_tls else PORT)
    if settings.transport_protocol == "udp":
        answer = await _over_udp(settings, around, (address, port), query)
    else:
        answer = await _over_tcp(settings, trust, around, (address, port), query)
    findings.set("probe_dns_query_succeeded", 1)
    _judge(settings, answer, around)


async def _over_udp(
    settings: DnsSettings, around: Around, server: tuple[Address, int], query: dns.message.Message
) -> dns.message.Message:
    clock, started = around.clock, around.clock.monotonic()
    with datagrams(*server, settings.source_ip_address) as socket:
        asked = clock.monotonic()
        around.findings.set(_DURATION, asked - started, phase="connect")
        try:
            await socket.send(query.to_wire())
            for _ in range(STRANGERS):
                wire = await socket.receive()
                if wire[:2] == _LENGTH.pack(query.id):
                    return _read(wire, query)
            raise ProbeFailure("protocol", f"{server[0]} answers other questions than the one asked")
        finally:
            around.findings.set(_DURATION, clock.monotonic() - asked, phase="request")


async def _over_tcp(
    settings: DnsSettings,
    trust: Trust,
    around: Around,
    server: tuple[Address, int],
    query: dns.message.Message,
) -> dns.message.Message:
    clock, started = around.clock, around.clock.monotonic()
    stream = await Stream.connect(*server, source=settings.source_ip_address)
    try:
        if settings.dns_over_tls:
            await trust.secure(stream, around.place.host)
        asked = clock.monotonic()
        around.findings.set(_DURATION, asked - started, phase="connect")
        try:
            wire = query.to_wire()
            await stream.send(_LENGTH.pack(len(wire)) + wire)
            return _read(await _framed(stream), query)
        finally:
            around.findings.set(_DURATION, clock.monotonic() - asked, phase="request")
    finally:
        stream.close()


async def _framed(stream: Stream) -> bytes:
    got = bytearray()
    while len(got) < 2 or len(got) < 2 + _LENGTH.unpack_from(got)[0]:
        more = await stream.receive()
        if not more:
            raise ProbeFailure("closed", "the server closed the connection before its answer was whole")
        got += more
    return bytes(got[2 : 2 + _LENGTH.unpack_from(got)[0]])


def _read(wire: bytes, query: dns.message.Message) -> dns.message.Message:
    try:
        answer = dns.message.from_wire(wire, one_rr_per_rrset=True)
    except (dns.exception.DNSException, ValueError, struct.error) as error:
        raise ProbeFailure("protocol", f"the answer is no DNS message: {error}") from None
    if answer.id != query.id or not answer.flags & dns.flags.QR:
        raise ProbeFailure("protocol", "the answer is to another question")
    return answer


def _judge(settings: DnsSettings, answer: dns.message.Message, around: Around) -> None:
    findings = around.findings
    sections = {
        "answer": (answer.answer, settings.validate_answer_rrs),
        "authority": (answer.authority, settings.validate_authority_rrs),
        "additional": (answer.additional, settings.validate_additional_rrs),
    }
    for name, (records, _) in sections.items():
        own = int(name == "additional" and answer.opt is not None)
        findings.set(f"probe_dns_{name}_rrs", sum(len(one) for one in records) + own)
    if settings.query_type == "SOA":
        serials = [one[0].serial for one in answer.answer if one.rdtype == dns.rdatatype.SOA and len(one)]
        findings.set("probe_dns_serial", serials[-1] if serials else 0)
    code = dns.rcode.to_text(answer.rcode())
    wanted = settings.valid_rcodes or ("NOERROR",)
    if code not in {dns.rcode.to_text(dns.rcode.from_text(one)) for one in wanted}:
        raise ProbeFailure("rcode", f"the server answers {code}, not {' or '.join(wanted)}")
    for name, (records, rules) in sections.items():
        _check(name, _texts(records), rules)


def _texts(records: Sequence[dns.rrset.RRset]) -> list[str]:
    """Records as zone files write them, with tabs between: what expressions for blackbox_exporter are made for."""
    return [
        f"{one.name}\t{one.ttl}\t{dns.rdataclass.to_text(one.rdclass)}\t{dns.rdatatype.to_text(one.rdtype)}\t{data}"
        for one in records
        for data in one
    ]


def _check(name: str, records: Sequence[str], rules: RecordRules) -> None:
    for pattern in rules.fail_if_matches_regexp:
        if any(pattern.occurs_in(one) for one in records):
            raise ProbeFailure("records", f"a record of the {name} section matches {pattern.text!r}")
    for pattern in rules.fail_if_not_matches_regexp:
        if not records or not all(pattern.occurs_in(one) for one in records):
            raise ProbeFailure("records", f"not every record of the {name} section matches {pattern.text!r}")
    every = rules.fail_if_all_match_regexp
    # As blackbox_exporter has it: the probe fails unless all records match all of these.
    if every and not all(pattern.occurs_in(one) for pattern in every for one in records):
        raise ProbeFailure("records", f"not all records of the {name} section match fail_if_all_match_regexp")
    some = rules.fail_if_none_matches_regexp
    if some and not any(pattern.occurs_in(one) for pattern in some for one in records):
        raise ProbeFailure("records", f"no record of the {name} section matches fail_if_none_matches_regexp")
