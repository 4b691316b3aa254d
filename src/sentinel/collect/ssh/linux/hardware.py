"""Heat, power, memory errors and devices: node_exporter's thermal_zone, powersupplyclass, edac, nvme, watchdog,
infiniband and rapl; hwmon stands in a file of its own.

Formats: Documentation/ABI/testing/sysfs-class-thermal, sysfs-class-power, sysfs-devices-edac, sysfs-class-watchdog,
Documentation/ABI/stable/sysfs-class-infiniband and Documentation/power/powercap of the kernel.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from sentinel.collect.ssh.linux.files import (
    Files,
    Property,
    cleaned,
    content,
    devices,
    label,
    number,
    properties,
    read_files,
)
from sentinel.collect.ssh.linux.hwmon import hwmon
from sentinel.collect.ssh.linux.ports import infiniband
from sentinel.collect.ssh.parser import Parser
from sentinel.collect.ssh.text import Field, Metric, Outcome, Sample, Text

_THERMAL = re.compile(r"/sys/class/thermal/thermal_zone([0-9]+)/(\w+)")
_COOLING = re.compile(r"/sys/class/thermal/cooling_device([0-9]+)/(\w+)")
_TEMPERATURE = {"temp": Property.of("node_thermal_zone_temp", "Zone temperature in Celsius", over=1e3)}
_THROTTLE = {
    "cur_state": Property.of("node_cooling_device_cur_state", "Current throttle state of the cooling device"),
    "max_state": Property.of("node_cooling_device_max_state", "Maximum throttle state of the cooling device"),
}


def thermal(files: Files) -> Iterator[Sample]:
    for zone, found in devices(files, _THERMAL).items():
        if content(found.get("mode")) != "disabled":
            yield from properties(found, _TEMPERATURE, {"zone": zone, "type": content(found.get("type"))})
    for name, found in devices(files, _COOLING).items():
        yield from properties(found, _THROTTLE, {"name": name, "type": content(found.get("type"))})


def _supplies(names: str, over: float) -> dict[str, Property]:
    """`FILE` or `FILE=METRIC`, by what udev calls the file: POWER_SUPPLY_FILE."""
    table = {}
    for name in names.split():
        file, _, metric = name.partition("=")
        text = f"{metric or file} value of /sys/class/power_supply/<power_supply>."
        table[file.upper()] = Property.of(f"node_power_supply_{metric or file}", text, over=over)
    return table


_SUPPLY = (
    _supplies(
        """authentic calibrate capacity capacity_alert_max capacity_alert_min cycle_count=cyclecount online present
        time_to_empty_now=time_to_empty_seconds time_to_full_now=time_to_full_seconds""",
        1.0,
    )
    | _supplies(
        """current_boot current_max current_now=current_ampere energy_empty energy_empty_design energy_full
        energy_full_design energy_now=energy_watthour voltage_boot voltage_max voltage_max_design voltage_min
        voltage_min_design voltage_now=voltage_volt voltage_ocv charge_control_limit charge_control_limit_max
        charge_counter charge_empty charge_empty_design charge_full charge_full_design charge_now=charge_ampere
        charge_term_current constant_charge_current constant_charge_current_max constant_charge_voltage
        constant_charge_voltage_max precharge_current input_current_limit power_now=power_watt""",
        1e6,
    )
    | _supplies(
        """temp=temp_celsius temp_alert_max=temp_alert_max_celsius temp_alert_min=temp_alert_min_celsius
        temp_ambient=temp_ambient_celsius temp_ambient_alert_max=temp_ambient_max_celsius
        temp_ambient_alert_min=temp_ambient_min_celsius temp_max=temp_max_celsius temp_min=temp_min_celsius""",
        10.0,
    )
)
_SUPPLY_INFO = Metric.of("node_power_supply_info", "gauge", "info of /sys/class/power_supply/<power_supply>.")
_SUPPLY_LABELS = (
    *("capacity_level", "charge_type", "health", "manufacturer", "model_name", "serial_number", "status"),
    *("technology", "type", "usb_type", "scope"),
)
_SUPPLY_FILE = re.compile(r"/sys/class/power_supply/([^/]+)/(\w+)")


def power_supplies(files: Files) -> Iterator[Sample]:
    """Each supply's `uevent` holds all its properties; `type` stands there only since Linux 5.6."""
    for name, found in devices(files, _SUPPLY_FILE).items():
        said: dict[str, Field] = {}
        for line in found.get("uevent", Text("")).lines():
            key, equals, _ = line.partition("=")
            if equals and key.startswith("POWER_SUPPLY_"):
                said[key.removeprefix("POWER_SUPPLY_")] = line.part(len(key) + 1)
        labels = {"power_supply": label(name)}
        for key, value in said.items():
            if key in _SUPPLY and value.is_number:
                yield _SUPPLY[key].sample(value, labels)
        texts = {each: said.get(each.upper(), Field("", 0)).label.strip() for each in _SUPPLY_LABELS}
        texts["type"] = texts["type"] or content(found.get("type"))
        yield Sample(_SUPPLY_INFO, 1.0, labels | {each: text for each, text in texts.items() if text})


