"""systemd hears what it should, and nothing breaks where it is not there."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from sentinel.runtime.notify import Systemd


def test_ready_and_alive_reach_the_notification_socket(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "notify"))
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "30000000"}
        systemd = Systemd(environment)
        systemd.ready("watching 3 targets")
        systemd.alive()
        assert server.recv(1000) == b"READY=1\nSTATUS=watching 3 targets"
        assert server.recv(1000) == b"WATCHDOG=1"
    assert systemd.watchdog_seconds == 30.0


def test_an_abstract_socket_works() -> None:
    name = f"sentinel-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind("\0" + name)
        Systemd({"NOTIFY_SOCKET": "@" + name}).stopping()
        assert server.recv(1000) == b"STOPPING=1"


def test_a_watchdog_of_another_process_is_not_ours() -> None:
    assert Systemd({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}).watchdog_seconds == 0


def test_without_systemd_nothing_happens(tmp_path: Path) -> None:
    Systemd({}).ready("")
    Systemd({"NOTIFY_SOCKET": str(tmp_path / "gone")}).alive()
