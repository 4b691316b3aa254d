"""What a host is: node_exporter's os, dmi and selinux collectors, and time's clock sources and zone.

Formats: os-release(5), drivers/firmware/dmi-id.c of the kernel, selinux(8).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from sentinel.collect.ssh.linux import clock
from sentinel.collect.ssh.linux.files import Files, content, first_line, number, read_files
from sentinel.collect.ssh.parser import Parser
from sentinel.collect.ssh.text import Field, Metric, Outcome, Sample, Text

_RELEASE_LABELS = (
    "build_id",
    "id",
    "id_like",
    "image_id",
    "image_version",
    "name",
    "pretty_name",
    "variant",
    "variant_id",
    "version",
    "version_codename",
    "version_id",
)
_OS = Metric.of(
    "node_os_info",
    "gauge",
    f"A metric with a constant '1' value labeled by {', '.join(_RELEASE_LABELS)}.",
)
_VERSION = Metric.of("node_os_version", "gauge", "Metric containing the major.minor part of the OS version.")
_SUPPORT_END = Metric.of(
    "node_os_support_end_timestamp_seconds",
    "gauge",
    "Metric containing the end-of-life date timestamp of the OS.",
)
_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?", re.ASCII)
_ASSIGNMENT = re.compile(r"([A-Z_0-9]{1,60})=(.*)")
_ESCAPED = re.compile(r"\\(.)")
_DAY = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})", re.ASCII)


def release(files: Files) -> Iterator[Sample]:
    """/etc/os-release, else /usr/lib/os-release."""
    text = files.get("/etc/os-release") or files.get("/usr/lib/os-release")
    if text is None:
        return
    found = dict(_assignments(text))
    said = {name: found.get(name.upper(), "") for name in _RELEASE_LABELS}
    yield Sample(_OS, 1.0, said)
    version = _NUMBER.match(said["version_id"])
    if version is not None and float(version[0]) > 0:
        labels = {name: said[name] for name in ("id", "id_like", "name")}
        yield Sample(_VERSION, float(version[0]), labels)
    end = _DAY.fullmatch(found.get("SUPPORT_END", ""))
    if end is not None:
        try:
            day = datetime(int(end[1]), int(end[2]), int(end[3]), tzinfo=UTC)
        except ValueError:
            return
        yield Sample(_SUPPORT_END, day.timestamp())


def _assignments(text: Text) -> Iterator[tuple[str, str]]:
    for line in text.lines():
        match = _ASSIGNMENT.fullmatch(line.strip())
        if match is None:
            continue
        value = Field(match[2], 0).label
        if value[:1] == '"':
            value = _ESCAPED.sub(r"\1", value.strip('"'))
        yield match[1], value.strip("'")


_DMI_FILES = """
    bios_date bios_release bios_vendor bios_version board_asset_tag board_name board_serial board_vendor
    board_version chassis_asset_tag chassis_serial chassis_vendor chassis_version product_family product_name
    product_serial product_sku product_uuid product_version sys_vendor
"""
_DMI_LABELS = {file: "system_vendor" if file == "sys_vendor" else file for file in _DMI_FILES.split()}
_DMI = Metric.of(
    "node_dmi_info",
    "gauge",
    f"A metric with a constant '1' value labeled by {', '.join(_DMI_LABELS.values())} if provided by DMI.",
)


def dmi(files: Files) -> Iterator[Sample]:
    """/sys/class/dmi/id/*; serial numbers are for root alone."""
    found = {
        name: content(files[path])
        for file, name in _DMI_LABELS.items()
        if (path := f"/sys/class/dmi/id/{file}") in files
    }
    if found:
        yield Sample(_DMI, 1.0, found)


_ENABLED = Metric.of("node_selinux_enabled", "gauge", "SELinux is enabled, 1 is true, 0 is false")
_CONFIGURED = Metric.of("node_selinux_config_mode", "gauge", "Configured SELinux enforcement mode")
_ENFORCING = Metric.of("node_selinux_current_mode", "gauge", "Current SELinux enforcement mode")
_MODES = {"enforcing": 1.0, "permissive": 0.0}
_MODE = re.compile(r"\s*SELINUX\s*=\s*(\w+)\s*", re.IGNORECASE | re.ASCII)


def selinux(files: Files) -> Iterator[Sample]:
    """The mode of now, and of the next start; -1 is disabled."""
    mode = number(files.get("/sys/fs/selinux/enforce"))
    yield Sample(_ENABLED, 0.0 if mode is None else 1.0)
    if mode is None:
        return
    yield Sample(_ENFORCING, mode)
    lines = files.get("/etc/selinux/config", Text("")).lines()
    modes = [match[1].lower() for line in lines if (match := _MODE.fullmatch(line)) is not None]
    yield Sample(_CONFIGURED, _MODES.get(modes[-1], -1.0) if modes else -1.0)


def identity(text: Text) -> Iterator[Outcome]:
    files = read_files(text)
    system, board = tuple(release(files)), tuple(dmi(files))
    yield Outcome("os", system, is_absent=not system)
    yield Outcome("dmi", board, is_absent=not board)
    # Without its file, SELinux is off: for that, the text must be whole up to its last part.
    yield Outcome("selinux", tuple(selinux(files)) if first_line(files.get("zone")) else ())
    yield Outcome("time_of", tuple(clock.time_of(files)))


PARSERS = (Parser("identity", ("os", "dmi", "selinux"), identity, frozenset({_OS.name})),)
