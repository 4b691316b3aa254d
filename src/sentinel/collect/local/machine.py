"""The texts that a host would print over SSH, read here without a shell: the parsers are the same."""

from __future__ import annotations

import asyncio
import glob
import os
import time
from collections.abc import Iterator
from contextlib import suppress

from sentinel.collect.local.files import PATTERNS
from sentinel.collect.ssh.linux.filesystem import Mount, read_mounts
from sentinel.collect.ssh.text import Text

_MOST = 1024 * 1024
"""Bytes of one file."""
_MOUNTS = "/proc/self/mounts"
_UNITS = ("*.service", "*.socket", "*.target", "*.timer", "*.path", "*.swap")
_PROPERTIES = "Id,Type,LoadState,ActiveState,LastTriggerUSec,NAccepted,NConnections,NRefused"
_SYSTEMCTL = (
    ("systemctl", "show", "--no-pager", "--property=Version,SystemState,Virtualization"),
    ("systemctl", "show", "--no-pager", f"--property={_PROPERTIES}", *_UNITS),
)


def proc_text() -> bytes:
    """What the module linux prints in its section proc."""
    page = _below("pagesize", b"%d\n" % os.sysconf("SC_PAGE_SIZE"))
    # The machine's own clock is what is measured here; nothing in Sentinel goes by it.
    now = _below("time", f"{time.time():.9f}\n".encode())
    return b"\n".join([page, files_text("proc"), now])


def files_text(section: str) -> bytes:
    """What it prints in a section that only reads files."""
    paths = (path for pattern in PATTERNS[section] for path in sorted(glob.glob(pattern)))
    return b"\n".join(_below(path, content) for path in paths if (content := _content(path)))


def hardware_text() -> bytes:
    """What it prints in its section hardware. Blocks while a sensor does."""
    links = [f"{chip}/device" for chip in sorted(glob.glob("/sys/class/hwmon/*"))]
    places = [_below(link, os.path.realpath(link).encode() + b"\n") for link in links if os.path.exists(link)]
    return b"\n".join([*places, files_text("hardware")])


def queues_text() -> bytes:
    """What it prints in its section queues."""
    lines: list[bytes] = []
    for path in ("/proc/net/arp", "/proc/net/udp", "/proc/net/udp6", "/proc/schedstat"):
        lines += [path.encode() + b":" + line for line in _content(path).splitlines()]
    return b"\n".join(lines)


def identity_text() -> bytes:
    """What it prints in its section identity."""
    zone = _below("zone", time.strftime("%Z %z\n").encode())
    return b"\n".join([files_text("identity"), zone])


def textfile_text() -> bytes:
    """What it prints in its section textfile."""
    paths = [path for pattern in PATTERNS["textfile"] for path in sorted(glob.glob(pattern))]
    if not paths:
        return b""
    parts = [_below(path, _content(path)) for path in paths]
    changed = [
        b"%d %s" % (os.stat(path).st_mtime, os.fsencode(path)) for path in paths if os.path.exists(path)
    ]
    return b"\n".join([*parts, _below("mtimes", b"\n".join(changed))])


def uname_text() -> bytes:
    """What it prints in its section uname."""
    names = os.uname()
    domain = _content("/proc/sys/kernel/domainname").decode("utf-8", "replace").strip()
    lines = (names.sysname, names.nodename, names.release, names.version, domain, names.machine)
    return "\n".join(lines).encode() + b"\n"


def filesystem_text(*, remote: bool) -> bytes:
    """What it prints in its sections filesystem and filesystem_remote. Blocks while a file system does."""
    mounts = _content(_MOUNTS)
    wanted = [
        mount for mount in read_mounts(Text.of(mounts)) if mount.is_counted and mount.is_remote is remote
    ]
    if remote and not wanted:
        return b""
    return b"\n".join([mounts, b"==> df <==", *_rows(wanted), b""])


def _rows(mounts: list[Mount]) -> Iterator[bytes]:
    for mount in mounts:
        path = mount.raw_path.encode("latin-1")
        with suppress(OSError):  # no row: the parser says device_error
            usage = os.statvfs(path)
            size, used, avail = (
                usage.f_frsize * blocks
                for blocks in (usage.f_blocks, usage.f_blocks - usage.f_bfree, usage.f_bavail)
            )
            figures = b"%d %d %d %d %d " % (usage.f_files, usage.f_ffree, size, used, avail)
            yield figures + mount.path.encode("latin-1")


async def systemd_text() -> bytes:
    """What it prints in its section systemd."""
    if not _has_systemd():
        return b""
    return b"\n".join([await _output(command) for command in _SYSTEMCTL])


async def _output(command: tuple[str, ...]) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=os.environ | {"LC_ALL": "C", "TZ": "UTC"},
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return output


def _has_systemd() -> bool:
    return os.path.isdir("/run/systemd/system")


def _below(name: str, content: bytes) -> bytes:
    return b"==> %s <==\n%s" % (os.fsencode(name), content)


def _content(name: str) -> bytes:
    """A file of /proc or /sys; empty where it is not there or says so itself (speed of a link that is down)."""
    try:
        with open(name, "rb") as file:
            return file.read(_MOST)
    except OSError:
        return b""
