"""Keys, ciphers and sealed messages of version 3, against the standards' examples and against hostile bytes."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentinel.collect.snmp import ber, message
from sentinel.collect.snmp.usm.engine import Engine
from sentinel.collect.snmp.usm.head import read_head
from sentinel.collect.snmp.usm.keys import KEY_BYTES, Keyring, User, localized, master
from sentinel.collect.snmp.usm.privacy import privacy
from sentinel.collect.snmp.usm.session import Session
from sentinel.config.auth import PrivProtocol
from sentinel.config.secret import Secret

ENGINE = bytes.fromhex("000000000000000000000002")
OID = ber.encode_oid("1.3.6.1.2.1.1.3.0")
PLAIN, SIGNED = User("plain"), User("signed", "authNoPriv", "SHA", Secret("maplesyrup"))
SEALED = User("sealed", "authPriv", "SHA", Secret("maplesyrup"), "AES", Secret("maplesyrup"))


def session(user: User, *, boots: int = 3, time: int = 1000, now: float = 0.0) -> Session:
    engine = Engine()
    engine.adopt(ENGINE, boots, time, now)
    return Session(user, engine, Keyring(), lambda: now)


@pytest.mark.parametrize(
    ("name", "key", "local"),
    [
        ("md5", "9faf3283884e92834ebc9847d8edd963", "526f5eed9fcce26f8964c2930787d82b"),
        (
            "sha1",
            "9fb5cc0381497b3793528939ff788d5d79145211",
            "6695febc9288e36282235fc7151f128497b38f3f",
        ),
    ],
)
def test_keys_are_those_of_the_standards_example(name: str, key: str, local: str) -> None:
    """RFC 3414, appendix A.3."""
    assert master(name, b"maplesyrup").hex() == key
    assert localized(name, bytes.fromhex(key), ENGINE).hex() == local


def test_a_key_extended_by_password_is_that_of_the_drafts_example() -> None:
    """draft-reeder-snmpv3-usm-3desede-00, appendix B.1: the first 32 bytes of MD5 keys from "maplesyrup"."""
    user = User("x", "authPriv", "MD5", Secret("maplesyrup"), "AES256C", Secret("maplesyrup"))
    expected = "526f5eed9fcce26f8964c2930787d82b79eff44a90650ee0a3a40abfac5acc12"
    assert Keyring().keys(user, ENGINE).priv.hex() == expected


@pytest.mark.parametrize("protocol", KEY_BYTES)
def test_a_key_is_as_long_as_its_cipher_needs(protocol: PrivProtocol) -> None:
    user = User("x", "authPriv", "MD5", Secret("maplesyrup"), protocol, Secret("maplesyrup"))
    assert len(Keyring().keys(user, ENGINE).priv) == KEY_BYTES[protocol]


def test_keys_are_worked_out_once() -> None:
    keyring = Keyring()
    assert keyring.keys(SEALED, ENGINE) is keyring.keys(SEALED, ENGINE)
    assert keyring.keys(SEALED, ENGINE) != keyring.keys(SEALED, b"another")


@given(st.binary(max_size=300), st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1))
def test_what_is_encrypted_can_be_decrypted(plain: bytes, boots: int, time: int) -> None:
    for protocol, size in KEY_BYTES.items():
        cipher = privacy(protocol, bytes(range(size)))
        salt, data = cipher.encrypt(plain, boots, time)
        assert cipher.decrypt(data, salt, boots, time)[: len(plain)] == plain


@pytest.mark.parametrize("protocol", ["DES", "AES"])
def test_no_salt_is_used_twice(protocol: PrivProtocol) -> None:
    cipher = privacy(protocol, bytes(16))
    assert len({cipher.encrypt(b"x", 1, 1)[0] for _ in range(1000)}) == 1000


def test_a_request_to_an_unknown_agent_asks_only_who_it_is() -> None:
    talk = Session(SEALED, Engine(), Keyring(), lambda: 0.0)
    data = message.get(talk, [OID]).with_id(0x01020304)
    head = read_head(data)
    assert (head.flags, head.engine, head.user) == (4, b"", b"")
    assert OID not in data
    assert b"sealed" not in data
    assert ber.find_request_id(data) == 0x01020304


@pytest.mark.parametrize("user", [PLAIN, SIGNED, SEALED], ids=lambda user: user.level)
def test_a_sealed_request_is_read_by_the_same_user(user: User) -> None:
    data = message.get(session(user), [OID]).with_id(0x01020304)
    assert ber.find_request_id(data) == 0x01020304
    head = read_head(data)
    assert (head.engine, head.boots, head.time, head.user) == (ENGINE, 3, 1000, user.name.encode())
    assert (OID in data) is not user.encrypts
    agent = session(user)
    message.get(agent, [OID]).with_id(1 << 24)
    opened = agent.opened(data)
    at, _ = ber.pdu_place(opened)
    assert opened[at] == ber.GET


def reply(
    user: User, *, pdu: int = ber.RESPONSE, oid: bytes = OID, boots: int = 3, time: int = 1000
) -> bytes:
    """What an agent with the user's keys would send."""
    tail = ber.encode_integer(0) * 2 + ber.tlv(
        ber.SEQUENCE,
        ber.tlv(ber.SEQUENCE, ber.tlv(ber.OBJECT_IDENTIFIER, oid) + ber.tlv(ber.COUNTER32, b"\x07")),
    )
    head = bytes((pdu, 6 + len(tail), ber.INTEGER, 4))
    return session(user, boots=boots, time=time).template(head, tail).with_id(0x01020304)


