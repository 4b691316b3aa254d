"""File systems: node_exporter's filesystem collector, from the mount table and df.

The text is the content of /proc/self/mounts, then `==> df <==` and the table of
`df --output=itotal,iavail,size,used,avail,target -B1` (GNU), or, where df knows no --output (busybox),
`==> df -k <==` and `==> df -i <==` with the tables of `df -P -k` and `df -i`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sentinel.collect.ssh.parser import Parser
from sentinel.collect.ssh.text import Field, Metric, Outcome, Sample, Text

_MOUNTS_EXCLUDED = re.compile(
    r"^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)"
)
_TYPES_EXCLUDED = frozenset(
    {
        "autofs",
        "binfmt_misc",
        "bpf",
        "cgroup",
        "cgroup2",
        "configfs",
        "debugfs",
        "devpts",
        "devtmpfs",
        "fusectl",
        "hugetlbfs",
        "iso9660",
        "mqueue",
        "nsfs",
        "overlay",
        "proc",
        "procfs",
        "pstore",
        "rpc_pipefs",
        "securityfs",
        "selinuxfs",
        "squashfs",
        "erofs",
        "sysfs",
        "tracefs",
    }
)
NETWORK_TYPES = frozenset(
    {
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "fuse.ceph",
        "fuse.glusterfs",
        "fuse.sshfs",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "smb2",
        "smb3",
        "smbfs",
    }
)
"""Read in a section of their own: a dead server hangs whoever asks for their size."""

_GAUGES = {
    "size": ("size_bytes", "Filesystem size in bytes."),
    "free": ("free_bytes", "Filesystem free space in bytes."),
    "avail": ("avail_bytes", "Filesystem space available to non-root users in bytes."),
    "files": ("files", "Filesystem total file nodes."),
    "files_free": ("files_free", "Filesystem total free file nodes."),
    "readonly": ("readonly", "Filesystem read-only status."),
    "error": ("device_error", "Whether an error occurred while getting statistics for the given device."),
}
METRICS = {key: Metric.of(f"node_filesystem_{name}", "gauge", text) for key, (name, text) in _GAUGES.items()}
_ESCAPE = re.compile(r"\\([0-7]{3})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HEADER = re.compile(r"^==> (df|df -k|df -i) <==\n", re.MULTILINE)
_GNU_ROW = re.compile(r"\s*(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s(.+)")
_POSIX_ROW = re.compile(r".*?\s(\d+|-)\s+(\d+|-)\s+(-?\d+|-)\s+(?:\d+%|-)\s(/.*)")


@dataclass(frozen=True, slots=True)
class Mount:
    device: str
    point: str
    """As a label: blanks and tabs decoded, other escapes as they are, like node_exporter."""
    path: str
    """As df prints it: every escape decoded, control characters replaced by question marks."""
    raw_path: str
    """As the kernel knows it, one character per byte."""
    fstype: str
    readonly: bool

    @property
    def is_counted(self) -> bool:
        return self.fstype not in _TYPES_EXCLUDED and not _MOUNTS_EXCLUDED.search(self.point)

    @property
    def is_remote(self) -> bool:
        """What `df -l` leaves out, and what may hang."""
        return self.fstype in NETWORK_TYPES or ":" in self.device or self.device.startswith("//")


@dataclass(frozen=True, slots=True)
class Usage:
    """Where one file system's figures stand; None: df had a dash."""

    size: Field | None = None
    used: Field | None = None
    avail: Field | None = None
    times: float = 1.0
    """Bytes per unit of these."""
    files: Field | None = None
    files_free: Field | None = None


def filesystem(text: Text) -> Iterator[Outcome]:
    """What is mounted from this machine's own disks and memory."""
    yield Outcome("filesystem", tuple(_samples(text, remote=False)))


def filesystem_remote(text: Text) -> Iterator[Outcome]:
    """What is mounted over the network."""
    yield Outcome("filesystem_remote", tuple(_samples(text, remote=True)), is_absent=not text.strip())


def _samples(text: Text, *, remote: bool) -> Iterator[Sample]:
    tables = text.below(_HEADER)
    first = _HEADER.search(text)
    if first is None:
        return
    usages = _usages(text, tables)
    seen = set()
    mounts = text.part(0, first.start())
    for mount in read_mounts(mounts):
        labels = (mount.device, mount.point, mount.fstype)
        if mount.is_counted and mount.is_remote is remote and labels not in seen:
            seen.add(labels)
            yield from _of(mount, usages.get(mount.path))
    for line in mounts.lines():
        _skip_options(text, line)


