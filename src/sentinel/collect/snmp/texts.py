"""Values and indexes as label text, exactly as snmp_exporter writes them (its collector/collector.go).

A device's text stays data: it is bounded, and what is not UTF-8 is written as 0x… like an octet string.
"""

from __future__ import annotations

import calendar
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np

from sentinel.collect.snmp import ber, hints
from sentinel.collect.snmp.format import COMBINED_TYPES, SUFFIX, Index, Metric

MAX_TEXT = 1024
"""Characters of one label value."""

_BY_FIRST_NUMBER: Mapping[str, Mapping[int, str]] = {
    "InetAddress": {1: "InetAddressIPv4", 2: "InetAddressIPv6"},
    "InetAddressMissingSize": {1: "InetAddressIPv4", 2: "InetAddressIPv6"},
    "LldpPortId": {
        1: "DisplayString",
        2: "DisplayString",
        3: "PhysAddress48",
        5: "DisplayString",
        7: "DisplayString",
    },
}

_FIXED_SIZES = {"PhysAddress48": 6, "InetAddressIPv4": 4, "InetAddressIPv6": 16}

NTP_EPOCH = 2_208_988_800
"""Seconds from 1900 to 1970 (RFC 5905 §6)."""

_GO_FLOAT = re.compile(
    r"[+-]?(?:inf(?:inity)?|nan|(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)", re.IGNORECASE | re.ASCII
)

Numbers = tuple[int, ...]


def combined_type(kind: str, number: int | None) -> str:
    """The real type of a value whose type stands in the column before it (None: no such row)."""
    return _BY_FIRST_NUMBER[kind].get(-1 if number is None else number, "OctetString")


def value_text(tag: int, content: bytes, kind: str, hint: str = "") -> str:
    """The text of a value of this type; a display hint says how an OctetString is written."""
    number = ber.number(tag, content)
    if number is not None:
        return _number_text(number, is_single=tag == ber.OPAQUE and len(content) == 7)
    if tag == ber.OBJECT_IDENTIFIER:
        try:
            return ber.oid_text(content)[:MAX_TEXT]
        except ber.MalformedError:
            return octets_text(content)
    if tag == ber.IP_ADDRESS and len(content) == 4:
        return ".".join(map(str, content))
    if tag == ber.NULL:
        return ""
    if kind == "DisplayString":
        return display_text(content)
    if hint and kind not in _FIXED_SIZES and (hinted := hints.hinted_text(hint, content)) is not None:
        return hinted[:MAX_TEXT]
    if kind in _FIXED_SIZES:
        return _fixed(list(content), kind)
    return octets_text(content)


def display_text(content: bytes) -> str:
    """UTF-8 text as it is; anything else in hexadecimal, so that two devices' texts never become one."""
    try:
        return content.decode()[:MAX_TEXT]
    except UnicodeDecodeError:
        return octets_text(content)


def octets_text(content: bytes) -> str:
    return f"0x{content[: MAX_TEXT // 2].hex().upper()}" if content else ""


def _number_text(number: float, *, is_single: bool) -> str:
    """Integers as they are; floats with the fewest digits that read back to the same, never with an exponent."""
    if isinstance(number, int):
        return str(number)
    if not math.isfinite(number):
        return {math.inf: "+Inf", -math.inf: "-Inf"}.get(number, "NaN")
    return np.format_float_positional(np.float32(number) if is_single else number, trim="-")


def _fixed(numbers: Sequence[int], kind: str) -> str:
    """Types of a fixed size; missing numbers are zeros, as some routers leave them out."""
    size = _FIXED_SIZES[kind]
    numbers = (*numbers[:size], *[0] * (size - len(numbers)))
    if kind == "InetAddressIPv4":
        return ".".join(map(str, numbers))
    parts = [f"{number:02X}" for number in numbers]
    if kind == "PhysAddress48":
        return ":".join(parts)
    return ":".join(parts[at] + parts[at + 1] for at in range(0, size, 2))


def _split(numbers: Numbers, count: int) -> tuple[Numbers, Numbers]:
    head = numbers[:count]
    return head + (0,) * (count - len(head)), numbers[count:]


def index_text(index: Index, numbers: Numbers) -> tuple[str, Numbers, Numbers]:
    """One index part: its text, the numbers it took, and those left for the next part."""
    return _index_text(numbers, index.type, index.fixed_size, index.implied, index.enum_values)


