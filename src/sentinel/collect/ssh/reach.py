"""TCP connections to hosts that have begun to speak.

A host that accepts connections and says nothing (a tarpit, a stopped server) costs a socket and no more: SSH is
set up only once the host's first bytes are there.
"""

from __future__ import annotations

import asyncio
import socket

KEEPALIVE = 45
"""Seconds of silence after which TCP asks whether the host is still there; firewalls then remember it too."""
UNANSWERED = 30
"""Seconds for which the host may leave bytes unacknowledged before TCP gives the connection up."""


async def reach(host: str, port: int, until: float) -> socket.socket:
    """A connected socket with something to read in it. Each address of the name gets its share of the time.

    Args:
        until: loop time.
    Raises:
        OSError: the last address's failure; TimeoutError among them.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout_at(until):
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    failure: OSError = TimeoutError()
    addresses = list(dict.fromkeys((family, where) for family, _, _, _, where in found))
    for place, (family, where) in enumerate(addresses):
        share = (until - loop.time()) / (len(addresses) - place)
        try:
            async with asyncio.timeout(share):
                return await _spoken_to(family, where)
        except OSError as error:
            failure = error
    raise failure


async def _spoken_to(
    family: int, where: tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]
) -> socket.socket:
    loop = asyncio.get_running_loop()
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        _watch(sock)
        await loop.sock_connect(sock, where)
        await _readable(sock)
    except BaseException:
        sock.close()
        raise
    return sock


async def _readable(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(sock, lambda: None if ready.done() else ready.set_result(None))
    try:
        await ready
    finally:
        loop.remove_reader(sock)


def _watch(sock: socket.socket) -> None:
    """By the kernel: asyncssh's own keepalive costs a timer per packet."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNANSWERED * 1000)
