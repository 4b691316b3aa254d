"""Which part of the daemon does not do its work, and from when on that counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest
from prometheus_client import CollectorRegistry

from sentinel.runtime.clock import ManualClock
from sentinel.vitals import PARTS, Vitals


@dataclass
class Daemon:
    """All parts in one, each as the test sets it."""

    clock: ManualClock = field(default_factory=ManualClock)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    stored_at: float | None = 1000.0
    last_tick: float = 1000.0
    is_failing: bool = False
    noted_at: float | None = 1000.0
    error: str = ""
    is_short_of_space: bool = False
    commits: int | None = None
    lanes: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.vitals = Vitals(
            self.clock,
            self.registry,
            polls=self,
            rules=self,
            ledger=LedgerOf(self),
            pulse=self,
            space=self,
            sender=self,
        )

    def behind(self) -> Mapping[str, int]:
        return self.lanes

    async def pass_well(self, seconds: float) -> None:
        """Time passes, and what gives signs of life does so."""
        await self.clock.advance(seconds)
        self.stored_at = self.noted_at = self.last_tick = self.clock.monotonic()

    def working(self, part: str) -> float | None:
        return self.registry.get_sample_value("sentinel_part_working", {"part": part})


@dataclass
class LedgerOf:
    daemon: Daemon

    @property
    def is_failing(self) -> bool:
        return self.daemon.is_failing

    def behind(self) -> int | None:
        return self.daemon.commits


def test_a_daemon_that_works_has_no_troubles() -> None:
    daemon = Daemon()
    assert daemon.vitals.troubles() == {}
    assert [daemon.working(part) for part in PARTS] == [1.0] * len(PARTS)


def polls(daemon: Daemon) -> None:
    daemon.stored_at = 1000.0


def rules(daemon: Daemon) -> None:
    daemon.last_tick = 1000.0


def database(daemon: Daemon) -> None:
    daemon.noted_at = 1000.0


@pytest.mark.parametrize(
    ("still", "part", "seconds", "reason"),
    [
        (polls, "polls", 45, "no poll has been stored for 46 s"),
        (rules, "rules", 20, "the rule loop has not moved for 21 s"),
        (database, "database", 60, "the database has taken no write for 61 s"),
    ],
)
async def test_a_part_without_a_sign_of_life_is_in_trouble(
    still: Callable[[Daemon], None], part: str, seconds: float, reason: str
) -> None:
    daemon = Daemon()
    await daemon.pass_well(seconds)
    still(daemon)
    assert daemon.vitals.troubles() == {}
    await daemon.pass_well(1)
    still(daemon)
    assert daemon.vitals.troubles() == {part: reason}
    assert daemon.working(part) == 0
    await daemon.pass_well(1)
    assert daemon.vitals.troubles() == {}
    assert daemon.working(part) == 1


def test_before_anything_was_done_nothing_works() -> None:
    daemon = Daemon(stored_at=None, noted_at=None)
    assert set(daemon.vitals.troubles()) == {"polls", "database"}


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"is_failing": True}, {"ledger": "the database does not take changes of alerts"}),
        ({"is_short_of_space": True}, {"database": "the disk is full"}),
        ({"error": "locked"}, {"database": "the database takes no writes: locked"}),
    ],
)
def test_what_fails_is_in_trouble_at_once(fault: dict[str, object], told: dict[str, str]) -> None:
    daemon = Daemon()
    for name, value in fault.items():
        setattr(daemon, name, value)
    assert daemon.vitals.troubles() == told


async def test_a_ledger_that_commits_nothing_of_what_waits_is_in_trouble() -> None:
    daemon = Daemon(commits=7)
    assert daemon.vitals.troubles() == {}
    await daemon.pass_well(61)
    assert daemon.vitals.troubles() == {"ledger": "changes of alerts have not been committed for 61 s"}
    daemon.commits = 8
    assert daemon.vitals.troubles() == {}
    await daemon.pass_well(61)
    daemon.commits = None
    assert daemon.vitals.troubles() == {}


async def test_messages_that_nobody_looks_at_are_the_senders_trouble() -> None:
    daemon = Daemon(lanes={"ops": 1, "busy": 1})
    daemon.vitals.troubles()
    for turn in range(4):
        await daemon.pass_well(20)
        daemon.lanes["busy"] = turn + 2
        found = daemon.vitals.troubles()
    assert found == {"sender": "messages for ops have not been looked at for 80 s"}
    del daemon.lanes["ops"]
    assert daemon.vitals.troubles() == {}
    daemon.lanes["ops"] = 1
    assert daemon.vitals.troubles() == {}


async def test_an_event_loop_that_was_held_up_is_in_trouble_for_a_while() -> None:
    daemon = Daemon()

    class Late(ManualClock):
        late = 0.0

        def monotonic(self) -> float:
            return daemon.clock.monotonic() + self.late

        async def sleep(self, seconds: float) -> None:
            if self.late:
                raise EndError
            self.late = 60.0

    class EndError(Exception):
        pass

    late = Late()
    daemon.vitals._clock = late
    daemon.stored_at = daemon.noted_at = daemon.last_tick = 1060.0
    with pytest.raises(EndError):
        await daemon.vitals.run()
    assert daemon.vitals.troubles() == {"event loop": "the event loop was held up for 59 s"}
    late.late = 76.0
    daemon.stored_at = daemon.noted_at = daemon.last_tick = 1076.0
    assert daemon.vitals.troubles() == {}
