"""What devices say of their neighbours, out of the series of the modules lldp, cdp, fdb and arp.

Sources: LLDP-MIB (IEEE 802.1AB), CISCO-CDP-MIB, BRIDGE-MIB (RFC 4188), Q-BRIDGE-MIB (RFC 4363), IP-MIB (RFC 4293).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from sentinel.model.labels import Labels

Protocol = Literal["lldp", "cdp"]
Rows = Mapping[str, Sequence[Labels]]
"""Label sets by metric name."""

METRICS: Final = (
    "lldpLocChassisId",
    "lldpLocSysName",
    "lldpRemPortId",
    "lldpRemManAddrIfId",
    "cdpGlobalDeviceId",
    "cdpCacheDevicePort",
    "sysName",
    "ifPhysAddress",
)
"""What `sightings_of` and `faces_of` read."""

HINTS: Final = (
    "dot1dTpFdbPort",
    "dot1qTpFdbPort",
    "ipNetToMediaPhysAddress",
    "ipNetToPhysicalPhysAddress",
)
"""What `stations_of` and `hardware_of` read."""

MAX_TEXT = 200

_HEX = re.compile(r"0x(?:[0-9A-F]{2})+")


@dataclass(frozen=True, slots=True)
class Sighting:
    """One neighbour, as one device sees it on one of its ports. Texts are data of devices, bounded."""

    target: str
    protocols: frozenset[Protocol]
    port: str
    """The own port."""
    port_names: frozenset[str]
    """Everything that the own port is called."""
    far_port: str
    far_port_names: frozenset[str]
    chassis: str = ""
    """The neighbour's: twelve hexadecimal digits where it is a hardware address, else text."""
    name: str = ""
    addresses: frozenset[str] = frozenset()


@dataclass(slots=True)
class Face:
    """What a target says of itself, by which neighbours' words about it are known again."""

    chassis: str = ""
    names: set[str] = field(default_factory=set)
    hardware: set[str] = field(default_factory=set)
    """Hardware addresses of its interfaces."""


def sightings_of(rows: Rows) -> list[Sighting]:
    """Every neighbour that a device names."""
    addresses: dict[tuple[str, str, str], set[str]] = {}
    for labels in rows.get("lldpRemManAddrIfId", ()):
        address = plain_address(labels.get("lldpRemManAddr", ""))
        if address:
            addresses.setdefault(_row(labels), set()).add(address)
    found = [
        Sighting(
            _text(labels, "instance"),
            frozenset({"lldp"}),
            port=_first(labels, "lldpLocPortId", "lldpLocPortDesc", "lldpRemLocalPortNum"),
            port_names=_names(labels, "lldpLocPortId", "lldpLocPortDesc"),
            far_port=_first(labels, "lldpRemPortId", "lldpRemPortDesc"),
            far_port_names=_names(labels, "lldpRemPortId", "lldpRemPortDesc"),
            chassis=chassis_text(labels.get("lldpRemChassisId", "")),
            name=_text(labels, "lldpRemSysName"),
            addresses=frozenset(addresses.get(_row(labels), ())),
        )
        for labels in rows.get("lldpRemPortId", ())
    ]
    found += [
        Sighting(
            _text(labels, "instance"),
            frozenset({"cdp"}),
            port=_first(labels, "ifName", "ifDescr", "cdpCacheIfIndex"),
            port_names=_names(labels, "ifName", "ifDescr"),
            far_port=_text(labels, "cdpCacheDevicePort"),
            far_port_names=_names(labels, "cdpCacheDevicePort"),
            name=_cdp_name(_text(labels, "cdpCacheDeviceId")),
            addresses=frozenset(filter(None, [_cdp_address(labels.get("cdpCacheAddress", ""))])),
        )
        for labels in rows.get("cdpCacheDevicePort", ())
    ]
    return [one for one in found if one.target]


def faces_of(rows: Rows) -> dict[str, Face]:
    """By target."""
    faces: dict[str, Face] = {}

    def face(labels: Labels) -> Face:
        return faces.setdefault(_text(labels, "instance"), Face())

    for labels in rows.get("lldpLocChassisId", ()):
        face(labels).chassis = chassis_text(labels.get("lldpLocChassisId", ""))
    for metric in ("lldpLocSysName", "sysName", "cdpGlobalDeviceId"):
        for labels in rows.get(metric, ()):
            face(labels).names.add(_cdp_name(_text(labels, metric)))
    for labels in rows.get("ifPhysAddress", ()):
        address = chassis_text(labels.get("ifPhysAddress", ""))
        if address.strip("0"):
            face(labels).hardware.add(address)
    return faces


