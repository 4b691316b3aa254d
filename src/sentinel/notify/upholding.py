"""Tells again and again what still fires, to receivers that forget what is not repeated.

An Alertmanager gives an alert up at its endsAt and knows none after a restart. What is told again is read
from the database at that moment: what was delivered to the receiver, as it stands now. The outbox stays the
only way for news; nothing here is marked, and nothing is lost by a kill.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from sqlalchemy import RowMapping, or_, select
from sqlalchemy.exc import SQLAlchemyError

from sentinel.db import tables as t
from sentinel.db.database import Database
from sentinel.db.errors import reason_of
from sentinel.incidents.news import Event
from sentinel.model.incident import IncidentState
from sentinel.notify.facts import MAX_VALUE, AlertFacts
from sentinel.notify.outbox import DELIVERED
from sentinel.notify.receiver import Outcome, Receiver, Result
from sentinel.runtime.clock import Clock

log = logging.getLogger(__name__)

PAGE = 200
"""Messages whose alerts are told again in one request."""
AFTERWARDS = 900.0
"""Seconds for which the end of an alert is repeated too."""
LOOK = 5.0
"""Seconds between two looks at who is due."""

Standing = Sequence[tuple[AlertFacts, str]]
"""Alerts as they stand, each with its incident's page."""
Read = Callable[[], Awaitable[Standing]]


@runtime_checkable
class Upheld(Protocol):
    """A receiver that wants to hear again what still fires."""

    every: float
    """Seconds."""
    timeout: float

    async def uphold(self, read: Read) -> Outcome:
        """Read what stands and tell it, with no news of its own on their way meanwhile."""
        ...


class Upholder:
    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._due: dict[str, float] = {}
        self._failing: set[str] = set()

    async def run(self, receivers: Callable[[], Mapping[str, Receiver]]) -> None:
        while True:
            now = self._clock.monotonic()
            upheld = {name: one for name, one in receivers().items() if isinstance(one, Upheld)}
            self._due = {name: self._due.get(name, now + one.every) for name, one in upheld.items()}
            due = [name for name, at in self._due.items() if at <= now]
            for name in due:
                self._due[name] = now + upheld[name].every
            await asyncio.gather(*(self._round(name, upheld[name]) for name in due))
            await self._clock.sleep(LOOK)

    async def _round(self, name: str, receiver: Upheld) -> None:
        """Everything once; what fails is told with the next round."""
        after, problem = 0, ""
        try:
            while not problem:
                numbers = await self._page(name, after)
                if not numbers:
                    break
                after = numbers[-1]
                async with asyncio.timeout(receiver.timeout):
                    outcome = await receiver.uphold(lambda page=numbers: self._standing(page))  # type: ignore[misc]
                problem = "" if outcome.result is Result.DELIVERED else outcome.detail
        except TimeoutError:
            problem = "no answer in time"
        except (SQLAlchemyError, OSError) as error:
            problem = reason_of(error)
        if problem and name not in self._failing:
            log.warning(
                "what fires cannot be told again", extra={"facts": {"receiver": name, "reason": problem}}
            )
        (self._failing.add if problem else self._failing.discard)(name)

    async def _page(self, receiver: str, after: int) -> list[int]:
        """Numbers of delivered messages whose incident lives, or has just ended."""
        lives = t.incident.c.state != IncidentState.RESOLVED.value
        ended = t.incident.c.resolved_at > self._clock.now() - AFTERWARDS
        query = (
            select(t.outbox.c.id)
            .join(t.incident, t.incident.c.id == t.outbox.c.incident_id)
            .where(
                t.outbox.c.receiver == receiver,
                t.outbox.c.state == DELIVERED,
                t.outbox.c.event == Event.FIRING.value,
                t.outbox.c.id > after,
                or_(lives, ended),
            )
            .order_by(t.outbox.c.id)
            .limit(PAGE)
        )
        async with self._db.reading() as connection:
            return list((await connection.execute(query)).scalars())

    async def _standing(self, numbers: Sequence[int]) -> Standing:
        """What these messages told, as it stands now."""
        told = select(t.outbox.c.incident_id, t.outbox.c.payload).where(t.outbox.c.id.in_(numbers))
        async with self._db.reading() as connection:
            pages: dict[tuple[int, str], str] = {}
            for incident, facts in await connection.execute(told):
                page = f"{facts['external_url']}/incidents/{incident}"
                told_of = (incident, *facts.get("incidents", ()))
                pages |= {(one, alert["fingerprint"]): page for alert in facts["alerts"] for one in told_of}
            query = (
                select(t.incident_alert, t.incident.c.resolved_at.label("incident_resolved_at"))
                .join(t.incident, t.incident.c.id == t.incident_alert.c.incident_id)
                .where(t.incident_alert.c.incident_id.in_({incident for incident, _ in pages}))
            )
            rows = (await connection.execute(query)).mappings().all()
        return [
            (_facts(row), pages[row["incident_id"], row["fingerprint"]])
            for row in rows
            if (row["incident_id"], row["fingerprint"]) in pages
        ]


def _facts(row: RowMapping) -> AlertFacts:
    ended = row["resolved_at"] if row["resolved_at"] is not None else row["incident_resolved_at"]
    return AlertFacts(
        fingerprint=row["fingerprint"],
        labels=row["labels"],
        annotations={name: value[:MAX_VALUE] for name, value in row["annotations"].items()},
        status="firing" if ended is None else "resolved",
        unknown=row["state"] == "unknown",
        starts_at=row["fired_at"],
        ends_at=ended,
        value=row["value"],
    )
