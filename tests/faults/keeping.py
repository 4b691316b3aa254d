"""A process that keeps a history until it is killed: python -m tests.faults.keeping FOLDER FIRST, or with the
word `full` after it one whose files may not grow for a while.

It polls some sources by a clock of its own, packs what has ended, and prints the number of each poll once that poll
is on disk. Poll n has the values n and −n, so whoever reads them knows what should be there.
"""

from __future__ import annotations

import asyncio
import resource
import sys
from pathlib import Path

from prometheus_client import CollectorRegistry

from sentinel.runtime.clock import ManualClock
from sentinel.series.head import Head
from sentinel.series.history.history import History
from sentinel.series.history.metrics import HistoryMetrics
from sentinel.series.history.store import Limits
from tests.unit.series.feeding import START, batch, layout, source

INTERVAL = 60.0
SOURCES = 40
SHAPE = layout("up_", "down_")


def instant(poll: int) -> float:
    return START + INTERVAL * poll


def opened(folder: Path, poll: int) -> tuple[History, Head, ManualClock]:
    clock, head = ManualClock(instant(poll)), Head(retention=1200.0)
    limits = Limits(1200.0, 86400.0 * 365, 1 << 40)
    history = History(folder, limits, keep_free=0, clock=clock, metrics=HistoryMetrics(CollectorRegistry()))
    history.restore(head)
    return history, head, clock


async def keep(folder: Path, first: int) -> None:
    history, head, clock = opened(folder, first)
    sources = [source(f"s{number}", interval=INTERVAL) for number in range(SOURCES)]
    for poll in range(first, sys.maxsize):
        await clock.advance(instant(poll) - clock.now())
        head.append([batch(each, instant(poll), SHAPE, [poll, -poll]) for each in sources])
        await history.flush()
        print(poll, flush=True)
        if poll % 3 == 0:
            await history.care()


async def fill_up(folder: Path, first: int) -> None:
    """Poll with room, without, and with room again; print the polls that went onto the disk, and the counts."""
    history, head, clock = opened(folder, first)
    sources = [source(f"s{number}", interval=INTERVAL) for number in range(SOURCES)]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for poll in range(first, first + 90):
        if poll == first + 30:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, hard))
        if poll == first + 60:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        await clock.advance(instant(poll) - clock.now())
        head.append([batch(each, instant(poll), SHAPE, [poll, -poll]) for each in sources])
        await history.flush()
        await history.care()
        if not history.is_paused:
            print(poll, flush=True)
    await history.close()


if __name__ == "__main__":
    live = fill_up if sys.argv[3:] == ["full"] else keep
    asyncio.run(live(Path(sys.argv[1]), int(sys.argv[2])))
