"""One user's talk with one agent: seals requests and opens answers."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Final

from sentinel.collect.snmp import ber
from sentinel.collect.snmp.message import ReportError, Template
from sentinel.collect.snmp.usm.engine import MAX_ENGINE_ID, Engine
from sentinel.collect.snmp.usm.head import Head, read_head
from sentinel.collect.snmp.usm.keys import HASHES, Keyring, Keys, User
from sentinel.collect.snmp.usm.privacy import SALT_BYTES, Privacy, privacy
from sentinel.collect.snmp.usm.reports import REPORTS

VERSION: Final = 3

_AUTH, _PRIV, _REPORTABLE = 1, 2, 4
_VERSION = ber.encode_integer(VERSION)
_MODEL = ber.encode_integer(3)
"""The user-based security model."""

_MAX_SIZE = ber.encode_integer(65507)
_ID_HEAD = bytes((ber.INTEGER, 4))
_EMPTY = ber.tlv(ber.OCTET_STRING, b"")

_NO_OPENING = (-1, -1, 0, b"")


class Session:
    """How to talk to one agent as one user.

    Args:
        engine: what is known of the agent; shared by everything that asks it.
        monotonic: our clock, in seconds.
    """

    version = VERSION

    def __init__(self, user: User, engine: Engine, keyring: Keyring, monotonic: Callable[[], float]) -> None:
        self._user, self._engine, self._keyring, self._now = user, engine, keyring, monotonic
        self._hash, self._mac = HASHES[user.auth] if user.signs else ("", 0)
        self._flags = _REPORTABLE | (_AUTH if user.signs else 0) | (_PRIV if user.encrypts else 0)
        self._name = user.name.encode()
        self._keyed_for = b""
        self._keys = Keys()
        self._privacy: Privacy | None = None
        self._scope = b""
        self._opening = _NO_OPENING

    def __repr__(self) -> str:
        return f"Session({self._user.name!r})"

    def template(self, head: bytes, tail: bytes) -> Template:
        return _Sealed(self, head, tail, self._flags)

    def proof(self) -> Template | None:
        """A request that asks nothing, signed but not encrypted.

        An agent that cannot decrypt often says nothing at all; one that answers this has the user and its password
        right, so the encryption is wrong.
        """
        if not self._user.encrypts or not self._engine.id:
            return None
        nothing = ber.encode_integer(0) * 2 + ber.tlv(ber.SEQUENCE, b"")
        head = bytes((ber.GET, len(_ID_HEAD) + 4 + len(nothing))) + _ID_HEAD
        return _Sealed(self, head, nothing, self._flags & ~_PRIV)

    # Requests

    def seal(self, head: bytes, request_id: bytes, tail: bytes, flags: int) -> bytes:
        """The whole message around a PDU; as long as the agent is not known, one that asks who it is."""
        if not self._engine.id:
            return _discovery(request_id)
        if self._keyed_for != self._engine.id:
            self._key()
        boots, time = self._engine.boots, self._engine.clock(self._now())
        size = len(self._scope) + len(head) + 4 + len(tail)
        scoped = b"".join((b"\x30", ber.encode_length(size), self._scope, head, request_id, tail))
        salt = b""
        if flags & _PRIV and self._privacy is not None:
            salt, scoped = self._privacy.encrypt(scoped, boots, time)
            scoped = ber.tlv(ber.OCTET_STRING, scoped)
        return self._message(request_id, self._opened_with(boots, time, flags), salt, scoped)

    def _message(self, request_id: bytes, opening: bytes, salt: bytes, scoped: bytes) -> bytes:
        middle = b"".join((opening, bytes(self._mac), b"\x04", bytes((len(salt),)), salt))
        size = _HEAD_BYTES + len(middle) + len(scoped)
        first = b"".join((b"\x30", ber.encode_length(size), _HEAD, request_id))
        whole = b"".join((first, middle, scoped))
        if not self._mac:
            return whole
        at = len(first) + len(opening)
        digest = hmac.digest(self._keys.auth, whole, self._hash)[: self._mac]
        return b"".join((whole[:at], digest, whole[at + self._mac :]))

    def _opened_with(self, boots: int, time: int, flags: int) -> bytes:
        """What stands between the message id and the digest: the same for all messages of a second."""
        known = self._opening
        if known[:3] != (boots, time, flags):
            engine = ber.tlv(ber.OCTET_STRING, self._engine.id)
            who = ber.tlv(ber.OCTET_STRING, self._name)
            inner = engine + ber.encode_integer(boots) + ber.encode_integer(time) + who
            salt = SALT_BYTES if flags & _PRIV else 0
            size = len(inner) + 2 + self._mac + 2 + salt
            security = b"\x30" + ber.encode_length(size) + inner + bytes((ber.OCTET_STRING, self._mac))
            length = ber.encode_length(len(security) + self._mac + 2 + salt)
            known = boots, time, flags, _global_tail(flags) + b"\x04" + length + security
            self._opening = known
        return known[3]

    def _key(self) -> None:
        engine, user = self._engine.id, self._user
        self._keys = self._keyring.keys(user, engine)
        self._privacy = privacy(user.priv, self._keys.priv) if user.encrypts else None
        self._scope = ber.tlv(ber.OCTET_STRING, engine) + ber.tlv(ber.OCTET_STRING, user.context.encode())
        self._opening = _NO_OPENING
        self._keyed_for = engine

    # Answers

    def opened(self, data: bytes) -> bytes:
        """The scoped PDU of an answer, checked and decrypted.

        Raises:
            MalformedError: not an answer that this user may believe.
            ReportError: the agent says why it does not answer.
        """
        head = read_head(data)
        is_signed = bool(head.flags & _AUTH)
        if is_signed:
            self._check(data, head)
        scoped = self._decrypted(data, head) if head.flags & _PRIV else data[head.scoped : head.end]
        pdu, end = ber.pdu_place(scoped)
        if scoped[pdu] == ber.REPORT:
            raise self._report(head, is_signed, scoped[:end])
        if is_signed and self._flags & _PRIV and not head.flags & _PRIV:
            raise ReportError(
                "decryption_error", is_mended=False
            )  # answers what was not encrypted, and nothing else
        if (head.flags & (_AUTH | _PRIV)) != (
            self._flags & (_AUTH | _PRIV)
        ) or head.engine != self._engine.id:
            raise ber.MalformedError("an answer is not protected as the request was")
        if is_signed and not self._engine.hear(head.boots, head.time, self._now()):
            raise ber.MalformedError("an answer is too old")
        return scoped[:end]

    def _check(self, data: bytes, head: Head) -> None:
        is_ours = self._mac and head.engine == self._keyed_for and head.user == self._name
        if not is_ours or head.digest_end - head.digest != self._mac:
            raise ber.MalformedError("an answer is signed by somebody else")
        blank = b"".join((data[: head.digest], bytes(self._mac), data[head.digest_end : head.end]))
        wanted = hmac.digest(self._keys.auth, blank, self._hash)[: self._mac]
        if not hmac.compare_digest(wanted, data[head.digest : head.digest_end]):
            raise ber.MalformedError("an answer's digest is wrong")

    def _decrypted(self, data: bytes, head: Head) -> bytes:
        if self._privacy is None or not head.flags & _AUTH:
            raise ber.MalformedError("an answer is encrypted without being signed")
        start, end = ber.enter(data, head.scoped, head.end, ber.OCTET_STRING)
        return self._privacy.decrypt(data[start:end], head.salt, head.boots, head.time)

    def _report(self, head: Head, is_signed: bool, scoped: bytes) -> ReportError:
        reply = ber.read_reply(scoped, ber.REPORT)
        binds = ber.read_varbinds(scoped, reply.start, reply.end, 8)
        kind = REPORTS.get(binds[0][0], "other") if binds else "other"
        return ReportError(kind, is_mended=self._mend(kind, head, is_signed))

    def _mend(self, kind: str, head: Head, is_signed: bool) -> bool:
        """Learn from a report what the next request needs; whether it can help to ask again."""
        if kind == "unknown_engine" and 0 < len(head.engine) <= MAX_ENGINE_ID:
            self._engine.adopt(head.engine, head.boots, head.time, self._now())
            return True
        # Only an authentic report may set the clock; it answers a request of now, so it may also turn it back.
        if kind == "not_in_time_window" and (is_signed or not self._mac) and head.engine == self._engine.id:
            self._engine.adopt(head.engine, head.boots, head.time, self._now())
            return True
        return False


class _Sealed:
    """A PDU around the place of its request-id, sealed anew each time it is sent."""

    __slots__ = ("_flags", "_head", "_session", "_tail")

    def __init__(self, session: Session, head: bytes, tail: bytes, flags: int) -> None:
        self._session, self._head, self._tail, self._flags = session, head, tail, flags

    def with_id(self, request_id: int) -> bytes:
        return self._session.seal(self._head, request_id.to_bytes(4, "big"), self._tail, self._flags)


def _global_tail(flags: int) -> bytes:
    return _MAX_SIZE + ber.tlv(ber.OCTET_STRING, bytes((flags,))) + _MODEL


_HEAD = _VERSION + bytes((ber.SEQUENCE, len(_ID_HEAD) + 4 + len(_global_tail(0)))) + _ID_HEAD
_HEAD_BYTES = len(_HEAD) + 4


def _discovery(request_id: bytes) -> bytes:
    """A request that asks nothing, from nobody: the answer says who the agent is (RFC 3414 §4)."""
    nothing = ber.encode_integer(0)
    pdu = ber.tlv(ber.GET, _ID_HEAD + request_id + nothing + nothing + ber.tlv(ber.SEQUENCE, b""))
    scoped = ber.tlv(ber.SEQUENCE, _EMPTY + _EMPTY + pdu)
    security = ber.tlv(ber.SEQUENCE, _EMPTY + nothing + nothing + _EMPTY * 3)
    head = ber.tlv(ber.SEQUENCE, _ID_HEAD + request_id + _global_tail(_REPORTABLE))
    return ber.tlv(ber.SEQUENCE, _VERSION + head + ber.tlv(ber.OCTET_STRING, security) + scoped)
