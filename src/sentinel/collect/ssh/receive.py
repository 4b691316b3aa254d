"""What a host prints, taken from the connection's bytes in one go.

asyncssh looks at every packet by itself, which costs more than all the rest of a poll: a reply is a dozen packets
that TCP brings at once. Here the whole packets that lie ready are decrypted, by asyncssh's own cipher, and their
data is handed to asyncssh's channel as one piece. Only plain data for that one channel, under AES-GCM and outside
of key exchanges, is taken this way; anything else is left where it is, and asyncssh reads it as ever.

This stands on inner parts of asyncssh, so it is used with versions that it was tested with, and with no others.
"""

from __future__ import annotations

from typing import Final

import asyncssh
from asyncssh.encryption import GCMEncryption

TESTED: Final = frozenset({"2.24.1"})
"""Versions of asyncssh; tests/integration/test_ssh_receive.py holds the pinned one to it."""

_LENGTH, _TAG = 4, 16
"""Bytes of a packet's length before it and of its authentication tag behind it. Source: RFC 5647 §7."""
_CHANNEL_DATA = 94
"""Source: RFC 4254 §9."""
_HEAD = 10
"""Bytes before the data in a packet: padding length, type, channel, length of the data. Source: RFC 4253 §6."""


class Receiver:
    """Stands in for asyncssh's reading of packet headers on one connection."""

    def __init__(
        self, connection: asyncssh.SSHClientConnection, channel: asyncssh.SSHClientChannel[bytes]
    ) -> None:
        self._connection = connection
        self._channel = channel
        self._otherwise = type(connection)._recv_pkthdr.__get__(connection)

    @classmethod
    def install(
        cls, connection: asyncssh.SSHClientConnection, channel: asyncssh.SSHClientChannel[bytes]
    ) -> bool:
        """Reads the channel's data from now on; false where asyncssh is not a version that this knows."""
        if asyncssh.__version__ not in TESTED:
            return False
        receiver = cls(connection, channel)
        is_between_packets = connection._recv_handler == connection._recv_pkthdr
        connection._recv_pkthdr = receiver.take  # type: ignore[method-assign]
        if is_between_packets:
            connection._recv_handler = receiver.take
        return True

    def take(self) -> bool:
        """Takes the channel's data packets that are there as a whole; false when more bytes are needed."""
        pieces = self._pieces() if self._is_plain else []
        if not pieces:
            return bool(self._otherwise())
        self._channel._accept_data(b"".join(pieces))
        return True

    @property
    def _is_plain(self) -> bool:
        connection = self._connection
        return (
            type(connection._recv_encryption) is GCMEncryption
            and connection._kex_complete
            and connection._kex is None
            and connection._auth_final
            and connection._decompressor is None
            and self._channel._recv_state == "open"
            and not self._channel._recv_paused
        )

    def _pieces(self) -> list[bytes]:
        """The data of the packets up to the first that is none of ours, or not there as a whole."""
        connection, buffer = self._connection, self._connection._inpbuf
        encryption = connection._recv_encryption
        assert isinstance(encryption, GCMEncryption)
        cipher = encryption._cipher
        room = self._channel._recv_window
        start, pieces = 0, []
        while True:
            body = start + _LENGTH
            end = body + int.from_bytes(buffer[start:body], "big") + _TAG
            if len(buffer) < body or len(buffer) < end or end - body > connection._max_recv_pktlen:
                break
            before = cipher._iv
            packet = cipher.verify_and_decrypt(
                buffer[start:body], buffer[body : end - _TAG], buffer[end - _TAG : end]
            )
            data = self._data(packet) if packet else None
            if data is None or len(data) > room:
                # asyncssh decrypts it once more, and does with it, or complains of it, what is right.
                cipher._iv = before
                break
            pieces.append(data)
            room -= len(data)
            connection._recv_seq = (connection._recv_seq + 1) & 0xFFFFFFFF
            start = end
        if start:
            connection._inpbuf = buffer[start:]
        return pieces

    def _data(self, packet: bytes) -> bytes | None:
        """The data of a packet for the channel; None for anything else."""
        if len(packet) < _HEAD or packet[1] != _CHANNEL_DATA:
            return None
        if int.from_bytes(packet[2:6], "big") != self._channel._recv_chan:
            return None
        end = _HEAD + int.from_bytes(packet[6:_HEAD], "big")
        return packet[_HEAD:end] if end + packet[0] == len(packet) else None
