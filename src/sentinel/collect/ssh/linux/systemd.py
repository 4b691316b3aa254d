"""systemd: node_exporter's collector of that name.

The text is what `systemctl show` prints: a block of `KEY=VALUE` lines for systemd itself and one for each unit,
an empty line between them, times in UTC.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from sentinel.collect.ssh.linux.files import Property
from sentinel.collect.ssh.parser import Parser
from sentinel.collect.ssh.text import Field, Metric, Outcome, Sample, Text

UNIT_STATE = Metric.of("node_systemd_unit_state", "gauge", "Systemd unit")
_UNITS = Metric.of("node_systemd_units", "gauge", "Summary of systemd unit states")
_RUNNING = Metric.of(
    "node_systemd_system_running",
    "gauge",
    "Whether the system is operational (see 'systemctl is-system-running')",
)
_VERSION = Metric.of("node_systemd_version", "gauge", "Detected systemd version")
_VIRTUALIZATION = Metric.of("node_systemd_virtualization_info", "gauge", "Detected virtualization technology")
_TRIGGERED = Metric.of(
    "node_systemd_timer_last_trigger_seconds", "gauge", "Seconds since epoch of last trigger."
)
_SOCKET = {
    "NAccepted": Property.of(
        "node_systemd_socket_accepted_connections_total",
        "Total number of accepted socket connections",
        kind="counter",
    ),
    "NConnections": Property.of(
        "node_systemd_socket_current_connections", "Current number of socket connections"
    ),
    "NRefused": Property.of(
        "node_systemd_socket_refused_connections_total", "Total number of refused socket connections"
    ),
}
_STATES = ("active", "activating", "deactivating", "inactive", "failed")
_EXCLUDED = (".automount", ".device", ".mount", ".scope", ".slice")
_NUMBER = re.compile(r"[0-9]{3,9}(\.[0-9]{1,9})?", re.ASCII)
_TIME = re.compile(r"[A-Z][a-z]{2} ([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}) UTC", re.ASCII)

Block = Mapping[str, Field]


def systemd(text: Text) -> Iterator[Outcome]:
    samples: list[Sample] = []
    counts = dict.fromkeys(_STATES, 0)
    units: set[str] = set()
    for block in _blocks(text):
        if "Version" in block:
            samples += _system(block)
        name, state = _said(block, "Id"), _said(block, "ActiveState")
        if not name or name in units or _said(block, "LoadState") != "loaded" or state not in _STATES:
            continue
        units.add(name)
        counts[state] += 1
        samples += _unit(name, state, block)
    if units:
        samples += [Sample(_UNITS, float(count), {"state": state}) for state, count in counts.items()]
    yield Outcome("systemd", tuple(samples), is_absent=not text.strip())


def _system(block: Block) -> Iterator[Sample]:
    version = _said(block, "Version")
    number = _NUMBER.search(version)
    yield Sample(_VERSION, float(number[0]) if number is not None else 0.0, {"version": version})
    yield Sample(_VIRTUALIZATION, 1.0, {"virtualization_type": _said(block, "Virtualization") or "none"})
    if "SystemState" in block:
        yield Sample(_RUNNING, float(_said(block, "SystemState") == "running"))


def _unit(name: str, state: str, block: Block) -> Iterator[Sample]:
    if name.endswith(_EXCLUDED):
        return
    kind = _said(block, "Type") if name.endswith(".service") else ""
    for each in _STATES:
        yield Sample(UNIT_STATE, float(each == state), {"name": name, "state": each, "type": kind})
    if name.endswith(".socket"):
        for key, counter in _SOCKET.items():
            if key in block and block[key].is_number:
                yield counter.sample(block[key], {"name": name})
    if name.endswith(".timer") and "LastTriggerUSec" in block:
        yield Sample(_TRIGGERED, _instant(_said(block, "LastTriggerUSec")), {"name": name})


def _instant(written: str) -> float:
    """Unix seconds of `Sun 2026-11-22 06:25:01 UTC`; 0 for a timer that never ran (`n/a`, or nothing)."""
    match = _TIME.fullmatch(written)
    if match is None:
        return 0.0
    try:
        return datetime.strptime(match[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0


def _said(block: Block, key: str) -> str:
    return block[key].label if key in block else ""


def _blocks(text: Text) -> Iterator[Block]:
    block: dict[str, Field] = {}
    for line in text.lines():
        key, equals, _ = line.partition("=")
        if equals:
            block[key] = line.part(len(key) + 1)
        elif block:
            yield block
            block = {}
    if block:
        yield block


PARSERS = (Parser("systemd", ("systemd",), systemd, frozenset({UNIT_STATE.name})),)
