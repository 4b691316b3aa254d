"""BER as SNMP uses it (RFC 3416, RFC 3417 §8; X.690 §8): object identifiers, values, messages.

Object identifiers stay in their encoded form: equal bytes are equal OIDs, a prefix of bytes is a prefix of the
OID. Only ordering needs the numbers (`oid_numbers`). Whatever a device sends, decoding raises nothing but
`MalformedError`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

INTEGER = 0x02
OCTET_STRING = 0x04
NULL = 0x05
OBJECT_IDENTIFIER = 0x06
SEQUENCE = 0x30
IP_ADDRESS = 0x40
COUNTER32 = 0x41
GAUGE32 = 0x42
TIME_TICKS = 0x43
OPAQUE = 0x44
NSAP_ADDRESS = 0x45
COUNTER64 = 0x46
UINTEGER32 = 0x47
NO_SUCH_OBJECT = 0x80
NO_SUCH_INSTANCE = 0x81
END_OF_MIB_VIEW = 0x82

GET = 0xA0
GET_NEXT = 0xA1
RESPONSE = 0xA2
GET_BULK = 0xA5
REPORT = 0xA8

UNSIGNED = frozenset((COUNTER32, GAUGE32, TIME_TICKS, COUNTER64, UINTEGER32))
NUMBERS = UNSIGNED | {INTEGER}
EXCEPTIONS = frozenset((NO_SUCH_OBJECT, NO_SUCH_INSTANCE, END_OF_MIB_VIEW))

_V3 = 3

MAX_OID_BYTES = 5 * 128
"""RFC 2578 §3.5: at most 128 numbers below 2³²."""

_OPAQUE_FLOAT = b"\x9f\x78\x04"
_OPAQUE_DOUBLE = b"\x9f\x79\x08"

Varbind = tuple[bytes, int, int, int]
"""Encoded OID, tag of the value, and where in the message the value starts and ends."""


class MalformedError(Exception):
    """The bytes are not an SNMP message, or not one that may be believed."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The head of a response; the varbinds stand in data[start:end]."""

    request_id: int
    id_at: int
    """Where the bytes of the request-id start."""
    error_status: int
    error_index: int
    start: int
    end: int


# Encoding


def encode_length(length: int) -> bytes:
    if length < 0x80:
        return bytes((length,))
    size = (length.bit_length() + 7) // 8
    return bytes((0x80 | size,)) + length.to_bytes(size, "big")


def tlv(tag: int, content: bytes) -> bytes:
    return bytes((tag,)) + encode_length(len(content)) + content


def encode_integer(value: int) -> bytes:
    """The shortest two's complement form, with tag and length."""
    size = (value if value >= 0 else ~value).bit_length() // 8 + 1
    return tlv(INTEGER, value.to_bytes(size, "big", signed=True))


def encode_oid(text: str) -> bytes:
    """The content bytes (no tag, no length) of a dotted OID.

    Raises:
        ValueError: not an OID of at least two numbers, or a number is out of range.
    """
    numbers = [int(part) for part in text.strip().removeprefix(".").split(".")]
    if len(numbers) < 2 or numbers[0] > 2 or (numbers[0] < 2 and numbers[1] > 39):
        raise ValueError(f"not an object identifier: {text!r}")
    return encode_numbers([numbers[0] * 40 + numbers[1], *numbers[2:]])


def encode_numbers(numbers: list[int] | tuple[int, ...]) -> bytes:
    """Base-128 form of the numbers, as they stand behind an OID's first byte."""
    out = bytearray()
    for number in numbers:
        if not 0 <= number < 1 << 32:
            raise ValueError(f"number {number} of an object identifier is out of range")
        groups = [number & 0x7F]
        while number > 0x7F:
            number >>= 7
            groups.append(0x80 | number & 0x7F)
        out += bytes(reversed(groups))
    return bytes(out)


# Decoding


def _read_length(data: bytes, at: int) -> tuple[int, int]:
    """The length written at `at`, and where the content starts."""
    first = data[at]
    if first < 0x80:
        return first, at + 1
    size = first & 0x7F
    if not 1 <= size <= 4:
        raise MalformedError("a length has no bound or is absurd")
    start = at + 1 + size
    if start > len(data):
        raise MalformedError("a length is cut off")
    return int.from_bytes(data[at + 1 : start], "big"), start


def enter(data: bytes, at: int, end: int, tag: int) -> tuple[int, int]:
    """Start and end of the content of the element at `at`, which must have this tag and end by `end`."""
    if at + 2 > end or data[at] != tag:
        raise MalformedError("an element is missing or of the wrong type")
    length, start = _read_length(data, at + 1)
    if start + length > end:
        raise MalformedError("an element is longer than what holds it")
    return start, start + length


def read_integer(data: bytes, at: int, end: int) -> tuple[int, int]:
    start, stop = enter(data, at, end, INTEGER)
    if not 1 <= stop - start <= 8:
        raise MalformedError("an integer has an absurd size")
    return int.from_bytes(data[start:stop], "big", signed=True), stop


def request_id_place(data: bytes) -> int:
    """Where the request-id of a v1 or v2c message, or the message id of v3, stands (its tag).

    Found with as little work as possible.

    Raises:
        MalformedError: the message has none.
    """
    try:
        at = 2 if data[1] < 0x80 else 2 + (data[1] & 0x7F)
        version = data[at + 2]
        at += 2 + data[at + 1]
        if version != _V3:
            length = data[at + 1]
            at += 2 + length if length < 0x80 else 1 + (length & 0x7F) + _read_length(data, at + 1)[0] + 1
        at += 2 if data[at + 1] < 0x80 else 2 + (data[at + 1] & 0x7F)
        if data[0] != SEQUENCE or data[at] != INTEGER or at + 2 + data[at + 1] > len(data):
            raise MalformedError("there is no request-id")
    except IndexError:
        raise MalformedError("the message is cut off") from None
    return at


