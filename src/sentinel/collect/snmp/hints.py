"""DISPLAY-HINT of octet strings (RFC 2579 §3.1): how the bytes of a value are to be written."""

from __future__ import annotations

import re
from functools import lru_cache

_SPEC = re.compile(r"(\*?)(\d+)([xdoat])([^\d*]?)")
"""Repeat, length, format, separator; the terminator is read apart, because it needs the repeat."""

Spec = tuple[bool, int, str, str, str]


@lru_cache(maxsize=512)
def specs_of(hint: str) -> tuple[Spec, ...]:
    """Repeats, length, format, separator and terminator of each part; empty: not a hint."""
    found: list[Spec] = []
    at = 0
    while at < len(hint):
        match = _SPEC.match(hint, at)
        if match is None or len(match[2]) > 5:
            return ()
        at = match.end()
        terminator = ""
        if match[1] and match[4] and at < len(hint) and hint[at] not in "*0123456789":
            terminator, at = hint[at], at + 1
        found.append((bool(match[1]), int(match[2]), match[3], match[4], terminator))
    if found and found[-1][1] == 0:
        return ()  # the last part repeats until all bytes are used, which this one never would
    return tuple(found)


def hinted_text(hint: str, content: bytes) -> str | None:
    """The bytes as the hint says, or None where it is no hint or there are no bytes."""
    specs = specs_of(hint)
    if not specs or not content:
        return None
    parts: list[str] = []
    at = number = 0
    while at < len(content):
        repeats, length, kind, separator, terminator = specs[min(number, len(specs) - 1)]
        number += 1
        count = 1
        if repeats:
            count, at = content[at], at + 1
        for turn in range(count):
            if at >= len(content):
                break
            parts.append(_written(content[at : at + length], kind))
            at += length
            is_last = turn == count - 1
            if at < len(content):
                parts.append(terminator if terminator and is_last else separator)
    return "".join(parts)


def _written(piece: bytes, kind: str) -> str:
    if kind == "t":
        return piece.decode(errors="replace")
    if kind == "a":
        return piece.decode("latin-1")
    number = int.from_bytes(piece, "big")
    if kind == "x":
        return piece.hex()
    return str(number) if kind == "d" else f"{number:o}"