def _skip_options(text: Text, line: Field) -> None:
    """Sizes and ids among the mount options come and go without meaning."""
    fields = line.fields()
    for field in fields[3:]:
        text.skip(field)


def _usages(text: Text, tables: Mapping[str, Field]) -> dict[str, Usage]:
    if "df" in tables:
        return _gnu(text, tables["df"])
    return _posix(text, tables.get("df -k", Field("", 0)), tables.get("df -i", Field("", 0)))


def _gnu(text: Text, table: Field) -> dict[str, Usage]:
    usages = {}
    for line in table.lines():
        row = _GNU_ROW.fullmatch(line)
        if row is None:
            continue
        files, files_free, size, used, avail = (_cell(line, row, place) for place in range(1, 6))
        _skip_cells(text, line, row, 5)
        usages[row[6]] = Usage(size, used, avail, 1.0, files, files_free)
    return usages


def _posix(text: Text, blocks: Field, inodes: Field) -> dict[str, Usage]:
    nodes = {}
    for line in inodes.lines():
        row = _POSIX_ROW.fullmatch(line)
        if row is not None:
            _skip_row(text, line, row)
            nodes[row[4]] = (_cell(line, row, 1), _cell(line, row, 3))
    usages = {}
    for line in blocks.lines():
        row = _POSIX_ROW.fullmatch(line)
        if row is not None:
            _skip_row(text, line, row)
            size, used, avail = (_cell(line, row, place) for place in range(1, 4))
            usages[row[4]] = Usage(size, used, avail, 1024.0, *nodes.get(row[4], (None, None)))
    return usages


def _cell(line: Field, row: re.Match[str], group: int) -> Field | None:
    cell = line.part(row.start(group), row.end(group))
    return cell if cell.is_number else None


def _skip_cells(text: Text, line: Field, row: re.Match[str], last: int) -> None:
    for group in range(1, last + 1):
        text.skip(line.part(row.start(group), row.end(group)))


def _skip_row(text: Text, line: Field, row: re.Match[str]) -> None:
    """Also the share in per cent, between the third figure and the mount point."""
    text.skip(line.part(row.start(1), row.start(4)))


def _of(mount: Mount, usage: Usage | None) -> Iterator[Sample]:
    labels = {
        "device": Field(mount.device, 0).label,
        "mountpoint": Field(mount.point, 0).label,
        "fstype": Field(mount.fstype, 0).label,
    }
    if usage is None or usage.size is None or usage.used is None or usage.avail is None:
        yield Sample(METRICS["error"], 1.0, labels)
        return
    yield Sample(METRICS["error"], 0.0, labels)
    yield Sample(METRICS["readonly"], 1.0 if mount.readonly else 0.0, labels)
    yield Sample(METRICS["size"], usage.size, labels, times=usage.times)
    yield Sample(METRICS["free"], usage.size, labels, times=usage.times, minus=usage.used)
    yield Sample(METRICS["avail"], usage.avail, labels, times=usage.times)
    yield Sample(METRICS["files"], usage.files if usage.files is not None else 0.0, labels)
    yield Sample(METRICS["files_free"], usage.files_free if usage.files_free is not None else 0.0, labels)


def read_mounts(text: Field) -> Iterator[Mount]:
    """Lines `device point fstype options 0 0`, escapes as in fstab(5)."""
    for line in text.lines():
        fields = line.fields()
        if len(fields) < 4:
            continue
        device, point, fstype, options = fields[:4]
        path = _ESCAPE.sub(lambda match: chr(int(match[1], 8) & 0xFF), point)
        yield Mount(
            _blanks(device), _blanks(point), _CONTROL.sub("?", path), path, fstype, "ro" in options.split(",")
        )


def _blanks(escaped: str) -> str:
    return escaped.replace("\\040", " ").replace("\\011", "\t")


PARSERS = (
    Parser("filesystem", ("filesystem",), filesystem, frozenset(metric.name for metric in METRICS.values())),
    Parser("filesystem_remote", ("filesystem_remote",), filesystem_remote),
)
