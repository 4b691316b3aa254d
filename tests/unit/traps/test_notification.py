"""Notifications are read as the RFCs say, and whatever else arrives is malformed and nothing worse."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.collect.snmp import ber
from sentinel.collect.traps.notification import (
    INFORM,
    MAX_FACTS,
    MAX_TEXT,
    OTHER,
    answer_to,
    open_plain,
    read_notification,
    version_of,
)
from tests.unit.traps.datagrams import inform, message, pdu_v1, pdu_v2, trap


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (1, "coldStart"),
        (2, "warmStart"),
        (3, "linkDown"),
        (4, "linkUp"),
        (5, "authenticationFailure"),
        (6, "egpNeighborLoss"),
    ],
)
def test_the_generic_traps_have_their_names_in_both_versions(number: int, name: str) -> None:
    assert read_notification(pdu_v2(f"1.3.6.1.6.3.1.1.5.{number}")).name == name
    assert read_notification(pdu_v1(number - 1)).name == name


def test_an_enterprises_trap_of_version_1_gets_the_oid_of_version_2() -> None:
    found = read_notification(pdu_v1(6, 42, enterprise="1.3.6.1.4.1.9.9.41.2"))
    assert found.oid == found.name == "1.3.6.1.4.1.9.9.41.2.0.42"


def test_varbinds_are_facts_without_what_every_notification_has() -> None:
    found = read_notification(
        pdu_v2(
            "1.3.6.1.6.3.1.1.5.3",
            ("1.3.6.1.2.1.2.2.1.1.3", ber.INTEGER, b"\x03"),
            ("1.3.6.1.2.1.31.1.1.1.1.3", ber.OCTET_STRING, b"ge-0/0/3 \x1b[31m"),
        )
    )
    assert found.facts == (("1.3.6.1.2.1.2.2.1.1.3", "3"), ("1.3.6.1.2.1.31.1.1.1.1.3", "ge-0/0/3 \x1b[31m"))


def test_what_a_device_says_is_bounded_and_its_community_is_not_told() -> None:
    many = [("1.3.6.1.4.1.9.1", ber.OCTET_STRING, b"x" * 5000)] * 50
    found = read_notification(pdu_v2("1.3.6.1.4.1.9.0.1", *many))
    assert len(found.facts) == MAX_FACTS
    assert {len(text) for _, text in found.facts} == {MAX_TEXT}
    secret = read_notification(
        pdu_v2("1.3.6.1.6.3.1.1.5.1", ("1.3.6.1.6.3.18.1.4.0", ber.OCTET_STRING, b"s3cret"))
    )
    assert secret.facts == ()


def test_an_endless_oid_is_no_label() -> None:
    assert read_notification(pdu_v2("1.3" + ".4294967295" * 100)).name == OTHER


def test_the_device_behind_a_proxy_is_named() -> None:
    assert read_notification(pdu_v1(3, agent="192.0.2.9")).agent == "192.0.2.9"
    bind = ("1.3.6.1.6.3.18.1.3.0", ber.IP_ADDRESS, bytes((192, 0, 2, 9)))
    assert read_notification(pdu_v2("1.3.6.1.6.3.1.1.5.1", bind)).agent == "192.0.2.9"
    assert read_notification(pdu_v1(3)).agent == ""


def test_an_informs_answer_carries_its_request_id_and_varbinds() -> None:
    asked = open_plain(inform(number=123456))
    reply = ber.read_reply(message(answer_to(asked.pdu)))
    assert (reply.request_id, reply.error_status) == (123456, 0)
    whole = message(answer_to(asked.pdu))
    assert len(ber.read_varbinds(whole, reply.start, reply.end, 10)) == 2


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x30",
        b"\x30\x84\xff\xff\xff\xff",
        message(ber.tlv(ber.GET, b"")),
        message(pdu_v2()[:-3]),
        message(ber.tlv(0xA7, ber.encode_integer(1) * 3 + ber.tlv(ber.SEQUENCE, b""))),
        message(pdu_v1(7)),
        message(pdu_v1(6, -1)),
    ],
)
def test_what_is_no_notification_is_malformed(data: bytes) -> None:
    with pytest.raises(ber.MalformedError):
        read_notification(open_plain(data).pdu)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_notification_or_malformed(data: bytes) -> None:
    _read(data)


def test_a_hundred_thousand_bent_notifications_raise_nothing_else() -> None:
    chance = random.Random(20250101)
    whole = [
        trap(),
        inform(),
        message(pdu_v1(6, 1), version=1),
        message(pdu_v2("1.3.6.1.4.1.9.0.1", tag=INFORM)),
    ]
    understood = 0
    for _ in range(100_000):
        data = bytearray(chance.choice(whole))
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        if chance.random() < 0.3:
            del data[chance.randrange(len(data)) :]
        understood += _read(bytes(data))
    assert 0 < understood < 100_000


def _read(data: bytes) -> bool:
    try:
        if version_of(data) == 3:
            return False
        plain = open_plain(data)
        read_notification(plain.pdu)
        if plain.pdu[0] == INFORM:
            answer_to(plain.pdu)
    except ber.MalformedError:
        return False
    return True
