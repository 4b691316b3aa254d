"""Encoding and decoding, and what hostile bytes can do: raise MalformedError, and nothing else."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentinel.collect.snmp import ber, message
from tests.unit.snmp.agent import counter64, integer, read_request, response, text, varbind

ACCESS = message.Community(2, b"public")
NUMBERS = st.lists(st.integers(0, 2**32 - 1), max_size=20)
OIDS = st.tuples(st.integers(0, 1), st.integers(0, 39), NUMBERS).map(
    lambda one: ".".join(map(str, (one[0], one[1], *one[2])))
)


def decode_all(data: bytes) -> None:
    """Everything the engine does with a datagram that it cannot trust."""
    ber.find_request_id(data)
    reply = ber.read_reply(data)
    for oid, tag, start, end in ber.read_varbinds(data, reply.start, reply.end, 500):
        ber.oid_numbers(oid)
        ber.number(tag, data[start:end])


@given(OIDS)
def test_an_oid_survives_encoding(oid: str) -> None:
    assert ber.oid_text(ber.encode_oid(oid)) == oid


@given(NUMBERS)
def test_index_numbers_survive_encoding(numbers: list[int]) -> None:
    assert ber.oid_numbers(ber.encode_numbers(numbers)) == tuple(numbers)


@given(st.integers(-(2**63), 2**63 - 1))
def test_an_integer_survives_encoding(value: int) -> None:
    encoded = ber.encode_integer(value)
    assert ber.number(ber.INTEGER, encoded[2:]) == value


@pytest.mark.parametrize(
    ("oid", "encoded"),
    [
        ("1.3.6.1.2.1.1.3.0", "2b06010201010300"),
        ("1.3.6.1.4.1.2636.3", "2b06010401944c03"),
        ("2.100.3", "813403"),
        ("0.0", "00"),
        ("1.3.4294967295", "2b8fffffff7f"),
    ],
)
def test_oids_are_encoded_as_the_standard_says(oid: str, encoded: str) -> None:
    assert ber.encode_oid(oid).hex() == encoded
    assert ber.oid_text(bytes.fromhex(encoded)) == oid


@pytest.mark.parametrize("written", ["1", "", "3.1", "1.40", "1.3.-1", "1.3.4294967296", "ifIndex", "1..3"])
def test_what_is_no_oid_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        ber.encode_oid(written)


@given(st.lists(OIDS, min_size=1, max_size=60), st.integers(0x01000000, 0x7FFFFFFF), st.binary(max_size=200))
def test_a_request_says_what_it_was_made_of(oids: list[str], request_id: int, community: bytes) -> None:
    encoded = [ber.encode_oid(oid) for oid in oids]
    template = message.get_bulk(message.Community(2, community), encoded, non_repeaters=1, repetitions=300)
    data = template.with_id(request_id)
    assert ber.find_request_id(data) == request_id
    if b"\x04" not in community and b"\x02\x01" not in community and len(community) < 0x80:
        request = read_request(data)
        assert (request.request_id, request.first, request.second) == (request_id, 1, 300)
        assert request.oids == tuple(encoded)


@pytest.mark.parametrize(
    ("tag", "content", "value"),
    [
        (ber.INTEGER, "ff", -1),
        (ber.COUNTER32, "ff", 255),
        (ber.COUNTER32, "ffffffff", 2**32 - 1),
        (ber.COUNTER64, "ffffffffffffffff", 2**64 - 1),
        (ber.COUNTER64, "00ffffffffffffffff", 2**64 - 1),
        (ber.COUNTER64, "01ffffffffffffffff", None),
        (ber.GAUGE32, "", None),
        (ber.TIME_TICKS, "00", 0),
        (ber.OPAQUE, "9f7804" + struct.pack(">f", 1.5).hex(), 1.5),
        (ber.OPAQUE, "9f7908" + struct.pack(">d", -2.25).hex(), -2.25),
        (ber.OPAQUE, "9f7804", None),
        (ber.OCTET_STRING, "31", None),
    ],
)
def test_numbers_are_read_also_from_agents_that_forget_the_leading_zero(
    tag: int, content: str, value: float | None
) -> None:
    assert ber.number(tag, bytes.fromhex(content)) == value


def a_reply() -> bytes:
    request = read_request(message.get(ACCESS, [ber.encode_oid("1.3.6.1.2.1.1.3.0")]).with_id(0x01020304))
    values = [text("a" * 200), integer(-5), counter64(2**40), (ber.END_OF_MIB_VIEW, b"")]
    return response(
        request, [varbind(ber.encode_oid(f"1.3.6.1.2.1.1.{n}.0"), value) for n, value in enumerate(values)]
    )


@settings(max_examples=1000, deadline=None)
@given(st.binary(max_size=300))
def test_random_bytes_raise_only_malformed(data: bytes) -> None:
    with contextlib.suppress(ber.MalformedError):
        decode_all(data)


@settings(max_examples=2000, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6), st.integers(0, 400))
def test_bent_replies_raise_only_malformed(changes: list[tuple[int, int]], cut: int) -> None:
    data = bytearray(a_reply())
    for place, byte in changes:
        data[place % len(data)] = byte
    with contextlib.suppress(ber.MalformedError):
        decode_all(bytes(data[: cut or None]))


def test_every_cut_of_a_reply_is_malformed() -> None:
    data = a_reply()
    decode_all(data)
    for cut in range(len(data)):
        with pytest.raises(ber.MalformedError):
            decode_all(data[:cut])


def test_a_reply_with_more_varbinds_than_asked_for_is_malformed() -> None:
    data = a_reply()
    reply = ber.read_reply(data)
    with pytest.raises(ber.MalformedError):
        ber.read_varbinds(data, reply.start, reply.end, 3)


@pytest.mark.parametrize("encoded", ["2b8001", "2bff", "2b90ffffff7f", "80"])
def test_padded_cut_off_and_oversized_oid_numbers_are_malformed(encoded: str) -> None:
    with pytest.raises(ber.MalformedError):
        ber.oid_numbers(bytes.fromhex(encoded))
