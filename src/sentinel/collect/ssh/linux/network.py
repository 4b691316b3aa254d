"""Traffic, sockets and the protocols' counters: node_exporter's netdev, sockstat, netstat, softnet and conntrack.

Names, labels, units and default filters are node_exporter's. Formats: proc(5), net/core/net-procfs.c and
net/netfilter/nf_conntrack_standalone.c of the kernel.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sentinel.collect.ssh.linux.files import Files, Property, number
from sentinel.collect.ssh.text import Field, Metric, Sample, Text

_WORD = re.compile("[A-Za-z0-9_]+")
"""What may become part of a metric name."""

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


_SOFTNET = {
    0: Property.of("node_softnet_processed_total", "Number of processed packets", kind="counter"),
    1: Property.of("node_softnet_dropped_total", "Number of dropped packets", kind="counter"),
    2: Property.of(
        "node_softnet_times_squeezed_total",
        "Number of times processing packets ran out of quota",
        kind="counter",
    ),
    8: Property.of(
        "node_softnet_cpu_collision_total",
        "Number of collision occur while obtaining device lock while transmitting",
        kind="counter",
    ),
    9: Property.of(
        "node_softnet_received_rps_total", "Number of times cpu woken up received_rps", kind="counter"
    ),
    10: Property.of(
        "node_softnet_flow_limit_count_total", "Number of times flow limit has been reached", kind="counter"
    ),
    11: Property.of("node_softnet_backlog_len", "Softnet backlog status"),
}
_SOFTNET_CPU = 12
"""Since Linux 5.10 the table has the CPU's number; before, lines of offline CPUs were left out all the same."""


def softnet(text: Text) -> Iterator[Sample]:
    """A line per CPU, made decimal by `tables`."""
    for place, line in enumerate(line for line in text.lines() if line.strip()):
        fields = line.fields()
        cpu = str(fields[_SOFTNET_CPU]) if len(fields) > _SOFTNET_CPU else str(place)
        for column, value in enumerate(fields):
            if column in _SOFTNET and value.is_number:
                yield _SOFTNET[column].sample(value, {"cpu": cpu})
            elif column != _SOFTNET_CPU:
                text.skip(value)


_ENTRIES = Property.of(
    "node_nf_conntrack_entries", "Number of currently allocated flow entries for connection tracking."
)
_LIMIT = Property.of("node_nf_conntrack_entries_limit", "Maximum size of connection tracking table.")
_CONNTRACK = {
    name: Property.of(f"node_nf_conntrack_stat_{name}", text)
    for name, text in {
        "found": "Number of searched entries which were successful.",
        "invalid": "Number of packets seen which can not be tracked.",
        "ignore": "Number of packets seen which are already connected to a conntrack entry.",
        "insert": "Number of entries inserted into the list.",
        "insert_failed": "Number of entries for which list insertion was attempted but failed.",
        "drop": "Number of packets dropped due to conntrack failure.",
        "early_drop": "Number of dropped conntrack entries to make room for new ones, if maximum table size was"
        " reached.",
        "search_restart": "Number of conntrack table lookups which had to be restarted due to hashtable resizes.",
    }.items()
}


def conntrack(files: Files) -> Iterator[Sample]:
    """Entries, their limit, and the line of names over the line of sums that `tables` makes."""
    for name, kind in (("nf_conntrack_count", _ENTRIES), ("nf_conntrack_max", _LIMIT)):
        value = number(files.get(f"/proc/sys/net/netfilter/{name}"))
        if value is not None:
            yield kind.sample(value, {})
    table = files.get("/proc/net/stat/nf_conntrack")
    if table is None:
        return
    names, sums, *_ = [line.fields() for line in table.lines()] + [[], []]
    for name, value in zip(names, sums, strict=False):
        if name in _CONNTRACK and value.is_number:
            yield _CONNTRACK[name].sample(value, {})
        else:
            table.skip(value)