def _index_text(
    numbers: Numbers, kind: str, fixed: int, implied: bool, enum: Mapping[int, str]
) -> tuple[str, Numbers, Numbers]:
    if kind in COMBINED_TYPES:
        return _combined_index(numbers, kind, enum)
    if kind in ("OctetString", "DisplayString"):
        return _string_index(numbers, kind, fixed, implied)
    if kind == SUFFIX:
        return ".".join(map(str, numbers)), numbers, ()
    if kind in _FIXED_SIZES:
        used, rest = _split(numbers, _FIXED_SIZES[kind])
        return _fixed(used, kind), used, rest
    used, rest = _split(numbers, 1)
    return enum.get(used[0], str(used[0])) if kind == "EnumAsInfo" else str(used[0]), used, rest


def _combined_index(numbers: Numbers, kind: str, enum: Mapping[int, str]) -> tuple[str, Numbers, Numbers]:
    head, rest = _split(numbers, 1 if kind == "InetAddressMissingSize" else 2)
    real = _BY_FIRST_NUMBER[kind].get(head[0])
    if real is not None:
        text, used, rest = _index_text(rest, real, 0, False, enum)
        return text, head + used, rest
    if kind == "InetAddressMissingSize":
        return _string_index(numbers, "OctetString", 0, True)
    return _string_index(numbers, "OctetString", min(head[1], 128) + 2, False)


def _string_index(numbers: Numbers, kind: str, fixed: int, implied: bool) -> tuple[str, Numbers, Numbers]:
    used: Numbers = ()
    length = len(numbers) if implied else fixed
    if length == 0:
        used, numbers = _split(numbers, 1)
        length = min(used[0], 128)
    content, rest = _split(numbers, length)
    octets = bytes(number & 0xFF for number in content)
    text = display_text(octets) if kind == "DisplayString" else octets_text(octets)
    return text, used + content, rest


def seconds_of(metric: Metric, tag: int, content: bytes) -> float | None:
    """Unix seconds in a value of one of the date types; None: it holds no date."""
    found: float | None = None
    if metric.type == "ParseDateAndTime":
        found = parsed_date(value_text(tag, content, "DisplayString"), metric.datetime_pattern)
    elif tag == ber.OCTET_STRING:
        found = ntp_seconds(content) if metric.type == "NTPTimeStamp" else date_and_time(content)
    return found


def parsed_date(text: str, pattern: str) -> float | None:
    """Unix seconds of a written date, in UTC unless it names its zone; None where it does not fit the pattern."""
    try:
        written = datetime.strptime(text, pattern)  # noqa: DTZ007 (the next line says what it means)
    except (ValueError, re.error):
        return None
    moment = written if written.tzinfo is not None else written.replace(tzinfo=UTC)
    return float(math.floor(moment.timestamp()))


def ntp_seconds(content: bytes) -> float | None:
    """Unix seconds of an NTP timestamp, without its fraction."""
    return float(int.from_bytes(content[:4], "big") - NTP_EPOCH) if len(content) >= 8 else None


def number_in(text: str) -> float | None:
    """The number that a text is, as Go's ParseFloat reads it."""
    return float(text) if len(text) <= MAX_TEXT and _GO_FLOAT.fullmatch(text) else None


def date_and_time(content: bytes) -> float | None:
    """Unix seconds of a DateAndTime (RFC 2579), or None where it is not one. Without a zone it is UTC."""
    if len(content) not in (8, 11):
        return None
    year, (month, day, hour, minute, second) = int.from_bytes(content[:2], "big"), content[2:7]
    shift = 0
    if len(content) == 11:
        if content[8:9] not in (b"+", b"-") or content[9] > 23 or content[10] > 59:
            return None
        shift = (content[9] * 3600 + content[10] * 60) * (1 if content[8:9] == b"+" else -1)
    if not (1 <= month <= 12 and year >= 1):
        return None
    # Days, hours and so on beyond their range carry over, as they do in Go's time.Date.
    # The calendar repeats every 400 years; Python's ends with the year 9999, a device's with 65535.
    cycles, rest = divmod(year, 400)
    days = calendar.timegm((2000 + rest, month, 1, 0, 0, 0)) + (day - 1) * 86400
    days += (cycles - 5) * 146_097 * 86400
    return float(days + hour * 3600 + minute * 60 + second - shift)
