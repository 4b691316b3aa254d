"""Where the real servers are: the system's own, or those that tests/servers/fetch unpacked into .servers/."""

from __future__ import annotations

import os
import shutil
import socket
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PREFIX = ROOT / ".servers"
_FOLDERS = ("usr/bin", "usr/sbin", "bin", "sbin", "usr/lib/chromium")


class MissingServerError(RuntimeError):
    """A test without its server fails; it never skips."""


@cache
def program(name: str) -> str:
    """Path of a program of Debian's packages."""
    for folder in _FOLDERS:
        path = PREFIX / folder / name
        if path.exists():
            return str(path)
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if found is None:
        raise MissingServerError(f"{name} is missing: run 'make test', which fetches the servers")
    return found


def environment() -> dict[str, str]:
    """The environment in which an unpacked program finds its libraries."""
    libraries = [
        str(path)
        for base in (PREFIX / "usr/lib", PREFIX / "lib")
        for arch in base.glob("*-linux-gnu*")
        for path in (arch, arch / "pulseaudio", arch / "systemd", arch / "blas", arch / "lapack")
        if path.is_dir()
    ]
    fonts = PREFIX / "fonts.conf"
    more = {"FONTCONFIG_FILE": str(fonts)} if fonts.exists() else {}
    return os.environ | more | {"LD_LIBRARY_PATH": ":".join(libraries), "LC_ALL": "C.UTF-8"}


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