def stations_of(rows: Rows) -> dict[tuple[str, str], set[str]]:
    """Hardware addresses learned on each port: (target, port) → addresses."""
    found: dict[tuple[str, str], set[str]] = {}
    for metric, label in (("dot1dTpFdbPort", "dot1dTpFdbAddress"), ("dot1qTpFdbPort", "dot1qTpFdbAddress")):
        for labels in rows.get(metric, ()):
            if labels.get("ifName"):
                place = _text(labels, "instance"), _text(labels, "ifName")
                found.setdefault(place, set()).add(chassis_text(labels.get(label, "")))
    return found


def hardware_of(rows: Rows) -> dict[str, str]:
    """Internet address → hardware address, as routers know them."""
    found: dict[str, str] = {}
    for table in ("ipNetToMedia", "ipNetToPhysical"):
        for labels in rows.get(f"{table}PhysAddress", ()):
            address = plain_address(labels.get(f"{table}NetAddress", ""))
            hardware = chassis_text(labels.get(f"{table}PhysAddress", ""))
            if address and hardware.strip("0"):
                found[address] = hardware
    return found


def chassis_text(written: str) -> str:
    """An identifier in one form: a hardware address as twelve hexadecimal digits, text as text."""
    plain = written.replace(":", "").lower()
    if re.fullmatch(r"[0-9a-f]{12}", plain):
        return plain
    if not _HEX.fullmatch(written):
        return written[:MAX_TEXT]
    content = bytes.fromhex(written[2:])
    if len(content) == 6:
        return content.hex()
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return content.hex()[:MAX_TEXT]
    return text[:MAX_TEXT] if text.isprintable() else content.hex()[:MAX_TEXT]


def plain_address(written: str) -> str:
    """An address in its usual form; empty where it is not one."""
    try:
        return str(ipaddress.ip_address(written))
    except ValueError:
        return ""


def merged(sightings: Iterable[Sighting], node_of: Mapping[Sighting, str]) -> list[tuple[Sighting, str]]:
    """Sightings with the node that each means; LLDP and CDP on one port about one node are one sighting."""
    found: list[Sighting] = []
    keys: list[str] = []
    places: dict[tuple[str, str], list[int]] = {}
    for one in sightings:
        near = places.setdefault((one.target, node_of[one]), [])
        same = next(
            (
                at
                for at in near
                if not found[at].protocols & one.protocols and found[at].port_names & one.port_names
            ),
            None,
        )
        if same is None:
            near.append(len(found))
            found.append(one)
            keys.append(node_of[one])
            continue
        before = found[same]
        found[same] = Sighting(
            one.target,
            before.protocols | one.protocols,
            before.port,
            before.port_names | one.port_names,
            before.far_port,
            before.far_port_names | one.far_port_names,
            before.chassis or one.chassis,
            before.name or one.name,
            before.addresses | one.addresses,
        )
    return list(zip(found, keys, strict=True))


def _row(labels: Labels) -> tuple[str, str, str]:
    return tuple(labels.get(name, "") for name in ("instance", "lldpRemLocalPortNum", "lldpRemIndex"))  # type: ignore[return-value]


def _text(labels: Labels, name: str) -> str:
    return labels.get(name, "")[:MAX_TEXT]


def _first(labels: Labels, *names: str) -> str:
    return next((_text(labels, name) for name in names if labels.get(name)), "")


def _names(labels: Labels, *names: str) -> frozenset[str]:
    return frozenset(_text(labels, name) for name in names if labels.get(name))


def _cdp_name(device: str) -> str:
    """A device id without the serial number that some devices append: name(SERIAL)."""
    return re.sub(r"\([^()]*\)$", "", device)


def _cdp_address(written: str) -> str:
    """cdpCacheAddress: the octets of an IPv4 or IPv6 address."""
    if not _HEX.fullmatch(written):
        return plain_address(written)
    content = bytes.fromhex(written[2:])
    return str(ipaddress.ip_address(content)) if len(content) in (4, 16) else ""
