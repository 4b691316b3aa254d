"""Alerts that others send: what is believed, for how long, and what the ledger hears of it."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from sentinel.incidents.received import received as module
from sentinel.incidents.received.posted import (
    MAX_LABELS,
    MAX_TEXT,
    Held,
    InvalidAlertError,
    Posted,
    held,
    merged,
)
from sentinel.incidents.received.received import NotCommittedError, Received
from sentinel.model.alert import Alert, AlertChange, AlertState
from sentinel.model.labels import Labels
from sentinel.runtime.clock import ManualClock

NOW = 1_700_000_000.0
TIMEOUT = 300.0


class Told:
    """A ledger that keeps what it hears, and commits unless it is told to hang."""

    def __init__(self) -> None:
        self.changes: list[AlertChange] = []
        self.hangs = False

    def submit(self, changes: Sequence[AlertChange]) -> None:
        self.changes += changes

    async def until_committed(self) -> None:
        if self.hangs:
            await asyncio.Event().wait()

    def take(self) -> list[tuple[str, str, str]]:
        """Steps since the last time: where from, where to, why."""
        found = [(one.before.value, one.alert.state.value, one.reason) for one in self.changes]
        self.changes.clear()
        return found


class World:
    def __init__(self, *, most: int = 100) -> None:
        self.clock, self.ledger, self.registry = ManualClock(NOW), Told(), CollectorRegistry()
        self.received = self.started(most=most)

    def started(self, *, most: int = 100) -> Received:
        self.registry = CollectorRegistry()
        return Received(
            self.ledger, clock=self.clock, registry=self.registry, resolve_timeout=TIMEOUT, most=most
        )

    async def post(self, *posted: Posted, sender: str = "prometheus") -> list[tuple[str, str, str]]:
        await self.received.take(posted, sender)
        return self.ledger.take()

    async def at(self, seconds: float) -> list[tuple[str, str, str]]:
        """Time goes on to that second."""
        await self.clock.advance(NOW + seconds - self.clock.now())
        await self.received.look()
        return self.ledger.take()

    def count(self, **labels: str) -> float | None:
        return self.registry.get_sample_value("sentinel_received_alert_posts_total", labels)


def posted(
    labels: Mapping[str, str] | None = None,
    *,
    starts: float | None = None,
    ends: float | None = None,
    **annotations: str,
) -> Posted:
    """Instants in seconds from NOW; one with an end begins there unless it says otherwise."""
    starts = 0.0 if starts is None and ends is not None else starts
    at = [None if each is None else NOW + each for each in (starts, ends)]
    return Posted({"alertname": "A"} if labels is None else labels, annotations, at[0], at[1])


FIRES = ("inactive", "firing", "")
OVER = ("firing", "inactive", "")
UNHEARD = ("firing", "inactive", "not heard of any more")


async def test_an_alert_without_an_end_is_believed_for_the_resolve_timeout() -> None:
    world = World()
    assert await world.post(posted()) == [FIRES]
    assert await world.at(TIMEOUT - 1) == []
    assert await world.at(TIMEOUT) == [UNHEARD]
    assert world.received.active() == []


async def test_an_alert_that_is_sent_again_goes_on_and_says_nothing() -> None:
    world = World()
    await world.post(posted(ends=240))
    for seconds in range(60, 1800, 60):
        assert await world.at(seconds) in ([], [("firing", "firing", "")])
        assert await world.post(posted(ends=seconds + 240)) == []
    assert await world.at(1740 + 239) == []
    assert await world.at(1740 + 240) == [UNHEARD]


async def test_an_end_in_the_past_resolves() -> None:
    world = World()
    await world.post(posted(ends=240))
    await world.at(30)
    assert await world.post(posted(starts=0, ends=29)) == [OVER]
    assert await world.post(posted(starts=0, ends=29)) == []
    assert await world.post(posted(ends=240)) == [FIRES]


async def test_what_was_never_known_to_fire_does_not_resolve() -> None:
    world = World()
    assert await world.post(posted(starts=-90, ends=-60)) == []
    assert world.received.active() == []


async def test_an_end_may_be_moved_forward_by_its_sender() -> None:
    world = World()
    await world.post(posted(ends=3600))
    # Overlapping ends: the later of two that are given stands, as in an Alertmanager.
    assert await world.post(posted(ends=100)) == []
    assert [one.sent.ends_at for one in world.received.active() if one.sent] == [NOW + 3600]


async def test_the_alert_says_what_was_sent() -> None:
    world = World()
    one = Posted({"alertname": "A", "x": ""}, {"summary": "s"}, NOW - 90, NOW + 60, "javascript:alert(1)")
    await world.received.take([one], "berlin")
    (change,) = world.ledger.changes
    alert = change.alert
    assert alert.labels == Labels(alertname="A")
    assert (alert.group, alert.annotations) == ("api;berlin", Labels(summary="s"))
    assert (alert.active_at, alert.fired_at, alert.last_seen_at) == (NOW - 90, NOW - 90, NOW)
    assert alert.sent is not None
    assert alert.sent.generator_url == "javascript:alert(1)"
    assert alert.fingerprint != alert.labels.fingerprint(), "rules may have an alert with these labels"


async def test_a_start_in_the_future_fires_now() -> None:
    world = World()
    assert await world.post(posted(starts=50, ends=100)) == [FIRES]
    (alert,) = world.received.active()
    assert (alert.active_at, alert.fired_at) == (NOW + 50, NOW)


@pytest.mark.parametrize(
    ("one", "fault"),
    [
        (posted({}), "at least one label pair required"),
        (posted({"a": ""}), "at least one label pair required"),
        (posted({"": "b"}), 'invalid label set: invalid name ""'),
        (Posted({"a": "b"}, {"": "x"}), 'invalid annotations: invalid name ""'),
        (posted(starts=10, ends=5), "start time must be before end time"),
        (posted(starts=TIMEOUT + 1), "start time must be before end time"),
        (posted({f"l{number}": "x" for number in range(10_000)}), f"more than {MAX_LABELS} names"),
        (posted({"a": "x" * MAX_TEXT}), f"longer than {MAX_TEXT}"),
        (posted({"n" * 2000: "x"}), "a name is longer"),
        (Posted({"a": "b"}, {}, generator_url="http://x/" + "y" * 5000), "generatorURL"),
    ],
)
async def test_what_is_no_alert_is_refused_and_the_rest_is_taken(one: Posted, fault: str) -> None:
    world = World()
    verdict = await world.received.take([one, posted()], "p")
    assert (verdict.invalid, verdict.firing) == (1, 1)
    assert fault in verdict.faults[0]
    assert world.ledger.take() == [FIRES]
    assert world.count(sender="p", result="invalid") == 1
    assert world.count(sender="p", result="firing") == 1


async def test_more_alerts_than_there_is_room_for_are_left_out() -> None:
    world = World(most=3)
    many = [posted({"n": str(number)}) for number in range(5)]
    verdict = await world.received.take(many, "p")
    assert (verdict.firing, verdict.left_out) == (3, 2)
    assert world.count(sender="p", result="full") == 2
    assert (await world.received.take(many[:3], "p")).left_out == 0, "known ones go on"
    over = replace(many[0], starts_at=NOW - 9, ends_at=NOW - 1)
    await world.received.take([over], "p")
    assert (await world.received.take(many[3:4], "p")).left_out == 0, "what is over makes room"


async def test_texts_of_all_alerts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TOTAL_TEXT", 1000)
    world = World()
    verdict = await world.received.take([posted({"n": f"{n}" * 100}) for n in range(10)], "p")
    assert (verdict.firing, verdict.left_out) == (9, 1)


async def test_a_restart_neither_ends_nor_forgets() -> None:
    world = World()
    await world.post(posted(ends=240))
    kept = world.received.active()
    await world.clock.advance(3600)
    world.received = world.started()
    world.received.restore([*kept, replace(kept[0], sent=None)], world.clock.now())
    assert await world.at(3600 + TIMEOUT - 1) == []
    assert [one.fingerprint for one in world.received.active()] == [kept[0].fingerprint]
    assert await world.post(posted(starts=0, ends=3600 + 900)) == []
    assert await world.at(3600 + 899) in ([], [("firing", "firing", "")])
    assert await world.at(3600 + 900) == [UNHEARD]


async def test_after_a_restart_nobody_sends_any_more_and_it_ends() -> None:
    world = World()
    await world.post(posted(ends=240))
    kept = world.received.active()
    world.received = world.started()
    world.received.restore(kept, NOW + 100)
    assert await world.at(100 + TIMEOUT) == [UNHEARD]


async def test_the_written_end_is_never_further_away_than_a_restart_grants() -> None:
    world = World()
    written: dict[str, Alert] = {}
    seconds = 0.0
    while seconds < 3600:
        await world.received.take([posted(ends=seconds + 240)], "p")
        seconds += 15
        await world.clock.advance(15)
        await world.received.look()
        written |= {change.alert.fingerprint: change.alert for change in world.ledger.changes}
        (alert,) = world.received.active()
        kept = written[alert.fingerprint]
        assert alert.sent is not None
        assert kept.sent is not None
        assert alert.sent.ends_at - TIMEOUT <= kept.sent.ends_at <= alert.sent.ends_at
    assert len(world.ledger.changes) < 16


async def test_new_words_about_an_alert_are_written_after_a_while() -> None:
    world = World()
    await world.post(posted(summary="load is 3"))
    assert await world.post(posted(summary="load is 4")) == []
    assert await world.at(5) == []
    assert await world.at(20) == [("firing", "firing", "")]
    assert await world.at(60) == []


async def test_an_alert_of_two_senders_is_one() -> None:
    world = World()
    await world.post(posted(starts=-100, ends=240), sender="a")
    assert await world.post(posted(starts=-90, ends=245), sender="b") == []
    (alert,) = world.received.active()
    assert (alert.active_at, alert.group) == (NOW - 100, "api;b")
    assert await world.at(241) == []
    assert await world.at(245) == [UNHEARD]


async def test_a_step_of_the_clock_ends_nothing() -> None:
    world = World()
    await world.post(posted(ends=240))
    world.received.shift(3600)
    world.clock.step(3600)
    await world.received.look()
    assert world.ledger.take() == []
    assert await world.at(3600 + 239) == [("firing", "firing", "")]
    assert await world.at(3600 + 240) == [UNHEARD]
    world.received.shift(-3600)
    world.clock.step(-3600)
    assert await world.at(241) == []


async def test_who_sends_hears_when_the_database_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COMMIT_WITHIN", 0.01)
    world = World()
    world.ledger.hangs = True
    with pytest.raises(NotCommittedError):
        await world.received.take([posted()], "p")
    assert world.ledger.take() == [FIRES], "it waits in the ledger"


async def test_many_alerts_do_not_hold_up_others() -> None:
    world = World(most=20_000)
    world.clock.monotonic = time.monotonic  # type: ignore[method-assign]
    many = [posted({"alertname": "A", "n": str(number)}) for number in range(10_000)]
    worst, last, is_over = 0.0, time.thread_time(), False

    async def watch() -> None:
        """CPU time, as other processes want some too."""
        nonlocal worst, last
        while not is_over:
            now = time.thread_time()
            worst, last = max(worst, now - last), now
            await asyncio.sleep(0)

    watching = asyncio.ensure_future(watch())
    gc.disable()  # looking through the whole process takes its own time, whenever that is
    try:
        await asyncio.sleep(0)
        verdict = await world.received.take(many, "p")
    finally:
        gc.enable()
    is_over = True
    await watching
    assert verdict.firing == len(world.ledger.changes) == 10_000
    assert worst < 0.05


async def test_two_requests_about_one_alert_are_told_in_the_order_they_are_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "TURN", -1.0)
    world = World()
    await asyncio.gather(
        world.received.take([posted(), posted({"b": "c"})], "p"),
        world.received.take([posted({"d": "e"}), posted(starts=-5, ends=-1)], "p"),
    )
    known: dict[str, AlertState] = {}
    for change in world.ledger.changes:
        assert known.get(change.alert.fingerprint, AlertState.INACTIVE) is change.before
        known[change.alert.fingerprint] = change.alert.state
    assert {one.fingerprint for one in world.received.active()} == {
        fingerprint for fingerprint, state in known.items() if state is AlertState.FIRING
    }


async def test_words_about_an_end_do_not_pile_up() -> None:
    world = World()
    for number in range(1500):
        await world.received.take([posted(ends=10_000 - number)], "p")
        await world.received.take([posted(ends=20_000 + number)], "p")
    assert len(world.received._due) < 1100


def believed(**given: Any) -> Held:
    defaults = {"starts_at": 0.0, "ends_at": 100.0, "updated_at": 0.0, "is_timeout": False}
    return Held(Labels(a="b"), Labels(), **(defaults | given), generator_url="", sender="s")


@pytest.mark.parametrize(
    ("old", "new", "at", "expected"),
    [
        # Source: the cases of Alertmanager's types_test.go (TestAlertMerge) and provider/mem/mem.go (Put).
        (believed(is_timeout=True), believed(starts_at=10.0, ends_at=90.0, is_timeout=True), 50, (0, 90)),
        (believed(), believed(starts_at=10.0, ends_at=90.0, is_timeout=True), 50, (0, 100)),
        (believed(), believed(starts_at=10.0, ends_at=90.0), 50, (0, 100)),
        (believed(), believed(starts_at=10.0, ends_at=40.0), 50, (0, 40)),
        (believed(ends_at=45.0), believed(starts_at=10.0, ends_at=40.0), 50, (0, 45)),
        (believed(), believed(starts_at=10.0, ends_at=200.0), 50, (0, 200)),
        (believed(), believed(starts_at=-10.0, ends_at=200.0), 50, (-10, 200)),
        (believed(ends_at=20.0), believed(starts_at=30.0, ends_at=200.0), 50, (30, 200)),
    ],
)
def test_overlapping_words_become_one(old: Held, new: Held, at: float, expected: tuple[float, float]) -> None:
    found = merged(old, new, at)
    assert (found.starts_at, found.ends_at) == expected


def test_missing_instants_are_filled_in_as_an_alertmanager_does() -> None:
    def filled(starts: float | None, ends: float | None) -> tuple[float, float, bool]:
        found = held(Posted({"a": "b"}, {}, starts, ends), "s", NOW, TIMEOUT)
        return found.starts_at - NOW, found.ends_at - NOW, found.is_timeout

    assert filled(None, None) == (0, TIMEOUT, True)
    assert filled(None, NOW - 5) == (-5, -5, False)
    assert filled(NOW - 7, None) == (-7, TIMEOUT, True)
    with pytest.raises(InvalidAlertError):
        filled(NOW + 9, NOW + 8)
