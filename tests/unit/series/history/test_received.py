"""Received series go on after a restart where they were: same columns, same polls, nothing twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from sentinel.model.batch import STALE
from sentinel.series.head import Head
from sentinel.series.history.journal import Journal
from sentinel.series.history.restore import restore
from tests.unit.series.history.keeping import Keeper, segments
from tests.unit.series.sending import START, Taken, instance

OWN = 'instance="web1", job="node"'


def restarted(keeper: Keeper, before: Taken, **more: int) -> Taken:
    keeper.turn()
    head = Head(lag=720.0)
    head.tell(keeper.gather)
    restore(head, segments(keeper.folder), before.clock.now())
    keeper.journal = Journal(keeper.folder)
    return Taken(head=head, clock=before.clock, **more)


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    return Keeper(tmp_path)


async def filled(keeper: Keeper) -> Taken:
    taken = Taken(head=keeper.head)
    for tick in range(6):
        at = START + 15 * tick
        await taken.send(("a", tick, at), ("b", tick, at), ("up", 1.0, at), ("own", tick, at + 1))
        await taken.wait(15)
    at = START + 90
    await taken.send(("a", 6.0, at), ("b", STALE, at), ("up", 1.0, at), ("own", 6.0, at + 1))
    await taken.wait(8)
    return taken


async def test_it_goes_on_where_it_was(keeper: Keeper) -> None:
    before = await filled(keeper)
    had = {name: before.samples(name) for name in ("a", "b", "up", "own")}
    after = restarted(keeper, before)
    assert {name: after.samples(name) for name in had} == had
    assert (after.intake.series, after.sources) == (4, 2)
    # What was on its way when we stopped comes again.
    again = await after.send(("a", 6.0, START + 90), ("up", 1.0, START + 90))
    assert not again.refused
    late = await after.send(("a", 5.0, START + 75))
    assert late.refused == {"out of order": 1}
    await after.wait(8)
    at = START + 105
    assert not (
        await after.send(("a", 7.0, at), ("up", 1.0, at), ("b", 7.0, at), ("own", 7.0, at + 1))
    ).refused
    await after.wait(8)
    assert after.samples("a") == {f"a{{{OWN}}}": [(START + 15 * tick, float(tick)) for tick in range(8)]}
    assert after.samples("own")[f"own{{{OWN}}}"][-1] == (at + 1, 7.0)
    assert after.now("b") == {f"b{{{OWN}}}": 7.0}
    assert after.head.series == 4
    assert after.head.rejected == 0


async def test_a_sender_that_stays_away_is_unreadable_and_then_forgotten(keeper: Keeper) -> None:
    after = restarted(keeper, await filled(keeper))
    await after.wait(300)
    assert after.head.readability(instance("web1"), frozenset({"a"}))
    await after.wait(3600)
    await after.intake.care()
    assert after.intake.series == 0


async def test_two_restarts_in_a_row(keeper: Keeper) -> None:
    first = await filled(keeper)
    second = restarted(keeper, first)
    await second.wait(22)
    for tick in range(8, 11):
        at = START + 15 * tick
        await second.send(("a", tick, at), ("up", 1.0, at), ("own", tick, at + 1), ("new", 1.0, at))
        await second.wait(15)
    third = restarted(keeper, second)
    assert third.intake.series == 5
    at = START + 165
    await third.send(("a", 11.0, at), ("up", 1.0, at), ("own", 11.0, at + 1), ("new", 2.0, at))
    await third.wait(8)
    wanted = [(START + 15 * tick, float(tick)) for tick in (*range(7), *range(8, 12))]
    assert third.samples("a") == {f"a{{{OWN}}}": wanted}
    assert third.head.rejected == 0


async def test_where_there_is_no_room_any_more_series_end(keeper: Keeper) -> None:
    after = restarted(keeper, await filled(keeper), max_series=1)
    assert after.intake.series <= 1
    assert after.now("a") == {}
