"""A TCP connection of one probe, with TLS where it is wanted: bytes in and out, each step told apart.

Deadlines are the caller's: everything here can be cancelled. Nothing reads ahead, so that a target that floods is
read no faster than the probe takes it.
"""

from __future__ import annotations

import asyncio
import socket
import ssl

from sentinel.collect.probes.failure import ProbeFailure, network_failure
from sentinel.collect.probes.resolve import Address

CHUNK = 65536
BREATH = 0.005
"""Seconds of reading without waiting, after which others get their turn."""


class Stream:
    """See the module."""

    def __init__(self, sock: socket.socket, where: str) -> None:
        self._sock = sock
        self._where = where
        self._loop = asyncio.get_running_loop()
        self._turn = self._loop.time()
        self._tls: ssl.SSLObject | None = None
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._ended = False

    @classmethod
    async def connect(cls, address: Address, port: int, *, source: str = "") -> Stream:
        """
        Raises:
            ProbeFailure: refused, unreachable, …
        """
        where = f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
        family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if source:
                sock.bind((source, 0))
            stream = cls(sock, where)
            await stream._loop.sock_connect(sock, (str(address), port))
        except OSError as error:
            sock.close()
            raise network_failure(where, error) from None
        except BaseException:
            sock.close()
            raise
        return stream

    @property
    def tls(self) -> ssl.SSLObject | None:
        return self._tls

    async def start_tls(self, context: ssl.SSLContext, name: str, turn: asyncio.Lock) -> None:
        """
        Args:
            turn: shared by those that start TLS at the same time. Each step costs about a millisecond of
                arithmetic; one of them at a time leaves the loop room for everything else.
        Raises:
            ProbeFailure: no agreement, or a certificate that does not prove the name.
        """
        if self._tls is not None:
            raise ProbeFailure("tls", f"{self._where}: TLS is already in use")
        async with turn:
            await asyncio.sleep(0)
            # TLS counts a dot at the end as part of the name; certificates do not.
            try:
                secured = context.wrap_bio(self._in, self._out, server_hostname=name.rstrip("."))
            except ValueError:
                raise ProbeFailure("tls", f"{self._where}: not a name that TLS can prove: {name!r}") from None
        try:
            while not await _step(secured, turn):
                await self._flush()
                if not await self._fill():
                    raise ProbeFailure("tls", f"{self._where} closed the connection instead of starting TLS")
        except ssl.SSLError as error:
            await self._last_words()
            raise tls_failure(self._where, name, error) from None
        await self._flush()
        self._tls = secured

    async def send(self, data: bytes) -> None:
        if self._tls is None:
            await self._send(data)
            return
        for start in range(0, len(data), CHUNK):
            self._tls.write(data[start : start + CHUNK])
            await self._flush()

    async def receive(self) -> bytes:
        """Some bytes; none at the end."""
        if self._tls is None:
            return await self._receive()
        while True:
            try:
                return self._tls.read(CHUNK)
            except ssl.SSLWantReadError:
                await self._flush()
                if not await self._fill():
                    return b""
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""
            except ssl.SSLError as error:
                raise tls_failure(self._where, "", error) from None

    def close(self) -> None:
        self._sock.close()

    async def _fill(self) -> bool:
        if self._ended:
            return False
        data = await self._receive()
        if data:
            self._in.write(data)
        else:
            self._ended = True
            self._in.write_eof()
        return bool(data)

    async def _flush(self) -> None:
        if self._out.pending:
            await self._send(self._out.read())

    async def _last_words(self) -> None:
        """The alert that tells the other side why; it may be gone already."""
        try:
            await self._flush()
        except ProbeFailure:
            return

    async def _send(self, data: bytes) -> None:
        try:
            await self._loop.sock_sendall(self._sock, data)
        except OSError as error:
            raise network_failure(self._where, error) from None

    async def _receive(self) -> bytes:
        if self._loop.time() - self._turn > BREATH:
            await asyncio.sleep(0)  # where data is always there, nothing else would let others run
            self._turn = self._loop.time()
        try:
            return await self._loop.sock_recv(self._sock, CHUNK)
        except OSError as error:
            raise network_failure(self._where, error) from None


async def _step(secured: ssl.SSLObject, turn: asyncio.Lock) -> bool:
    """Go on with the handshake; whether it is done."""
    async with turn:
        await asyncio.sleep(0)
        try:
            secured.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True


_EXPIRED, _NOT_YET, _NAMES = 10, 9, (62, 64)
"""X509_V_ERR_CERT_HAS_EXPIRED, _CERT_NOT_YET_VALID, _HOSTNAME_MISMATCH and _IP_ADDRESS_MISMATCH."""
_UNTRUSTED = (2, 7, 18, 19, 20, 21, 27)
"""Of X509_V_ERR: no issuer, or signed by another of its name, self-signed, no way to a root, not trusted."""


def tls_failure(where: str, name: str, error: ssl.SSLError) -> ProbeFailure:
    """What OpenSSL said, in one of a few words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        code, said = error.verify_code, error.verify_message
        if code == _EXPIRED:
            return ProbeFailure("certificate_expired", f"{where}: {said}")
        if code == _NOT_YET:
            return ProbeFailure("certificate_not_yet_valid", f"{where}: {said}")
        if code in _NAMES:
            return ProbeFailure("certificate_name", f"{where}: the certificate is not for {name}")
        if code in _UNTRUSTED:
            return ProbeFailure("certificate_untrusted", f"{where}: {said}")
        return ProbeFailure("certificate", f"{where}: {said}")
    said = (error.reason or str(error)).replace("_", " ").lower()
    return ProbeFailure("tls", f"{where}: {said}")
