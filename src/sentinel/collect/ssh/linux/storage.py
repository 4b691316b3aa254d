"""What file systems and their protocols count: node_exporter's nfs, nfsd, xfs, btrfs and zfs collectors.

Formats: fs/xfs/xfs_stats.c and Documentation/ABI/testing/sysfs-fs-btrfs of the kernel; nfs and zfs have files of
their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from sentinel.collect.ssh.linux import nfs
from sentinel.collect.ssh.linux.files import (
    Files,
    Property,
    content,
    devices,
    label,
    number,
    of,
    properties,
    read_files,
)
from sentinel.collect.ssh.linux.zfs import zfs
from sentinel.collect.ssh.parser import Parser
from sentinel.collect.ssh.text import Metric, Outcome, Sample, Text

_XFS = re.compile(r"/sys/fs/xfs/([^/]+)/stats/(stats)")
_TREE = (
    "lookups=Number of {} B-tree lookups for a filesystem.",
    "compares=Number of {} B-tree compares for a filesystem.",
    "records_inserted=Number of {} B-tree records inserted for a filesystem.",
    "records_deleted=Number of {} B-tree records deleted for a filesystem.",
)
_XFS_LINES = {
    "extent_alloc": (
        "extent_allocation_extents_allocated=Number of extents allocated for a filesystem.",
        "extent_allocation_blocks_allocated=Number of blocks allocated for a filesystem.",
        "extent_allocation_extents_freed=Number of extents freed for a filesystem.",
        "extent_allocation_blocks_freed=Number of blocks freed for a filesystem.",
    ),
    "abt": tuple("allocation_btree_" + each.format("allocation") for each in _TREE),
    "blk_map": (
        "block_mapping_reads=Number of block map for read operations for a filesystem.",
        "block_mapping_writes=Number of block map for write operations for a filesystem.",
        "block_mapping_unmaps=Number of block unmaps (deletes) for a filesystem.",
        "block_mapping_extent_list_insertions=Number of extent list insertions for a filesystem.",
        "block_mapping_extent_list_deletions=Number of extent list deletions for a filesystem.",
        "block_mapping_extent_list_lookups=Number of extent list lookups for a filesystem.",
        "block_mapping_extent_list_compares=Number of extent list compares for a filesystem.",
    ),
    "bmbt": tuple("block_map_btree_" + each.format("block map") for each in _TREE),
    "dir": (
        "directory_operation_lookup=Number of file name directory lookups which miss the operating systems"
        " directory name lookup cache.",
        "directory_operation_create=Number of times a new directory entry was created for a filesystem.",
        "directory_operation_remove=Number of times an existing directory entry was created for a filesystem.",
        "directory_operation_getdents=Number of times the directory getdents operation was performed for a"
        " filesystem.",
    ),
    "ig": (
        "inode_operation_attempts=Number of times the OS looked for an XFS inode in the inode cache.",
        "inode_operation_found=Number of times the OS looked for and found an XFS inode in the inode cache.",
        "inode_operation_recycled=Number of times the OS found an XFS inode in the cache, but could not use it as"
        " it was being recycled.",
        "inode_operation_missed=Number of times the OS looked for an XFS inode in the cache, but did not find it.",
        "inode_operation_duplicates=Number of times the OS tried to add a missing XFS inode to the inode cache, but"
        " found it had already been added by another process.",
        "inode_operation_reclaims=Number of times the OS reclaimed an XFS inode from the inode cache to free memory"
        " for another purpose.",
        "inode_operation_attribute_changes=Number of times the OS explicitly changed the attributes of an XFS"
        " inode.",
    ),
    # xfs_stats.h: writes stand first.
    "rw": (
        "write_calls=Number of write(2) system calls made to files in a filesystem.",
        "read_calls=Number of read(2) system calls made to files in a filesystem.",
    ),
    "vnodes": (
        "vnode_active=Number of vnodes not on free lists for a filesystem.",
        "vnode_allocate=Number of times vn_alloc called for a filesystem.",
        "vnode_get=Number of times vn_get called for a filesystem.",
        "vnode_hold=Number of times vn_hold called for a filesystem.",
        "vnode_release=Number of times vn_rele called for a filesystem.",
        "vnode_reclaim=Number of times vn_reclaim called for a filesystem.",
        "vnode_remove=Number of times vn_remove called for a filesystem.",
    ),
}


def _xfs(described: str) -> Property:
    name, _, text = described.partition("=")
    return Property.of(f"node_xfs_{name}_total", text, kind="counter")


_XFS_COUNTERS = {line: tuple(map(_xfs, names)) for line, names in _XFS_LINES.items()}


def xfs(files: Files) -> Iterator[Sample]:
    """Each file system's `stats/stats`: lines of a name and counters."""
    for device, found in devices(files, _XFS).items():
        text, labels = found["stats"], {"device": label(device)}
        for line in text.lines():
            fields = line.fields()
            for value in fields[1:]:
                text.skip(value)
            counters = _XFS_COUNTERS.get(str(fields[0]), ()) if fields else ()
            for kind, value in zip(counters, fields[1:], strict=False):
                if value.is_number:
                    yield kind.sample(value, labels)


