"""CPU, memory, load, disks and the rest of what every poll reads of /proc and /sys, from one reading of the files.

Names, labels, units and choices of fields are node_exporter's (collectors cpu, stat, meminfo, loadavg, diskstats,
vmstat, filefd, pressure, entropy; those of the network stand in `network` and `interfaces`, mdadm in `raid`).
Formats: proc(5), Documentation/accounting/psi.rst of the kernel.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from sentinel.collect.ssh.linux import interfaces, network, raid
from sentinel.collect.ssh.linux.files import Files, Property, number, of, read_files
from sentinel.collect.ssh.linux.tables import decimal
from sentinel.collect.ssh.parser import Parser
from sentinel.collect.ssh.text import Metric, Outcome, Sample, Text

_CPU = re.compile("cpu[0-9]+")
_WORD = re.compile("[A-Za-z0-9_]+")
"""What may become part of a metric name."""
USER_HZ = 100.0
"""Ticks a second in /proc/stat; node_exporter assumes the same."""

_OF_ONE_FILE: tuple[tuple[str, str, Callable[[Text], Iterator[Sample]]], ...]


def proc(text: Text) -> Iterator[Outcome]:
    """The output of `head` over several files: each comes below a line `==> path <==`."""
    files = read_files(text)
    for name, file, parse in _OF_ONE_FILE:
        yield Outcome(name, tuple(of(files, file, parse)))
    page = files.get("pagesize", Text("")).split("\n", 1)[0].strip()
    page_size = float(page) if page.isdecimal() and len(page) < 10 else 4096.0
    sockets = [
        sample
        for name in ("/proc/net/sockstat", "/proc/net/sockstat6")
        if name in files
        for sample in network.sockstat(files[name], page_size)
    ]
    yield Outcome("sockstat", tuple(sockets))
    counters = [
        *of(files, "/proc/net/netstat", network.netstat),
        *of(files, "/proc/net/snmp", network.netstat),
        *of(files, "/proc/net/snmp6", network.snmp6),
    ]
    yield Outcome("netstat", tuple(counters))
    yield Outcome("netclass", tuple(interfaces.netclass(files)))
    # What a kernel may have been built without, or have not loaded.
    for name, samples in (
        ("bonding", tuple(interfaces.bonding(files))),
        ("softnet", tuple(of(files, "/proc/net/softnet_stat", network.softnet))),
        ("conntrack", tuple(network.conntrack(files))),
        ("pressure", tuple(pressure(files))),
        ("entropy", tuple(entropy(files))),
        ("mdadm", tuple(of(files, "/proc/mdstat", raid.mdstat))),
    ):
        yield Outcome(name, samples, is_absent=bool(files) and not samples)


TIME = Metric.of("node_time_seconds", "gauge", "System time in seconds since epoch (1970).")
_TIME = re.compile(r"[0-9]{1,19}(\.[0-9]{1,9}(?![0-9]))?")


def clock(text: Text) -> Iterator[Sample]:
    """`date +%s.%N`; a date without %N prints it as it is, or nothing, and gives whole seconds."""
    match = _TIME.match(text)
    if match is not None:
        yield Sample(TIME, text.part(0, match.end()))


CPU = Metric.of("node_cpu_seconds_total", "counter", "Seconds the CPUs spent in each mode.")
CPU_GUEST = Metric.of(
    "node_cpu_guest_seconds_total", "counter", "Seconds the CPUs spent in guests (VMs) for each mode."
)
_MODES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
_GUEST_MODES = ("user", "nice")


def cpu(text: Text) -> Iterator[Sample]:
    """Lines `cpuN user nice system idle …` of /proc/stat; columns that an old kernel lacks count as zero."""
    for line in text.lines():
        fields = line.fields()
        if not fields or not _CPU.fullmatch(fields[0]):
            continue
        number, times = fields[0][3:], [each for each in fields[1:11] if each.is_number]
        for metric, modes, first in ((CPU, _MODES, 0), (CPU_GUEST, _GUEST_MODES, len(_MODES))):
            for place, mode in enumerate(modes, first):
                value = times[place] if place < len(times) else 0.0
                yield Sample(metric, value, {"cpu": number, "mode": mode}, over=USER_HZ)


_STAT = {
    "intr": Metric.of("node_intr_total", "counter", "Total number of interrupts serviced."),
    "ctxt": Metric.of("node_context_switches_total", "counter", "Total number of context switches."),
    "processes": Metric.of("node_forks_total", "counter", "Total number of forks."),
    "btime": Metric.of("node_boot_time_seconds", "gauge", "Node boot time, in unixtime."),
    "procs_running": Metric.of("node_procs_running", "gauge", "Number of processes in runnable state."),
    "procs_blocked": Metric.of(
        "node_procs_blocked", "gauge", "Number of processes blocked waiting for I/O to complete."
    ),
}


def stat(text: Text) -> Iterator[Sample]:
    """The totals of /proc/stat."""
    for line in text.lines():
        name, _, rest = line.partition(" ")
        if _CPU.fullmatch(name):
            continue
        text.skip(line.part(len(name)))
        value = line.part(len(name) + 1, len(name) + 1 + len(rest.split(" ", 1)[0]))
        if name in _STAT and value.is_number:
            yield Sample(_STAT[name], value)


def meminfo(text: Text) -> Iterator[Sample]:
    """`MemTotal:  24683656 kB`: in bytes; lines without a unit are counts."""
    for line in text.lines():
        fields = line.fields()
        if len(fields) < 2 or not fields[0].endswith(":") or not fields[1].is_number:
            continue
        key = re.sub(r"\((.*)\)", r"_\1", fields[0][:-1])
        if not _WORD.fullmatch(key):
            continue
        in_kb = len(fields) > 2 and fields[2] == "kB"
        name = key + ("_bytes" if in_kb else "")
        metric = Metric.of(f"node_memory_{name}", "gauge", f"Memory information field {name}.")
        yield Sample(metric, fields[1], times=1024.0 if in_kb else 1.0)


_LOADS = tuple(
    Metric.of(f"node_load{minutes}", "gauge", f"{minutes}m load average.") for minutes in (1, 5, 15)
)


def loadavg(text: Text) -> Iterator[Sample]:
    fields = next(text.lines()).fields()
    for rest in fields[3:]:
        text.skip(rest)
    for metric, value in zip(_LOADS, fields, strict=False):
        if value.is_number:
            yield Sample(metric, value)


_DISK_EXCLUDED = re.compile(r"(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+")


def _disk(name: str, text: str, *, gauge: bool = False) -> Metric:
    return Metric.of(f"node_disk_{name}", "gauge" if gauge else "counter", text)


_DISK = (
    (_disk("reads_completed_total", "The total number of reads completed successfully."), 1.0),
    (_disk("reads_merged_total", "The total number of reads merged."), 1.0),
    (_disk("read_bytes_total", "The total number of bytes read successfully."), 512.0),
    (_disk("read_time_seconds_total", "The total number of seconds spent by all reads."), 0.001),
    (_disk("writes_completed_total", "The total number of writes completed successfully."), 1.0),
    (_disk("writes_merged_total", "The number of writes merged."), 1.0),
    (_disk("written_bytes_total", "The total number of bytes written successfully."), 512.0),
    (_disk("write_time_seconds_total", "This is the total number of seconds spent by all writes."), 0.001),
    (_disk("io_now", "The number of I/Os currently in progress.", gauge=True), 1.0),
    (_disk("io_time_seconds_total", "Total seconds spent doing I/Os."), 0.001),
    (_disk("io_time_weighted_seconds_total", "The weighted # of seconds spent doing I/Os."), 0.001),
    (_disk("discards_completed_total", "The total number of discards completed successfully."), 1.0),
    (_disk("discards_merged_total", "The total number of discards merged."), 1.0),
    (_disk("discarded_sectors_total", "The total number of sectors discarded successfully."), 1.0),
    (
        _disk("discard_time_seconds_total", "This is the total number of seconds spent by all discards."),
        0.001,
    ),
    (_disk("flush_requests_total", "The total number of flush requests completed successfully"), 1.0),
    (
        _disk(
            "flush_requests_time_seconds_total",
            "This is the total number of seconds spent by all flush requests.",
        ),
        0.001,
    ),
)


def is_counted_disk(device: str) -> bool:
    """Partitions and what is no disk are left out."""
    return _DISK_EXCLUDED.fullmatch(device) is None


def diskstats(text: Text) -> Iterator[Sample]:
    """`major minor name` and 11 to 17 counters, as the kernel's iostats.rst lists them; partitions left out."""
    for line in text.lines():
        fields = line.fields()
        if len(fields) < 4:
            continue
        device = fields[2].label
        if not is_counted_disk(device):
            text.skip(line)
            continue
        for (metric, times), value in zip(_DISK, fields[3:], strict=False):
            if value.is_number:
                yield Sample(metric, value, {"device": device}, times=times)


