"""Sockets that the daemon listens on: its own, and those that systemd opens for it.

Source: sd_listen_fds(3), systemd.socket(5).
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping

RECEIVE_BUFFER = 4 * 1024 * 1024
"""Bytes asked of the kernel for datagrams that wait."""

_FIRST = 3


class ListenError(Exception):
    """The address cannot be listened on; the text says why and what to do."""


def listen_datagrams(host: str, port: int, hint: str) -> socket.socket:
    """A bound UDP socket; on [::] it takes IPv4 too.

    Args:
        hint: what to do where it fails.
    Raises:
        ListenError: taken, not allowed, or not an address of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_DGRAM)
    try:
        if host == "::":
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        with contextlib.suppress(OSError):
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        place = f"[{host}]:{port}" if family == socket.AF_INET6 else f"{host}:{port}"
        reason = (error.strerror or str(error)).lower()
        raise ListenError(f"cannot listen on {place} (UDP): {reason}; {hint}") from None
    bound.setblocking(False)
    return bound


def passed_datagram_sockets(environment: Mapping[str, str] = os.environ) -> list[socket.socket]:
    """UDP sockets in the order of the socket units; empty where there are none, or they are for another process."""
    if environment.get("LISTEN_PID") != str(os.getpid()):
        return []
    found = []
    for number in range(_FIRST, _FIRST + int(environment.get("LISTEN_FDS", "0") or 0)):
        passed = socket.socket(fileno=number)
        if passed.type == socket.SOCK_DGRAM and passed.family in (socket.AF_INET, socket.AF_INET6):
            os.set_inheritable(number, False)
            passed.setblocking(False)
            found.append(passed)
        else:
            passed.detach()  # somebody else's
    return found