_BTRFS = re.compile(r"/sys/fs/btrfs/([^/]*-[^/]*)/(.+)")
_BTRFS_INFO = Metric.of("node_btrfs_info", "gauge", "Filesystem information")
_RESERVE = {
    "allocation/global_rsv_size": Property.of("node_btrfs_global_rsv_size_bytes", "Size of global reserve.")
}
_COMMITS = {
    "commits": Property.of(
        "node_btrfs_commits_total", "The total number of commits that have occurred.", kind="counter"
    ),
    "last_commit_ms": Property.of(
        "node_btrfs_last_commit_seconds", "Duration of the most recent commit, in seconds.", over=1e3
    ),
    "max_commit_ms": Property.of(
        "node_btrfs_max_commit_seconds", "Duration of the slowest commit, in seconds.", over=1e3
    ),
    "total_commit_ms": Property.of(
        "node_btrfs_commit_seconds_total",
        "Sum of the duration of all commits, in seconds.",
        kind="counter",
        over=1e3,
    ),
}
_DEVICE_SIZE = Property.of(
    "node_btrfs_device_size_bytes", "Size of a device that is part of the filesystem.", times=512.0
)
_RESERVED = Property.of("node_btrfs_reserved_bytes", "Amount of space reserved for a data type")
_LAYOUT = {
    "used_bytes": Property.of("node_btrfs_used_bytes", "Amount of used space by a layout/data type"),
    "total_bytes": Property.of("node_btrfs_size_bytes", "Amount of space allocated for a layout/data type"),
}
_RATIO = Metric.of("node_btrfs_allocation_ratio", "gauge", "Data allocation ratio for a layout/data type")
_DEVICE = re.compile(r"devices/([^/]+)/size")
_ALLOCATION = re.compile(
    r"allocation/(data|metadata|system)/(?:bytes_reserved|([^/]+)/(used_bytes|total_bytes))"
)
_COPIES = {
    "single": 1.0,
    "raid0": 1.0,
    "dup": 2.0,
    "raid1": 2.0,
    "raid10": 2.0,
    "raid1c3": 3.0,
    "raid1c4": 4.0,
}
_PARITY = {"raid5": 1, "raid6": 2}


def btrfs(files: Files) -> Iterator[Sample]:
    for name, found in devices(files, _BTRFS).items():
        labels = {"uuid": content(found.get("metadata_uuid")) or label(name)}
        yield Sample(_BTRFS_INFO, 1.0, labels | {"label": content(found.get("label"))})
        yield from properties(found, _RESERVE, labels)
        for line in found.get("commit_stats", Text("")).lines():
            fields = line.fields()
            if len(fields) == 2 and fields[0] in _COMMITS and fields[1].is_number:
                yield _COMMITS[str(fields[0])].sample(fields[1], labels)
        count = sum(1 for file in found if _DEVICE.fullmatch(file))
        for file, text in found.items():
            yield from _btrfs(file, text, labels, count)


def _btrfs(file: str, text: Text, labels: Mapping[str, str], count: int) -> Iterator[Sample]:
    """A file below `devices` or `allocation`. `count`: the file system's devices."""
    value, device, group = number(text), _DEVICE.fullmatch(file), _ALLOCATION.fullmatch(file)
    if value is None:
        return
    if device is not None:
        yield _DEVICE_SIZE.sample(value, {**labels, "device": label(device[1])})
    elif group is not None and group[2] is None:
        yield _RESERVED.sample(value, {**labels, "block_group_type": group[1]})
    elif group is not None:
        mode = {**labels, "block_group_type": group[1], "mode": label(group[2])}
        yield _LAYOUT[group[3]].sample(value, mode)
        parity = _PARITY.get(group[2], 0)
        spread = count / (count - parity) if parity and count > parity else 0.0
        yield Sample(_RATIO, _COPIES.get(group[2], spread), mode)


def storage(text: Text) -> Iterator[Outcome]:
    files = read_files(text)
    for name, samples in (
        ("nfs", tuple(of(files, "/proc/net/rpc/nfs", nfs.client))),
        ("nfsd", tuple(of(files, "/proc/net/rpc/nfsd", nfs.server))),
        ("xfs", tuple(xfs(files))),
        ("btrfs", tuple(btrfs(files))),
        ("zfs", tuple(zfs(files))),
    ):
        yield Outcome(name, samples, is_absent=not samples)


PARSERS = (Parser("storage", ("nfs", "nfsd", "xfs", "btrfs", "zfs"), storage),)
