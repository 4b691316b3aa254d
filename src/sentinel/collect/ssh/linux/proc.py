"""CPU, memory, load, disks, network and the rest of /proc, from one reading of its files.

Names, labels, units and choices of fields are node_exporter's (collectors cpu, stat, meminfo, loadavg, diskstats,
netdev, netclass, vmstat, filefd, sockstat, netstat with their default filters). Formats: proc(5).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from sentinel.collect.ssh.text import Field, Metric, Outcome, Sample, Text

_HEADER = re.compile(r"^==> (/[^\n]*|[a-z]+) <==\n", re.MULTILINE)
_INTERFACE = re.compile(r"/sys/class/net/([^/]+)/(operstate|mtu|speed)")
_CPU = re.compile("cpu[0-9]+")
_WORD = re.compile("[A-Za-z0-9_]+")
"""What may become part of a metric name."""
USER_HZ = 100.0
"""Ticks a second in /proc/stat; node_exporter assumes the same."""

Files = dict[str, Text]


def proc(text: Text) -> Iterator[Outcome]:
    """The output of `head` over several files: each comes below a line `==> path <==`."""
    files = text.below(_HEADER)
    page = files.get("pagesize", Text("")).split("\n", 1)[0].strip()
    page_size = float(page) if page.isdigit() else 4096.0
    yield Outcome("time", tuple(_of(files, "time", clock)))
    yield Outcome("cpu", tuple(_of(files, "/proc/stat", cpu)))
    yield Outcome("stat", tuple(_of(files, "/proc/stat", stat)))
    yield Outcome("meminfo", tuple(_of(files, "/proc/meminfo", meminfo)))
    yield Outcome("loadavg", tuple(_of(files, "/proc/loadavg", loadavg)))
    yield Outcome("diskstats", tuple(_of(files, "/proc/diskstats", diskstats)))
    yield Outcome("netdev", tuple(_of(files, "/proc/net/dev", netdev)))
    yield Outcome("netclass", tuple(netclass(files)))
    yield Outcome("vmstat", tuple(_of(files, "/proc/vmstat", vmstat)))
    yield Outcome("filefd", tuple(_of(files, "/proc/sys/fs/file-nr", filefd)))
    sockets = [
        sample
        for name in ("/proc/net/sockstat", "/proc/net/sockstat6")
        if name in files
        for sample in sockstat(files[name], page_size)
    ]
    yield Outcome("sockstat", tuple(sockets))
    counters = [
        *_of(files, "/proc/net/netstat", netstat),
        *_of(files, "/proc/net/snmp", netstat),
        *_of(files, "/proc/net/snmp6", snmp6),
    ]
    yield Outcome("netstat", tuple(counters))


def _of(files: Files, name: str, parse: Callable[[Text], Iterator[Sample]]) -> Iterator[Sample]:
    if name in files:
        yield from parse(files[name])


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


def diskstats(text: Text) -> Iterator[Sample]:
    """`major minor name` and 11 to 17 counters, as the kernel's iostats.rst lists them; partitions left out."""
    for line in text.lines():
        fields = line.fields()
        if len(fields) < 4:
            continue
        device = fields[2].label
        if _DISK_EXCLUDED.fullmatch(device):
            text.skip(line)
            continue
        for (metric, times), value in zip(_DISK, fields[3:], strict=False):
            if value.is_number:
                yield Sample(metric, value, {"device": device}, times=times)


_RECEIVE = ("bytes", "packets", "errs", "drop", "fifo", "frame", "compressed", "multicast")
_TRANSMIT = ("bytes", "packets", "errs", "drop", "fifo", "colls", "carrier", "compressed")
_NETWORK = tuple(
    Metric.of(f"node_network_{way}_{name}_total", "counter", f"Network device statistic {way}_{name}.")
    for way, names in (("receive", _RECEIVE), ("transmit", _TRANSMIT))
    for name in names
)


