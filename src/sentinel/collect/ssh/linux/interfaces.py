"""Network interfaces and neighbours: node_exporter's netclass, bonding, arp and udp_queues; schedstat comes along.

Formats: Documentation/ABI/testing/sysfs-class-net and Documentation/networking/bonding.rst of the kernel, proc(5).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sentinel.collect.ssh.linux.files import (
    Devices,
    Files,
    Property,
    content,
    devices,
    first_line,
    label,
    properties,
    read_files,
)
from sentinel.collect.ssh.linux.tables import counted
from sentinel.collect.ssh.parser import Parser
from sentinel.collect.ssh.text import Metric, Outcome, Sample, Text
from sentinel.model.batch import MetricType

_INTERFACE = re.compile(r"/sys/class/net/([^/]+)/(.+)")
NETWORK_UP = Metric.of("node_network_up", "gauge", "Value is 1 if operstate is 'up', 0 otherwise.")
_INFO = Metric.of(
    "node_network_info", "gauge", "Non-numeric data from /sys/class/net/<iface>, value is always 1."
)
_INFO_LABELS = ("address", "broadcast", "duplex", "ifalias", "operstate")


def _property(name: str, *, kind: MetricType = "gauge", times: float = 1.0) -> Property:
    return Property.of(f"node_network_{name}", f"Network device property: {name}", kind=kind, times=times)


_NUMBERS = {
    "carrier": _property("carrier"),
    "carrier_changes": _property("carrier_changes_total", kind="counter"),
    "carrier_up_count": _property("carrier_up_changes_total", kind="counter"),
    "carrier_down_count": _property("carrier_down_changes_total", kind="counter"),
    "dormant": _property("dormant"),
    "mtu": _property("mtu_bytes"),
    "speed": _property("speed_bytes", times=125000.0),
    "statistics/rx_nohandler": Property.of(
        "node_network_receive_nohandler_total", "Network device statistic receive_nohandler.", kind="counter"
    ),
    "addr_assign_type": _property("address_assign_type"),
    "ifindex": _property("iface_id"),
    "iflink": _property("iface_link"),
    "link_mode": _property("iface_link_mode"),
    "name_assign_type": _property("name_assign_type"),
    "netdev_group": _property("net_dev_group"),
    "tx_queue_len": _property("transmit_queue_length"),
    "type": _property("protocol_type"),
}
"""A speed of -1 is the kernel's word for unknown and stays, as in node_exporter."""
_HEXADECIMAL = {"dev_id": _property("device_id"), "flags": _property("flags")}
_HEX = re.compile("0x[0-9a-fA-F]{1,16}")


def netclass(files: Files) -> Iterator[Sample]:
    """What every poll reads of /sys/class/net/*/."""
    for name, found in devices(files, _INTERFACE).items():
        labels = {"device": label(name)}
        if "operstate" in found:
            yield Sample(NETWORK_UP, 1.0 if content(found["operstate"]) == "up" else 0.0, labels)
        yield from properties(found, _NUMBERS, labels)


def settings(text: Text) -> Iterator[Outcome]:
    """The rest of /sys/class/net/*/, read less often; node_exporter counts it for its collector netclass too."""
    samples: list[Sample] = []
    for name, found in devices(read_files(text), _INTERFACE).items():
        labels = {"device": label(name)}
        samples.append(Sample(_INFO, 1.0, labels | {each: content(found.get(each)) for each in _INFO_LABELS}))
        samples += properties(found, _NUMBERS, labels)
        for file, kind in _HEXADECIMAL.items():
            word = first_line(found.get(file)).strip()
            if _HEX.fullmatch(word):
                samples.append(kind.sample(float(int(word, 16)), labels))
    yield Outcome("netclass_settings", tuple(samples), is_absent=not text.strip())


_SLAVES = Metric.of("node_bonding_slaves", "gauge", "Number of configured slaves per bonding interface.")
_ACTIVE = Metric.of("node_bonding_active", "gauge", "Number of active slaves per bonding interface.")


def bonding(files: Files) -> Iterator[Sample]:
    """`bonding/slaves` of each bond, and `bonding_slave/mii_status` of each of its interfaces."""
    found: Devices = devices(files, _INTERFACE)
    for name, master in found.items():
        if "bonding/slaves" not in master:
            continue
        slaves = [str(slave) for slave in first_line(master["bonding/slaves"]).fields()]
        active = [
            each for each in slaves if content(found.get(each, {}).get("bonding_slave/mii_status")) == "up"
        ]
        yield Sample(_SLAVES, float(len(slaves)), {"master": label(name)})
        yield Sample(_ACTIVE, float(len(active)), {"master": label(name)})


_NEIGHBOURS = Metric.of("node_arp_entries", "gauge", "ARP entries by device")
_QUEUES = Metric.of(
    "node_udp_queues", "gauge", "Number of allocated memory in the kernel for UDP datagrams in bytes."
)
_SCHEDULED = {
    7: Property.of(
        "node_schedstat_running_seconds_total",
        "Number of seconds CPU spent running a process.",
        kind="counter",
        over=1e9,
    ),
    8: Property.of(
        "node_schedstat_waiting_seconds_total",
        "Number of seconds spent by processing waiting for this CPU.",
        kind="counter",
        over=1e9,
    ),
    9: Property.of(
        "node_schedstat_timeslices_total", "Number of timeslices executed by CPU.", kind="counter"
    ),
}
"""By column of a line `cpuN` of /proc/schedstat; Documentation/scheduler/sched-stats.rst of the kernel."""


def queues(text: Text) -> Iterator[Outcome]:
    """The lines that `tables.counted` makes."""
    neighbours: list[Sample] = []
    waiting: list[Sample] = []
    scheduled: list[Sample] = []
    for line in text.lines():
        fields = line.fields()
        if len(fields) == 3 and fields[0] == "arp" and fields[2].is_number:
            neighbours.append(Sample(_NEIGHBOURS, fields[2], {"device": fields[1].label}))
        elif len(fields) == 4 and fields[0] == "udp":
            for queue, value in zip(("rx", "tx"), fields[2:], strict=True):
                if value.is_number:
                    waiting.append(Sample(_QUEUES, value, {"queue": queue, "ip": str(fields[1])}))
        elif len(fields) >= 10 and fields[0].startswith("cpu"):
            for column, value in enumerate(fields[1:], 1):
                if column in _SCHEDULED and value.is_number:
                    scheduled.append(_SCHEDULED[column].sample(value, {"cpu": str(fields[0][3:])}))
                else:
                    text.skip(value)
    for name, samples in (("arp", neighbours), ("udp_queues", waiting), ("schedstat", scheduled)):
        yield Outcome(name, tuple(samples), is_absent=not samples)


PARSERS = (
    Parser("interfaces", (), settings),
    Parser("queues", ("arp", "udp_queues", "schedstat"), queues, prepare=counted),
)
