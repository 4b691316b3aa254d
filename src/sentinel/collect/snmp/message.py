"""Requests, encoded once: from one sending to the next only ids change, and what version 3 must renew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from secrets import randbelow
from typing import Protocol

from sentinel.collect.snmp import ber

_ID_HEAD = bytes((ber.INTEGER, 4))
_FIRST_ID = 0x0100_0000
_LAST_ID = 0x7FFF_FFFF


class Template(Protocol):
    """A message around the place of its request-id."""

    def with_id(self, request_id: int) -> bytes: ...


class Access(Protocol):
    """How to talk to one device: wraps requests and unwraps answers."""

    @property
    def version(self) -> int: ...

    def template(self, head: bytes, tail: bytes) -> Template:
        """The message around a PDU that is `head`, the four bytes of the request-id, and `tail`."""
        ...

    def opened(self, data: bytes) -> bytes:
        """What `ber.read_reply` reads, in an answer that has been checked as far as the version allows.

        Raises:
            MalformedError: nothing that may be believed.
            ReportError: the agent says why it does not answer.
        """
        ...

    def proof(self) -> Template | None:
        """For a silent agent: a request that it answers, by a report, if only the encryption is wrong."""
        ...


class ReportError(Exception):
    """An agent of version 3 says why it does not answer."""

    def __init__(self, kind: str, *, is_mended: bool) -> None:
        """
        Args:
            kind: a bounded word.
            is_mended: what was missing is known now; it can help to ask again.
        """
        super().__init__(kind)
        self.kind, self.is_mended = kind, is_mended


@dataclass(frozen=True, slots=True)
class Community:
    """Access by community: the protocol version is 1, or 2 for 2c."""

    version: int
    community: bytes

    def __repr__(self) -> str:
        return f"Community(version={self.version})"

    def template(self, head: bytes, tail: bytes) -> Template:
        opening = ber.encode_integer(self.version - 1) + ber.tlv(ber.OCTET_STRING, self.community) + head
        length = len(opening) + 4 + len(tail)
        return Whole(bytes((ber.SEQUENCE,)) + ber.encode_length(length) + opening, tail)

    def opened(self, data: bytes) -> bytes:
        return data

    def proof(self) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Whole:
    """A message of which only the request-id changes."""

    head: bytes
    tail: bytes

    def with_id(self, request_id: int) -> bytes:
        return b"".join((self.head, request_id.to_bytes(4, "big"), self.tail))


def request_ids() -> Iterator[int]:
    """Request-ids that all take four bytes, without end, from a start nobody can guess."""
    start = _FIRST_ID + randbelow(_LAST_ID - _FIRST_ID >> 1)
    return chain(range(start, _LAST_ID), chain.from_iterable(repeat(range(_FIRST_ID, _LAST_ID))))


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
    head = bytes((pdu,)) + ber.encode_length(len(_ID_HEAD) + 4 + len(tail)) + _ID_HEAD
    return access.template(head, tail)
