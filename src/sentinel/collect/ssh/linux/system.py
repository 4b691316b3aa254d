"""Kernel identity and systemd units."""

from __future__ import annotations

from collections.abc import Iterator

from sentinel.collect.ssh.parser import Parser
from sentinel.collect.ssh.text import Field, Metric, Outcome, Sample, Text

UNAME = Metric.of(
    "node_uname_info", "gauge", "Labeled system information as provided by the uname system call."
)
_UNAME = ("sysname", "nodename", "release", "version", "domainname", "machine")


def uname(text: Text) -> Iterator[Outcome]:
    """Six lines, in the order of `_UNAME`."""
    lines = [line.label.strip() for line in text.lines()]
    is_whole = len(lines) >= len(_UNAME) and all(lines[: len(_UNAME)])
    labels = dict(zip(_UNAME, lines, strict=False)) if is_whole else {}
    yield Outcome("uname", (Sample(UNAME, 1.0, labels),) if is_whole else ())


UNIT_STATE = Metric.of("node_systemd_unit_state", "gauge", "Systemd unit")
UNITS = Metric.of("node_systemd_units", "gauge", "Summary of systemd unit states")
_STATES = ("active", "activating", "deactivating", "inactive", "failed")
_EXCLUDED = (".automount", ".device", ".mount", ".scope", ".slice")


def systemd(text: Text) -> Iterator[Outcome]:
    """Blocks of `systemctl show --property=Id,Type,LoadState,ActiveState`, one per unit; names as node_exporter."""
    samples: list[Sample] = []
    counts = dict.fromkeys(_STATES, 0)
    units: set[str] = set()
    for unit in _blocks(text):
        name, state = unit.get("Id", ""), unit.get("ActiveState", "")
        if not name or name in units or unit.get("LoadState") != "loaded" or state not in _STATES:
            continue
        units.add(name)
        counts[state] += 1
        if not name.endswith(_EXCLUDED):
            kind = unit.get("Type", "") if name.endswith(".service") else ""
            for each in _STATES:
                labels = {"name": name, "state": each, "type": kind}
                samples.append(Sample(UNIT_STATE, 1.0 if each == state else 0.0, labels))
    if units:
        samples += [Sample(UNITS, float(count), {"state": state}) for state, count in counts.items()]
    yield Outcome("systemd", tuple(samples), is_absent=not text.strip())


def _blocks(text: Field) -> Iterator[dict[str, str]]:
    block: dict[str, str] = {}
    for line in text.lines():
        key, equals, value = line.partition("=")
        if equals:
            block[key] = Field(value, 0).label
        elif block:
            yield block
            block = {}
    if block:
        yield block


PARSERS = (
    Parser("uname", ("uname",), uname, frozenset({UNAME.name})),
    Parser("systemd", ("systemd",), systemd, frozenset({UNIT_STATE.name})),
)
