"""A process that lets alerts fire and end, and tells a webhook: made to be killed.

    python -m tests.faults.delivering DATA_DIR URL ALERTS STARTED_AT ENDS_AT CONCURRENCY [FAILPOINT]

What each alert is at each moment follows from the clock alone, so that a process started after a kill goes
on where rules would: it restores the alerts from the database and submits what differs. After ENDS_AT
nothing fires any more; the process ends when everything has been told. Lines on standard output: "ready",
and "acknowledged N" once an acknowledgement of incident N has returned.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

from prometheus_client import CollectorRegistry
from sqlalchemy import event

from sentinel.config.notify import RouteSettings, WebhookSettings
from sentinel.config.secret import Secret
from sentinel.db.database import Database
from sentinel.incidents import Incidents, Ledger, NotPossibleError
from sentinel.model.alert import Alert, AlertChange, AlertState
from sentinel.model.incident import IncidentState
from sentinel.model.labels import Labels
from sentinel.notify import Dispatch, Sender, build_receivers
from sentinel.notify.groups.keeper import Keeper
from sentinel.notify.outbox import backlog
from sentinel.notify.receiver import Delivery, Outcome, Receiver
from sentinel.runtime.clock import SystemClock

TICK = 0.05


def is_firing(number: int, at: float) -> bool:
    """Each alert has its own rhythm of 1 to 3 seconds."""
    period = 1.0 + (number * 7919 % 200) / 100
    return (at + number * 0.37) % period > period / 2


def labels_of(number: int) -> Labels:
    return Labels(alertname="Down", instance=f"sw{number}", severity="critical")


def changes_of(alerts: dict[str, Alert], count: int, *, at: float, is_over: bool) -> list[AlertChange]:
    found = []
    for number in range(count):
        labels = labels_of(number)
        known = alerts.get(labels.fingerprint())
        fires = not is_over and is_firing(number, at)
        if fires and (known is None or not known.is_open):
            fresh = Alert(labels.fingerprint(), "r;g", labels, Labels(), AlertState.FIRING, 1.0, at, at, at)
            found.append(AlertChange(AlertState.INACTIVE, fresh, at))
        elif not fires and known is not None and known.is_open:
            over = replace(known, state=AlertState.INACTIVE, resolved_at=at)
            found.append(AlertChange(known.state, over, at))
    return found


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def countdown(number: int) -> Callable[..., None]:
    """Dies at its number-th call."""
    left = number

    def called(*_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            die()

    return called


class DiesAfterSending:
    """A receiver whose process ends when the far side has answered and nothing is marked yet."""

    def __init__(self, receiver: Receiver, number: int) -> None:
        self._receiver = receiver
        self._called = countdown(number)
        self.kind, self.timeout, self.concurrency = receiver.kind, receiver.timeout, receiver.concurrency

    async def send(self, delivery: Delivery) -> Outcome:
        outcome = await self._receiver.send(delivery)
        self._called()
        return outcome

    async def close(self) -> None:
        await self._receiver.close()


async def live(
    folder: Path, url: str, count: int, started: float, ends: float, concurrency: int, failpoint: str
) -> None:
    clock, registry = SystemClock(), CollectorRegistry()
    settings = [WebhookSettings(kind="webhook", name="ops", url=Secret(url), concurrency=concurrency)]
    receivers = dict(build_receivers(settings, clock=clock, language="en", zone=ZoneInfo("UTC")))
    point, _, number = failpoint.partition(":")
    if point == "sent-not-marked":
        receivers["ops"] = DiesAfterSending(receivers["ops"], int(number))
    async with Database.open("sqlite:///sentinel.db", clock=clock, data_dir=folder) as db:
        if point == "before-commit":
            event.listen(db._writer.sync_engine, "commit", countdown(int(number)))
        dispatch = Dispatch(RouteSettings(receiver="ops"), settings, external_url="http://s")
        sender = Sender(db, receivers, clock=clock, registry=registry)
        keeper = Keeper(db, clock, dispatch, committed=sender.wake)

        def committed() -> None:
            sender.wake()
            keeper.stir()

        ledger = Ledger(db, dispatch, clock=clock, registry=registry, committed=committed)
        incidents = Incidents(db, clock, dispatch, committed=committed)
        alerts = {alert.fingerprint: alert for alert in await ledger.load_alerts()}
        async with asyncio.TaskGroup() as group:
            parts = [group.create_task(one.run()) for one in (ledger, sender, keeper)]
            parts.append(group.create_task(acknowledge(incidents)))
            print("ready", flush=True)
            while True:
                now = clock.now()
                changes = changes_of(alerts, count, at=now - started, is_over=now >= ends)
                alerts.update({change.alert.fingerprint: change.alert for change in changes})
                ledger.submit(changes)
                if now >= ends:
                    break
                await clock.sleep(TICK)
            await ledger.settled()
            while await backlog(db):
                await clock.sleep(TICK)
            for part in parts:
                part.cancel()


async def acknowledge(incidents: Incidents) -> None:
    """Somebody takes on one incident after the other, and is told when that is done."""
    while True:
        for incident in await incidents.list([IncidentState.OPEN], limit=1):
            try:
                await incidents.acknowledge(incident.id, "li")
            except NotPossibleError:  # it ended meanwhile
                continue
            print(f"acknowledged {incident.id}", flush=True)
        await asyncio.sleep(TICK)


def main() -> None:
    folder, url, count, started, ends, concurrency, *failpoint = sys.argv[1:]
    logging.basicConfig(level="ERROR")
    asyncio.run(
        live(Path(folder), url, int(count), float(started), float(ends), int(concurrency), "".join(failpoint))
    )


if __name__ == "__main__":
    main()
