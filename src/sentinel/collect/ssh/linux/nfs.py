"""NFS clients and servers: node_exporter's nfs and nfsd collectors, from /proc/net/rpc/nfs and nfsd.

A line is a name and counters: `net 0 0 0 0`, `rpc 10 0 10`; `procN` and `proc4ops` begin with how many follow.
Order of the procedures: fs/nfs/nfs*xdr.c, fs/nfsd/stats.c, include/linux/nfs4.h of the kernel;
RFC 1094, 1813, 7530.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sentinel.collect.ssh.linux.files import Property
from sentinel.collect.ssh.text import Field, Metric, Sample, Text


def _in_order(names: str) -> Sequence[str]:
    return names.split()


_V2 = _in_order("""
    Null GetAttr SetAttr Root Lookup ReadLink Read WrCache Write Create Remove Rename Link SymLink MkDir
    RmDir ReadDir FsStat
""")
_V3 = _in_order("""
    Null GetAttr SetAttr Lookup Access ReadLink Read Write Create MkDir SymLink MkNod Remove RmDir Rename
    Link ReadDir ReadDirPlus FsStat FsInfo PathConf Commit
""")
_V4 = _in_order("""
    Null Read Write Commit Open OpenConfirm OpenNoattr OpenDowngrade Close Setattr FsInfo Renew SetClientID
    SetClientIDConfirm Lock Lockt Locku Access Getattr Lookup LookupRoot Remove Rename Link Symlink Create
    Pathconf StatFs ReadLink ReadDir ServerCaps DelegReturn GetACL SetACL FsLocations ReleaseLockowner
    Secinfo FsidPresent ExchangeID CreateSession DestroySession Sequence GetLeaseTime ReclaimComplete
    GetDeviceInfo LayoutGet LayoutCommit LayoutReturn SecinfoNoName TestStateID FreeStateID GetDeviceList
    BindConnToSession DestroyClientID Seek Allocate DeAllocate LayoutStats Clone
""")
_V4_SERVER = _in_order("""
    - - - Access Close Commit Create DelegPurge DelegReturn GetAttr GetFH Link Lock Lockt Locku Lookup
    LookupRoot Nverify Open OpenAttr OpenConfirm OpenDgrd PutFH - - Read ReadDir ReadLink Remove Rename
    Renew RestoreFH SaveFH SecInfo SetAttr - - Verify Write RelLockOwner
""")
"""By operation number; RFC 7530 §16 begins with 3. A dash: node_exporter leaves it out."""
_REQUESTS = Metric.of("node_nfs_requests_total", "counter", "Number of NFS procedures invoked.")
_SERVED = Metric.of(
    "node_nfsd_requests_total", "counter", "Total number NFSd Requests by method and protocol."
)
_PACKETS = "Total NFSd network packets (sent+received) by protocol type."

Counter = tuple[int, Property, Mapping[str, str]]
"""Column after the line's name, series and its labels."""


def _counter(name: str, text: str) -> Property:
    return Property.of(f"node_{name}_total", text, kind="counter")


_NONE: Mapping[str, str] = {}
_CLIENT: Mapping[str, Sequence[Counter]] = {
    "net": (
        (1, _counter("nfs_packets", _PACKETS), {"protocol": "udp"}),
        (2, _counter("nfs_packets", _PACKETS), {"protocol": "tcp"}),
        (3, _counter("nfs_connections", "Total number of NFSd TCP connections."), _NONE),
    ),
    "rpc": (
        (0, _counter("nfs_rpcs", "Total number of RPCs performed."), _NONE),
        (1, _counter("nfs_rpc_retransmissions", "Number of RPC transmissions performed."), _NONE),
        (
            2,
            _counter("nfs_rpc_authentication_refreshes", "Number of RPC authentication refreshes performed."),
            _NONE,
        ),
    ),
}
_RPC_ERRORS = _counter("nfsd_rpc_errors", "Total number of NFSd RPC errors by error type.")
_SERVER: Mapping[str, Sequence[Counter]] = {
    "rc": (
        (
            0,
            _counter(
                "nfsd_reply_cache_hits",
                "Total number of NFSd Reply Cache hits (client lost server response).",
            ),
            _NONE,
        ),
        (
            1,
            _counter(
                "nfsd_reply_cache_misses",
                "Total number of NFSd Reply Cache an operation that requires caching (idempotent).",
            ),
            _NONE,
        ),
        (
            2,
            _counter(
                "nfsd_reply_cache_nocache",
                "Total number of NFSd Reply Cache non-idempotent operations (rename/delete/…).",
            ),
            _NONE,
        ),
    ),
    "fh": ((0, _counter("nfsd_file_handles_stale", "Total number of NFSd stale file handles"), _NONE),),
    "io": (
        (0, _counter("nfsd_disk_bytes_read", "Total NFSd bytes read."), _NONE),
        (1, _counter("nfsd_disk_bytes_written", "Total NFSd bytes written."), _NONE),
    ),
    "th": (
        (
            0,
            Property.of("node_nfsd_server_threads", "Total number of NFSd kernel threads that are running."),
            _NONE,
        ),
    ),
    "ra": (
        (
            0,
            Property.of(
                "node_nfsd_read_ahead_cache_size_blocks", "How large the read ahead cache is in blocks."
            ),
            _NONE,
        ),
        (
            11,
            _counter("nfsd_read_ahead_cache_not_found", "Total number of NFSd read ahead cache not found."),
            _NONE,
        ),
    ),
    "net": (
        (1, _counter("nfsd_packets", _PACKETS), {"proto": "udp"}),
        (2, _counter("nfsd_packets", _PACKETS), {"proto": "tcp"}),
        (3, _counter("nfsd_connections", "Total number of NFSd TCP connections."), _NONE),
    ),
    "rpc": (
        (0, _counter("nfsd_server_rpcs", "Total number of NFSd RPCs."), _NONE),
        (2, _RPC_ERRORS, {"error": "fmt"}),
        (3, _RPC_ERRORS, {"error": "auth"}),
        (4, _RPC_ERRORS, {"error": "cInt"}),
    ),
}


def client(text: Text) -> Iterator[Sample]:
    procedures = {"proc2": ("2", _V2), "proc3": ("3", _V3), "proc4": ("4", _V4)}
    yield from _counters(text, _CLIENT, procedures, _REQUESTS)


def server(text: Text) -> Iterator[Sample]:
    procedures = {
        "proc2": ("2", ["-", *_V2[1:]]),
        "proc3": ("3", ["-", *_V3[1:]]),
        "proc4ops": ("4", _V4_SERVER),
    }
    yield from _counters(text, _SERVER, procedures, _SERVED)


def _counters(
    text: Text,
    lines: Mapping[str, Sequence[Counter]],
    procedures: Mapping[str, tuple[str, Sequence[str]]],
    requests: Metric,
) -> Iterator[Sample]:
    for line in text.lines():
        fields = line.fields()
        name, numbers = (str(fields[0]), fields[1:]) if fields else ("", [])
        for number in numbers:
            text.skip(number)
        for column, kind, labels in lines.get(name, ()):
            if column < len(numbers) and numbers[column].is_number:
                yield kind.sample(numbers[column], labels)
        version, methods = procedures.get(name, ("", ()))
        yield from _requests(requests, version, methods, numbers[1:])


def _requests(
    metric: Metric, version: str, methods: Sequence[str], numbers: Sequence[Field]
) -> Iterator[Sample]:
    """Older kernels know fewer procedures than there are names, newer ones more."""
    for method, value in zip(methods, numbers, strict=False):
        if method != "-" and value.is_number:
            yield Sample(metric, value, {"proto": version, "method": method})
