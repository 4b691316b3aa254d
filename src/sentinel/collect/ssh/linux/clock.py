"""The kernel's clock: node_exporter's timex collector, and what its collector time says beside the time itself.

The kernel has no file of what adjtimex(2) says, so a program has to ask (with modes = 0, which needs no privilege
and changes nothing). The text is lines `KEY NUMBER` as our own one-liners print them, or busybox's `adjtimex`.
Units: adjtimex(2) and its NOTES.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sentinel.collect.ssh.linux.files import Files, Property, devices, first_line, label
from sentinel.collect.ssh.parser import Parser
from sentinel.collect.ssh.text import Field, Metric, Outcome, Sample, Text

_STA_NANO = 0x2000
_TIME_ERROR = 5
"""What adjtimex returns while the clock is not synchronized."""
_MICRO = 1e6
_NANO = 1e9
_PPM16 = 1e6 * 65536.0
"""Frequencies are parts per million with a 16-bit fraction."""


def _timex(name: str, text: str, *, over: float = 1.0, total: bool = False) -> Property:
    return Property.of(f"node_timex_{name}", text, kind="counter" if total else "gauge", over=over)


_SYNCHRONIZED = _timex("sync_status", "Is clock synchronized to a reliable server (1 = yes, 0 = no).")
_STATUS = _timex("status", "Value of the status array bits.")
_FREQUENCY = Metric.of("node_timex_frequency_adjustment_ratio", "gauge", "Local clock frequency adjustment.")
_PLAIN = {
    "maxerror": _timex("maxerror_seconds", "Maximum error in seconds.", over=_MICRO),
    "esterror": _timex("estimated_error_seconds", "Estimated error in seconds.", over=_MICRO),
    "constant": _timex("loop_time_constant", "Phase-locked loop time constant."),
    "tick": _timex("tick_seconds", "Seconds between clock ticks.", over=_MICRO),
    "ppsfreq": _timex("pps_frequency_hertz", "Pulse per second frequency.", over=_PPM16),
    "shift": _timex("pps_shift_seconds", "Pulse per second interval duration."),
    "stabil": _timex(
        "pps_stability_hertz", "Pulse per second stability, average of recent frequency changes.", over=_PPM16
    ),
    "jitcnt": _timex(
        "pps_jitter_total", "Pulse per second count of jitter limit exceeded events.", total=True
    ),
    "calcnt": _timex("pps_calibration_total", "Pulse per second count of calibration intervals.", total=True),
    "errcnt": _timex("pps_error_total", "Pulse per second count of calibration errors.", total=True),
    "stbcnt": _timex(
        "pps_stability_exceeded_total",
        "Pulse per second count of stability limit exceeded events.",
        total=True,
    ),
    "tai": _timex("tai_offset_seconds", "International Atomic Time (TAI) offset."),
}
_BY_STATUS = {
    "offset": _timex("offset_seconds", "Time offset in between local system and reference clock."),
    "jitter": _timex("pps_jitter_seconds", "Pulse per second jitter."),
}
"""In nanoseconds or microseconds, as a bit of the status says."""
_BUSYBOX = {"freq.adjust": "frequency", "timeconstant": "constant", "return": "state"}
_LINE = re.compile(r"(?:-[a-z])? *(?P<key>[a-z.]+)(?:| value):? +(?P<number>-?[0-9]{1,19})(?: .*)?")


def timex(text: Text) -> Iterator[Outcome]:
    found: dict[str, Field] = {}
    for line in text.lines():
        match = _LINE.fullmatch(line)
        if match is not None:
            key = _BUSYBOX.get(match["key"], match["key"])
            found.setdefault(key, line.part(match.start("number"), match.end("number")))
        elif "time.tv" in line:
            text.skip(line)
    samples = tuple(_clock(found)) if {"state", "status"} <= found.keys() else ()
    yield Outcome("timex", samples, is_absent=not samples)


def _clock(found: dict[str, Field]) -> Iterator[Sample]:
    # They decide what the others mean: taken as constants, they make a text in which they differ another form.
    state, status = int(found["state"]), int(found["status"])
    yield _SYNCHRONIZED.sample(0.0 if state == _TIME_ERROR else 1.0, {})
    yield _STATUS.sample(float(status), {})
    for key, value in found.items():
        if key in _PLAIN:
            yield _PLAIN[key].sample(value, {})
        elif key in _BY_STATUS:
            divisor = _NANO if status & _STA_NANO else _MICRO
            yield Sample(_BY_STATUS[key].metric, value, over=divisor)
    if "frequency" in found:
        yield Sample(_FREQUENCY, found["frequency"], over=_PPM16, plus=1.0)


_SOURCE = re.compile(r"/sys/devices/system/clocksource/clocksource([0-9]+)/(\w+)")
_AVAILABLE = Metric.of(
    "node_time_clocksource_available_info",
    "gauge",
    "Available clocksources read from '/sys/devices/system/clocksource'.",
)
_CURRENT = Metric.of(
    "node_time_clocksource_current_info",
    "gauge",
    "Current clocksource read from '/sys/devices/system/clocksource'.",
)
_OFFSET = Metric.of("node_time_zone_offset_seconds", "gauge", "System time zone offset in seconds.")
_ZONE = re.compile(r"([-+A-Za-z0-9]{1,30}) ([-+])([0-9]{2})([0-9]{2})")


def time_of(files: Files) -> Iterator[Sample]:
    """Clock sources, and the zone as `date '+%Z %z'` prints it: `CEST +0200`."""
    for device, found in devices(files, _SOURCE).items():
        for name, metric in (("available_clocksource", _AVAILABLE), ("current_clocksource", _CURRENT)):
            for source in first_line(found.get(name)).fields():
                yield Sample(metric, 1.0, {"device": label(device), "clocksource": source.label})
    zone = _ZONE.fullmatch(first_line(files.get("zone")).strip())
    if zone is not None:
        seconds = float(int(zone[3]) * 3600 + int(zone[4]) * 60)
        yield Sample(_OFFSET, -seconds if zone[2] == "-" else seconds, {"time_zone": zone[1]})


PARSERS = (Parser("timex", ("timex",), timex),)
