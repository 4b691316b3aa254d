"""systemd's notification protocol: ready, reloading, stopping, and the watchdog."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping


class Systemd:
    """Tells systemd what the daemon is doing; silent where it was not started by systemd.

    Source: sd_notify(3), systemd.service(5) Type=notify-reload.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        limit = int(environment.get("WATCHDOG_USEC", "0") or 0)
        is_ours = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.watchdog_seconds = limit / 1e6 if limit and is_ours else 0.0
        """Seconds within which `alive` must be called again; 0: no watchdog."""

    def ready(self, status: str) -> None:
        self._send(f"READY=1\nSTATUS={status}")

    def reloading(self) -> None:
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def alive(self) -> None:
        self._send("WATCHDOG=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        address = self._address.replace("@", "\0", 1) if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.setblocking(False)
            try:
                channel.sendto(message.encode(), address)
            except OSError:
                # A full or vanished notification socket must not stop the daemon; the watchdog tells.
                return
