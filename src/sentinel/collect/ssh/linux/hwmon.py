"""Sensors of boards and chips: node_exporter's hwmon collector, from /sys/class/hwmon/*.

A file `temp1_input` is the property `input` of the sensor temp1. `device` holds where that link of the chip leads.
Units: Documentation/hwmon/sysfs-interface.rst of the kernel.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from sentinel.collect.ssh.linux.files import Files, Property, cleaned, content, devices, label, number
from sentinel.collect.ssh.text import Metric, Sample, Text

_CHIP = re.compile(r"/sys/class/hwmon/([^/]+)/(?:device/)?([^/]+)")
_FILE = re.compile(r"([^0-9]+)([0-9]{0,9})(?:_(.+))?")
_TYPES = frozenset(
    (
        *("vrm", "beep_enable", "update_interval", "in", "cpu", "fan", "pwm", "temp", "curr"),
        *("power", "energy", "humidity", "intrusion", "freq"),
    )
)
_CHIP_NAMES = Metric.of("node_hwmon_chip_names", "gauge", "Annotation metric for human-readable chip names")
_SENSOR_LABEL = Metric.of("node_hwmon_sensor_label", "gauge", "Label for given chip and sensor")
_WORD = re.compile("[a-z0-9_]+")
_MILLI = 1e3
_MICRO = 1e6
_UNITS = {
    "in": ("_volts", "Hardware monitor for voltage ({})", _MILLI),
    "cpu": ("_volts", "Hardware monitor for voltage ({})", _MILLI),
    "temp": ("_celsius", "Hardware monitor for temperature ({})", _MILLI),
    "curr": ("_amps", "Hardware monitor for current ({})", _MILLI),
    "energy": ("_joule_total", "Hardware monitor for joules used so far ({})", _MICRO),
    "power": ("_watt", "Hardware monitor for power usage in watts ({})", _MICRO),
    "humidity": (
        "",
        "Hardware monitor for humidity, as a ratio (multiply with 100.0 to get the humidity as a percentage) ({})",
        _MICRO,
    ),
}
_REVOLUTIONS = ("input", "min", "max", "target")
_INTERVALS = ("average_interval", "average_interval_min", "average_interval_max")
_SINGLE = {
    "beep_enable": Property.of("node_hwmon_beep_enabled", "Hardware beep enabled"),
    "vrm": Property.of("node_hwmon_voltage_regulator_version", "Hardware voltage regulator"),
    "update_interval": Property.of(
        "node_hwmon_update_interval_seconds", "Hardware monitor update interval", over=_MILLI
    ),
}


def hwmon(files: Files) -> Iterator[Sample]:
    for directory, found in devices(files, _CHIP).items():
        chip = _chip(directory, found)
        name = cleaned(content(found.get("name")))
        if name:
            yield Sample(_CHIP_NAMES, 1.0, {"chip": chip, "chip_name": name})
        for sensor, (kind, elements) in _sensors(found).items():
            yield from _sensor(kind, elements, {"chip": chip, "sensor": sensor})


def _chip(directory: str, found: Mapping[str, Text]) -> str:
    """The numbers of hwmon directories change from start to start; the places of devices stay."""
    *_, bus, device = ["", "", *content(found.get("device")).split("/")]
    parts = [part for part in (cleaned(bus), cleaned(device)) if part]
    if cleaned(device):
        return "_".join(parts)
    return cleaned(content(found.get("name"))) or label(directory)


def _sensors(found: Mapping[str, Text]) -> dict[str, tuple[str, dict[str, Text]]]:
    """Type and files by sensor: temp1 → temp, {input: …, max: …}."""
    sensors: dict[str, tuple[str, dict[str, Text]]] = {}
    for file, text in found.items():
        match = _FILE.fullmatch(file)
        if match is not None and match[1] in _TYPES:
            name = f"{match[1]}{int(match[2] or 0)}"
            sensors.setdefault(name, (match[1], {}))[1][match[3] or ""] = text
    return sensors


def _sensor(kind: str, elements: Mapping[str, Text], labels: Mapping[str, str]) -> Iterator[Sample]:
    said = content(elements.get("label"))
    if said:
        yield Sample(_SENSOR_LABEL, 1.0, {**labels, "label": said})
    for element, text in elements.items():
        value = number(text)
        if value is None or element == "label":
            continue
        if kind in _SINGLE:
            yield _SINGLE[kind].sample(value, labels)
        elif kind == "freq":
            if element == "input" and cleaned(said):
                yield _FREQUENCY.sample(value, {**labels, "sensor": cleaned(said)})
        elif not element or _WORD.fullmatch(cleaned(element)):
            yield _property(kind, element, has_plain="" in elements).sample(value, labels)


_FREQUENCY = Property.of("node_hwmon_freq_freq_mhz", "Hardware monitor for GPU frequency in MHz", over=_MICRO)


def _property(kind: str, element: str, *, has_plain: bool) -> Property:
    """Name and unit. `has_plain`: the sensor has a file without a property too, such as pwm1 beside pwm1_input."""
    name = f"node_hwmon_{kind}"
    if element and (element != "input" or has_plain):
        name += f"_{cleaned(element)}"
    if element in ("fault", "alarm"):
        return Property.of(name, f"Hardware sensor {element} status ({kind})")
    if element == "beep":
        return Property.of(name + "_enabled", "Hardware monitor sensor has beeping enabled")
    if kind == "power" and element == "accuracy":
        return Property.of(name, "Hardware monitor power meter accuracy, as a ratio", over=_MICRO)
    if kind == "power" and element in _INTERVALS:
        text = f"Hardware monitor power usage update interval ({element})"
        return Property.of(name + "_seconds", text, over=_MILLI)
    if kind == "fan" and element in _REVOLUTIONS:
        return Property.of(name + "_rpm", f"Hardware monitor for fan revolutions per minute ({element})")
    if kind in _UNITS and (kind, element) != ("temp", "type"):
        unit, text, over = _UNITS[kind]
        said = text.format(element)
        return Property.of(name + unit, said, kind="counter" if kind == "energy" else "gauge", over=over)
    return Property.of(name, f"Hardware monitor {kind} element {element}")
