"""Notifications of version 3: who signed them, and the talk that informs need (RFC 3412, RFC 3414).

A trap is sent under its sender's own engine id and clock. An inform is sent under ours: its sender first asks who
we are, then what time it is here, and both questions are answered by a report.
"""

from __future__ import annotations

import hashlib
import hmac
import socket
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sentinel.collect.snmp import ber
from sentinel.collect.snmp.usm.engine import MAX_ENGINE_ID, TIME_WINDOW, Engine
from sentinel.collect.snmp.usm.head import Head, read_head
from sentinel.collect.snmp.usm.keys import HASHES, Keyring, User
from sentinel.collect.snmp.usm.privacy import privacy
from sentinel.config.auth import SnmpAuth

AUTH, PRIV, REPORTABLE = 1, 2, 4

ENGINES: Final = 4096
"""Senders whose clocks are remembered."""

_USM: Final = "1.3.6.1.6.3.15.1.1"
_UNKNOWN_ENGINE = ber.encode_oid(f"{_USM}.4.0")
_NOT_IN_TIME = ber.encode_oid(f"{_USM}.2.0")
_REPORT = 0xA8
_MAX_SIZE = ber.encode_integer(65507)
_MODEL = ber.encode_integer(3)
_FIRST_YEAR = 1_577_836_800
"""Unix seconds of 2020: what our count of starts is counted from."""


class RefusedError(Exception):
    """The user is not known here, or does not prove to be the one."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What a message carries."""

    pdu: bytes
    user: User
    head: Head
    message_id: bytes
    scope: bytes
    """Context engine id and context name, as they came."""


@dataclass(frozen=True, slots=True)
class Question:
    """An inform's sender wants to know something first: the report that tells it."""

    report: bytes


