"""Ledger and sender on a real database, with real far sides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from prometheus_client import CollectorRegistry

from sentinel.config.notify import AnyReceiver, EmailSettings, RouteSettings, WebhookSettings
from sentinel.config.secret import Secret
from sentinel.db.database import Database
from sentinel.incidents import IncidentRecord, Incidents, Ledger
from sentinel.model.alert import AlertChange
from sentinel.notify import Dispatch, Sender, build_receivers
from sentinel.notify.groups.keeper import Keeper
from sentinel.notify.outbox import backlog
from sentinel.notify.sending.policy import policies_of
from sentinel.runtime.clock import Clock, SystemClock

Settings = AnyReceiver


class QuickClock(SystemClock):
    """Waits a hundredth of what it is asked to: pauses between attempts do not hold up a test."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(seconds / 100)

    def monotonic(self) -> float:
        return super().monotonic() * 100


def hook(url: str, name: str = "ops", **more: Any) -> WebhookSettings:
    return WebhookSettings(kind="webhook", name=name, url=Secret(url), **more)


def mail(port: int, name: str = "mail", **more: Any) -> EmailSettings:
    written = {
        "kind": "email",
        "name": name,
        "to": ["a@x.org"],
        "from": "Sentinel <s@x.org>",
        "smarthost": f"127.0.0.1:{port}",
        "tls": "none",
    }
    return EmailSettings.model_validate(written | more)


def routed(receivers: Sequence[Settings]) -> RouteSettings:
    """Everything to every receiver."""
    routes = [{"receiver": one.name, "continue": True} for one in receivers]
    return RouteSettings.model_validate({"receiver": receivers[0].name, "routes": routes})


@dataclass(slots=True)
class Room:
    db: Database
    clock: Clock
    registry: CollectorRegistry
    ledger: Ledger
    sender: Sender
    incidents: Incidents
    sending: asyncio.Task[None]

    async def tick(self, *changes: AlertChange) -> None:
        self.ledger.submit(changes)
        await self.ledger.settled()

    async def told(self, within: float = 10.0) -> None:
        """Wait until the outbox is empty."""
        async with asyncio.timeout(within):
            while await backlog(self.db):
                await asyncio.sleep(0.01)

    async def tried(self, number: int, attempts: int = 1) -> IncidentRecord:
        """Wait until the first message of an incident was tried that often."""
        async with asyncio.timeout(10):
            while (await self.show(number)).deliveries[0].attempts < attempts:
                await asyncio.sleep(0.01)
        return await self.show(number)

    async def show(self, number: int) -> IncidentRecord:
        return await self.incidents.show(number)

    def sample(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0


@asynccontextmanager
async def delivering(
    folder: Path,
    receivers: Sequence[Settings],
    *,
    route: RouteSettings | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[Room]:
    clock, registry = clock or QuickClock(), CollectorRegistry()
    dispatch = Dispatch(route or routed(receivers), receivers, external_url="http://sentinel.example.org")
    async with Database.open("sqlite:///sentinel.db", clock=clock, data_dir=folder) as db:
        built = build_receivers(receivers, clock=clock, language="en", zone=ZoneInfo("UTC"))
        sender = Sender(db, built, clock=clock, registry=registry, policies=policies_of(receivers))
        keeper = Keeper(db, clock, dispatch, committed=sender.wake)

        def committed() -> None:
            sender.wake()
            keeper.stir()

        ledger = Ledger(db, dispatch, clock=clock, registry=registry, committed=committed)
        incidents = Incidents(db, clock, dispatch, committed=committed)
        async with asyncio.TaskGroup() as group:
            committing = group.create_task(ledger.run())
            keeping = group.create_task(keeper.run())
            sending = group.create_task(sender.run())
            try:
                yield Room(db, clock, registry, ledger, sender, incidents, sending)
            finally:
                committing.cancel()
                keeping.cancel()
                sending.cancel()
        await sender.close()
