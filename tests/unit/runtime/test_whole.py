from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from sentinel.runtime.whole import whole


@pytest.fixture
async def gate() -> threading.Event:
    """Threads of this loop: one, which is busy until the gate opens."""
    loop, opened = asyncio.get_running_loop(), threading.Event()
    loop.set_default_executor(ThreadPoolExecutor(1))
    loop.run_in_executor(None, opened.wait)
    return opened


async def test_the_result_is_the_works_own(gate: threading.Event) -> None:
    gate.set()
    assert await whole(asyncio.to_thread(lambda: 7)) == 7


async def test_work_that_no_thread_has_begun_is_done_before_the_cancellation_goes_on(
    gate: threading.Event,
) -> None:
    done: list[str] = []
    task = asyncio.ensure_future(whole(asyncio.to_thread(done.append, "written")))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == ["written"]


async def test_an_error_comes_through(gate: threading.Event) -> None:
    gate.set()
    with pytest.raises(ZeroDivisionError):
        await whole(asyncio.to_thread(lambda: 1 // 0))
