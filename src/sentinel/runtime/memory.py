"""How the process keeps memory that it has freed."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_FREED_BYTES: Final = 64 << 20
_LARGE_BYTES: Final = 32 << 20


def keep_freed_memory() -> None:
    """Ask the C library to keep freed blocks for the next query instead of handing them back to the kernel.

    Queries make and free arrays of some hundred kilobytes all the time; fetched from the kernel anew, each of their
    pages costs a fault, which is more than the arithmetic on it. At most 64 MiB are kept. What is larger than
    32 MiB still goes back at once. Elsewhere than in glibc there is nothing to ask.

    Source: mallopt(3), M_TRIM_THRESHOLD and M_MMAP_THRESHOLD.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_TRIM_THRESHOLD, _FREED_BYTES)
        mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)


@contextmanager
def importing_quickly() -> Iterator[None]:
    """What is imported inside is never looked at for garbage.

    Modules stay for as long as the process does. Without them an import takes a quarter less time, and a full
    collection, which holds the event loop up, tens of milliseconds less.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