class Secure:
    """Opens messages of version 3.

    Args:
        engine_id: our own.
        now: Unix seconds of the start: the count of starts that others see grows with it, without being kept.
        monotonic: our clock.
    """

    def __init__(self, engine_id: bytes, now: float, monotonic: Callable[[], float]) -> None:
        self.engine_id = engine_id
        self._boots = max(int(now) - _FIRST_YEAR, 1)
        self._monotonic = monotonic
        self._started_at = monotonic()
        self._keyring = Keyring()
        self._engines: OrderedDict[bytes, Engine] = OrderedDict()
        self._reports = 0

    def forget(self) -> None:
        """Believe each sender's clock again, as after a start: one that was replaced may count anew."""
        self._engines.clear()

    def open(self, data: bytes, auths: Sequence[SnmpAuth]) -> Opened | Question:
        """
        Args:
            auths: the users that this sender may be.
        Raises:
            MalformedError: not a message of version 3.
            RefusedError: none of the users has sent it, or it is old.
        """
        head, message_id = read_head(data), _message_id(data)
        is_asking = bool(head.flags & REPORTABLE)
        if is_asking and head.engine != self.engine_id:
            return Question(self._report(_UNKNOWN_ENGINE, message_id, None))
        if not 0 < len(head.engine) <= MAX_ENGINE_ID:
            raise ber.MalformedError("an engine id has the wrong size")
        user = self._user(data, head, auths)
        if is_asking and user.signs and not self._is_in_time(head):
            return Question(self._report(_NOT_IN_TIME, message_id, user))
        if not is_asking and user.signs and not self._hears(head):
            raise RefusedError("sent before, or by a clock that has gone back")
        pdu, scope = self._scoped(data, head, user)
        return Opened(pdu, user, head, message_id, scope)

    def seal(self, opened: Opened, pdu: bytes) -> bytes:
        """A PDU as the answer to a message."""
        return self._message(opened.message_id, opened.scope + pdu, opened.user)

    # Checks

    def _user(self, data: bytes, head: Head, auths: Sequence[SnmpAuth]) -> User:
        """The user who sent it, with exactly the protection that the user is meant to have."""
        for auth in auths:
            if auth.version != 3 or auth.username.encode() != head.user:
                continue
            user = User.of(auth)
            if head.flags & (AUTH | PRIV) == _flags(user) and self._is_signed(data, head, user):
                return user
        raise RefusedError("no user of this name, security level and password")

    def _is_signed(self, data: bytes, head: Head, user: User) -> bool:
        if not user.signs:
            return True
        name, size = HASHES[user.auth]
        if head.digest_end - head.digest != size:
            return False
        key = self._keyring.keys(user, head.engine).auth
        blank = b"".join((data[: head.digest], bytes(size), data[head.digest_end : head.end]))
        wanted = hmac.digest(key, blank, name)[:size]
        return hmac.compare_digest(wanted, data[head.digest : head.digest_end])

    def _is_in_time(self, head: Head) -> bool:
        """RFC 3414 §3.2.7a: by our clock."""
        return head.boots == self._boots and abs(head.time - self._time()) <= TIME_WINDOW

    def _hears(self, head: Head) -> bool:
        """RFC 3414 §3.2.7b: by the sender's clock; the first message of a sender is believed."""
        now = self._monotonic()
        engine = self._engines.pop(head.engine, None) or Engine(head.engine, head.boots, head.time, now)
        self._engines[head.engine] = engine
        if len(self._engines) > ENGINES:
            self._engines.popitem(last=False)
        return engine.hear(head.boots, head.time, now)

    def _scoped(self, data: bytes, head: Head, user: User) -> tuple[bytes, bytes]:
        """PDU and scope."""
        scoped = data[head.scoped : head.end]
        if user.encrypts:
            start, end = ber.enter(data, head.scoped, head.end, ber.OCTET_STRING)
            cipher = privacy(user.priv, self._keyring.keys(user, head.engine).priv)
            scoped = cipher.decrypt(data[start:end], head.salt, head.boots, head.time)
            if not scoped.startswith(b"\x30"):
                raise RefusedError("signed rightly, but encrypted with another password")
        at, end = ber.enter(scoped, 0, len(scoped), ber.SEQUENCE)
        _, name = ber.enter(scoped, at, end, ber.OCTET_STRING)
        _, pdu = ber.enter(scoped, name, end, ber.OCTET_STRING)
        return scoped[pdu:end], scoped[at:pdu]

    # Messages of our own

    def _time(self) -> int:
        return int(self._monotonic() - self._started_at)

    def _report(self, counter: bytes, message_id: bytes, user: User | None) -> bytes:
        """The counter is one for all reasons: nobody can do anything with its value."""
        self._reports = self._reports % 0x7FFF_FFFF + 1
        value = ber.encode_integer(self._reports)
        count = bytes((ber.COUNTER32,)) + value[1:]
        bind = ber.tlv(ber.SEQUENCE, ber.tlv(ber.OBJECT_IDENTIFIER, counter) + count)
        zero = ber.encode_integer(0)
        pdu = ber.tlv(_REPORT, message_id + zero + zero + ber.tlv(ber.SEQUENCE, bind))
        scope = ber.tlv(ber.OCTET_STRING, self.engine_id) + ber.tlv(ber.OCTET_STRING, b"")
        return self._message(message_id, scope + pdu, user, is_report=True)

    def _message(
        self, message_id: bytes, scoped: bytes, user: User | None, *, is_report: bool = False
    ) -> bytes:
        """A whole message under our engine id; reports are signed and never encrypted."""
        boots, time = self._boots, self._time()
        flags = 0 if user is None else _flags(user) & (AUTH if is_report else AUTH | PRIV)
        body, salt = ber.tlv(ber.SEQUENCE, scoped), b""
        if user is not None and flags & PRIV:
            cipher = privacy(user.priv, self._keyring.keys(user, self.engine_id).priv)
            salt, body = cipher.encrypt(body, boots, time)
            body = ber.tlv(ber.OCTET_STRING, body)
        name, size = HASHES[user.auth] if user is not None and flags & AUTH else ("", 0)
        opening = (
            ber.tlv(ber.OCTET_STRING, self.engine_id) + ber.encode_integer(boots) + ber.encode_integer(time)
        )
        who = ber.tlv(ber.OCTET_STRING, user.name.encode() if user is not None else b"")
        closing = ber.tlv(ber.OCTET_STRING, salt)
        blank = ber.tlv(ber.OCTET_STRING, bytes(size))
        security = ber.tlv(ber.OCTET_STRING, ber.tlv(ber.SEQUENCE, opening + who + blank + closing))
        about = message_id + _MAX_SIZE + ber.tlv(ber.OCTET_STRING, bytes((flags,))) + _MODEL
        start = ber.encode_integer(3) + ber.tlv(ber.SEQUENCE, about) + security
        whole = ber.tlv(ber.SEQUENCE, start + body)
        if user is None or not size:
            return whole
        at = len(whole) - len(body) - len(closing) - size
        digest = hmac.digest(self._keyring.keys(user, self.engine_id).auth, whole, name)[:size]
        return b"".join((whole[:at], digest, whole[at + size :]))


def engine_id_of(folder: Path, machine: Path = Path("/etc/machine-id")) -> bytes:
    """An engine id that stays the same for this machine and this installation (RFC 3411 §5, format 5: octets).

    Devices that send informs may have it in their configuration.
    """
    try:
        seed = machine.read_text()
    except OSError:
        seed = socket.gethostname()
    digest = hashlib.blake2b(f"{seed}\0{folder}".encode(), digest_size=8, person=b"sentinel-traps")
    return b"\x80\x00\x00\x00\x05" + digest.digest()


def _flags(user: User) -> int:
    return (AUTH if user.signs else 0) | (PRIV if user.encrypts else 0)


def _message_id(data: bytes) -> bytes:
    """The message id, with tag and length, as it came."""
    at, end = ber.enter(data, 0, len(data), ber.SEQUENCE)
    _, at = ber.read_integer(data, at, end)
    at, end = ber.enter(data, at, end, ber.SEQUENCE)
    _, stop = ber.read_integer(data, at, end)
    return data[at:stop]
