"""Retention, backups, restore, check, tokens and a full disk, on real files."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import func, insert, select
from sqlalchemy.exc import DBAPIError

from sentinel.db import care, tables
from sentinel.db.audit import read_audit
from sentinel.db.backup import BackupError, back_up, restore
from sentinel.db.database import Database, is_passing
from sentinel.db.errors import UnusableDatabaseError
from sentinel.db.pulse import Pulse, last_alive
from sentinel.db.tokens import TokenError, create_token, list_tokens, revoke_token, verify_token
from sentinel.incidents import Incidents, Ledger, Nobody
from sentinel.model.alert import AlertChange
from sentinel.model.incident import IncidentState
from sentinel.runtime.clock import ManualClock
from tests.unit.incidents.alerts import firing, resolved

URL = "sqlite:///sentinel.db"
DAY = 86400.0


@asynccontextmanager
async def database(folder: Path, clock: ManualClock | None = None) -> AsyncIterator[Database]:
    async with Database.open(URL, clock=clock or ManualClock(), data_dir=folder) as db:
        yield db


async def commit(db: Database, *ticks: list[AlertChange]) -> None:
    ledger = Ledger(db, Nobody(), clock=db.clock, registry=CollectorRegistry())
    for tick in ticks:
        ledger.submit(tick)
        while ledger._take():
            await ledger._commit()


async def count(db: Database, name: str) -> int:
    table = tables.metadata.tables[name]
    async with db.reading() as connection:
        return (await connection.execute(select(func.count()).select_from(table))).scalar_one()


async def test_retention_removes_what_ended_long_ago_and_nothing_else(tmp_path: Path) -> None:
    clock = ManualClock()
    now = clock.now()
    async with database(tmp_path, clock) as db:
        await commit(
            db,
            [firing(instance="old", at=now), firing(instance="live", at=now)],
            [resolved(instance="old", at=now)],
        )
        await Incidents(db, clock).note(1, "li", "seen")
        await clock.advance(100 * DAY)
        later = clock.now()
        await commit(db, [firing(instance="new", at=later)], [resolved(instance="new", at=later)])
        assert await care.retention(db, 190 * DAY) == {"incident": 0, "alert": 0, "audit": 0}
        await clock.advance(100 * DAY)
        metrics = care.CareMetrics(CollectorRegistry())
        removed = await care.retention(db, 190 * DAY, metrics)
        assert removed["incident"] == 1
        assert removed["audit"] == 1
        left = await Incidents(db, clock).list(IncidentState)
        assert sorted(incident.target for incident in left) == ["live", "new"]
        assert await count(db, "incident_alert") == 2
        assert await care.check(db) == []


async def test_a_nightly_backup_is_whole_and_the_oldest_make_way(tmp_path: Path) -> None:
    clock = ManualClock()
    async with database(tmp_path / "data", clock) as db:
        await commit(db, [firing(at=clock.now())])
        registry = CollectorRegistry()
        metrics = care.CareMetrics(registry)
        folder = tmp_path / "backups"
        for _ in range(4):
            backup = await care.nightly_backup(db, folder, keep=2, metrics=metrics)
            await clock.advance(DAY)
        kept = sorted(path.name for path in folder.iterdir())
        assert len(kept) == 2
        assert backup.path.name == kept[-1]
        assert backup.path.stat().st_mode & 0o777 == 0o600
        stamp = registry.get_sample_value("sentinel_backup_last_success_timestamp_seconds")
        assert stamp == clock.now() - DAY
    with closing(sqlite3.connect(backup.path)) as copy:
        assert copy.execute("SELECT count(*) FROM incident").fetchone() == (1,)


async def test_a_backup_that_cannot_be_made_leaves_the_former_one(tmp_path: Path) -> None:
    async with database(tmp_path / "data") as db:
        await back_up(db, tmp_path / "b" / "one.db")
        (tmp_path / "file").write_text("x")
        with pytest.raises(BackupError, match="failed"):
            await back_up(db, tmp_path / "file" / "one.db")
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["one.db"]


async def test_a_restored_backup_is_the_database_and_the_former_one_is_kept(tmp_path: Path) -> None:
    clock = ManualClock()
    data, copy = tmp_path / "data", tmp_path / "copy.db"
    async with database(data, clock) as db:
        await commit(db, [firing(at=clock.now())])
        await back_up(db, copy)
        await commit(db, [firing(instance="sw2", at=clock.now())])
        with pytest.raises(UnusableDatabaseError, match="is using this database"):
            restore(URL, copy, now=clock.now(), data_dir=data)
    former = restore(URL, copy, now=clock.now(), data_dir=data)
    assert former is not None
    assert former.exists()
    async with database(data, clock) as db:
        assert len(await Incidents(db, clock).list()) == 1


async def test_a_damaged_backup_is_not_restored(tmp_path: Path) -> None:
    async with database(tmp_path) as db:
        path = db.path
    before = path.read_bytes()
    bad = tmp_path / "bad.db"
    bad.write_bytes(before[: len(before) // 2])
    with pytest.raises(UnusableDatabaseError):
        restore(URL, bad, now=0.0, data_dir=tmp_path)
    assert path.read_bytes() == before


async def test_check_finds_what_does_not_fit(tmp_path: Path) -> None:
    async with database(tmp_path) as db:
        await commit(db, [firing()])
        path = db.path
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO timeline VALUES (NULL, 99, 0, 'note', 'x', 'y')")
        connection.execute("UPDATE incident_alert SET resolved_at = 1")
    async with database(tmp_path) as db:
        assert {finding.what for finding in await care.check(db)} == {"references", "incidents"}


async def write_much(db: Database) -> None:
    rows = [{"name": f"n{number}", "value": "x" * 4000} for number in range(100)]
    async with db.transaction() as connection:
        await connection.execute(insert(tables.meta), rows)


async def test_a_full_disk_costs_the_ballast_and_nothing_else(tmp_path: Path) -> None:
    """SQLite's own page limit stands in for the disk: it fails with the same error."""
    async with database(tmp_path) as db:
        assert not db.is_short_of_space
        async with db.transaction() as connection:
            await connection.exec_driver_sql("PRAGMA max_page_count = 60")
        with pytest.raises(DBAPIError) as caught:
            await write_much(db)
        assert is_passing(caught.value)
        assert db.is_short_of_space
        async with db.transaction() as connection:
            await connection.exec_driver_sql("PRAGMA max_page_count = 100000")
            await connection.execute(insert(tables.meta), [{"name": "after", "value": "x"}])
        assert await db.watch_space()
        assert not db.is_short_of_space
        assert await count(db, "meta") >= 1
        assert await care.check(db) == []


