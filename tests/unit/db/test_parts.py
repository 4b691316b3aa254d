"""The database's parts on their own."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from sentinel.db.ballast import Ballast
from sentinel.db.database import database_path, is_about_content, is_passing
from sentinel.db.errors import UnusableDatabaseError
from sentinel.db.lock import InstanceLock
from sentinel.db.sql import pieces


def test_a_relative_path_starts_at_the_data_folder() -> None:
    assert database_path("sqlite:///a/b.db", Path("/data")) == Path("/data/a/b.db")
    assert database_path("sqlite:////srv/b.db", Path("/data")) == Path("/srv/b.db")


def test_ballast_takes_room_and_gives_it_back(tmp_path: Path) -> None:
    ballast = Ballast(tmp_path / "x.db", size=4096)
    assert not ballast.is_there
    assert ballast.restore()
    assert (tmp_path / "x.db.ballast").stat().st_blocks * 512 >= 4096
    ballast.release()
    ballast.release()
    assert not ballast.is_there


def test_ballast_says_once_that_room_is_short_and_once_that_it_is_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    ballast = Ballast(tmp_path / "x.db", size=4096)
    ballast.restore()
    ballast.release()
    ballast.release()
    ballast.restore()
    ballast.restore()
    Ballast(tmp_path / "y.db", size=10**15).restore()
    assert caplog.messages == [
        "disk is full, ballast released",
        "disk has room again",
        "disk is nearly full, no room for ballast",
    ]


def test_ballast_stays_away_while_there_is_no_room(tmp_path: Path) -> None:
    ballast = Ballast(tmp_path / "x.db", size=10**15)
    assert not ballast.restore()
    assert list(tmp_path.iterdir()) == []


def test_the_instance_lock_is_free_again_after_its_holder(tmp_path: Path) -> None:
    lock = InstanceLock.take(tmp_path / "x.db")
    with pytest.raises(UnusableDatabaseError):
        InstanceLock.take(tmp_path / "x.db")
    lock.release()
    InstanceLock.take(tmp_path / "x.db").release()


def test_pieces_lose_nothing() -> None:
    assert [list(piece) for piece in pieces(range(5), 2)] == [[0, 1], [2, 3], [4]]
    assert list(pieces([])) == []


def failure(kind: type[DBAPIError], code: int) -> DBAPIError:
    original = sqlite3.OperationalError("x")
    original.sqlite_errorcode = code
    return kind("SELECT", {}, original)


@pytest.mark.parametrize(
    ("error", "passes", "content"),
    [
        (failure(OperationalError, sqlite3.SQLITE_BUSY), True, False),
        (failure(OperationalError, sqlite3.SQLITE_BUSY_SNAPSHOT), True, False),
        (failure(OperationalError, sqlite3.SQLITE_FULL), True, False),
        (failure(OperationalError, sqlite3.SQLITE_IOERR_WRITE), True, False),
        (failure(DBAPIError, sqlite3.SQLITE_CORRUPT), False, False),
        (failure(IntegrityError, sqlite3.SQLITE_CONSTRAINT_UNIQUE), False, True),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates"), False, True),
        (OSError(28, "no space"), True, False),
    ],
)
def test_failures_that_pass_are_told_from_content_that_never_will(
    error: Exception, passes: bool, content: bool
) -> None:
    assert is_passing(error) is passes
    assert is_about_content(error) is content
