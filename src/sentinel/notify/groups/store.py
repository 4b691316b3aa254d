"""Groups as rows, within the caller's transaction."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import RowMapping, bindparam, case, delete, func, insert, or_, select, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from sentinel.db import tables as t
from sentinel.db.sql import Row, execute_many, pieces
from sentinel.incidents.rows import alert_of, incident_of
from sentinel.model.incident import Incident
from sentinel.model.labels import Labels
from sentinel.notify.groups.group import Group, Member, Told, Verdict
from sentinel.notify.sending.policy import Policies
from sentinel.notify.sending.standins import is_ever_used, stand_in

PAGE = 250
"""Members read at a time."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A group that an alert belongs to, whether it is there or not."""

    key: str
    route: str
    receiver: str
    labels: Labels
    incident: int | None
    interval: float
    """Seconds between two messages."""
    due_at: float
    """When it is looked at first if it is new."""

    def row(self, at: float) -> Row:
        return {
            "key": self.key,
            "route": self.route,
            "receiver": self.receiver,
            "labels": dict(self.labels.pairs),
            "incident_id": self.incident,
            "created_at": at,
            "due_at": self.due_at,
            "withheld": "",
        }


@dataclass(frozen=True, slots=True)
class Joining:
    """An alert that fires, and the group it belongs to."""

    key: str
    fingerprint: str
    incident: int
    is_anew: bool
    """Nothing has been told of it, even if the group knows it from before."""


async def put_groups(connection: AsyncConnection, wanted: Sequence[Wanted], at: float) -> Mapping[str, int]:
    """Make the groups that are not there. Those that are, and wait for something to tell, become due.

    Returns:
        their numbers by key.
    """
    statement = sqlite.insert(t.notify_group).on_conflict_do_nothing(index_elements=["key"])
    await execute_many(connection, statement, [one.row(at) for one in wanted])
    again = (
        update(t.notify_group)
        .where(t.notify_group.c.key == bindparam("of"))
        .values(
            route=bindparam("by_route"),
            due_at=case(
                # not looked at yet: the first alert set the time, unless this one has waited for long already
                (
                    t.notify_group.c.flushed_at.is_(None),
                    func.min(func.coalesce(t.notify_group.c.due_at, bindparam("first")), bindparam("first")),
                ),
                else_=func.min(
                    func.coalesce(
                        t.notify_group.c.due_at, t.notify_group.c.flushed_at + bindparam("interval")
                    ),
                    t.notify_group.c.flushed_at + bindparam("interval"),
                ),
            ),
        )
    )
    rows = [
        {"of": one.key, "by_route": one.route, "first": one.due_at, "interval": one.interval}
        for one in wanted
    ]
    await execute_many(connection, again, rows)
    numbers: dict[str, int] = {}
    for some in pieces([one.key for one in wanted]):
        query = select(t.notify_group.c.key, t.notify_group.c.id).where(t.notify_group.c.key.in_(some))
        numbers.update((key, number) for key, number in await connection.execute(query))
    return numbers


async def put_members(
    connection: AsyncConnection, joining: Sequence[Joining], numbers: Mapping[str, int]
) -> None:
    statement = sqlite.insert(t.notify_member)
    told = case((bindparam("is_anew") == 1, ""), else_=t.notify_member.c.told)
    values = {"incident_id": statement.excluded.incident_id, "told": told}
    upsert = statement.on_conflict_do_update(index_elements=["group_id", "fingerprint"], set_=values)
    rows = [
        {
            "group_id": numbers[one.key],
            "fingerprint": one.fingerprint,
            "incident_id": one.incident,
            "told": "",
            "is_anew": int(one.is_anew),
        }
        for one in joining
    ]
    await execute_many(connection, upsert, rows)


async def hasten(connection: AsyncConnection, incidents: Iterable[int], at: float) -> Sequence[int]:
    """The groups of incidents that are over are looked at now, unless they still wait for company.

    Returns:
        their numbers.
    """
    found: list[int] = []
    for some in pieces(incidents):
        which = (t.notify_group.c.incident_id.in_(some), t.notify_group.c.flushed_at.is_not(None))
        await connection.execute(update(t.notify_group).where(*which).values(due_at=at))
        found += (await connection.execute(select(t.notify_group.c.id).where(*which))).scalars()
    return found


async def due_groups(
    connection: AsyncConnection, at: float, limit: int, numbers: Iterable[int] | None = None
) -> Sequence[int]:
    """Numbers of groups to look at, the longest due first.

    Args:
        numbers: only of these.
    """
    query = select(t.notify_group.c.id).where(t.notify_group.c.due_at <= at).order_by(t.notify_group.c.due_at)
    if numbers is None:
        return list((await connection.execute(query.limit(limit))).scalars())
    found: list[int] = []
    for some in pieces(numbers):
        found += (await connection.execute(query.where(t.notify_group.c.id.in_(some)))).scalars()
    return found[:limit]


async def next_due(connection: AsyncConnection) -> float | None:
    """Unix seconds."""
    due: float | None = (await connection.execute(select(func.min(t.notify_group.c.due_at)))).scalar()
    return due


async def groups_of(connection: AsyncConnection, incident: int) -> list[Group]:
    """Those that have alerts of an incident."""
    of = t.notify_member.c
    query = select(of.group_id).where(of.incident_id == incident).distinct()
    return await read_groups(connection, list((await connection.execute(query)).scalars()))


async def read_groups(connection: AsyncConnection, numbers: Sequence[int]) -> list[Group]:
    """With their members, and the incidents of these, as they are now."""
    rows: list[RowMapping] = []
    for some in pieces(numbers):
        found = await connection.execute(select(t.notify_group).where(t.notify_group.c.id.in_(some)))
        rows += found.mappings()
    members = await _members(connection, numbers)
    return [replace(_group(row), members=tuple(members[row["id"]])) for row in rows]


