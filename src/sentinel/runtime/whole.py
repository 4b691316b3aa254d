"""Work that a cancellation must not cut in half."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


async def whole(work: Coroutine[Any, Any, Result]) -> Result:
    """What the work returns. Who is cancelled meanwhile waits for its end before the cancellation goes on.

    For threads that write: a cancelled `asyncio.to_thread` never begins, or goes on behind the back of whoever
    takes the lock next.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
