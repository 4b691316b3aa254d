"""One question and its answers over UDP, on a socket of its own that hears nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

from sentinel.collect.probes.failure import network_failure
from sentinel.collect.probes.resolve import Address

LONGEST = 65535


class Datagrams:
    """A connected socket: the kernel drops what comes from elsewhere, and tells of a closed port."""

    def __init__(self, sock: socket.socket, where: str) -> None:
        self._sock = sock
        self._where = where
        self._loop = asyncio.get_running_loop()

    async def send(self, data: bytes) -> None:
        try:
            await self._loop.sock_sendall(self._sock, data)
        except OSError as error:
            raise network_failure(self._where, error) from None

    async def receive(self) -> bytes:
        try:
            return await self._loop.sock_recv(self._sock, LONGEST)
        except OSError as error:
            raise network_failure(self._where, error) from None


@contextlib.contextmanager
def datagrams(address: Address, port: int, source: str = "") -> Iterator[Datagrams]:
    """
    Raises:
        ProbeFailure: no route, or no such source address.
    """
    where = f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC) as sock:
        try:
            if source:
                sock.bind((source, 0))
            sock.connect((str(address), port))
        except OSError as error:
            raise network_failure(where, error) from None
        yield Datagrams(sock, where)
