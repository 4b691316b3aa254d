"""Kinds of values that people write in settings."""

from __future__ import annotations

import re
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BeforeValidator

from sentinel.model.durations import parse_duration

_SIZE = re.compile(r"(\d+)\s*(B|KB|MB|GB|KiB|MiB|GiB)?")
_SIZES = {None: 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def _duration(written: Any) -> float:
    if not isinstance(written, str):
        raise ValueError('write a duration as text, such as "30s" or "5m"')
    return parse_duration(written)


def _positive(written: Any) -> float:
    seconds = _duration(written)
    if seconds <= 0:
        raise ValueError("must be longer than nothing")
    return seconds


def _size(written: Any) -> int:
    match = _SIZE.fullmatch(str(written).strip())
    if match is None:
        raise ValueError(f'not a size: {written!r} (write "512 MiB")')
    return int(match[1]) * _SIZES[match[2]]


def _zone(written: Any) -> ZoneInfo:
    try:
        return written if isinstance(written, ZoneInfo) else ZoneInfo(str(written))
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(
            f"unknown time zone {written!r} (write an IANA name such as Asia/Shanghai)"
        ) from None


def _label_name(written: Any) -> str:
    if not isinstance(written, str) or not _LABEL.fullmatch(written) or written.startswith("__"):
        raise ValueError(
            f"not a label name: {written!r} (letters, digits and _, not starting with a digit or __)"
        )
    return written


Duration = Annotated[float, BeforeValidator(_duration)]
"""Seconds, written as in "1h30m"."""

PositiveDuration = Annotated[float, BeforeValidator(_positive)]

Size = Annotated[int, BeforeValidator(_size)]
"""Bytes, written as in "512 MiB"."""

Zone = Annotated[ZoneInfo, BeforeValidator(_zone)]

LabelName = Annotated[str, BeforeValidator(_label_name)]