async def _members(connection: AsyncConnection, numbers: Sequence[int]) -> Mapping[int, list[Member]]:
    of, alert = t.notify_member, t.incident_alert
    joined = of.join(
        alert, (alert.c.incident_id == of.c.incident_id) & (alert.c.fingerprint == of.c.fingerprint)
    )
    query = (
        select(of.c.group_id, of.c.told, *alert.c)
        .select_from(joined)
        .order_by(of.c.group_id, of.c.fingerprint)
        .limit(PAGE)
    )
    rows: list[RowMapping] = []
    for some in pieces(numbers):
        last = (-1, "")
        while True:
            after = or_(of.c.group_id > last[0], (of.c.group_id == last[0]) & (of.c.fingerprint > last[1]))
            page = (await connection.execute(query.where(of.c.group_id.in_(some), after))).mappings().all()
            rows += page
            await asyncio.sleep(0)  # many rows take long to read: others have their turn
            if len(page) < PAGE:
                break
            last = (page[-1]["group_id"], page[-1]["fingerprint"])
    incidents = await _incidents(connection, {row["incident_id"] for row in rows})
    members = defaultdict(list)
    for count, row in enumerate(rows, 1):
        members[row["group_id"]].append(
            Member(alert_of(row), incidents[row["incident_id"]], Told(row["told"]))
        )
        if count % PAGE == 0:
            await asyncio.sleep(0)
    return members


async def _incidents(connection: AsyncConnection, numbers: Iterable[int]) -> Mapping[int, Incident]:
    found = {}
    for some in pieces(numbers):
        rows = await connection.execute(select(t.incident).where(t.incident.c.id.in_(some)))
        found.update({row["id"]: incident_of(row) for row in rows.mappings()})
    return found


def _group(row: RowMapping) -> Group:
    values: dict[str, Any] = {name: row[name] for name in ("id", "key", "route", "receiver", "created_at")}
    values |= {name: row[name] for name in ("due_at", "flushed_at", "sent_at", "withheld")}
    return Group(labels=Labels(row["labels"]), incident=row["incident_id"], **values)


async def write_verdicts(
    connection: AsyncConnection, verdicts: Sequence[tuple[Group, Verdict]], at: float
) -> None:
    """What is told, and when each group is looked at again; groups without members go."""
    told = [
        {"in_group": group.id, "print": fingerprint, "now": now.value}
        for group, verdict in verdicts
        for fingerprint, now in verdict.told.items()
        if fingerprint not in verdict.gone
    ]
    of = t.notify_member
    which = (of.c.group_id == bindparam("in_group"), of.c.fingerprint == bindparam("print"))
    await execute_many(connection, update(of).where(*which).values(told=bindparam("now")), told)
    empty = [group.id for group, verdict in verdicts if len(verdict.gone) == len(group.members)]
    for some in pieces(empty):
        await connection.execute(delete(of).where(of.c.group_id.in_(some)))
        await connection.execute(delete(t.notify_group).where(t.notify_group.c.id.in_(some)))
    gone = [
        {"in_group": group.id, "print": fingerprint}
        for group, verdict in verdicts
        if group.id not in set(empty)
        for fingerprint in verdict.gone
    ]
    await execute_many(connection, delete(of).where(*which), gone)
    left = [
        {
            "of": group.id,
            "due_at": verdict.due_at,
            "flushed_at": at,
            "sent_at": at if verdict.is_settled else group.sent_at,
            "withheld": verdict.withheld,
        }
        for group, verdict in verdicts
        if len(verdict.gone) < len(group.members)
    ]
    await execute_many(connection, update(t.notify_group).where(t.notify_group.c.id == bindparam("of")), left)


async def write_messages(
    connection: AsyncConnection,
    rows: Sequence[Row],
    further: Sequence[Sequence[int]] = (),
    policies: Policies | None = None,
) -> None:
    """Outbox rows, each with the further incidents that it tells of; who stands in for a receiver hears them too.

    Args:
        policies: of the receivers.
    """
    policies = policies or {}
    rows = [{**row, "expires_at": _expiry(row, policies)} for row in rows]
    if any(further):
        links: list[Row] = []
        for row, others in zip(rows, further, strict=True):
            number = (await connection.execute(insert(t.outbox).returning(t.outbox.c.id), row)).scalar_one()
            links += [{"outbox_id": number, "incident_id": other} for other in others]
        await execute_many(connection, insert(t.outbox_incident), links)
    else:
        await execute_many(connection, insert(t.outbox), rows)
    if rows and policies and await is_ever_used(connection):
        places = {(row["queue"], row["receiver"]) for row in rows}
        await stand_in(connection, places, policies, rows[0]["created_at"])


def _expiry(row: Row, policies: Policies) -> float | None:
    policy = policies.get(row["receiver"])
    return policy.expiry(row["event"], row["created_at"]) if policy else None


async def look_now(connection: AsyncConnection, at: float) -> None:
    """Groups of incidents, and whatever is withheld, are looked at now: something in their way has come or gone."""
    of = t.notify_group.c
    which = (of.flushed_at.is_not(None), or_(of.incident_id.is_not(None), of.withheld != ""))
    await connection.execute(update(t.notify_group).where(*which).values(due_at=at))


async def shift_groups(connection: AsyncConnection, seconds: float) -> None:
    """The clock was stepped: waiting times stay what they are."""
    of = t.notify_group.c
    moved = {name: of[name] + seconds for name in ("created_at", "due_at", "flushed_at", "sent_at")}
    await connection.execute(update(t.notify_group).values(moved))
