"""Dispatch: from news of incidents to groups of alerts, and from these to the outbox."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from sentinel.config.notify import AnyReceiver, RouteSettings
from sentinel.db import tables as t
from sentinel.db.sql import Row, execute_many
from sentinel.incidents.book import OWN, one_line
from sentinel.incidents.news import OPENED, Event, News
from sentinel.incidents.rows import entry_row
from sentinel.model.alert import Alert, AlertChange
from sentinel.model.incident import Entry, EntryKind, Incident
from sentinel.model.labels import Labels
from sentinel.notify.decision import Circumstances, Matter, Obstacle, Question, Why, decide
from sentinel.notify.facts import facts_of
from sentinel.notify.groups.group import Group, Letter, Member, Verdict
from sentinel.notify.groups.judge import judge
from sentinel.notify.groups.store import (
    Joining,
    Wanted,
    due_groups,
    groups_of,
    hasten,
    put_groups,
    put_members,
    read_groups,
    write_messages,
    write_verdicts,
)
from sentinel.notify.sending.policy import policies_of
from sentinel.notify.texts import SETTLED
from sentinel.notify.tree import ALL, INCIDENT, GroupBy, Grouping, Route

AT_ONCE: Final = 500
"""Groups looked at together."""
TURN: Final = 200
"""Alerts that are routed before others have their turn."""
SMALL: Final = 20
"""Alerts of a group that are judged, or put into a message, in a millisecond or so."""
MAX_TEXT: Final = 500
NAMED: Final = 20
"""Incidents of one group whose timelines say that it waits."""
OUTSIDE: Final = Grouping(wait=1.0, interval=300.0)
"""What holds for groups whose route is no longer in the tree: they hear the end of what they know."""


class SeesAlerts(Protocol):
    """Keeps an eye on alerts, because they stand in the way of others."""

    def observe(self, changes: Sequence[AlertChange]) -> None: ...


class SeesIncidents(Protocol):
    """Keeps an eye on how often incidents open."""

    def opened(self, incidents: Iterable[Incident]) -> None:
        """These incidents are new. The same may come twice."""
        ...

    def reason(self, incident: Incident) -> str:
        """What to say beside an incident that opens once more; empty: nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Candidate:
    """An alert that fires, on its way through the tree."""

    alert: Alert
    incident: int
    grouping: Labels
    """Of the incident."""
    is_fresh: bool = False
    """It has only just fired."""


