"""The uplink: verdicts that do not jump, and what is believed of targets meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from pydantic import ValidationError

from sentinel.collect.uplink import uplink as module
from sentinel.collect.uplink.standing import Standing, step
from sentinel.collect.uplink.uplink import Uplink
from sentinel.config.uplink import AnchorAddress, UplinkSettings, anchor_address
from sentinel.model.batch import EMPTY_READING, Batch, Family, Layout, Reading
from sentinel.model.labels import Labels
from sentinel.model.target import Target
from sentinel.runtime.clock import ManualClock

FAILED_PROBE = Layout.of(
    [Labels(__name__="sentinel_probe_failed")], {"sentinel_probe_failed": Family("gauge")}
)


@pytest.mark.parametrize(
    ("rounds", "needed", "verdicts"),
    [
        ("1111", 2, "UUUU"),
        ("0011", 2, "u.,U"),
        ("0100", 2, "uUu."),
        ("00101", 2, "u.,.,"),
        ("0001110", 3, "uu.,,Uu"),
        ("01", 1, ".U"),
        ("0?0", 2, "uUu"),
        ("00?", 2, "u.U"),
    ],
)
def test_the_verdict_needs_rounds_in_a_row(rounds: str, needed: int, verdicts: str) -> None:
    """U up, u up but in doubt, . down, and a comma down but in doubt; "?" is a round that could not be made."""
    standing, found = Standing(), ""
    for one in rounds:
        standing = step(standing, None if one == "?" else one == "1", needed)
        found += ("Uu" if standing.is_up else ".,")[standing.is_in_doubt]
    assert found == verdicts


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("tcp://192.0.2.1:443", AnchorAddress("tcp", "192.0.2.1", 443)),
        ("tcp://[2001:db8::1]:53", AnchorAddress("tcp", "2001:db8::1", 53)),
        ("icmp://gw.example.org", AnchorAddress("icmp", "gw.example.org")),
        ("icmp://2001:db8::1", AnchorAddress("icmp", "2001:db8::1")),
        ("https://example.org/", AnchorAddress("http", "example.org", 443, "https://example.org/")),
        ("http://a:81/x", AnchorAddress("http", "a", 81, "http://a:81/x")),
    ],
)
def test_anchors(written: str, address: AnchorAddress) -> None:
    assert anchor_address(written) == address


@pytest.mark.parametrize(
    "wrong",
    [
        {"anchors": ["192.0.2.1"]},
        {"anchors": ["tcp://192.0.2.1"]},
        {"anchors": ["icmp://192.0.2.1:7"]},
        {"anchors": ["tcp://-oProxyCommand=x:1"]},
        {"anchors": ["https://user:pass@example.org/"]},
        {"anchors": ["https:///"]},
        {"anchors": ["http://a/ b"]},
        {"anchors": ["icmp://a", "icmp://a"]},
        {"anchors": ["icmp://a"], "every": "500ms"},
        {"anchors": ["icmp://a"], "timeout": "11s"},
        {"anchors": ["icmp://a"], "failures": 0},
        {"anchors": [f"icmp://a{number}" for number in range(17)]},
    ],
)
def test_what_is_no_anchor_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        UplinkSettings.model_validate(wrong)


@dataclass
class Room:
    clock: ManualClock = field(default_factory=ManualClock)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    answers: dict[str, bool | None] = field(default_factory=lambda: {"tcp://a:1": True, "tcp://b:1": True})
    slowness: float = 0.0
    rounds: list[float] = field(default_factory=list)
    polled: list[str] = field(default_factory=list)
    looks: int = 0

    def __post_init__(self) -> None:
        self.uplink = Uplink(self.clock, self.registry, poll_now=self.poll_now, look_again=self.look_again)

    async def ask(self) -> Mapping[str, bool | None]:
        self.rounds.append(self.clock.monotonic())
        found = dict(self.answers)
        if self.slowness:
            await self.clock.sleep(self.slowness)
        return found

    async def poll_now(self, target: str, modules: Collection[str]) -> None:
        self.polled.append(target)

    def look_again(self) -> None:
        self.looks += 1

    def use(
        self, *targets: Target, anchors: Collection[str] = ("tcp://a:1", "tcp://b:1"), **more: Any
    ) -> None:
        settings = UplinkSettings.model_validate({"anchors": anchors, **more})
        self.uplink.use(settings, targets, settle=16.0)

    def all_anchors(self, answer: bool | None) -> None:
        self.answers = dict.fromkeys(self.answers, answer)

    def poll(self, name: str, reason: str = "", job: str = "m", *, is_probe: bool = False) -> None:
        source = Target(name, name, modules=(job,)).source(job)
        at = self.clock.now()
        if is_probe and reason:
            reading = Reading(FAILED_PROBE, np.ones(1), reasons=(reason,))
            self.uplink.heard(Batch(source, at, reading, up=True, duration=0.1))
        elif reason:
            self.uplink.heard(Batch.down(source, at=at, duration=0.1, reason=reason))
        else:
            self.uplink.heard(Batch(source, at, EMPTY_READING, up=True, duration=0.1))

    def doubt(self, name: str) -> str:
        found = self.uplink.doubt(name)
        return found.text if found is not None else ""

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)


def remote(name: str, *modules: str) -> Target:
    return Target(name, name, modules=modules or ("m",))


@pytest.fixture
async def room(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Room]:
    found = Room()

    class Fake:
        def __init__(self, *_: object, **__: object) -> None:
            pass

        async def ask(self) -> Mapping[str, bool | None]:
            return await found.ask()

        async def close(self) -> None:
            pass

    monkeypatch.setattr(module, "Anchors", Fake)
    async with running(found):
        yield found


@asynccontextmanager
async def running(room: Room) -> AsyncIterator[None]:
    task = asyncio.create_task(room.uplink.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_without_anchors_everything_is_believed(room: Room) -> None:
    room.use(remote("sw1"), anchors=())
    room.poll("sw1", "timeout")
    await room.clock.advance(100)
    assert room.doubt("sw1") == ""
    assert room.rounds == []
    assert room.metric("sentinel_uplink_up") is None


async def test_a_target_that_is_really_down_is_believed_once_an_anchor_has_answered(room: Room) -> None:
    room.use(remote("sw1"))
    room.poll("sw1")
    await room.clock.advance(40)
    room.answers["tcp://a:1"] = False
    room.poll("sw1", "timeout")
    assert room.doubt("sw1") == "the uplink is being checked"
    before = len(room.rounds)
    await room.clock.advance(0.1)
    assert len(room.rounds) == before + 1
    assert room.doubt("sw1") == ""
    assert room.looks == 1
    assert room.metric("sentinel_uplink_up") == 1
    assert room.metric("sentinel_uplink_anchor_up", anchor="tcp://a:1") == 0
    assert room.metric("sentinel_uplink_anchor_up", anchor="tcp://b:1") == 1


async def test_while_a_round_is_under_way_nothing_is_believed(room: Room) -> None:
    room.use(remote("sw1"), remote("sw2"))
    room.poll("sw1")
    room.poll("sw2")
    await room.clock.advance(40)
    room.slowness = 2.0
    room.poll("sw1", "timeout")
    await room.clock.advance(1)
    room.poll("sw2", "timeout")  # this round began before
    assert room.doubt("sw1") == "the uplink is being checked"
    await room.clock.advance(1)
    assert room.doubt("sw1") == ""
    assert room.doubt("sw2") == "the uplink is being checked"
    await room.clock.advance(2.1)
    assert room.doubt("sw2") == ""


async def test_when_no_anchor_answers_no_target_is_called_down_until_it_was_asked_again(room: Room) -> None:
    room.use(remote("sw1"), remote("sw2"), remote("sw3"))
    for name in ("sw1", "sw2", "sw3"):
        room.poll(name)
    await room.clock.advance(40)
    room.all_anchors(False)
    for name in ("sw1", "sw2"):
        room.poll(name, "timeout")
    await room.clock.advance(0.5)
    assert room.metric("sentinel_uplink_up") == 1
    assert room.doubt("sw1") == "the uplink is being checked"
    await room.clock.advance(1)
    assert room.metric("sentinel_uplink_up") == 0
    assert room.doubt("sw1") == "no anchor of the uplink answers"
    assert room.doubt("sw3") == ""  # it answers
    assert room.doubt("sentinel") == ""
    assert room.doubt("stranger") == ""
    room.all_anchors(True)
    await room.clock.advance(5)
    assert not room.uplink.is_up
    await room.clock.advance(1)
    assert room.uplink.is_up
    assert room.polled == ["sw1", "sw2"]
    assert room.doubt("sw1") == "the uplink is back, and the target has not been polled since"
    await room.clock.advance(1)
    room.poll("sw1")
    room.poll("sw2", "timeout")
    judged = "the uplink is back, and rules have not judged the target since"
    assert (room.doubt("sw1"), room.doubt("sw2")) == (judged, judged)
    until = room.uplink.doubt("sw1")
    assert until is not None
    assert until.until == pytest.approx(room.clock.now() + 16)
    await room.clock.advance(16)
    assert (room.doubt("sw1"), room.doubt("sw2")) == ("", "")


async def test_a_poll_that_began_before_the_uplink_was_back_says_nothing(room: Room) -> None:
    room.use(remote("sw1"))
    room.all_anchors(False)
    room.poll("sw1", "timeout")
    await room.clock.advance(10)
    room.all_anchors(True)
    while not room.uplink.is_up:
        await room.clock.advance(0.05)
    room.poll("sw1", "timeout")  # it took 0.1 s
    assert "has not been polled" in room.doubt("sw1")
    await room.clock.advance(299)
    assert "has not been polled" in room.doubt("sw1")
    await room.clock.advance(2)
    assert room.doubt("sw1") == ""


@pytest.mark.parametrize(
    ("reason", "is_probe", "is_doubted"),
    [
        ("timeout", False, True),
        ("unreachable", False, True),
        ("auth", False, False),
        ("host_key", False, False),
        ("bug", False, False),
        ("refused", True, True),
        ("resolve", True, True),
        ("status", True, False),
        ("certificate_expired", True, False),
    ],
)
async def test_what_is_an_answer(room: Room, reason: str, is_probe: bool, is_doubted: bool) -> None:
    room.use(remote("web"))
    room.all_anchors(False)
    room.poll("web", reason, is_probe=is_probe)
    await room.clock.advance(10)
    assert bool(room.doubt("web")) is is_doubted


async def test_one_module_that_answers_is_enough(room: Room) -> None:
    room.use(remote("web", "ssh", "http"))
    room.all_anchors(False)
    room.poll("web", "timeout", "http")
    room.poll("web", job="ssh")
    await room.clock.advance(10)
    assert room.doubt("web") == ""
    room.poll("web", "timeout", "ssh")
    assert room.doubt("web") != ""


async def test_this_machine_needs_no_uplink(room: Room) -> None:
    room.use(remote("here", "local", "http"))
    room.all_anchors(False)
    room.poll("here", "timeout", "http")
    await room.clock.advance(10)
    assert room.doubt("here") == ""


async def test_after_a_start_nothing_is_said_of_what_has_not_been_polled(room: Room) -> None:
    room.slowness = 3.0
    room.all_anchors(False)
    room.use(remote("sw1"))
    assert room.doubt("sw1") == "the uplink is being checked"
    await room.clock.advance(10)
    assert room.doubt("sw1") == "no anchor of the uplink answers"
    room.slowness = 0.0
    room.all_anchors(True)
    await room.clock.advance(20)
    assert room.uplink.is_up
    assert room.polled == []  # its first poll is due anyway
    assert room.doubt("sw1") == "the uplink is back, and the target has not been polled since"


async def test_anchors_that_cannot_be_asked_keep_nobody_from_being_told(room: Room) -> None:
    room.use(remote("sw1"))
    room.all_anchors(None)
    room.poll("sw1")
    await room.clock.advance(5)
    room.poll("sw1", "timeout")
    await room.clock.advance(10)
    assert room.uplink.is_up
    assert room.doubt("sw1") == ""
    room.answers["tcp://a:1"] = False
    await room.clock.advance(60)
    assert not room.uplink.is_up


async def test_targets_that_come_and_go_all_the_time_bring_one_round_a_second_at_most(room: Room) -> None:
    room.use(remote("sw1"))
    await room.clock.advance(5)
    before = len(room.rounds)
    for _ in range(100):
        room.poll("sw1", "timeout")
        await room.clock.advance(0.05)
        room.poll("sw1")
        await room.clock.advance(0.05)
    assert len(room.rounds) - before <= 11


async def test_calm_rounds_keep_their_distance(room: Room) -> None:
    room.use(remote("sw1"), every="30s")
    room.poll("sw1")
    await room.clock.advance(301)
    assert len(room.rounds) == 11


async def test_many_targets_are_asked_again_a_few_at_a_time(room: Room) -> None:
    names = [f"sw{number}" for number in range(200)]
    room.use(*map(remote, names))
    room.all_anchors(False)
    for name in names:
        room.poll(name, "timeout")
    await room.clock.advance(10)
    room.all_anchors(True)
    while not room.uplink.is_up:
        await room.clock.advance(0.5)
    begun = len(room.polled)
    await room.clock.advance(1)
    assert 40 <= len(room.polled) - begun <= 51
    await room.clock.advance(4)
    assert room.polled == names


async def test_a_reload_may_take_anchors_away_and_bring_them_back(room: Room) -> None:
    room.use(remote("sw1"))
    room.all_anchors(False)
    room.poll("sw1", "timeout")
    await room.clock.advance(10)
    assert room.doubt("sw1")
    room.use(remote("sw1"), anchors=())
    assert room.doubt("sw1") == ""
    assert room.metric("sentinel_uplink_up") is None
    room.use(remote("sw1"))
    assert room.metric("sentinel_uplink_up") == 1
    assert room.doubt("sw1") == "the uplink is being checked"
    await room.clock.advance(10)
    assert room.metric("sentinel_uplink_up") == 0
    room.use(remote("sw2"))  # the same anchors, other targets
    assert room.metric("sentinel_uplink_up") == 0
    assert (room.doubt("sw1"), bool(room.doubt("sw2"))) == ("", True)
