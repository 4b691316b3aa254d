"""Rules' findings in, messages out, at instants of a test's own choice: the outbox without a sender."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from sqlalchemy import select

from sentinel.config.notify import AnyReceiver, RouteSettings
from sentinel.db import tables as t
from sentinel.db.database import Database
from sentinel.incidents import Incidents, Ledger
from sentinel.model.alert import AlertChange
from sentinel.notify import Dispatch
from sentinel.notify.decision import Circumstances
from sentinel.notify.flapping import Flapping
from sentinel.notify.groups.keeper import Keeper
from sentinel.notify.standing import Standing
from sentinel.runtime.clock import SystemClock
from tests.integration.delivery import hook
from tests.unit.incidents.alerts import START


class SetClock(SystemClock):
    """Shows the instant that it was set to."""

    def __init__(self, at: float = START) -> None:
        super().__init__()
        self.at = at

    def now(self) -> float:
        return self.at


@dataclass(frozen=True, slots=True)
class Told:
    """One message as it stands in the outbox."""

    at: float
    """Seconds since the start."""
    receiver: str
    event: str
    reason: str
    alerts: Mapping[str, str]
    """State by name, or by name and target where these are several."""
    facts: Mapping[str, Any]
    queue: str


@dataclass(slots=True)
class Telling:
    db: Database
    clock: SetClock
    ledger: Ledger
    incidents: Incidents
    keeper: Keeper
    dispatch: Dispatch
    looks: list[float] = field(default_factory=list)
    """When groups were looked at: seconds since the start."""

    async def at(self, seconds: float, *changes: AlertChange) -> list[Told]:
        """Time goes on to that second, looking at what is due on the way; then the rules find this out.

        Returns:
            everything told since the call before.
        """
        before = await self._count()
        while (due := await self.keeper._look()) is not None and due <= START + seconds:
            self.clock.at = max(due, self.clock.at)
            self.looks.append(self.clock.at - START)
        self.clock.at = START + seconds
        await self.keeper._look()
        if changes:
            self.ledger.submit(changes)
            await self.ledger.settled()
        return (await self.everything())[before:]

    async def everything(self) -> list[Told]:
        async with self.db.reading() as connection:
            rows = (await connection.execute(select(t.outbox).order_by(t.outbox.c.id))).mappings().all()
        return [
            Told(
                row["created_at"] - START,
                row["receiver"],
                row["event"],
                row["payload"]["reason"],
                {_name(alert["labels"]): alert["status"] for alert in row["payload"]["alerts"]},
                row["payload"],
                row["queue"],
            )
            for row in rows
        ]

    async def _count(self) -> int:
        return len(await self.everything())

    def use(self, route: Mapping[str, Any], receivers: Sequence[AnyReceiver]) -> None:
        """Another tree."""
        tree = RouteSettings.model_validate(route)
        self.dispatch = Dispatch(
            tree, receivers, external_url="http://s", circumstances=self.dispatch.circumstances
        )
        self.ledger.use(self.dispatch)
        self.incidents.use(self.dispatch)
        self.keeper.use(self.dispatch)


@asynccontextmanager
async def telling(
    folder: Path,
    route: Mapping[str, Any] | None = None,
    receivers: Sequence[AnyReceiver] = (),
    *,
    circumstances: Circumstances | None = None,
    standing: Standing | None = None,
    flapping: Flapping | None = None,
    clock: SetClock | None = None,
) -> AsyncIterator[Telling]:
    """
    Args:
        route: as in the configuration file; without it everything goes to "ops", told by incident.
    """
    clock = clock or SetClock()
    made = Dispatch(
        RouteSettings.model_validate(route or {"receiver": "ops"}),
        receivers or [hook("http://127.0.0.1:9/")],
        external_url="http://s",
        circumstances=circumstances,
        standing=standing,
        flapping=flapping,
    )
    async with Database.open("sqlite:///sentinel.db", clock=SystemClock(), data_dir=folder) as db:
        ledger = Ledger(db, made, clock=clock, registry=CollectorRegistry())
        task = asyncio.ensure_future(ledger.run())
        try:
            yield Telling(db, clock, ledger, Incidents(db, clock, made), Keeper(db, clock, made), made)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def _name(labels: Mapping[str, str]) -> str:
    return f"{labels['alertname']} {labels.get('instance', '')}{labels.get('ifName', '')}"