@pytest.mark.parametrize("user", [PLAIN, SIGNED, SEALED], ids=lambda user: user.level)
def test_an_answer_is_opened(user: User) -> None:
    talk = session(user)
    message.get(talk, [OID]).with_id(1 << 24)
    found = ber.read_reply(talk.opened(reply(user)))
    assert found.request_id == 0x01020304


def test_a_byte_changed_anywhere_in_a_signed_answer_is_malformed() -> None:
    talk = session(SEALED)
    message.get(talk, [OID]).with_id(1 << 24)
    data = reply(SEALED)
    # The message id and the size the sender can take are in the signature like all else.
    for at in range(len(data)):
        bent = data[:at] + bytes((data[at] ^ 0x01,)) + data[at + 1 :]
        with pytest.raises(ber.MalformedError):
            talk.opened(bent)


@pytest.mark.parametrize(("asked", "answered"), [(SIGNED, PLAIN), (SEALED, PLAIN), (PLAIN, SIGNED)])
def test_an_answer_with_other_protection_than_asked_for_is_not_believed(asked: User, answered: User) -> None:
    talk = session(asked)
    message.get(talk, [OID]).with_id(1 << 24)
    with pytest.raises(ber.MalformedError):
        talk.opened(reply(answered))


def test_an_old_answer_is_not_believed() -> None:
    talk = session(SIGNED, boots=3, time=1000)
    message.get(talk, [OID]).with_id(1 << 24)
    talk.opened(reply(SIGNED, boots=3, time=851))
    for boots, time in ((3, 849), (2, 5000)):
        with pytest.raises(ber.MalformedError):
            talk.opened(reply(SIGNED, boots=boots, time=time))
    talk.opened(reply(SIGNED, boots=4, time=1))
    with pytest.raises(ber.MalformedError):
        talk.opened(reply(SIGNED, boots=3, time=1000))


TIME_REPORT = ber.encode_oid("1.3.6.1.6.3.15.1.1.2.0")


def test_only_a_signed_report_sets_the_clock() -> None:
    engine = Engine()
    engine.adopt(ENGINE, 3, 1000, 0.0)
    talk = Session(SIGNED, engine, Keyring(), lambda: 0.0)
    message.get(talk, [OID]).with_id(1 << 24)
    with pytest.raises(message.ReportError) as caught:
        talk.opened(reply(PLAIN, pdu=ber.REPORT, oid=TIME_REPORT, boots=9, time=5))
    assert (caught.value.kind, caught.value.is_mended) == ("not_in_time_window", False)
    assert engine.boots == 3
    with pytest.raises(message.ReportError) as caught:
        talk.opened(reply(SIGNED, pdu=ber.REPORT, oid=TIME_REPORT, boots=9, time=5))
    assert caught.value.is_mended
    assert (engine.boots, engine.time) == (9, 5)


def test_the_agents_clock_runs_on_with_ours() -> None:
    engine = Engine()
    engine.adopt(ENGINE, 3, 1000, 50.0)
    assert engine.clock(170.5) == 1120


def test_no_representation_shows_a_secret() -> None:
    talk = session(SEALED)
    assert "maplesyrup" not in repr((SEALED, talk, Keyring().keys(SEALED, ENGINE)))


@settings(max_examples=1000, deadline=None)
@given(st.sampled_from([PLAIN, SIGNED, SEALED]), st.binary(max_size=300))
def test_random_bytes_raise_only_malformed(user: User, data: bytes) -> None:
    talk = session(user)
    with contextlib.suppress(ber.MalformedError, message.ReportError):
        talk.opened(data)


@settings(max_examples=1000, deadline=None)
@given(
    st.sampled_from([PLAIN, SIGNED, SEALED]),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4),
    st.integers(0, 200),
)
def test_bent_answers_raise_only_what_is_declared(
    user: User, changes: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray(reply(user))
    for place, byte in changes:
        data[place % len(data)] = byte
    talk = session(user)
    message.get(talk, [OID]).with_id(1 << 24)
    with contextlib.suppress(ber.MalformedError, message.ReportError):
        found = ber.read_reply(talk.opened(bytes(data[: cut or None])))
        assert found.start <= found.end
