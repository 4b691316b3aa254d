"""What disks are: the info metrics of node_exporter's diskstats collector, from udev's database.

The text is /proc/diskstats and /run/udev/data/bMAJOR:MINOR, each below its line `==> PATH <==`. A line
`E:KEY=VALUE` of udev's is a property of the device (udevadm(8), `udevadm info --export-db`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sentinel.collect.ssh.linux.files import Property, read_files, skip_rest
from sentinel.collect.ssh.linux.proc import is_counted_disk
from sentinel.collect.ssh.parser import Parser
from sentinel.collect.ssh.text import Field, Metric, Outcome, Sample, Text

_INFO = Metric.of("node_disk_info", "gauge", "Info of /sys/block/<block_device>.")
_FILESYSTEM = Metric.of("node_disk_filesystem_info", "gauge", "Info about disk filesystem.")
_MAPPER = Metric.of("node_disk_device_mapper_info", "gauge", "Info about disk device mapper.")
_LABELS = {"path": "ID_PATH", "wwn": "ID_WWN", "model": "ID_MODEL", "revision": "ID_REVISION"}
_SERIALS = ("SCSI_IDENT_SERIAL", "ID_SERIAL_SHORT", "ID_SERIAL")
"""What is printed on the disk first; virtual disks have the last."""
_FILESYSTEM_LABELS = {
    "type": "ID_FS_TYPE",
    "usage": "ID_FS_USAGE",
    "uuid": "ID_FS_UUID",
    "version": "ID_FS_VERSION",
}
_MAPPER_LABELS = {
    "name": "DM_NAME",
    "uuid": "DM_UUID",
    "vg_name": "DM_VG_NAME",
    "lv_name": "DM_LV_NAME",
    "lv_layer": "DM_LV_LAYER",
}
_ATA = {
    "ID_ATA_WRITE_CACHE": Property.of("node_disk_ata_write_cache", "ATA disk has a write cache."),
    "ID_ATA_WRITE_CACHE_ENABLED": Property.of(
        "node_disk_ata_write_cache_enabled", "ATA disk has its write cache enabled."
    ),
    "ID_ATA_ROTATION_RATE_RPM": Property.of(
        "node_disk_ata_rotation_rate_rpm", "ATA disk rotation rate in RPMs (0 for SSDs)."
    ),
}


def disks(text: Text) -> Iterator[Outcome]:
    files = read_files(text)
    samples: list[Sample] = []
    table = files.get("/proc/diskstats", Text(""))
    for line in table.lines():
        fields = line.fields()
        if len(fields) < 4:
            continue
        skip_rest(table, fields, 3)
        major, minor, device = str(fields[0]), str(fields[1]), fields[2].label
        if is_counted_disk(device):
            known = _known(files.get(f"/run/udev/data/b{major}:{minor}", Text("")))
            samples += _disk({"device": device}, {"major": major, "minor": minor}, known)
    yield Outcome("disks", tuple(samples), is_absent=not samples)


def _known(entry: Text) -> dict[str, Field]:
    """udev's properties of one device."""
    found: dict[str, Field] = {}
    for line in entry.lines():
        key, equals, _ = line.partition("=")
        if equals and key.startswith("E:"):
            found[key[2:]] = line.part(len(key) + 1)
        else:
            entry.skip(line)
    return found


def _disk(
    device: Mapping[str, str], number: Mapping[str, str], known: Mapping[str, Field]
) -> Iterator[Sample]:
    serial = next((known[key].label for key in _SERIALS if known.get(key)), "")
    yield Sample(_INFO, 1.0, {**device, **number, **_said(_LABELS, known), "serial": serial})
    if known.get("ID_FS_TYPE"):
        yield Sample(_FILESYSTEM, 1.0, {**device, **_said(_FILESYSTEM_LABELS, known)})
    if known.get("DM_NAME"):
        yield Sample(_MAPPER, 1.0, {**device, **_said(_MAPPER_LABELS, known)})
    if known.get("ID_ATA"):
        for key, kind in _ATA.items():
            value = known.get(key)
            if value is not None and value.is_number:
                yield kind.sample(value, device)


def _said(labels: Mapping[str, str], known: Mapping[str, Field]) -> dict[str, str]:
    return {name: known[key].label if key in known else "" for name, key in labels.items()}


PARSERS = (Parser("disks", (), disks),)