async def test_a_token_is_shown_once_and_kept_as_a_digest(tmp_path: Path) -> None:
    async with database(tmp_path) as db:
        plain = await create_token(db, "ci", actor="root")
        assert plain.startswith("snt_")
        found = await verify_token(db, plain)
        assert found is not None
        assert (found.name, found.role) == ("ci", "operator")
        assert await verify_token(db, plain + "x") is None
        assert await verify_token(db, "snt_" + "a" * 5000) is None
        with pytest.raises(TokenError, match="already"):
            await create_token(db, "ci", actor="root")
        with pytest.raises(TokenError, match="no such role"):
            await create_token(db, "other", "god", actor="root")
        await revoke_token(db, "ci", actor="root")
        assert await verify_token(db, plain) is None
        with pytest.raises(TokenError, match="no valid token"):
            await revoke_token(db, "ci", actor="root")
        await create_token(db, "ci", "viewer", actor="root")
        assert [token.revoked_at is None for token in await list_tokens(db)] == [False, True]
        assert [entry.action for entry in await read_audit(db)] == [
            "token.create",
            "token.revoke",
            "token.create",
        ]
        path = db.path
    everything = b"".join(part.read_bytes() for part in path.parent.iterdir())
    assert plain.encode() not in everything


async def test_a_restart_knows_how_long_the_daemon_was_away(tmp_path: Path) -> None:
    clock = ManualClock()
    async with database(tmp_path, clock) as db:
        assert await last_alive(db) is None
        task = asyncio.create_task(Pulse(db).run())
        async with asyncio.timeout(5):
            while await last_alive(db) is None:
                await asyncio.sleep(0.01)
        task.cancel()
    stopped = clock.now()
    await clock.advance(2 * 3600)
    async with database(tmp_path, clock) as db:
        assert await last_alive(db) == stopped
