"""What a notification says: the PDUs of traps and informs, version 1 put in the words of version 2.

Source: RFC 1157 §4.1.6 (Trap-PDU), RFC 3416 §4.2.6 and §4.2.7 (SNMPv2-Trap-PDU, InformRequest-PDU), RFC 3584 §3
(from version 1 to version 2). Whatever arrives, reading it raises nothing but `MalformedError`.
"""

from __future__ import annotations

from dataclasses import dataclass

from sentinel.collect.snmp import ber
from sentinel.collect.snmp.texts import value_text

TRAP_V1 = 0xA4
INFORM = 0xA6
TRAP_V2 = 0xA7

MAX_VARBINDS = 256
MAX_FACTS = 20
"""Varbinds that are told; the rest is left out."""
MAX_TEXT = 200
"""Characters of one varbind that are told."""
MAX_OID_TEXT = 128
"""Characters of an OID that may become a label."""

OTHER = "other"

_NAMES = {
    # SNMPv2-MIB (RFC 3418) and IF-MIB (RFC 2863)
    "1.3.6.1.6.3.1.1.5.1": "coldStart",
    "1.3.6.1.6.3.1.1.5.2": "warmStart",
    "1.3.6.1.6.3.1.1.5.3": "linkDown",
    "1.3.6.1.6.3.1.1.5.4": "linkUp",
    "1.3.6.1.6.3.1.1.5.5": "authenticationFailure",
    "1.3.6.1.6.3.1.1.5.6": "egpNeighborLoss",
    # BGP4-MIB (RFC 4273)
    "1.3.6.1.2.1.15.0.1": "bgpEstablishedNotification",
    "1.3.6.1.2.1.15.0.2": "bgpBackwardTransNotification",
    # BRIDGE-MIB (RFC 4188)
    "1.3.6.1.2.1.17.0.1": "newRoot",
    "1.3.6.1.2.1.17.0.2": "topologyChange",
    # ENTITY-MIB (RFC 6933), LLDP-MIB (IEEE 802.1AB)
    "1.3.6.1.2.1.47.2.0.1": "entConfigChange",
    "1.0.8802.1.1.2.0.0.1": "lldpRemTablesChange",
    # UPS-MIB (RFC 1628), sent by version 2 and by version 1 agents
    "1.3.6.1.2.1.33.2.1": "upsTrapOnBattery",
    "1.3.6.1.2.1.33.2.0.1": "upsTrapOnBattery",
    # NET-SNMP-AGENT-MIB
    "1.3.6.1.4.1.8072.4.0.2": "nsNotifyShutdown",
    "1.3.6.1.4.1.8072.4.0.3": "nsNotifyRestart",
}

_GENERIC = "1.3.6.1.6.3.1.1.5"
_TRAP_OID = ber.encode_oid("1.3.6.1.6.3.1.1.4.1.0")
_TRAP_ADDRESS = ber.encode_oid("1.3.6.1.6.3.18.1.3.0")
"""snmpTrapAddress.0: the device behind a proxy that forwards."""
_COMMUNITY = ber.encode_oid("1.3.6.1.6.3.18.1.4.0")
"""snmpTrapCommunity.0: a secret that proxies pass on."""
_UPTIME = ber.encode_oid("1.3.6.1.2.1.1.3.0")
_SPECIFIC = 6


@dataclass(frozen=True, slots=True)
class Notification:
    """One trap or inform."""

    oid: str
    """snmpTrapOID, dotted."""
    facts: tuple[tuple[str, str], ...]
    """OID and text of the first varbinds: data of the device, bounded, for people to read and nothing else."""
    agent: str = ""
    """Address of the device that a forwarding sender names; empty: the sender speaks for itself."""

    @property
    def name(self) -> str:
        """The name of a well-known notification, else its OID, as a label."""
        known = _NAMES.get(self.oid)
        return known or (self.oid if len(self.oid) <= MAX_OID_TEXT else OTHER)


@dataclass(frozen=True, slots=True)
class Plain:
    """A message of version 1 or 2c, taken out of its envelope."""

    version: int
    """1 or 2."""
    community: bytes
    pdu: bytes


def version_of(data: bytes) -> int:
    """1, 2 (2c) or 3.

    Raises:
        MalformedError: not an SNMP message.
    """
    start, end = ber.enter(data, 0, len(data), ber.SEQUENCE)
    number, _ = ber.read_integer(data, start, end)
    version = {0: 1, 1: 2, 3: 3}.get(number)
    if version is None:
        raise ber.MalformedError("not a version of SNMP")
    return version


