"""Frequencies and throttling: node_exporter's cpufreq collector, and what cpu says beside the times.

Formats: Documentation/admin-guide/pm/cpufreq.rst, Documentation/ABI/testing/sysfs-devices-system-cpu of the kernel.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sentinel.collect.ssh.linux.files import (
    Files,
    Property,
    content,
    devices,
    first_line,
    number,
    properties,
    read_files,
)
from sentinel.collect.ssh.parser import Parser
from sentinel.collect.ssh.text import Metric, Outcome, Sample, Text

_CPU = re.compile(r"/sys/devices/system/cpu/cpu([0-9]+)/(.+)")
_KILO = 1e3


def _hertz(name: str, text: str) -> Property:
    return Property.of(f"node_cpu_{name}hertz", f"{text} in hertz.", times=_KILO)


_FREQUENCIES = {
    "cpufreq/cpuinfo_cur_freq": _hertz("frequency_", "Current cpu thread frequency"),
    "cpufreq/cpuinfo_min_freq": _hertz("frequency_min_", "Minimum cpu thread frequency"),
    "cpufreq/cpuinfo_max_freq": _hertz("frequency_max_", "Maximum cpu thread frequency"),
    "cpufreq/scaling_cur_freq": _hertz("scaling_frequency_", "Current scaled CPU thread frequency"),
    "cpufreq/scaling_min_freq": _hertz("scaling_frequency_min_", "Minimum scaled CPU thread frequency"),
    "cpufreq/scaling_max_freq": _hertz("scaling_frequency_max_", "Maximum scaled CPU thread frequency"),
}
_GOVERNOR = Metric.of("node_cpu_scaling_governor", "gauge", "Current enabled CPU frequency governor.")
_CORE = Property.of(
    "node_cpu_core_throttles_total", "Number of times this CPU core has been throttled.", kind="counter"
)
_PACKAGE = Property.of(
    "node_cpu_package_throttles_total", "Number of times this CPU package has been throttled.", kind="counter"
)
_THROTTLES = (
    ("thermal_throttle/core_throttle_count", _CORE, ("package", "core")),
    ("thermal_throttle/package_throttle_count", _PACKAGE, ("package",)),
)
_ISOLATED = Metric.of(
    "node_cpu_isolated",
    "gauge",
    "Whether each core is isolated, information from /sys/devices/system/cpu/isolated.",
)
_RANGE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", re.ASCII)
_MOST_CPUS = 8192
"""As many as the kernel can be built for."""


def frequencies(files: Files) -> Iterator[Sample]:
    for cpu, found in devices(files, _CPU).items():
        labels = {"cpu": cpu}
        yield from properties(found, _FREQUENCIES, labels)
        governor = content(found.get("cpufreq/scaling_governor"))
        if governor:
            for each in first_line(found.get("cpufreq/scaling_available_governors")).fields():
                yield Sample(_GOVERNOR, float(each.label == governor), labels | {"governor": each.label})


def throttles(files: Files) -> Iterator[Sample]:
    """Threads of a core, and cores of a package, tell the same: the first counts."""
    for found in devices(files, _CPU).values():
        package = number(found.get("topology/physical_package_id"))
        core = number(found.get("topology/core_id"))
        if package is None or core is None:
            continue
        labels = {"package": str(package), "core": str(core)}
        for file, kind, names in _THROTTLES:
            count = number(found.get(file))
            if count is not None:
                found[file].skip(count)
                yield kind.sample(count, {name: labels[name] for name in names})


def isolated(files: Files) -> Iterator[Sample]:
    """`2-3,6`."""
    for each in content(files.get("/sys/devices/system/cpu/isolated")).split(","):
        match = _RANGE.fullmatch(each)
        if match is not None:
            last = min(int(match[2] or match[1]), _MOST_CPUS)
            for cpu in range(int(match[1]), last + 1):
                yield Sample(_ISOLATED, 1.0, {"cpu": str(cpu)})


def cpus(text: Text) -> Iterator[Outcome]:
    files = read_files(text)
    scaled = tuple(frequencies(files))
    yield Outcome("cpufreq", scaled, is_absent=not scaled)
    rest = (*throttles(files), *isolated(files))
    yield Outcome("cpus", rest, is_absent=not rest)


PARSERS = (Parser("cpus", ("cpufreq",), cpus),)