def netdev(text: Text) -> Iterator[Sample]:
    """`eth0: 16 counters`; old kernels leave no blank after the colon, and names may hold colons themselves."""
    for line in text.lines():
        colon = line.rfind(":")
        if colon < 0:
            continue
        device, counters = line.part(0, colon), line.part(colon + 1).fields()
        if len(counters) < len(_NETWORK):
            continue
        for metric, value in zip(_NETWORK, counters, strict=False):
            if value.is_number:
                yield Sample(metric, value, {"device": device.label.strip()})


NETWORK_UP = Metric.of("node_network_up", "gauge", "Value is 1 if operstate is 'up', 0 otherwise.")
_NETWORK_PROPERTIES = {
    "mtu": (Metric.of("node_network_mtu_bytes", "gauge", "Network device property: mtu_bytes"), 1.0),
    "speed": (
        Metric.of("node_network_speed_bytes", "gauge", "Network device property: speed_bytes"),
        125000.0,
    ),
}


def netclass(files: Files) -> Iterator[Sample]:
    """/sys/class/net/*/: a speed of -1 is the kernel's word for unknown and stays, as in node_exporter."""
    for path, text in files.items():
        match = _INTERFACE.fullmatch(path)
        if match is None:
            continue
        labels = {"device": Field(match[1], 0).label}
        value = next(text.lines())
        if match[2] == "operstate":
            yield Sample(NETWORK_UP, 1.0 if value.strip() == "up" else 0.0, labels)
        elif value.is_number:
            metric, times = _NETWORK_PROPERTIES[match[2]]
            yield Sample(metric, value, labels, times=times)


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


def sockstat(text: Text, page_size: float) -> Iterator[Sample]:
    """`TCP: inuse 4 orphan 0 …`; `mem` counts pages and is given in bytes too."""
    for line in text.lines():
        protocol, colon, _ = line.partition(":")
        if not colon:
            continue
        fields = line.part(len(protocol) + 1).fields()
        for name, value in zip(fields[0::2], fields[1::2], strict=False):
            if not (value.is_number and _WORD.fullmatch(protocol + name)):
                continue
            yield Sample(_socket(protocol, name), value)
            if name == "mem":
                yield Sample(_socket(protocol, "mem_bytes"), value, times=page_size)


def _socket(protocol: str, name: str) -> Metric:
    full = f"node_sockstat_{protocol}_{name}"
    if (protocol, name) == ("sockets", "used"):
        return Metric.of(full, "gauge", "Number of IPv4 sockets in use.")
    return Metric.of(full, "gauge", f"Number of {protocol} sockets in state {name}.")


_NETSTAT = re.compile(
    r".*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|Icmp6?_(InMsgs|OutMsgs)"
    r"|TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts|TCPOFOQueue|TCPRcvQDrop)"
    r"|Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|CurrEstab)"
    r"|Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors)"
)


def netstat(text: Text) -> Iterator[Sample]:
    """Pairs of lines: `Tcp: names …` and `Tcp: numbers …`."""
    lines = list(text.lines())
    for names, values in zip(lines[0::2], lines[1::2], strict=False):
        heads, numbers = names.fields(), values.fields()
        if len(heads) != len(numbers) or not heads or heads[0] != numbers[0] or not heads[0].endswith(":"):
            continue
        for name, value in zip(heads[1:], numbers[1:], strict=True):
            yield from _counter(text, heads[0][:-1], name, value)


def snmp6(text: Text) -> Iterator[Sample]:
    """`Udp6InDatagrams  0`: the protocol ends with the 6."""
    for line in text.lines():
        fields = line.fields()
        if len(fields) == 2 and "6" in fields[0]:
            split = fields[0].index("6") + 1
            yield from _counter(text, fields[0][:split], fields[0][split:], fields[1])


def _counter(text: Text, protocol: str, name: str, value: Field) -> Iterator[Sample]:
    key = f"{protocol}_{name}"
    if not value.is_number:
        return
    if not (_NETSTAT.fullmatch(key) and _WORD.fullmatch(key)):
        text.skip(value)
        return
    yield Sample(Metric.of(f"node_netstat_{key}", "unknown", f"Statistic {protocol}{name}."), value)