def find_request_id(data: bytes) -> int:
    """The request-id of a v1 or v2c message, the message id of v3.

    Raises:
        MalformedError: the message has none.
    """
    at = request_id_place(data)
    return int.from_bytes(data[at + 2 : at + 2 + data[at + 1]], "big", signed=True)


def pdu_place(data: bytes) -> tuple[int, int]:
    """Where the PDU of a v1 or v2c message, or of v3's scoped PDU, starts, and where the whole ends.

    Raises:
        MalformedError: there is none.
    """
    try:
        at, end = enter(data, 0, len(data), SEQUENCE)
        if data[at] == INTEGER:
            version, at = read_integer(data, at, end)
            if version not in (0, 1):
                raise MalformedError("not a v1 or v2c message")
        else:
            _, at = enter(data, at, end, OCTET_STRING)
        _, at = enter(data, at, end, OCTET_STRING)
    except IndexError:
        raise MalformedError("the message is cut off") from None
    if at >= end:
        raise MalformedError("there is no PDU")
    return at, end


def read_reply(data: bytes, pdu: int = RESPONSE) -> Reply:
    """The head of a response: of a v1 or v2c message, or of v3's scoped PDU.

    Args:
        pdu: the type it must have.
    Raises:
        MalformedError: it is not one, or a length does not fit what holds it.
    """
    at, end = pdu_place(data)
    if data[at] != pdu:
        raise MalformedError("not a response")
    try:
        id_at, end = enter(data, at, end, pdu)
        request_id, at = read_integer(data, id_at, end)
        status, at = read_integer(data, at, end)
        index, at = read_integer(data, at, end)
        start, stop = enter(data, at, end, SEQUENCE)
    except IndexError:
        raise MalformedError("the message is cut off") from None
    return Reply(request_id, id_at + 2, status, index, start, stop)


def read_varbinds(data: bytes, at: int, end: int, limit: int) -> list[Varbind]:
    """The varbinds in data[at:end], in one pass.

    Raises:
        MalformedError: a length does not fit, an OID is not one, or there are more than `limit`.
    """
    found: list[Varbind] = []
    try:
        while at < end:
            length, body = data[at + 1], at + 2
            if length >= 0x80:
                length, body = _read_length(data, at + 1)
            stop = body + length
            oid_length, oid_start = data[body + 1], body + 2
            if oid_length >= 0x80:
                oid_length, oid_start = _read_length(data, body + 1)
            value_at = oid_start + oid_length
            size, value = data[value_at + 1], value_at + 2
            if size >= 0x80:
                size, value = _read_length(data, value_at + 1)
            if data[at] != SEQUENCE or data[body] != OBJECT_IDENTIFIER or stop > end or value + size != stop:
                raise MalformedError("a varbind does not fit")
            if not 1 <= oid_length <= MAX_OID_BYTES or data[value_at - 1] >= 0x80:
                raise MalformedError("an object identifier is empty, endless or cut off")
            if len(found) >= limit:
                raise MalformedError("more varbinds than were asked for")
            found.append((data[oid_start:value_at], data[value_at], value, stop))
            at = stop
    except IndexError:
        raise MalformedError("a varbind is cut off") from None
    return found


def oid_numbers(encoded: bytes) -> tuple[int, ...]:
    """The numbers of an encoded OID or of the part behind a column; the first byte is not split in two.

    Raises:
        MalformedError: cut off, padded, or a number beyond 32 bits.
    """
    if encoded.isascii():
        return tuple(encoded)  # numbers below 128 take a byte each
    numbers: list[int] = []
    number, is_inside = 0, False
    for byte in encoded:
        if byte == 0x80 and not is_inside:
            raise MalformedError("a number of an object identifier is padded")
        number = number << 7 | byte & 0x7F
        is_inside = byte >= 0x80
        if not is_inside:
            if number >= 1 << 32:
                raise MalformedError("a number of an object identifier is beyond 32 bits")
            numbers.append(number)
            number = 0
    if is_inside:
        raise MalformedError("an object identifier is cut off")
    return tuple(numbers)


def oid_text(encoded: bytes) -> str:
    """Dotted text of an encoded OID, without a leading dot."""
    numbers = oid_numbers(encoded)
    if not numbers:
        return ""
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:])))


def number(tag: int, content: bytes) -> int | float | None:
    """The number in a value, or None where the value is not one.

    Counters, gauges and ticks are unsigned also when the leading zero byte is missing, as many devices send
    them. Opaque floats and doubles as net-snmp writes them.
    """
    if tag in NUMBERS:
        if not 1 <= len(content) <= 8 and not (len(content) == 9 and content[0] == 0 and tag != INTEGER):
            return None
        return int.from_bytes(content, "big", signed=tag == INTEGER)
    if tag == OPAQUE:
        if content[:3] == _OPAQUE_FLOAT and len(content) == 7:
            single: float = struct.unpack(">f", content[3:])[0]
            return single
        if content[:3] == _OPAQUE_DOUBLE and len(content) == 11:
            double: float = struct.unpack(">d", content[3:])[0]
            return double
    return None
