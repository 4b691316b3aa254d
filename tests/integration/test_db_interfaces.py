"""The numbers of interfaces outlast the daemon."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from sentinel.collect.snmp.numbers import InterfaceNumbers
from sentinel.db import interfaces
from sentinel.db.database import Database
from sentinel.db.interfaces import InterfaceStore
from sentinel.runtime.clock import SystemClock

URL = "sqlite:///sentinel.db"
SWITCH = ("192.0.2.1", 161)


async def test_a_second_life_knows_the_numbers_of_the_first(tmp_path: Path) -> None:
    async with Database.open(URL, clock=SystemClock(), data_dir=tmp_path) as db:
        first = InterfaceNumbers(InterfaceStore(db))
        first.of(*SWITCH).numbers({1: "lo", 2: "eth0"})
        first.of("2001:db8::1", 1161).numbers({7: 'a"; DROP TABLE alert; --'})
        assert await first.save()
    async with Database.open(URL, clock=SystemClock(), data_dir=tmp_path) as db:
        second = InterfaceNumbers(InterfaceStore(db))
        await second.restore([SWITCH])
        assert second.of(*SWITCH).numbers({1: "eth0", 2: "lo"}) == {1: 2, 2: 1}
        assert second.of("2001:db8::1", 1161).numbers({9: 'a"; DROP TABLE alert; --'}) == {9: 7}


async def test_only_what_has_changed_is_written(tmp_path: Path) -> None:
    async with Database.open(URL, clock=SystemClock(), data_dir=tmp_path) as db:
        saved: list[set[str]] = []

        class Counted(InterfaceStore):
            async def save(self, changed, /):  # type: ignore[no-untyped-def]
                saved.append(set(changed))
                return await super().save(changed)

        numbers = InterfaceNumbers(Counted(db))
        for _ in range(3):
            for last in (1, 2, 3):
                numbers.of(f"192.0.2.{last}", 161).numbers({1: "lo", 2: "eth0"})
            await numbers.save()
        numbers.of("192.0.2.2", 161).numbers({1: "lo", 3: "eth0"})
        await numbers.save()
        numbers.of("192.0.2.2", 161).numbers({1: "lo", 3: "eth0", 4: "eth1"})
        await numbers.save()
    assert saved == [{"192.0.2.1:161", "192.0.2.2:161", "192.0.2.3:161"}, {"192.0.2.2:161"}]


async def test_a_write_that_fails_is_made_up_for(tmp_path: Path) -> None:
    async with Database.open(URL, clock=SystemClock(), data_dir=tmp_path) as db:
        numbers = InterfaceNumbers(InterfaceStore(db))
        numbers.of(*SWITCH).numbers({1: "lo"})
        with closing(sqlite3.connect(db.path)) as connection:
            connection.execute("ALTER TABLE interfaces RENAME TO elsewhere")
            assert not await numbers.save()
            connection.execute("ALTER TABLE elsewhere RENAME TO interfaces")
        assert await numbers.save()
        assert await InterfaceStore(db).load(["192.0.2.1:161"]) == {"192.0.2.1:161": {"lo": 1}}


async def test_agents_that_are_watched_no_more_are_forgotten_the_oldest_first(tmp_path: Path) -> None:
    async with Database.open(URL, clock=SystemClock(), data_dir=tmp_path) as db:
        store = InterfaceStore(db)
        await store.save({"192.0.2.1:161": {"lo": 1}})
        await store.save({"192.0.2.2:161": {"lo": 1}})
        for number in range(0, interfaces.MOST_GONE, 50):
            await store.save({f"198.51.100.{number + one}:161": {"lo": 1} for one in range(50)})
        found = await store.load(["192.0.2.2:161"])
        assert len(found) == interfaces.MOST_GONE + 1
        assert "192.0.2.1:161" not in found
        assert "192.0.2.2:161" in found
        assert await store.load(["192.0.2.2:161"]) == found


async def test_what_somebody_wrote_by_hand_does_no_harm(tmp_path: Path) -> None:
    async with Database.open(URL, clock=SystemClock(), data_dir=tmp_path) as db:
        with closing(sqlite3.connect(db.path)) as connection, connection:
            rows = [("a:1", '{"lo": "x", "eth0": 3, "eth1": true}'), ("b:1", "[1]")]
            connection.executemany("INSERT INTO interfaces VALUES (?, ?, 0)", rows)
        assert await InterfaceStore(db).load([]) == {"a:1": {"eth0": 3}, "b:1": {}}
