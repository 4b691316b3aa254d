"""adjtimex(2), which Python has no function for: read with modes = 0, it changes nothing and needs no privilege."""

from __future__ import annotations

import ctypes

_KEYS = (
    *("modes", "offset", "frequency", "maxerror", "esterror", "status", "constant", "precision", "tolerance"),
    *(
        "seconds",
        "microseconds",
        "tick",
        "ppsfreq",
        "jitter",
        "shift",
        "stabil",
        "jitcnt",
        "calcnt",
        "errcnt",
    ),
    *("stbcnt", "tai"),
)
_INTS = ("modes", "status", "shift", "tai")
_UNUSED = ("modes", "precision", "tolerance", "seconds", "microseconds")
_RESERVED = 11
"""Ints at the end of struct timex."""


class _Timex(ctypes.Structure):
    _fields_ = (
        *((key, ctypes.c_int if key in _INTS else ctypes.c_long) for key in _KEYS),
        ("reserved", ctypes.c_int * _RESERVED),
    )


def timex_text() -> bytes:
    """What the module linux prints in its section timex; nothing where the C library has no such function."""
    try:
        call = ctypes.CDLL(None).adjtimex
    except (AttributeError, OSError):
        return b""
    clock = _Timex()
    state = call(ctypes.byref(clock))
    if state < 0:
        return b""
    lines = [f"{key} {getattr(clock, key)}" for key in _KEYS if key not in _UNUSED]
    return "\n".join([f"state {state}", *lines, ""]).encode()
