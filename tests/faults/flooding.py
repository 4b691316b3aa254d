"""A process that has more to tell than its receiver may get, and a fallback: made to be killed.

    python -m tests.faults.flooding DATA_DIR URL ALERTS [COMMIT]

It lets so many alerts fire that the database does not know yet, and ends when everything has been told. With
COMMIT it kills itself at that commit.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from sqlalchemy import event

from sentinel.runtime.clock import SystemClock
from tests.faults.delivering import countdown
from tests.integration.delivery import delivering, hook, routed
from tests.unit.incidents.alerts import firing

CAP = {"messages": 2, "per": "200ms"}


async def live(folder: Path, url: str, count: int, commit: int) -> None:
    receivers = [
        hook(f"{url}/ops", cap=CAP, fallback="duty", fallback_after="300ms"),
        hook(f"{url}/duty", "duty", cap=CAP),
    ]
    async with delivering(folder, receivers, route=routed(receivers[:1]), clock=SystemClock()) as room:
        if commit:
            event.listen(room.db._writer.sync_engine, "commit", countdown(commit))
        known = {alert.labels["instance"] for alert in await room.ledger.load_alerts()}
        for number in range(count):
            if f"sw{number}" not in known:
                room.ledger.submit([firing(instance=f"sw{number}")])
                await asyncio.sleep(0.005)
        await room.ledger.settled()
        await room.told(30)


if __name__ == "__main__":
    folder, url, count, *commit = sys.argv[1:]
    asyncio.run(live(Path(folder), url, int(count), int("".join(commit) or 0)))
