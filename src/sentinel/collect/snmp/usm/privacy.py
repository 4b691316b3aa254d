"""Encryption of scoped PDUs: DES in CBC mode (RFC 3414 §8), AES in CFB mode (RFC 3826)."""

from __future__ import annotations

from itertools import count
from secrets import randbits
from typing import Protocol

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from sentinel.collect.snmp.ber import MalformedError
from sentinel.config.auth import PrivProtocol

SALT_BYTES = 8


class Privacy(Protocol):
    """One key's cipher. Boots and time are those of the message."""

    def encrypt(self, plain: bytes, boots: int, time: int) -> tuple[bytes, bytes]:
        """Salt, and the encrypted bytes."""
        ...

    def decrypt(self, data: bytes, salt: bytes, boots: int, time: int) -> bytes:
        """
        Raises:
            MalformedError: this cannot have been encrypted so.
        """
        ...


def privacy(protocol: PrivProtocol, key: bytes) -> Privacy:
    return Des(key) if protocol == "DES" else Aes(key)


class Aes:
    """CFB with 128-bit feedback; the key's length decides which AES it is."""

    def __init__(self, key: bytes) -> None:
        self._algorithm = AES(key)
        self._salts = count(randbits(64))

    def encrypt(self, plain: bytes, boots: int, time: int) -> tuple[bytes, bytes]:
        salt = (next(self._salts) & (1 << 64) - 1).to_bytes(SALT_BYTES, "big")
        mode = CFB(boots.to_bytes(4, "big") + time.to_bytes(4, "big") + salt)
        return salt, Cipher(self._algorithm, mode).encryptor().update(plain)

    def decrypt(self, data: bytes, salt: bytes, boots: int, time: int) -> bytes:
        if len(salt) != SALT_BYTES:
            raise MalformedError("a salt has the wrong size")
        mode = CFB(boots.to_bytes(4, "big") + time.to_bytes(4, "big") + salt)
        return Cipher(self._algorithm, mode).decryptor().update(data)


class Des:
    """The first eight bytes are the key, the others are mixed into the initial vector."""

    def __init__(self, key: bytes) -> None:
        self._algorithm = TripleDES(key[:8] * 3)  # three times the same key is plain DES
        self._mix = int.from_bytes(key[8:16], "big")
        self._salts = count(randbits(32))

    def encrypt(self, plain: bytes, boots: int, time: int) -> tuple[bytes, bytes]:
        salt = boots.to_bytes(4, "big") + (next(self._salts) & (1 << 32) - 1).to_bytes(4, "big")
        padded = plain + bytes(-len(plain) % 8)
        return salt, Cipher(self._algorithm, self._mode(salt)).encryptor().update(padded)

    def decrypt(self, data: bytes, salt: bytes, boots: int, time: int) -> bytes:
        if len(salt) != SALT_BYTES or len(data) % 8:
            raise MalformedError("encrypted bytes are no whole blocks")
        return Cipher(self._algorithm, self._mode(salt)).decryptor().update(data)

    def _mode(self, salt: bytes) -> CBC:
        return CBC((self._mix ^ int.from_bytes(salt, "big")).to_bytes(8, "big"))
