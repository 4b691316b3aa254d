"""Silences over a real database: written, watched over time, forgotten."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from sentinel.config.matchers import parse_matchers
from sentinel.config.receivers import NotifySettings
from sentinel.db.audit import read_audit
from sentinel.db.database import Database
from sentinel.model.alert import Alert, AlertState
from sentinel.notify.mutes.drafts import InvalidSilenceError
from sentinel.notify.mutes.mutes import Mutes
from sentinel.notify.mutes.silence import Draft, Kind, Silence, State
from sentinel.notify.mutes.silences import NoSuchSilenceError, Silences
from sentinel.notify.mutes.watch import RETENTION, Watch
from sentinel.runtime.clock import ManualClock
from tests.unit.incidents.alerts import alert
from tests.unit.notify.mutes.silences import NOW, draft

DAY = 86400.0


@dataclass
class Room:
    db: Database
    clock: ManualClock
    silences: Silences
    watch: Watch
    registry: CollectorRegistry
    changes: list[float]
    reminded: list[tuple[str, float]]
    ended: list[tuple[str, float]]
    alerts: list[Alert] = field(default_factory=list)

    def count(self, state: State, kind: Kind = Kind.SILENCE) -> float | None:
        labels = {"kind": kind.value, "state": state.value}
        return self.registry.get_sample_value("sentinel_silences", labels)

    def is_muted(self, **labels: str) -> bool:
        return bool(self.silences.mutes.muting(labels, self.clock.now()))


@asynccontextmanager
async def room_of(folder: Path, clock: ManualClock | None = None, **settings: Any) -> AsyncIterator[Room]:
    clock = clock or ManualClock(NOW)
    registry = CollectorRegistry()
    changes: list[float] = []
    reminded: list[tuple[str, float]] = []
    ended: list[tuple[str, float]] = []
    alerts: list[Alert] = []

    async def remind(connection: AsyncConnection, silence: Silence) -> None:
        await connection.execute(text("SELECT 1"))
        reminded.append((silence.id, clock.now() - NOW))

    async def tell_end(connection: AsyncConnection, silence: Silence) -> None:
        await connection.execute(text("SELECT 1"))
        ended.append((silence.id, clock.now() - NOW))

    given = NotifySettings(**settings)
    async with Database.open("sqlite:///s.db", clock=clock, data_dir=folder) as db:
        silences = Silences(
            db,
            clock,
            Mutes(),
            lambda: changes.append(clock.now() - NOW),
            alerts=lambda: alerts,
            settings=lambda: given,
        )
        await silences.load()
        watch = Watch(silences, db, clock, registry, remind=remind, ended=tell_end, settings=lambda: given)
        task = asyncio.create_task(watch.run())
        try:
            yield Room(db, clock, silences, watch, registry, changes, reminded, ended, alerts)
        finally:
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.result()


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    async with room_of(tmp_path) as room:
        yield room


async def until(claim: Callable[[], object]) -> None:
    """The database's threads take their own time."""
    async with asyncio.timeout(10):
        while not claim():
            await asyncio.sleep(0.001)


async def test_what_is_written_mutes_at_once_and_after_a_restart(tmp_path: Path) -> None:
    async with room_of(tmp_path) as room:
        made = await room.silences.put(draft('instance="sw1",job=~"if.*"'), "ops-token")
        assert made.created_by == "li.wei"
        assert room.changes == [0.0]
        assert room.is_muted(instance="sw1", job="if_mib")
        (entry,) = await read_audit(room.db)
        assert (entry.actor, entry.action, entry.subject) == (
            "ops-token",
            "silence.create",
            f"silence {made.id}",
        )
        assert "a drill" in entry.detail
        assert 'instance="sw1"' in entry.detail
        weekly = replace(
            draft("", kind=Kind.MAINTENANCE, targets=("sw2",), change="CHG-1"),
            rule="weekly",
            zone="Asia/Shanghai",
        )
        window = await room.silences.put(weekly, "ops-token")
    async with room_of(tmp_path) as room:
        assert room.silences.get(made.id) == made
        assert room.silences.get(window.id) == window
        assert room.is_muted(instance="sw1", job="if_mib")
        assert room.is_muted(instance="sw2")
        await until(lambda: room.count(State.ACTIVE) == 1)
        assert room.count(State.ACTIVE, Kind.MAINTENANCE) == 1


async def test_beginnings_and_ends_are_noticed_at_their_moment(room: Room) -> None:
    made = await room.silences.put(draft("a=x", starts_at=NOW + 100, ends_at=NOW + 300), "li.wei")
    room.changes.clear()
    assert not room.is_muted(a="x")
    await until(lambda: room.count(State.PENDING) == 1)
    await room.clock.advance(99.9)
    assert room.changes == []
    await room.clock.advance(0.1)
    assert room.changes == [100.0]
    assert room.is_muted(a="x")
    await room.clock.advance(500)
    await until(lambda: room.ended)
    assert room.changes == [100.0, 300.0]
    assert [id_ for id_, _ in room.ended] == [made.id]
    assert room.count(State.EXPIRED) == 1


