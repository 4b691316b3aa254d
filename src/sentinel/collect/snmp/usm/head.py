"""The head of a version 3 message (RFC 3412 §6, RFC 3414 §2.4)."""

from __future__ import annotations

from typing import NamedTuple

from sentinel.collect.snmp import ber

_USER_SECURITY = 3


class Head(NamedTuple):
    """What a message says about itself, and where in it the rest stands."""

    flags: int
    engine: bytes
    boots: int
    time: int
    user: bytes
    digest: int
    """Where the digest starts."""
    digest_end: int
    salt: bytes
    scoped: int
    """Where the scoped PDU starts: a sequence, or an octet string if it is encrypted."""
    end: int


def read_head(data: bytes) -> Head:
    """
    Raises:
        MalformedError: not a version 3 message of the user-based security model.
    """
    try:
        at, end = ber.enter(data, 0, len(data), ber.SEQUENCE)
        version, at = ber.read_integer(data, at, end)
        inner, after = ber.enter(data, at, end, ber.SEQUENCE)
        _, inner = ber.read_integer(data, inner, after)
        _, inner = ber.read_integer(data, inner, after)
        flags, flags_end = ber.enter(data, inner, after, ber.OCTET_STRING)
        model, _ = ber.read_integer(data, flags_end, after)
        security, scoped = ber.enter(data, after, end, ber.OCTET_STRING)
        inner, stop = ber.enter(data, security, scoped, ber.SEQUENCE)
        engine, engine_end = ber.enter(data, inner, stop, ber.OCTET_STRING)
        boots, inner = ber.read_integer(data, engine_end, stop)
        time, inner = ber.read_integer(data, inner, stop)
        user, user_end = ber.enter(data, inner, stop, ber.OCTET_STRING)
        digest, digest_end = ber.enter(data, user_end, stop, ber.OCTET_STRING)
        salt, salt_end = ber.enter(data, digest_end, stop, ber.OCTET_STRING)
    except IndexError:
        raise ber.MalformedError("the message is cut off") from None
    if version != 3 or model != _USER_SECURITY or flags_end - flags != 1:
        raise ber.MalformedError("not a version 3 message of the user-based security model")
    if not (0 <= boots < 1 << 31 and 0 <= time < 1 << 31):
        raise ber.MalformedError("an engine's clock is out of range")
    return Head(
        data[flags],
        data[engine:engine_end],
        boots,
        time,
        data[user:user_end],
        digest,
        digest_end,
        data[salt:salt_end],
        scoped,
        end,
    )
