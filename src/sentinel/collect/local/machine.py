"""The texts that a host would print over SSH, read here without a shell: the parsers are the same."""

from __future__ import annotations

import asyncio
import glob
import os
import time
from collections.abc import Iterator
from contextlib import suppress

from sentinel.collect.ssh.linux.filesystem import Mount, read_mounts
from sentinel.collect.ssh.text import Text

FILES = (
    "/proc/stat",
    "/proc/meminfo",
    "/proc/loadavg",
    "/proc/diskstats",
    "/proc/net/dev",
    "/proc/vmstat",
    "/proc/sys/fs/file-nr",
    "/proc/net/sockstat",
    "/proc/net/sockstat6",
    "/proc/net/netstat",
    "/proc/net/snmp",
    "/proc/net/snmp6",
)
_PATTERNS = tuple(f"/sys/class/net/*/{name}" for name in ("operstate", "mtu", "speed"))
_MOUNTS = "/proc/self/mounts"
_UNITS = ("*.service", "*.socket", "*.target", "*.timer", "*.path", "*.swap")
_SYSTEMCTL = ("systemctl", "show", "--no-pager", "--property=Id,Type,LoadState,ActiveState", *_UNITS)


def proc_text() -> bytes:
    """What the module linux prints in its section proc."""
    parts = [_below("pagesize", b"%d\n" % os.sysconf("SC_PAGE_SIZE"))]
    for name in (*FILES, *(path for pattern in _PATTERNS for path in sorted(glob.glob(pattern)))):
        content = _content(name)
        if content:
            parts.append(_below(name, content))
    # The machine's own clock is what is measured here; nothing in Sentinel goes by it.
    parts.append(_below("time", f"{time.time():.9f}\n".encode()))
    return b"\n".join(parts)


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
    process = await asyncio.create_subprocess_exec(
        *_SYSTEMCTL,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=os.environ | {"LC_ALL": "C"},
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
    return b"==> %s <==\n%s" % (name.encode(), content)


def _content(name: str) -> bytes:
    """A file of /proc or /sys; empty where it is not there or says so itself (speed of a link that is down)."""
    try:
        with open(name, "rb") as file:
            return file.read()
    except OSError:
        return b""