_VMSTAT = re.compile(r"(oom_kill|pgpg|pswp|pg\w*fault)\w*", re.ASCII)


def vmstat(text: Text) -> Iterator[Sample]:
    """The fields that node_exporter chooses by default."""
    for line in text.lines():
        fields = line.fields()
        if len(fields) != 2 or not fields[1].is_number:
            continue
        if not _VMSTAT.fullmatch(fields[0]):
            text.skip(fields[1])
            continue
        name = fields[0]
        metric = Metric.of(f"node_vmstat_{name}", "unknown", f"/proc/vmstat information field {name}.")
        yield Sample(metric, fields[1])


_FILEFD = {
    0: Metric.of("node_filefd_allocated", "gauge", "File descriptor statistics: allocated."),
    2: Metric.of("node_filefd_maximum", "gauge", "File descriptor statistics: maximum."),
}


def filefd(text: Text) -> Iterator[Sample]:
    """`allocated unused maximum`."""
    for place, value in enumerate(next(text.lines()).fields()):
        if place not in _FILEFD:
            text.skip(value)
        elif value.is_number:
            yield Sample(_FILEFD[place], value)


_WAITING = {
    ("cpu", "some"): ("cpu_waiting", "Total time in seconds that processes have waited for CPU time"),
    ("io", "some"): (
        "io_waiting",
        "Total time in seconds that processes have waited due to IO congestion",
    ),
    ("io", "full"): (
        "io_stalled",
        "Total time in seconds no process could make progress due to IO congestion",
    ),
    ("memory", "some"): (
        "memory_waiting",
        "Total time in seconds that processes have waited for memory",
    ),
    ("memory", "full"): (
        "memory_stalled",
        "Total time in seconds no process could make progress due to memory congestion",
    ),
    ("irq", "full"): (
        "irq_stalled",
        "Total time in seconds no process could make progress due to IRQ congestion",
    ),
}
_PRESSURE = {
    key: Property.of(f"node_pressure_{name}_seconds_total", text, kind="counter", over=1e6)
    for key, (name, text) in _WAITING.items()
}


