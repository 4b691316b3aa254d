"""InfiniBand and RoCE ports: node_exporter's infiniband collector.

Counters of data count words of four octets, one per lane (Documentation/ABI/stable/sysfs-class-infiniband of the
kernel); node_exporter gives octets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sentinel.collect.ssh.linux.files import Files, Property, devices, first_line, label, properties
from sentinel.collect.ssh.text import Field, Sample

_PORT = re.compile(r"/sys/class/infiniband/([^/]+/ports/[0-9]+)/(.+)")
_LANES = 4.0
_STATE = Property.of(
    "node_infiniband_state_id",
    "State of the InfiniBand port (0: no change, 1: down, 2: init, 3: armed, 4: active, 5: act defer)",
)
_PHYSICAL = Property.of(
    "node_infiniband_physical_state_id",
    "Physical state of the InfiniBand port (0: no change, 1: sleep, 2: polling, 3: disable, 4: shift, 5: link up,"
    " 6: link error recover, 7: phytest)",
)
_RATE = Property.of("node_infiniband_rate_bytes_per_second", "Maximum signal transfer rate", times=125e6)


def _counter(name: str, text: str, times: float = 1.0) -> Property:
    return Property.of(f"node_infiniband_{name}_total", text, kind="counter", times=times)


_COUNTERS = {
    "counters/link_downed": _counter(
        "link_downed", "Number of times the link failed to recover from an error state and went down"
    ),
    "counters/link_error_recovery": _counter(
        "link_error_recovery", "Number of times the link successfully recovered from an error state"
    ),
    "counters/multicast_rcv_packets": _counter(
        "multicast_packets_received", "Number of multicast packets received (including errors)"
    ),
    "counters/multicast_xmit_packets": _counter(
        "multicast_packets_transmitted", "Number of multicast packets transmitted (including errors)"
    ),
    "counters/port_rcv_constraint_errors": _counter(
        "port_constraint_errors_received",
        "Number of packets received on the switch physical port that are discarded",
    ),
    "counters/port_xmit_constraint_errors": _counter(
        "port_constraint_errors_transmitted",
        "Number of packets not transmitted from the switch physical port",
    ),
    "counters/port_rcv_data": _counter(
        "port_data_received_bytes", "Number of data octets received on all links", _LANES
    ),
    "counters/port_xmit_data": _counter(
        "port_data_transmitted_bytes", "Number of data octets transmitted on all links", _LANES
    ),
    "counters/port_rcv_discards": _counter(
        "port_discards_received",
        "Number of inbound packets discarded by the port because the port is down or congested",
    ),
    "counters/port_xmit_discards": _counter(
        "port_discards_transmitted",
        "Number of outbound packets discarded by the port because the port is down or congested",
    ),
    "counters/port_rcv_errors": _counter(
        "port_errors_received", "Number of packets containing an error that were received on this port"
    ),
    "counters/port_rcv_packets": _counter(
        "port_packets_received", "Number of packets received on all VLs by this port (including errors)"
    ),
    "counters/port_xmit_packets": _counter(
        "port_packets_transmitted",
        "Number of packets transmitted on all VLs from this port (including errors)",
    ),
    "counters/port_xmit_wait": _counter(
        "port_transmit_wait",
        "Number of ticks during which the port had data to transmit but no data was sent during the entire tick",
    ),
    "counters/unicast_rcv_packets": _counter(
        "unicast_packets_received", "Number of unicast packets received (including errors)"
    ),
    "counters/unicast_xmit_packets": _counter(
        "unicast_packets_transmitted", "Number of unicast packets transmitted (including errors)"
    ),
}


def infiniband(files: Files) -> Iterator[Sample]:
    """`state` is `4: ACTIVE`, `rate` is `100 Gb/sec (4X EDR)`."""
    for place, found in devices(files, _PORT).items():
        device, _, port = place.partition("/ports/")
        labels = {"device": label(device), "port": port}
        for file, kind in (("state", _STATE), ("phys_state", _PHYSICAL), ("rate", _RATE)):
            words = first_line(found.get(file)).fields() or [Field("", 0)]
            value = words[0].part(0, len(words[0].rstrip(":")))
            if value.is_number:
                yield kind.sample(value, labels)
        yield from properties(found, _COUNTERS, labels)