class Dispatch:
    """
    Args:
        route: the top of the tree; None: nobody is told.
        external_url: where people reach the pages; without a slash at the end.
        circumstances: what may stand in the way of telling.
        standing: who keeps an eye on what fires.
        flapping: who keeps an eye on what comes and goes.
    """

    def __init__(
        self,
        route: RouteSettings | None,
        receivers: Sequence[AnyReceiver],
        *,
        external_url: str,
        circumstances: Circumstances | None = None,
        standing: SeesAlerts | None = None,
        flapping: SeesIncidents | None = None,
    ) -> None:
        self.route = Route.of(route) if route else None
        self._routes = {one.grouping.id: one for one in _all(self.route)}
        self.receivers = {receiver.name: receiver for receiver in receivers}
        self._policies = policies_of(receivers)
        self.external_url = external_url
        self.circumstances = circumstances or Circumstances()
        self._standing = standing
        self._flapping = flapping

    def observe(self, changes: Sequence[AlertChange]) -> None:
        if self._standing is not None:
            self._standing.observe(changes)

    async def tell(self, connection: AsyncConnection, news: Sequence[News], at: float) -> None:
        """A firing goes where the routes of its fresh alerts lead; everything after it to those who were told."""
        firing = [one for one in news if one.event is Event.FIRING]
        if self._flapping is not None:
            self._flapping.opened(one.incident for one in firing if one.reason == OPENED)
        fresh = (
            Candidate(alert, one.incident.id, one.grouping, is_fresh=True)
            for one in firing
            for alert in one.alerts
            if alert.fingerprint in one.fresh
        )
        numbers = set(await self.join(connection, fresh, at)) if firing else set()
        over = {one.incident.id for one in news if one.event is Event.RESOLVED}
        numbers |= set(await hasten(connection, over, at))
        await self.flush(connection, at, await due_groups(connection, at, len(numbers), numbers))
        for one in news:
            if one.event is Event.ACKNOWLEDGED:
                await self._acknowledged(connection, one, at)

    async def flush(self, connection: AsyncConnection, at: float, numbers: Sequence[int]) -> None:
        """Look at groups, and put what they have to tell into the outbox."""
        for start in range(0, len(numbers), AT_ONCE):
            groups = await read_groups(connection, numbers[start : start + AT_ONCE])
            found = []
            for group in groups:
                found.append((group, self.judged(group, at)))
                if len(group.members) > SMALL:
                    await asyncio.sleep(0)
            await write_verdicts(connection, found, at)
            rows: list[Row] = []
            further: list[list[int]] = []
            lines: list[Row] = []
            for group, verdict in found:
                for letter in verdict.letters:
                    row, others = self._message(group, letter, at)
                    rows.append(row)
                    further.append(others)
                lines += _withheld(group, verdict, at)
                if len(group.members) > SMALL:
                    await asyncio.sleep(0)
            await write_messages(connection, rows, further, self._policies)
            await execute_many(connection, insert(t.timeline), lines)

    async def join(
        self, connection: AsyncConnection, candidates: Iterable[Candidate], at: float
    ) -> Iterable[int]:
        """Put alerts into the groups of this tree that they are not in yet.

        Returns:
            the numbers of their groups.
        """
        wanted: dict[str, Wanted] = {}
        joining: dict[tuple[str, str], Joining] = {}
        for count, candidate in enumerate(candidates, 1):
            fingerprint = candidate.alert.fingerprint
            for one in self._wanted(candidate, at):
                known = wanted.get(one.key)
                if known is None or one.due_at < known.due_at:
                    wanted[one.key] = one
                is_anew = candidate.is_fresh and one.incident is not None
                joining[one.key, fingerprint] = Joining(one.key, fingerprint, candidate.incident, is_anew)
            if count % TURN == 0:
                await asyncio.sleep(0)
        numbers = await put_groups(connection, list(wanted.values()), at)
        await put_members(connection, list(joining.values()), numbers)
        return numbers.values()

    def obstacles(self, group: Group, member: Member, matter: Matter, at: float) -> Sequence[Obstacle]:
        """What stands in the way of telling that of an alert of the group."""
        question = Question(
            member.alert, member.incident, matter, self._route_of(group), group.incident is not None
        )
        return decide(question, at, self.circumstances)

    def judged(self, group: Group, at: float) -> Verdict:
        """What would be told of a group at this instant."""
        receiver, route = self.receivers.get(group.receiver), self._route_of(group)
        left = group.members
        if receiver is None:
            left = ()  # nobody hears it
        elif route is None and group.incident is None:
            left = tuple(one for one in left if one.was_told)  # the tree has other places for the rest
        lost = frozenset(one.alert.fingerprint for one in group.members) - {
            one.alert.fingerprint for one in left
        }
        if receiver is None or not left:
            return Verdict(gone=lost)

        def obstacles(member: Member, matter: Matter) -> Sequence[Obstacle]:
            question = Question(member.alert, member.incident, matter, route, group.incident is not None)
            return decide(question, at, self.circumstances)

        grouping = route.grouping if route is not None else OUTSIDE
        group = replace(group, members=left)
        verdict = judge(group, grouping, obstacles, at, send_resolved=receiver.send_resolved)
        return replace(verdict, gone=verdict.gone | lost)

    def _wanted(self, candidate: Candidate, at: float) -> Iterable[Wanted]:
        alert = candidate.alert
        for route in self.route.match(alert.labels) if self.route is not None else ():
            if route.receiver not in self.receivers:
                continue
            how = route.grouping
            since = alert.fired_at if alert.fired_at is not None else at
            due = max(at, since + how.wait)
            if how.by is INCIDENT:
                key = f"incident/{candidate.incident}/{route.receiver}"
                labels, incident = candidate.grouping, candidate.incident
            else:
                labels, incident = alert.labels if how.by is ALL else alert.labels.only(*how.by), None
                key = f"{how.id}:{labels}/{route.receiver}"
            yield Wanted(key, how.id, route.receiver, labels, incident, how.interval, due)

    def _message(self, group: Group, letter: Letter, at: float) -> tuple[Row, list[int]]:
        """A row of the outbox, and the further incidents it tells of."""
        members = sorted(
            letter.members,
            key=lambda one: (
                one.alert.fingerprint not in letter.fresh,
                not one.is_open,
                -(one.alert.fired_at or 0.0),
            ),
        )
        incidents = {one.incident.id: one.incident for one in members}
        main = min(incidents.values(), key=lambda one: (not one.is_live, one.grade, one.id))
        others = sorted(incidents.keys() - {main.id})
        alerts = tuple(one.alert for one in members)
        news = News(letter.event, at, main, group.labels, alerts, letter.fresh, self._reason(group, letter))
        facts = facts_of(
            news,
            alerts,
            external_url=self.external_url,
            group_key=self.group_key(group),
            title=f"{main.title} (+{len(members) - 1})" if others else "",
            further=others,
        )
        return outbox_row(group.receiver, _queue(group), news, dict(facts), at), others

    def _reason(self, group: Group, letter: Letter) -> str:
        if group.incident is None:
            return letter.reason
        if group.withheld.startswith(Why.FLAPPING):
            return SETTLED + letter.reason
        if letter.event is Event.FIRING and letter.fresh and self._flapping is not None:
            return self._flapping.reason(letter.members[0].incident) or letter.reason
        return letter.reason

    def _route_of(self, group: Group) -> Route | None:
        """The route that would put the group together today; None: the tree is another one by now."""
        route = self._routes.get(group.route)
        if route is None or route.receiver != group.receiver:
            return None
        by = route.grouping.by
        if (by is INCIDENT) != (group.incident is not None):
            return None
        if group.incident is not None:
            return route
        return route if all(_belongs(one.alert.labels, by, group.labels) for one in group.members) else None

    def group_key(self, group: Group) -> str:
        """As Alertmanager writes it; empty: a group of an incident."""
        route = self._route_of(group)
        if group.incident is not None or route is None:
            return ""
        return f"{route.grouping.key}:{group.labels}"

    async def _acknowledged(self, connection: AsyncConnection, news: News, at: float) -> None:
        """Those who were told of an incident hear who has taken it on, unless now is not their time."""
        rows = []
        for group in await groups_of(connection, news.incident.id):
            receiver, route = self.receivers.get(group.receiver), self._route_of(group)
            heard = [one for one in group.members if one.was_told and one.incident.id == news.incident.id]
            if receiver is None or not receiver.send_acknowledged or not heard:
                continue
            if route is not None and self.circumstances.times(route, at):
                continue
            alerts = [one.alert for one in heard if one.is_open] or [one.alert for one in heard]
            facts = facts_of(news, alerts, external_url=self.external_url, group_key=self.group_key(group))
            rows.append(outbox_row(group.receiver, _queue(group), news, dict(facts), at))
        await write_messages(connection, rows, policies=self._policies)


