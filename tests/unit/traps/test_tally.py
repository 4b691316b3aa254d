"""Notifications are counters that rules can use from the first one on."""

from __future__ import annotations

import pytest

from sentinel.collect.traps.tally import MAX_KINDS, Tally
from sentinel.model.labels import Labels
from sentinel.promql.engine import Engine
from sentinel.promql.value import Vector
from sentinel.series.head import Head

NOW = 1_700_000_000.0
SITE = Labels(site="north")


class World:
    def __init__(self) -> None:
        self.head = Head()
        self.tally = Tally(self.head)
        self._engine = Engine(self.head)

    def trap(self, at: float, name: str = "linkDown", instance: str = "sw1") -> None:
        self.tally.count(instance, SITE, name)
        self.tally.store(at)

    def ask(self, text: str, at: float) -> dict[Labels, float]:
        found = self._engine.compile(text).instant(at)
        assert isinstance(found, Vector)
        return dict(found.samples())


def test_the_first_notification_is_an_increase() -> None:
    world = World()
    world.trap(NOW)
    (increase,) = world.ask('increase(sentinel_traps_total{trap="linkDown"}[5m])', NOW).values()
    assert increase == pytest.approx(1.0, abs=0.1)
    assert list(world.ask("sentinel_traps_total", NOW).items()) == [
        (
            Labels(
                __name__="sentinel_traps_total", instance="sw1", job="traps", site="north", trap="linkDown"
            ),
            1.0,
        )
    ]


def test_an_increase_is_seen_at_the_instant_it_is_stored() -> None:
    world = World()
    world.trap(NOW + 0.0004)
    assert list(world.ask("sentinel_traps_total", NOW + 0.0004).values()) == [1.0]
    world.trap(NOW + 0.0005)
    assert list(world.ask("sentinel_traps_total", NOW + 0.002).values()) == [2.0]


def test_every_kind_begins_with_a_zero_however_close_they_come() -> None:
    world = World()
    for number, name in enumerate(("coldStart", "linkUp", "linkDown", "authenticationFailure", "newRoot")):
        world.trap(NOW + 0.2 * number, name)
    found = world.ask("increase(sentinel_traps_total[5m])", NOW + 2)
    assert len(found) == 5
    assert all(value == pytest.approx(1.0, abs=0.2) for value in found.values())


def test_a_storm_loses_nothing_and_the_series_goes_on_without_further_notifications() -> None:
    world = World()
    for number in range(300):
        world.trap(NOW + 0.01 * number)
    for step in range(1, 81):
        world.tally.repeat(NOW + 15 * step)
    assert list(world.ask("sentinel_traps_total", NOW + 1200).values()) == [300.0]
    assert list(world.ask("increase(sentinel_traps_total[5m])", NOW + 1200).values()) == [0.0]
    (increase,) = world.ask("increase(sentinel_traps_total[1h])", NOW + 1200).values()
    assert increase == pytest.approx(300, rel=0.05)


def test_kinds_are_bounded_for_each_device() -> None:
    world = World()
    for number in range(MAX_KINDS + 50):
        world.trap(NOW + number, f"1.3.6.1.4.1.9.0.{number}")
    world.trap(NOW + 200)
    world.trap(NOW + 200, "linkDown", "sw2")
    found = world.ask("count by (instance) (sentinel_traps_total)", NOW + 200)
    assert found == {Labels(instance="sw1"): MAX_KINDS + 2, Labels(instance="sw2"): 1}
    assert list(world.ask('sentinel_traps_total{trap="other"}', NOW + 200).values()) == [50.0]
    assert len(world.ask('sentinel_traps_total{trap="linkDown"}', NOW + 200)) == 2


def test_a_device_is_not_up_because_it_sends() -> None:
    world = World()
    world.trap(NOW)
    assert world.ask("up", NOW) == {}


def test_the_series_of_a_removed_target_end() -> None:
    world = World()
    world.trap(NOW)
    world.trap(NOW, "linkDown", "sw2")
    world.tally.retain({"sw2"})
    assert [labels["instance"] for labels in world.ask("sentinel_traps_total", NOW + 1)] == ["sw2"]
    world.trap(NOW + 5)
    assert len(world.ask("sentinel_traps_total", NOW + 5)) == 2


def test_another_interval_goes_on_counting() -> None:
    world = World()
    world.trap(NOW)
    world.tally.use(5.0)
    world.trap(NOW + 5)
    world.tally.repeat(NOW + 10)
    assert list(world.ask("sentinel_traps_total", NOW + 10).values()) == [2.0]
