"""Notifications as bytes."""

from __future__ import annotations

from collections.abc import Sequence

from sentinel.collect.snmp import ber
from sentinel.collect.traps import notification

LINK_DOWN = "1.3.6.1.6.3.1.1.5.3"

Bind = tuple[str, int, bytes]


def oid(text: str) -> bytes:
    return ber.tlv(ber.OBJECT_IDENTIFIER, ber.encode_oid(text))


def binds_of(*binds: Bind) -> bytes:
    return ber.tlv(
        ber.SEQUENCE,
        b"".join(ber.tlv(ber.SEQUENCE, oid(name) + ber.tlv(tag, value)) for name, tag, value in binds),
    )


def pdu_v2(trap: str = LINK_DOWN, *more: Bind, tag: int = notification.TRAP_V2, number: int = 7) -> bytes:
    binds = binds_of(
        ("1.3.6.1.2.1.1.3.0", ber.TIME_TICKS, b"\x05"),
        ("1.3.6.1.6.3.1.1.4.1.0", ber.OBJECT_IDENTIFIER, ber.encode_oid(trap)),
        *more,
    )
    head = ber.encode_integer(number) + ber.encode_integer(0) + ber.encode_integer(0)
    return ber.tlv(tag, head + binds)


def pdu_v1(
    generic: int, specific: int = 0, *binds: Bind, enterprise: str = "1.3.6.1.4.1.9", agent: str = "0.0.0.0"
) -> bytes:
    return ber.tlv(
        notification.TRAP_V1,
        oid(enterprise)
        + ber.tlv(ber.IP_ADDRESS, bytes(map(int, agent.split("."))))
        + ber.encode_integer(generic)
        + ber.encode_integer(specific)
        + ber.tlv(ber.TIME_TICKS, b"\x05")
        + binds_of(*binds),
    )


def message(pdu: bytes, *, version: int = 2, community: bytes = b"public") -> bytes:
    return notification.seal_plain(notification.Plain(version, community, b""), pdu)


def trap(name: str = LINK_DOWN, *more: Bind, community: bytes = b"public") -> bytes:
    return message(pdu_v2(name, *more), community=community)


def inform(name: str = LINK_DOWN, *, number: int = 7) -> bytes:
    return message(pdu_v2(name, tag=notification.INFORM, number=number))


def values(datagrams: Sequence[bytes]) -> list[notification.Notification]:
    return [notification.read_notification(notification.open_plain(data).pdu) for data in datagrams]