_CONTROLLER = re.compile(r"/sys/devices/system/edac/mc/mc([0-9]+)/(\w+)")
_ROW = re.compile(r"/sys/devices/system/edac/mc/(mc[0-9]+/csrow[0-9]+)/(\w+)")


def _errors(name: str, text: str) -> Property:
    return Property.of(f"node_edac_{name}_errors_total", text, kind="counter")


_OF_CONTROLLER = {
    "ce_count": _errors("correctable", "Total correctable memory errors."),
    "ue_count": _errors("uncorrectable", "Total uncorrectable memory errors."),
}
_OF_ROW = {
    "ce_count": _errors("csrow_correctable", "Total correctable memory errors for this csrow."),
    "ue_count": _errors("csrow_uncorrectable", "Total uncorrectable memory errors for this csrow."),
}
_OF_NO_ROW = {"ce_noinfo_count": _OF_ROW["ce_count"], "ue_noinfo_count": _OF_ROW["ue_count"]}


def edac(files: Files) -> Iterator[Sample]:
    for controller, found in devices(files, _CONTROLLER).items():
        yield from properties(found, _OF_CONTROLLER, {"controller": controller})
        yield from properties(found, _OF_NO_ROW, {"controller": controller, "csrow": "unknown"})
    for place, found in devices(files, _ROW).items():
        controller, _, row = place.partition("/")
        labels = {"controller": controller.removeprefix("mc"), "csrow": row.removeprefix("csrow")}
        yield from properties(found, _OF_ROW, labels)


_NVME = re.compile(r"/sys/class/nvme/([^/]+)/(\w+)")
_NVME_INFO = Metric.of(
    "node_nvme_info", "gauge", "Non-numeric data from /sys/class/nvme/<device>, value is always 1."
)
_NVME_LABELS = {
    "firmware_revision": "firmware_rev",
    "model": "model",
    "serial": "serial",
    "state": "state",
}


def nvme(files: Files) -> Iterator[Sample]:
    for name, found in devices(files, _NVME).items():
        said = {each: content(found.get(file)) for each, file in _NVME_LABELS.items()}
        yield Sample(_NVME_INFO, 1.0, {"device": label(name)} | said)


_WATCHDOG = re.compile(r"/sys/class/watchdog/([^/]+)/(\w+)")
_WATCHDOG_NUMBERS = {
    file: Property.of(f"node_watchdog_{name}", f"Value of /sys/class/watchdog/<watchdog>/{file}")
    for file, name in {
        "bootstatus": "bootstatus",
        "fw_version": "fw_version",
        "nowayout": "nowayout",
        "timeleft": "timeleft_seconds",
        "timeout": "timeout_seconds",
        "pretimeout": "pretimeout_seconds",
        "access_cs0": "access_cs0",
    }.items()
}
_WATCHDOG_INFO = Metric.of("node_watchdog_info", "gauge", "Info of /sys/class/watchdog/<watchdog>")
_WATCHDOG_LABELS = ("options", "identity", "state", "status", "pretimeout_governor")


def watchdog(files: Files) -> Iterator[Sample]:
    for name, found in devices(files, _WATCHDOG).items():
        labels = {"name": label(name)}
        yield from properties(found, _WATCHDOG_NUMBERS, labels)
        yield Sample(
            _WATCHDOG_INFO, 1.0, labels | {each: content(found.get(each)) for each in _WATCHDOG_LABELS}
        )


_POWERCAP = re.compile(r"/sys/class/powercap/([^/]+)/(\w+)")
_INDEXED = re.compile(r"([^-]+)-([0-9]{1,4})")
_NAME = re.compile("[a-z0-9_]+")


def rapl(files: Files) -> Iterator[Sample]:
    """Energy counters; most kernels let only root read them. Zones of one name are told apart by an index."""
    uses: dict[str, int] = {}
    for zone, found in devices(files, _POWERCAP).items():
        name = content(found.get("name"))
        match = _INDEXED.fullmatch(name)
        index = int(match[2]) if match is not None else uses.get(name, 0)
        name = match[1] if match is not None else name
        uses[name] = index + 1
        value = number(found.get("energy_uj"))
        metric = cleaned(name).replace(":", "_")
        if value is not None and _NAME.fullmatch(metric):
            kind = Property.of(
                f"node_rapl_{metric}_joules_total",
                f"Current RAPL {name} value in joules",
                kind="counter",
                over=1e6,
            )
            yield kind.sample(value, {"index": str(index), "path": label(f"/sys/class/powercap/{zone}")})


_COLLECTORS = {
    "hwmon": hwmon,
    "thermal_zone": thermal,
    "powersupplyclass": power_supplies,
    "edac": edac,
    "nvme": nvme,
    "watchdog": watchdog,
    "infiniband": infiniband,
    "rapl": rapl,
}


def hardware(text: Text) -> Iterator[Outcome]:
    files: Mapping[str, Text] = read_files(text)
    for name, collect in _COLLECTORS.items():
        samples = tuple(collect(files))
        yield Outcome(name, samples, is_absent=not samples)


PARSERS = (Parser("hardware", tuple(_COLLECTORS), hardware),)
