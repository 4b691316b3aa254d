"""From passwords to keys: RFC 3414 §2.6 and appendix A.2.

Longer keys: draft-blumenthal-aes-usm-04 §3.1.2.1, draft-reeder-snmpv3-usm-3desede-00 §2.1.

The hash over a megabyte of repeated password takes milliseconds, and only depends on the password: it is kept. The
key of one agent then costs a hash of some eighty bytes; keys extended in Reeder's way cost another megabyte per
agent, so finished keys are kept too.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field

from sentinel.config.auth import AuthProtocol, PrivProtocol, SecurityLevel, SnmpAuth
from sentinel.config.secret import Secret

HASHES: dict[AuthProtocol, tuple[str, int]] = {
    "MD5": ("md5", 12),
    "SHA": ("sha1", 12),
    "SHA224": ("sha224", 16),
    "SHA256": ("sha256", 24),
    "SHA384": ("sha384", 32),
    "SHA512": ("sha512", 48),
}
"""Hash, and how many bytes of its HMAC a message carries (RFC 3414 §6.3.1, §7.3.1; RFC 7860 §4.1)."""

KEY_BYTES: dict[PrivProtocol, int] = {
    "DES": 16,
    "AES": 16,
    "AES192": 24,
    "AES256": 32,
    "AES192C": 24,
    "AES256C": 32,
}

_MEGABYTE = 1 << 20
_KEPT = 4096
"""Keys of one user for one agent that are kept at most: agents name themselves, and may lie."""


@dataclass(frozen=True, slots=True)
class User:
    """Who asks, and how the messages are protected."""

    name: str
    level: SecurityLevel = "noAuthNoPriv"
    auth: AuthProtocol = "MD5"
    password: Secret = field(default=Secret(""))
    priv: PrivProtocol = "DES"
    priv_password: Secret = field(default=Secret(""))
    context: str = ""

    @classmethod
    def of(cls, auth: SnmpAuth) -> User:
        """
        Raises:
            ValueError: only pysnmp can encrypt like that.
        """
        if auth.priv_protocol == "3DES":
            raise ValueError("3DES is left to pysnmp")
        return cls(
            auth.username,
            auth.security_level,
            auth.auth_protocol,
            auth.password or Secret(""),
            auth.priv_protocol,
            auth.priv_password or Secret(""),
            auth.context_name,
        )

    @property
    def signs(self) -> bool:
        return self.level != "noAuthNoPriv"

    @property
    def encrypts(self) -> bool:
        return self.level == "authPriv"


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """A user's keys at one agent; empty where the security level needs none."""

    auth: bytes = b""
    priv: bytes = b""


class Keyring:
    """Keys that have been worked out, shared by everything that talks version 3."""

    def __init__(self) -> None:
        self._masters: dict[tuple[str, Secret], bytes] = {}
        self._local: OrderedDict[tuple[User, bytes], Keys] = OrderedDict()

    def keys(self, user: User, engine: bytes) -> Keys:
        """The user's keys at the agent with this engine id."""
        if not user.signs:
            return Keys()
        known = self._local.get((user, engine))
        if known is None:
            known = self._local[user, engine] = self._work_out(user, engine)
            if len(self._local) > _KEPT:
                self._local.popitem(last=False)
        return known

    def _work_out(self, user: User, engine: bytes) -> Keys:
        name, _ = HASHES[user.auth]
        auth = localized(name, self._master(name, user.password), engine)
        if not user.encrypts:
            return Keys(auth)
        priv = localized(name, self._master(name, user.priv_password), engine)
        size = KEY_BYTES[user.priv]
        extend = _extended_by_password if user.priv.endswith("C") else _extended_by_hash
        return Keys(auth, extend(name, priv, engine, size)[:size])

    def _master(self, name: str, password: Secret) -> bytes:
        known = self._masters.get((name, password))
        if known is None:
            known = self._masters[name, password] = master(name, password.reveal().encode())
        return known


def master(name: str, password: bytes) -> bytes:
    """The hash of a megabyte of the password, repeated.

    Raises:
        ValueError: the password is empty.
    """
    if not password:
        raise ValueError("a password is empty")
    repeated = password * (_MEGABYTE // len(password) + 1)
    return hashlib.new(name, repeated[:_MEGABYTE]).digest()


def localized(name: str, key: bytes, engine: bytes) -> bytes:
    return hashlib.new(name, key + engine + key).digest()


def _extended_by_hash(name: str, key: bytes, engine: bytes, size: int) -> bytes:
    """Blumenthal's way: hashes of what there is so far are appended."""
    while len(key) < size:
        key += hashlib.new(name, key).digest()
    return key


def _extended_by_password(name: str, key: bytes, engine: bytes, size: int) -> bytes:
    """Reeder's way, which Cisco uses: the key is taken as a password for the next piece."""
    last = key
    while len(key) < size:
        last = localized(name, master(name, last), engine)
        key += last
    return key
