"""Reading cases from the tables and writing them back, within the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from sentinel.db import tables as t
from sentinel.db.sql import Row, execute_many, pieces, upsert
from sentinel.incidents.book import Case
from sentinel.incidents.correlation import Correlate, key_of
from sentinel.incidents.news import Dispatch
from sentinel.incidents.rows import alert_of, alert_row, entry_row, incident_of, incident_row, member_row
from sentinel.model.alert import Alert, AlertChange, AlertState
from sentinel.model.incident import IncidentState
from sentinel.model.labels import Labels

_LAST_NUMBER = "last_incident"


async def load_cases(
    connection: AsyncConnection, changes: Sequence[AlertChange], correlate: Correlate
) -> list[Case]:
    """The incidents that hold one of the alerts, and the live ones that a firing alert would join."""
    held = t.incident_alert.c.resolved_at.is_(None)
    ids: set[int] = set()
    for some in pieces({change.alert.fingerprint for change in changes}):
        query = select(t.incident_alert.c.incident_id).where(t.incident_alert.c.fingerprint.in_(some), held)
        ids.update((await connection.execute(query)).scalars())
    keys = {key_of(correlate(change.alert)) for change in changes if change.alert.is_open}
    for some in pieces(keys):
        live = t.incident.c.state != IncidentState.RESOLVED.value
        ids.update(
            (
                await connection.execute(select(t.incident.c.id).where(t.incident.c.key.in_(some), live))
            ).scalars()
        )
    return await read_cases(connection, ids)


async def read_cases(connection: AsyncConnection, ids: Iterable[int]) -> list[Case]:
    cases: dict[int, Case] = {}
    for some in pieces(sorted(ids)):
        for row in (await connection.execute(select(t.incident).where(t.incident.c.id.in_(some)))).mappings():
            cases[row["id"]] = Case(incident_of(row), Labels(row["grouping"]))
        members = select(t.incident_alert).where(t.incident_alert.c.incident_id.in_(some))
        for row in (await connection.execute(members)).mappings():
            cases[row["incident_id"]].members[row["fingerprint"]] = alert_of(row)
    return list(cases.values())


async def write_cases(
    connection: AsyncConnection, cases: Sequence[Case], dispatch: Dispatch, *, at: float
) -> None:
    """Write what changed: incidents, members, timeline, and what people are told of it."""
    changed = [case for case in cases if case.is_new or case.touched or case.entries or case.news]
    await _write_incidents(connection, changed)
    ended: list[Row] = []
    held: list[Row] = []
    for case in changed:
        for fingerprint in case.touched:
            member = case.members[fingerprint]
            (held if member.is_open else ended).append(member_row(case.incident.id, member))
    await execute_many(connection, upsert(t.incident_alert), ended)  # an alert leaves one incident
    await execute_many(connection, upsert(t.incident_alert), held)  # before it joins another
    entries = [entry_row(case.incident.id, entry) for case in changed for entry in case.entries]
    await execute_many(connection, insert(t.timeline), entries)
    news = [
        replace(one, incident=replace(one.incident, id=case.incident.id))
        for case in changed
        for one in case.news
    ]
    if news:
        await dispatch.tell(connection, news, at)


async def _write_incidents(connection: AsyncConnection, cases: Sequence[Case]) -> None:
    known = [
        incident_row(case.incident, case.grouping) | {"known_id": case.incident.id}
        for case in cases
        if not case.is_new
    ]
    await execute_many(connection, update(t.incident).where(t.incident.c.id == bindparam("known_id")), known)
    new = [case for case in cases if case.is_new]
    if not new:
        return
    first = await _numbers(connection, len(new))
    for number, case in enumerate(new, first):
        case.incident = replace(case.incident, id=number)
    rows = [incident_row(case.incident, case.grouping) | {"id": case.incident.id} for case in new]
    await execute_many(connection, insert(t.incident), rows)


async def _numbers(connection: AsyncConnection, count: int) -> int:
    """The first of so many new incident numbers; a number once told to people is never used again."""
    query = select(t.meta.c.value).where(t.meta.c.name == _LAST_NUMBER)
    last = int((await connection.execute(query)).scalar() or 0)
    await connection.execute(upsert(t.meta), [{"name": _LAST_NUMBER, "value": str(last + count)}])
    return last + 1


async def write_alerts(connection: AsyncConnection, changes: Sequence[AlertChange]) -> None:
    """Each alert as its last change left it; one that ended without having fired leaves nothing."""
    latest = {change.alert.fingerprint: change.alert for change in changes}
    kept = [alert_row(alert) for alert in latest.values() if _is_kept(alert)]
    gone = [alert.fingerprint for alert in latest.values() if not _is_kept(alert)]
    await execute_many(connection, upsert(t.alert), kept)
    for some in pieces(gone):
        await connection.execute(delete(t.alert).where(t.alert.c.fingerprint.in_(some)))


def _is_kept(alert: Alert) -> bool:
    return alert.state is not AlertState.INACTIVE or alert.fired_at is not None


async def read_alerts(connection: AsyncConnection) -> list[Alert]:
    """Every alert that is pending, firing or unknown."""
    query = select(t.alert).where(t.alert.c.state != AlertState.INACTIVE.value)
    return [alert_of(row) for row in (await connection.execute(query)).mappings()]