def pressure(files: Files) -> Iterator[Sample]:
    """/proc/pressure/*: lines `some avg10=0.00 avg60=0.00 avg300=0.00 total=MICROSECONDS`."""
    for resource in ("cpu", "io", "memory", "irq"):
        text = files.get(f"/proc/pressure/{resource}", Text(""))
        for line in text.lines():
            fields = line.fields()
            for field in fields[:-1]:
                text.skip(field)
            total = fields[-1].part(len("total=")) if fields and fields[-1].startswith("total=") else None
            if total is not None and total.is_number and (resource, str(fields[0])) in _PRESSURE:
                yield _PRESSURE[resource, str(fields[0])].sample(total, {})


_ENTROPY = {
    "entropy_avail": Property.of("node_entropy_available_bits", "Bits of available entropy."),
    "poolsize": Property.of("node_entropy_pool_size_bits", "Bits of entropy pool."),
}


def entropy(files: Files) -> Iterator[Sample]:
    for name, kind in _ENTROPY.items():
        value = number(files.get(f"/proc/sys/kernel/random/{name}"))
        if value is not None:
            yield kind.sample(value, {})


_OF_ONE_FILE = (
    ("time", "time", clock),
    ("cpu", "/proc/stat", cpu),
    ("stat", "/proc/stat", stat),
    ("meminfo", "/proc/meminfo", meminfo),
    ("loadavg", "/proc/loadavg", loadavg),
    ("diskstats", "/proc/diskstats", diskstats),
    ("netdev", "/proc/net/dev", network.netdev),
    ("vmstat", "/proc/vmstat", vmstat),
    ("filefd", "/proc/sys/fs/file-nr", filefd),
)
_OTHERS = "sockstat netstat netclass bonding softnet conntrack pressure entropy mdadm"
_NAMES = (
    "node_time_seconds"
    " node_cpu_seconds_total node_cpu_guest_seconds_total node_boot_time_seconds node_procs_running"
    " node_procs_blocked node_context_switches_total node_intr_total node_forks_total node_load1 node_load5"
    " node_load15 node_memory_MemTotal_bytes node_memory_MemFree_bytes node_memory_MemAvailable_bytes"
    " node_memory_Buffers_bytes node_memory_Cached_bytes node_memory_SwapTotal_bytes node_memory_SwapFree_bytes"
    " node_disk_read_bytes_total node_disk_written_bytes_total node_disk_io_time_seconds_total"
    " node_network_receive_bytes_total node_network_transmit_bytes_total node_network_receive_errs_total"
    " node_network_transmit_errs_total node_network_up node_filefd_allocated node_filefd_maximum"
)
PARSERS = (
    Parser(
        "proc",
        (*(name for name, _, _ in _OF_ONE_FILE), *_OTHERS.split()),
        proc,
        frozenset(_NAMES.split()),
        prepare=decimal,
    ),
)
