"""Reminds people before a silence ends: those who would then hear of what still fires under it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from sentinel.db import tables as t
from sentinel.db.sql import Row, execute_many
from sentinel.incidents.news import Event, News
from sentinel.model.durations import format_duration
from sentinel.model.labels import Labels
from sentinel.notify.dispatch import Dispatch, outbox_row
from sentinel.notify.facts import facts_of
from sentinel.notify.groups.group import Member
from sentinel.notify.groups.store import read_groups
from sentinel.notify.mutes.mutes import Mutes, text_of
from sentinel.notify.mutes.silence import Silence
from sentinel.notify.story import common
from sentinel.runtime.clock import Clock

MAX_GROUPS: Final = 2000
"""Groups that are looked through for what a silence mutes."""
DEAF: Final = frozenset({"pagerduty", "opsgenie", "alertmanager"})
"""Kinds of receivers that know alerts only."""


class Reminder:
    """
    Args:
        dispatch: the one in force.
    """

    def __init__(self, clock: Clock, mutes: Mutes, dispatch: Callable[[], Dispatch]) -> None:
        self._clock = clock
        self._mutes = mutes
        self._dispatch = dispatch

    async def remind(self, connection: AsyncConnection, silence: Silence) -> None:
        """A message to each receiver that something is withheld from, in the transaction that notes it."""
        at = self._clock.now()
        waiting = await self._withheld(connection, silence)
        rows = [self._message(silence, receiver, members, at) for receiver, members in waiting.items()]
        await execute_many(connection, t.outbox.insert(), rows)

    async def _withheld(self, connection: AsyncConnection, silence: Silence) -> dict[str, dict[str, Member]]:
        """What fires under the silence, by receiver and fingerprint."""
        of = t.notify_group.c
        query = select(of.id).where(of.withheld != "").order_by(of.id).limit(MAX_GROUPS)
        numbers = list((await connection.execute(query)).scalars())
        concerns, dispatch = self._mutes.compiled(silence), self._dispatch()
        found: dict[str, dict[str, Member]] = {}
        for group in await read_groups(connection, numbers):
            settings = dispatch.receivers.get(group.receiver)
            if settings is None or settings.kind in DEAF:
                continue
            for member in group.members:
                if member.is_open and concerns.matches(member.alert.labels):
                    found.setdefault(group.receiver, {})[member.alert.fingerprint] = member
        return found

    def _message(self, silence: Silence, receiver: str, members: dict[str, Member], at: float) -> Row:
        incidents = {one.incident.id: one.incident for one in members.values()}
        main = min(incidents.values(), key=lambda one: (one.grade, one.id))
        alerts = tuple(one.alert for one in members.values())
        left = format_duration(round(max((silence.over_at or at) - at, 0.0)))
        reason = f"{silence.kind.words} ends in {left}: {text_of(silence)}"
        title = main.title if len(alerts) == 1 else f"{main.title} (+{len(alerts) - 1})"
        news = News(
            Event.REMINDER,
            at,
            main,
            Labels(common([dict(one.labels.pairs) for one in alerts])),
            alerts,
            reason=reason,
        )
        facts = facts_of(
            news,
            alerts,
            external_url=self._dispatch().external_url,
            title=title,
            further=sorted(incidents.keys() - {main.id}),
        )
        return outbox_row(receiver, f"silence/{silence.id}", news, dict(facts), at)