def open_plain(data: bytes) -> Plain:
    """
    Raises:
        MalformedError: not a message of version 1 or 2c.
    """
    at, end = ber.enter(data, 0, len(data), ber.SEQUENCE)
    number, at = ber.read_integer(data, at, end)
    start, at = ber.enter(data, at, end, ber.OCTET_STRING)
    if number not in (0, 1):
        raise ber.MalformedError("not a message of version 1 or 2c")
    return Plain(number + 1, data[start:at], data[at : _pdu(data, at, end)[1]])


def read_notification(pdu: bytes) -> Notification:
    """
    Raises:
        MalformedError: neither a trap nor an inform, or broken.
    """
    if not pdu or pdu[0] not in (TRAP_V1, TRAP_V2, INFORM):
        raise ber.MalformedError("not a notification")
    start, end = _pdu(pdu, 0, len(pdu))
    return _version_one(pdu, start, end) if pdu[0] == TRAP_V1 else _version_two(pdu, start, end)


def answer_to(pdu: bytes) -> bytes:
    """The response that an inform asks for: the same request-id and varbinds (RFC 3416 §4.2.7).

    Raises:
        MalformedError: the inform is broken.
    """
    at, end = ber.enter(pdu, 0, len(pdu), INFORM)
    _, behind = ber.read_integer(pdu, at, end)
    request_id = pdu[at:behind]
    _, varbinds = ber.read_integer(pdu, behind, end)
    _, varbinds = ber.read_integer(pdu, varbinds, end)
    zero = ber.encode_integer(0)
    return ber.tlv(ber.RESPONSE, request_id + zero + zero + pdu[varbinds:end])


def seal_plain(message: Plain, pdu: bytes) -> bytes:
    """A PDU in the envelope of the message that it answers."""
    head = ber.encode_integer(message.version - 1) + ber.tlv(ber.OCTET_STRING, message.community)
    return ber.tlv(ber.SEQUENCE, head + pdu)


def _pdu(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Start and end of the content of the PDU at `at`, whichever it is."""
    if at >= end:
        raise ber.MalformedError("there is no PDU")
    return ber.enter(data, at, end, data[at])


def _version_two(pdu: bytes, at: int, end: int) -> Notification:
    for _ in range(3):  # request-id, error-status, error-index
        _, at = ber.read_integer(pdu, at, end)
    binds = _varbinds(pdu, at, end)
    oid = agent = ""
    for name, tag, start, stop in binds:
        if name == _TRAP_OID and tag == ber.OBJECT_IDENTIFIER:
            oid = oid or ber.oid_text(pdu[start:stop])
        elif name == _TRAP_ADDRESS and tag == ber.IP_ADDRESS:
            agent = _address(pdu[start:stop])
    if not oid:
        raise ber.MalformedError("the notification does not say what it is")
    told = [bind for bind in binds if bind[0] not in (_TRAP_OID, _UPTIME, _COMMUNITY)]
    return Notification(oid, _facts(pdu, told), agent)


def _version_one(pdu: bytes, at: int, end: int) -> Notification:
    start, at = ber.enter(pdu, at, end, ber.OBJECT_IDENTIFIER)
    enterprise = ber.oid_text(pdu[start:at])
    start, at = ber.enter(pdu, at, end, ber.IP_ADDRESS)
    agent = _address(pdu[start:at])
    generic, at = ber.read_integer(pdu, at, end)
    specific, at = ber.read_integer(pdu, at, end)
    _, at = ber.enter(pdu, at, end, ber.TIME_TICKS)
    if not 0 <= generic <= _SPECIFIC or specific < 0:
        raise ber.MalformedError("not a trap of version 1")
    # RFC 3584 §3.1 (2) and (3): the OID that version 2 would have sent.
    oid = f"{enterprise}.0.{specific}" if generic == _SPECIFIC else f"{_GENERIC}.{generic + 1}"
    return Notification(oid, _facts(pdu, _varbinds(pdu, at, end)), agent)


def _varbinds(pdu: bytes, at: int, end: int) -> list[ber.Varbind]:
    start, stop = ber.enter(pdu, at, end, ber.SEQUENCE)
    return ber.read_varbinds(pdu, start, stop, MAX_VARBINDS)


def _facts(pdu: bytes, binds: list[ber.Varbind]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (ber.oid_text(name)[:MAX_OID_TEXT], value_text(tag, pdu[start:stop], "DisplayString")[:MAX_TEXT])
        for name, tag, start, stop in binds[:MAX_FACTS]
    )


def _address(content: bytes) -> str:
    """Dotted, or an empty string where the sender leaves it out."""
    return ".".join(map(str, content)) if len(content) == 4 and any(content) else ""