async def test_what_is_over_is_forgotten_after_five_days(room: Room) -> None:
    made = await room.silences.put(draft("a=x", ends_at=NOW + 60), "li.wei")
    await room.clock.advance(61)
    await until(lambda: room.silences.get(made.id).ended_told_at == NOW + 60)
    await room.clock.advance(RETENTION - 2)
    assert room.silences.get(made.id).id == made.id
    await room.clock.advance(2)
    await until(lambda: not len(room.silences.mutes))
    async with room.db.reading() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM silence"))).scalar() == 0
    with pytest.raises(NoSuchSilenceError, match="no silence"):
        room.silences.get(made.id)


async def test_people_are_reminded_once_before_a_long_one_ends(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    async with room_of(tmp_path, clock, silence_reminder="10m") as room:
        long = await room.silences.put(draft("a=x", ends_at=NOW + 3600), "li.wei")
        short = await room.silences.put(draft("a=y", ends_at=NOW + 900), "li.wei")
        await room.clock.advance(900)
        await until(lambda: room.silences.get(short.id).ended_told_at == NOW + 900)
        assert room.reminded == []
        await room.clock.advance(2100)
        await until(lambda: room.silences.get(long.id).reminded_at is not None)
        assert room.reminded == [(long.id, 3000.0)]
        actions = [entry.action for entry in await read_audit(room.db)]
        assert actions.count("silence.remind") == 1
    async with room_of(tmp_path, clock, silence_reminder="10m") as room:
        await room.clock.advance(60)
        assert room.reminded == []
        # Who moves the end is reminded of the new one.
        given = replace(draft("a=x", starts_at=NOW, ends_at=NOW + 7200), id=long.id)
        assert (await room.silences.put(given, "li.wei")).id == long.id
        await room.clock.advance(3700)
        await until(lambda: room.reminded)
        assert [id_ for id_, _ in room.reminded] == [long.id]


async def test_each_window_of_several_ends_once_also_over_a_restart(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    async with room_of(tmp_path, clock) as room:
        daily = draft("a=x", kind=Kind.MAINTENANCE, rule="daily")
        made = await room.silences.put(daily, "li.wei")
        await clock.advance(4000)
        await until(lambda: room.silences.get(made.id).ended_told_at == NOW + 3600)
        assert len(room.ended) == 1
    await clock.advance(3 * DAY)
    async with room_of(tmp_path, clock) as room:
        await until(lambda: room.silences.get(made.id).ended_told_at == NOW + 3 * DAY + 3600)
        assert len(room.ended) == 1
        assert room.silences.get(made.id).state(clock.now()) is State.PENDING
        assert room.silences.get(made.id).window(clock.now()).start == NOW + 4 * DAY
        await clock.advance(DAY - 3990)
        assert room.is_muted(a="x")
        assert room.count(State.ACTIVE, Kind.MAINTENANCE) == 1
        ended = await room.silences.expire(made.id, "li.wei")
        assert not room.is_muted(a="x")
        assert ended.window(clock.now()).end == clock.now()
        await until(lambda: len(room.ended) == 2)


async def test_a_step_of_the_wall_clock_begins_and_ends_what_it_steps_over(room: Room) -> None:
    await room.silences.put(draft("a=x", starts_at=NOW + 3600, ends_at=NOW + 7200), "li.wei")
    await room.clock.advance(1)
    room.changes.clear()
    room.watch.shift(3600.0)
    room.clock.step(3600.0)
    await until(lambda: room.changes)
    assert room.is_muted(a="x")
    room.watch.shift(-3600.0)
    room.clock.step(-3600.0)
    await until(lambda: len(room.changes) == 2)
    assert not room.is_muted(a="x")


# As Alertmanager's Set and Expire (silence/silence.go).


async def test_an_active_one_keeps_its_id_while_only_its_end_and_words_change(room: Room) -> None:
    made = await room.silences.put(draft("a=x"), "li.wei")
    await room.clock.advance(60)
    given = replace(draft("a=x", starts_at=made.starts_at, ends_at=NOW + 9000, comment="longer"), id=made.id)
    changed = await room.silences.put(given, "wang")
    assert (changed.id, changed.ends_at, changed.comment) == (made.id, NOW + 9000, "longer")
    assert changed.created_at == NOW
    assert changed.updated_at == NOW + 60
    assert len(room.silences.list()) == 1


@pytest.mark.parametrize("change", [{"text": "a=y"}, {"starts_at": NOW + 120.0}, {"starts_at": None}])
async def test_an_active_one_that_would_become_another_is_ended_and_a_new_one_takes_its_place(
    room: Room, change: dict[str, Any]
) -> None:
    made = await room.silences.put(draft("a=x"), "li.wei")
    await room.clock.advance(60)
    values: dict[str, Any] = {"text": "a=x", "starts_at": made.starts_at} | change
    fresh = await room.silences.put(replace(draft(**values), id=made.id), "li.wei")
    assert fresh.id != made.id
    before = room.silences.get(made.id)
    assert (before.state(room.clock.now()), before.ends_at) == (State.EXPIRED, NOW + 60)
    assert fresh.starts_at == max(NOW + 60, values["starts_at"] or 0.0)
    await room.clock.advance(1)
    assert room.ended == []  # nothing ended for those whom it muted
    assert (await read_audit(room.db))[0].action == "silence.replace"


async def test_a_pending_one_may_move_but_not_into_the_past(room: Room) -> None:
    made = await room.silences.put(draft("a=x", starts_at=NOW + 600), "li.wei")
    moved = await room.silences.put(replace(draft("a=x", starts_at=NOW + 60), id=made.id), "li.wei")
    assert (moved.id, moved.starts_at) == (made.id, NOW + 60)
    early = await room.silences.put(replace(draft("a=x", starts_at=NOW - 60), id=made.id), "li.wei")
    assert early.id != made.id
    assert early.starts_at == NOW
    assert room.silences.get(made.id).state(NOW) is State.EXPIRED


async def test_one_that_is_over_comes_back_as_a_new_one(room: Room) -> None:
    made = await room.silences.put(draft("a=x"), "li.wei")
    await room.silences.expire(made.id, "li.wei")
    fresh = await room.silences.put(replace(draft("a=x"), id=made.id), "li.wei")
    assert fresh.id != made.id
    assert room.silences.get(made.id).state(NOW) is State.EXPIRED


async def test_expiring_ends_it_now_and_twice_is_once(room: Room) -> None:
    active = await room.silences.put(draft("a=x"), "li.wei")
    pending = await room.silences.put(draft("a=x", starts_at=NOW + 600), "li.wei")
    await room.clock.advance(10)
    for one in (active, pending):
        ended = await room.silences.expire(one.id, "li.wei")
        assert ended.state(room.clock.now()) is State.EXPIRED
        assert ended.ends_at == NOW + 10
        assert await room.silences.expire(one.id, "li.wei") == ended
    assert not room.is_muted(a="x")
    actions = [entry.action for entry in await read_audit(room.db)]
    assert actions.count("silence.expire") == 2
    await until(lambda: room.ended)
    assert [id_ for id_, _ in room.ended] == [active.id]  # the other never began
    with pytest.raises(NoSuchSilenceError, match="no silence 'x'"):
        await room.silences.expire("x", "li.wei")
    with pytest.raises(NoSuchSilenceError, match="no maintenance window"):
        await room.silences.expire(active.id, "li.wei", Kind.MAINTENANCE)


async def test_what_cannot_be_a_silence_is_refused_and_leaves_nothing(room: Room) -> None:
    bad = [
        (Draft((), NOW + 60), "at least one matcher"),
        (draft('a=~".*"'), "must not match the empty text"),
        (draft('a="",b=~"x?"'), "must not match the empty text"),
        (draft("a=x", ends_at=NOW), "start must be before the end"),
        (draft("a=x", starts_at=NOW - 600, ends_at=NOW - 60), "end must be in the future"),
        (draft("a=x", ends_at=float("nan")), "not an instant"),
        (draft("a=x", ends_at=float("inf")), "not an instant"),
        (draft("a=x", starts_at=-1.0), "not an instant"),
        (draft("a=x", comment="x" * 2001), "the comment is longer"),
        (draft("a=x", comment="\ud800"), "no text has"),
        (draft("a=x", created_by="x\0"), "no text has"),
        (draft(",".join(f"a{n}=x" for n in range(51))), "more than 50 matchers"),
        (draft("a=x", targets=("sw1",)), "targets belong to maintenance"),
        (draft("a=x", rule="sundy"), "did you mean"),
        (draft("a=x", rule="daily", zone="Mars"), "time zone"),
        (draft("", kind=Kind.MAINTENANCE), "a matcher or a target"),
        (draft("", kind=Kind.MAINTENANCE, targets=("x" * 201,)), "target's name is longer"),
        (draft("", kind=Kind.MAINTENANCE, targets=tuple(map(str, range(1001)))), "more than 1000 targets"),
    ]
    for given, why in bad:
        with pytest.raises(InvalidSilenceError, match=why):
            await room.silences.put(given, "li.wei")
        with pytest.raises(InvalidSilenceError, match=why):
            room.silences.preview(given)
    with pytest.raises(NoSuchSilenceError):
        await room.silences.put(replace(draft("a=x"), id="none"), "li.wei")
    assert len(room.silences.mutes) == 0
    assert room.changes == []
    assert await read_audit(room.db) == []


async def test_there_are_ten_thousand_at_most(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sentinel.notify.mutes.silences.MAX_SILENCES", 3)
    made = [await room.silences.put(draft("a=x"), "li.wei") for _ in range(3)]
    with pytest.raises(InvalidSilenceError, match="3 silences already"):
        await room.silences.put(draft("a=x"), "li.wei")
    given = replace(draft("a=x", starts_at=NOW, comment="may change"), id=made[0].id)
    assert (await room.silences.put(given, "li.wei")).comment == "may change"


async def test_lists_are_in_alertmanagers_order_and_filter_by_matchers(room: Room) -> None:
    late = await room.silences.put(draft("a=x", ends_at=NOW + 900), "li.wei")
    soon = await room.silences.put(draft("a=x,b=y", ends_at=NOW + 60), "li.wei")
    later = await room.silences.put(draft("a=x", starts_at=NOW + 120), "li.wei")
    sooner = await room.silences.put(draft("a=y", starts_at=NOW + 30), "wang")
    gone = await room.silences.put(draft("a=x"), "li.wei")
    await room.silences.expire(gone.id, "li.wei")
    window = await room.silences.put(draft("a=x", kind=Kind.MAINTENANCE, ends_at=NOW + 600), "li.wei")
    listed = [one.id for one in room.silences.list(kind=Kind.SILENCE)]
    assert listed == [soon.id, late.id, sooner.id, later.id, gone.id]
    assert [one.id for one in room.silences.list(kind=Kind.MAINTENANCE)] == [window.id]
    assert [one.id for one in room.silences.list(states=[State.EXPIRED])] == [gone.id]
    assert [one.id for one in room.silences.list(matchers=parse_matchers("b=y"))] == [soon.id]
    assert [one.id for one in room.silences.list(matchers=parse_matchers("a=~x"))] == []


async def test_a_preview_shows_open_alerts_and_warns_of_too_many(room: Room) -> None:
    room.alerts[:] = [
        replace(alert(instance=f"sw{number}"), state=AlertState.FIRING) for number in range(10)
    ] + [replace(alert(instance="sw99"), state=AlertState.PENDING)]
    few = room.silences.preview(draft('instance=~"sw[12]"'))
    assert (len(few.matched), few.open, few.warning) == (2, 10, "")
    many = room.silences.preview(draft('instance=~"sw[0-2]"', starts_at=NOW + 10))
    assert many.warning == "it matches 3 of 10 open alerts (30%; more than 25%): is that meant?"
    assert len(room.silences.mutes) == 0


async def test_a_database_that_takes_nothing_is_tried_again(room: Room) -> None:
    made = await room.silences.put(draft("a=x", ends_at=NOW + 60), "li.wei")
    with closing(sqlite3.connect(room.db.path, isolation_level=None)) as other:
        other.execute("CREATE TRIGGER full BEFORE UPDATE ON silence BEGIN SELECT RAISE(ABORT, 'x'); END")
        other.execute("DROP TRIGGER full")
        other.execute("BEGIN IMMEDIATE")
        await room.clock.advance(61)
        assert not room.is_muted(a="x")
        other.execute("ROLLBACK")
    await until(lambda: room.silences.get(made.id).ended_told_at == NOW + 60)


async def test_a_cancelled_write_leaves_memory_as_the_table_is(room: Room) -> None:
    chance = random.Random(1)
    for number in range(30):
        task = asyncio.create_task(room.silences.put(draft(f"a=x{number}"), "li.wei"))
        await asyncio.sleep(chance.random() * 0.004)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await until(lambda: not room.silences.is_stale)
    async with room.db.reading() as connection:
        ids = set((await connection.execute(text("SELECT id FROM silence"))).scalars())
    assert {one.id for one in room.silences.mutes.all()} == ids
    last = await room.silences.put(draft("a=last"), "li.wei")
    assert room.is_muted(a="last")
    assert last.id not in ids


async def test_a_row_that_nobody_can_read_leaves_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with room_of(tmp_path) as room:
        good = await room.silences.put(draft("a=x"), "li.wei")
        bad = await room.silences.put(draft("a=y"), "li.wei")
        async with room.db.transaction() as connection:
            await connection.execute(
                text("UPDATE silence SET matchers = '[7]' WHERE id = :id"), {"id": bad.id}
            )
    async with room_of(tmp_path) as room:
        assert [one.id for one in room.silences.mutes.all()] == [good.id]
    assert "silence cannot be read" in caplog.messages
