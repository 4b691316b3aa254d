"""Requests, encoded once: only the four bytes of the request-id change from one sending to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from secrets import randbelow

from sentinel.collect.snmp import ber

_ID_HEAD = bytes((ber.INTEGER, 4))
_FIRST_ID = 0x0100_0000
_LAST_ID = 0x7FFF_FFFF


@dataclass(frozen=True, slots=True)
class Access:
    """What a request must show: the protocol version (1, or 2 for 2c) and the community.

    Version 3 will need state per engine; it comes in beside this as another way to wrap a PDU.
    """

    version: int
    community: bytes

    def __repr__(self) -> str:
        return f"Access(version={self.version})"


@dataclass(frozen=True, slots=True)
class Template:
    """A message around the place of its request-id."""

    head: bytes
    tail: bytes

    def with_id(self, request_id: int) -> bytes:
        return b"".join((self.head, request_id.to_bytes(4, "big"), self.tail))


def request_ids() -> count[int]:
    """Request-ids that all take four bytes, from a start nobody can guess; wraps are left to `next_id`."""
    return count(_FIRST_ID + randbelow(_LAST_ID - _FIRST_ID >> 1))


def wrapped(number: int) -> int:
    """A number as a request-id of four bytes."""
    return _FIRST_ID + (number - _FIRST_ID) % (_LAST_ID - _FIRST_ID)


def get(access: Access, oids: Sequence[bytes]) -> Template:
    return _template(access, ber.GET, 0, 0, oids)


def get_next(access: Access, oids: Sequence[bytes]) -> Template:
    return _template(access, ber.GET_NEXT, 0, 0, oids)


def get_bulk(access: Access, oids: Sequence[bytes], *, non_repeaters: int, repetitions: int) -> Template:
    """RFC 3416 §4.2.3; the first `non_repeaters` OIDs are answered once each."""
    return _template(access, ber.GET_BULK, non_repeaters, repetitions, oids)


def _template(access: Access, pdu: int, first: int, second: int, oids: Sequence[bytes]) -> Template:
    null = bytes((ber.NULL, 0))
    binds = [ber.tlv(ber.SEQUENCE, ber.tlv(ber.OBJECT_IDENTIFIER, oid) + null) for oid in oids]
    tail = ber.encode_integer(first) + ber.encode_integer(second) + ber.tlv(ber.SEQUENCE, b"".join(binds))
    inner = bytes((pdu,)) + ber.encode_length(len(_ID_HEAD) + 4 + len(tail)) + _ID_HEAD
    opening = ber.encode_integer(access.version - 1) + ber.tlv(ber.OCTET_STRING, access.community) + inner
    length = len(opening) + 4 + len(tail)
    return Template(bytes((ber.SEQUENCE,)) + ber.encode_length(length) + opening, tail)