def _belongs(labels: Labels, by: GroupBy, group: Labels) -> bool:
    """Whether an alert with these labels would be put into the group today."""
    if not isinstance(by, tuple):
        return labels == group
    return all(name in by for name in group) and all(labels.get(name) == group.get(name) for name in by)


def _all(route: Route | None) -> Iterable[Route]:
    if route is not None:
        yield route
        for child in route.routes:
            yield from _all(child)


def _queue(group: Group) -> str:
    return f"group/{group.id}" if group.incident is None else f"incident/{group.incident}"


def outbox_row(receiver: str, queue: str, news: News, facts: Mapping[str, Any], at: float) -> Row:
    """A message that waits."""
    return {
        "key": uuid.uuid4().hex,
        "incident_id": news.incident.id,
        "queue": queue,
        "receiver": receiver,
        "event": news.event.value,
        "payload": facts,
        "created_at": at,
        "state": "pending",
        "attempts": 0,
        "last_error": "",
        "recipients": {},
    }


def _withheld(group: Group, verdict: Verdict, at: float) -> Iterable[Row]:
    """A line in the timelines of the incidents that somebody is not told of now, once for each reason."""
    if verdict.withheld and verdict.withheld != group.withheld:
        text = one_line(f"{group.receiver} is not told now: {verdict.withheld}", MAX_TEXT)
        for number in sorted({one.incident.id for one in group.members})[:NAMED]:
            yield entry_row(number, Entry(at, EntryKind.WITHHELD, OWN, text))
