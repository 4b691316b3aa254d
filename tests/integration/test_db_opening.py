"""A database is found whole or not opened at all."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, insert, select

from sentinel.db import schema
from sentinel.db.database import Database
from sentinel.db.errors import UnusableDatabaseError
from sentinel.db.tables import meta, metadata
from sentinel.runtime.clock import SystemClock

URL = "sqlite:///sentinel.db"


async def opened(folder: Path, *, url: str = URL, beside: bool = False) -> None:
    async with Database.open(url, clock=SystemClock(), data_dir=folder, beside=beside):
        pass


async def refusal(folder: Path, *, url: str = URL) -> str:
    with pytest.raises(UnusableDatabaseError) as caught:
        await opened(folder, url=url)
    return str(caught.value)


async def filled(folder: Path) -> Path:
    async with Database.open(URL, clock=SystemClock(), data_dir=folder) as db:
        async with db.transaction() as connection:
            rows = [{"name": f"n{number}", "value": "x" * 500} for number in range(2000)]
            await connection.execute(insert(meta), rows)
        return db.path


def test_the_migrations_build_what_the_tables_say(tmp_path: Path) -> None:
    path = tmp_path / "sentinel.db"
    schema.create(path)
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def test_the_schema_this_version_names_is_the_last_migration() -> None:
    steps = ScriptDirectory(str(schema.MIGRATIONS))
    assert steps.get_current_head() == schema.SCHEMA
    revisions = {step.revision for step in steps.walk_revisions()}
    assert revisions == {schema.SCHEMA, *schema.OLDER}


async def test_a_new_database_is_private_and_opens_again(tmp_path: Path) -> None:
    await opened(tmp_path / "data")
    path = tmp_path / "data" / "sentinel.db"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    await opened(tmp_path / "data")


async def test_commits_are_durable_and_readers_cannot_write(tmp_path: Path) -> None:
    async with Database.open(URL, clock=SystemClock(), data_dir=tmp_path) as db:
        async with db.transaction() as connection:
            settings = [
                (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys")
            ]
        assert settings == ["wal", 2, 1]
        async with db.reading() as connection:
            with pytest.raises(Exception, match="readonly"):
                await connection.execute(insert(meta), [{"name": "a", "value": "b"}])


async def test_what_failed_in_between_was_never_begun(tmp_path: Path) -> None:
    async with Database.open(URL, clock=SystemClock(), data_dir=tmp_path) as db:

        async def fail() -> None:
            async with db.transaction() as connection:
                await connection.execute(insert(meta), [{"name": "a", "value": "b"}])
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fail()
        async with db.reading() as connection:
            assert (await connection.execute(select(meta).where(meta.c.name == "a"))).all() == []


async def test_a_cancelled_transaction_leaves_the_writer_usable(tmp_path: Path) -> None:
    async with Database.open(URL, clock=SystemClock(), data_dir=tmp_path) as db:

        async def write(name: str) -> None:
            async with db.transaction() as connection:
                await connection.execute(insert(meta), [{"name": name, "value": "x"}])

        for number in range(30):
            task = asyncio.create_task(write(f"cancelled {number}"))
            await asyncio.sleep(number * 0.0002)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await write("last")
        async with db.reading() as connection:
            assert (await connection.execute(select(meta.c.name).where(meta.c.name == "last"))).all()


async def test_a_second_instance_is_refused_within_a_second(tmp_path: Path) -> None:
    async with Database.open(URL, clock=SystemClock(), data_dir=tmp_path):
        began = time.monotonic()
        text = await refusal(tmp_path)
        assert time.monotonic() - began < 1.0
        assert f"another Sentinel (process {os.getpid()}) is using this database" in text


async def test_a_command_works_beside_the_daemon(tmp_path: Path) -> None:
    async with Database.open(URL, clock=SystemClock(), data_dir=tmp_path) as db:
        async with (
            Database.open(URL, clock=SystemClock(), data_dir=tmp_path, beside=True) as other,
            other.transaction() as connection,
        ):
            await connection.execute(insert(meta), [{"name": "beside", "value": "1"}])
        async with db.reading() as connection:
            assert (await connection.execute(select(meta).where(meta.c.name == "beside"))).all()


async def test_a_command_may_come_before_the_first_start(tmp_path: Path) -> None:
    await opened(tmp_path, beside=True)
    await opened(tmp_path)


async def test_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sentinel.db"
    path.write_text("this is not a database " * 500)
    assert "not a SQLite database" in await refusal(tmp_path)
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE x (y)")
    assert "not Sentinel's" in await refusal(tmp_path)


async def test_an_empty_or_missing_database_with_a_past_is_never_silently_new(tmp_path: Path) -> None:
    path = tmp_path / "sentinel.db"
    path.touch()
    assert "0 bytes" in await refusal(tmp_path)
    path.unlink()
    (tmp_path / "sentinel.db-wal").write_bytes(b"x")
    assert "is missing but its journal" in await refusal(tmp_path)


async def test_a_truncated_database_is_refused(tmp_path: Path) -> None:
    path = await filled(tmp_path)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    before = path.read_bytes()
    assert "damaged" in await refusal(tmp_path)
    assert path.read_bytes() == before


async def test_a_corrupt_page_is_refused(tmp_path: Path) -> None:
    path = await filled(tmp_path)
    with path.open("r+b") as file:
        for page in range(20, 60):
            file.seek(page * 4096)
            file.write(os.urandom(512))
    assert "damaged" in await refusal(tmp_path)


async def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = await filled(tmp_path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    assert "newer Sentinel (schema 9999" in await refusal(tmp_path)


@pytest.mark.parametrize(
    "url", ["postgresql://h/db", "postgresql+asyncpg://h/db", "sentinel.db", "sqlite:///"]
)
async def test_other_urls_are_refused(tmp_path: Path, url: str) -> None:
    assert "sqlite:///PATH" in await refusal(tmp_path, url=url)


KILLED_WHILE_CREATING = """
import os, signal, sys
from pathlib import Path
import sqlite3
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sentinel.db import schema
left = int(sys.argv[2])
@event.listens_for(Engine, "before_cursor_execute")
def count(*_):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
schema.create(Path(sys.argv[1]))
"""


async def test_killed_while_it_is_made_it_is_old_or_new_never_between(tmp_path: Path) -> None:
    for statements in (1, 5, 12, 20):
        folder = tmp_path / str(statements)
        folder.mkdir()
        path = folder / "sentinel.db"
        command = [sys.executable, "-c", KILLED_WHILE_CREATING, str(path), str(statements)]
        source = str(Path(schema.__file__).parents[2])
        await asyncio.to_thread(subprocess.run, command, env=os.environ | {"PYTHONPATH": source}, check=False)
        assert not path.exists()
        await opened(folder)


@pytest.mark.parametrize("older", schema.OLDER)
async def test_an_older_database_keeps_what_is_in_it(
    tmp_path: Path, older: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from alembic import command

    whole = command.upgrade
    with monkeypatch.context() as patched:
        patched.setattr(command, "upgrade", lambda config, _: whole(config, older))
        schema.create(tmp_path / "sentinel.db")
    assert schema.inspect(tmp_path / "sentinel.db", thoroughly=True) == older
    with closing(sqlite3.connect(tmp_path / "sentinel.db")) as file, file:
        file.execute("INSERT INTO meta VALUES ('before', 'kept')")
    async with (
        Database.open(URL, clock=SystemClock(), data_dir=tmp_path) as db,
        db.reading() as connection,
    ):
        assert (
            await connection.execute(select(meta.c.value).where(meta.c.name == "before"))
        ).scalar() == "kept"
    assert schema.inspect(tmp_path / "sentinel.db", thoroughly=True) == schema.SCHEMA
