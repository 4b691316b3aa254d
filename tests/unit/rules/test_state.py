"""The state machine alone: what each run of evaluations leads to."""

from __future__ import annotations

import pytest

from sentinel.model.alert import AlertState
from sentinel.rules.state import NOTHING, PATIENCE, Policy, Sight, Standing, step

SIGHTS = {"1": Sight.SEEN, "0": Sight.GONE, "?": Sight.UNREADABLE, "h": Sight.HELD}
LETTERS = {
    AlertState.INACTIVE: "I",
    AlertState.PENDING: "P",
    AlertState.FIRING: "F",
    AlertState.UNKNOWN: "U",
}


def run(seen: str, policy: Policy, interval: float = 60.0) -> tuple[str, Standing]:
    standing, states = NOTHING, ""
    for tick, letter in enumerate(seen):
        standing = step(standing, SIGHTS[letter], tick * interval, policy)
        states += LETTERS[standing.state]
    return states, standing


@pytest.mark.parametrize(
    ("seen", "states"),
    [
        ("1101", "PPIP"),
        ("111", "PPF"),
        ("0011100", "IIPPFII"),
        ("1111?1", "PPFFUF"),
        ("111??0", "PPFUUI"),
        ("11?1", "PPPF"),
        ("1????1", "PPPPPF"),
        ("1?0", "PPI"),
        ("11h1", "PPPF"),
        ("111h0", "PPFFI"),
        ("?1", "IP"),
        ("h1", "IP"),
    ],
)
def test_an_alert_fires_after_two_minutes_of_for(seen: str, states: str) -> None:
    assert run(seen, Policy(hold=120.0))[0] == states


@pytest.mark.parametrize(("seen", "states"), [("101", "FIF"), ("1?0", "FUI"), ("0", "I")])
def test_without_for_an_alert_fires_at_once(seen: str, states: str) -> None:
    assert run(seen, Policy())[0] == states


@pytest.mark.parametrize(
    ("seen", "states"),
    [("1000", "FFFI"), ("10100", "FFFFF"), ("1001000", "FFFFFFI"), ("1?000", "FUUUI"), ("10?000", "FFUUUI")],
)
def test_keep_firing_for_counts_from_the_first_evaluation_that_misses_it(seen: str, states: str) -> None:
    assert run(seen, Policy(keep=120.0))[0] == states


def test_active_since_and_fired_at_survive_unreadable_data() -> None:
    _, standing = run("111??1", Policy(hold=120.0))
    assert (standing.active_at, standing.fired_at) == (0.0, 120.0)


def test_a_pending_alert_gives_up_after_an_hour_without_data() -> None:
    pending = Standing(AlertState.PENDING, 0.0, missing_at=0.0)
    assert step(pending, Sight.UNREADABLE, PATIENCE, Policy(hold=7200)).state is AlertState.PENDING
    assert step(pending, Sight.UNREADABLE, PATIENCE + 1, Policy(hold=7200)) is NOTHING


def test_a_clock_step_moves_every_instant() -> None:
    shifted = Standing(AlertState.FIRING, 10.0, 20.0, 30.0).shifted(3600.0)
    assert shifted == Standing(AlertState.FIRING, 3610.0, 3620.0, 3630.0)
