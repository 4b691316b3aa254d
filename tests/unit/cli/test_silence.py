from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from sentinel.db.database import Database
from sentinel.model.alert import AlertState
from sentinel.notify.mutes.mutes import Mutes
from sentinel.notify.mutes.silences import Silences
from sentinel.web.app import create_app
from sentinel.web.server import listen, serve
from tests.unit.cli.conftest import Sentinel
from tests.unit.incidents.alerts import alert
from tests.unit.web.fakes import NOW, TOKEN, Rooms


@pytest.fixture
async def url(rooms: Rooms, tmp_path: Path) -> AsyncIterator[str]:
    """Where a daemon with a real database of silences answers."""
    faces = rooms.faces()
    async with Database.open("sqlite:///s.db", clock=faces.clock, data_dir=tmp_path) as db:
        silences = Silences(
            db,
            faces.clock,
            Mutes(lambda names: {"host1"} if "sw1" in names else set()),
            lambda: None,
            alerts=lambda: [replace(alert(instance=f"sw{n}"), state=AlertState.FIRING) for n in range(30)],
            targets=lambda: ["sw1", "host1"],
        )
        app = create_app(replace(faces, silences=silences), CollectorRegistry())
        with listen("127.0.0.1", 0) as bound:
            task = asyncio.create_task(serve(app, bound))
            yield f"http://127.0.0.1:{bound.getsockname()[1]}"
            task.cancel()
            await asyncio.wait([task])


async def test_a_silence_from_dry_run_to_expiry(sentinel: Sentinel, url: str) -> None:
    environment = {"SENTINEL_TOKEN": TOKEN, "SENTINEL_URL": url}
    words = ("silence", "add", 'instance=~"sw.*"', "-c", "a drill", "-d", "2h")
    tried = await sentinel(*words, "--dry-run", **environment)
    assert tried.exit_code == 0, tried.stderr
    assert tried.stdout.startswith("would match 30 of 30 open alerts now\n  Down {instance=")
    assert "  and 10 more\n" in tried.stdout
    assert tried.stderr == "warning: it matches 30 of 30 open alerts (100%; more than 25%): is that meant?\n"
    assert (await sentinel("silence", "list", **environment)).stdout == "no such silences\n"
    written = await sentinel(*words, "-o", "json", **environment)
    made = json.loads(written.stdout)
    assert (made["ends_at"], made["comment"], made["state"]) == (NOW + 7200, "a drill", "active")
    assert "warning" in written.stderr
    listed = await sentinel(
        "silence", "list", "--state", "active", "--matcher", 'instance=~"sw.*"', **environment
    )
    assert made["id"] in listed.stdout
    assert "Change" not in listed.stdout
    assert (
        await sentinel("silence", "list", "--author", "nobody", **environment)
    ).stdout == "no such silences\n"
    edited = await sentinel("silence", "edit", made["id"], "-d", "3h", "-o", "json", **environment)
    assert json.loads(edited.stdout)["ends_at"] == NOW + 10800
    shown = await sentinel("silence", "show", made["id"], **environment)
    assert f"ID:          {made['id']}\nState:       active\nMatchers:" in shown.stdout
    gone = await sentinel("silence", "expire", made["id"], **environment)
    assert gone.stdout.startswith(f"silence {made['id']} is over since ")
    assert (await sentinel("silence", "list", **environment)).stdout == "no such silences\n"
    assert made["id"] in (await sentinel("silence", "list", "--state", "expired", **environment)).stdout
    missing = await sentinel("silence", "expire", made["id"], "nothing", **environment)
    assert (missing.exit_code, missing.stderr) == (1, "sentinel: there is no silence 'nothing'\n")


async def test_a_window_that_recurs_with_what_lies_behind(sentinel: Sentinel, url: str) -> None:
    environment = {"SENTINEL_TOKEN": TOKEN, "SENTINEL_URL": url}
    words = (
        "maintenance",
        "add",
        "sw1",
        "-c",
        "updates",
        "--change",
        "CHG-7",
        "--start",
        "02:00",
        "--end",
        "04:00",
    )
    recurs = ("--recurring", "sunday", "--zone", "Asia/Shanghai")
    tried = await sentinel(*words, *recurs, "--dry-run", **environment)
    assert "targets: host1, sw1\nwindow: " in tried.stdout
    written = await sentinel(*words, *recurs, **environment)
    assert "is pending, " in written.stdout
    assert ", sunday in Asia/Shanghai\nwith host1, which lie behind\n" in written.stdout
    id_ = written.stdout.split()[1]
    listed = await sentinel("maintenance", "list", **environment)
    assert "CHG-7" in listed.stdout
    edited = await sentinel("maintenance", "edit", id_, "--change", "CHG-8", **environment)
    assert edited.exit_code == 0, edited.stderr
    shown = await sentinel("maintenance", "show", id_, **environment)
    for line in ("Targets:     sw1", "Behind them: host1", "Change:      CHG-8", "over never"):
        assert line in shown.stdout
    ended = await sentinel("maintenance", "end", id_, "-o", "json", **environment)
    assert [one["state"] for one in json.loads(ended.stdout)] == ["expired"]
    alone = await sentinel(
        "maintenance", "add", "sw1", "-c", "x", "--no-dependants", "-o", "json", **environment
    )
    assert json.loads(alone.stdout)["dependants"] == []


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("silence", "add", "a=x"), "Missing option"),
        (("silence", "add", "-c", "x"), "Missing argument"),
        (("silence", "add", "a=x", "-c", "x", "--end", "02:00", "-d", "1h"), "either --end or --duration"),
        (("silence", "add", "a", "-c", "x"), "not a matcher"),
        (("silence", "add", "a=x", "-c", "x", "--recurring", "sundy"), "did you mean 'sunday'"),
        (("silence", "edit", "x"), "say what changes"),
        (("maintenance", "add", "-c", "x"), "needs a matcher or a target"),
        (("maintenance", "add", "sw2", "-c", "x"), "did you mean 'sw1'"),
    ],
)
async def test_wrong_usage_is_said_and_ends_with_2(
    sentinel: Sentinel, url: str, words: tuple[str, ...], why: str
) -> None:
    answer = await sentinel(*words, SENTINEL_TOKEN=TOKEN, SENTINEL_URL=url)
    assert answer.exit_code == 2
    assert why in answer.stderr


async def test_writing_needs_a_token(sentinel: Sentinel, url: str) -> None:
    answer = await sentinel("silence", "add", "a=x", "-c", "x", SENTINEL_URL=url)
    assert "needs an operator token" in answer.stderr
