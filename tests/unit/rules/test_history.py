"""Rules that look back further than the head keeps samples: over what is in memory and on disk together."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from sentinel.model.alert import AlertState
from sentinel.model.problem import UnusableError
from sentinel.promql.engine import Engine
from sentinel.rules.engine import RuleEngine
from sentinel.rules.files import parse_rules
from sentinel.runtime.clock import ManualClock
from sentinel.series.head import Head
from tests.unit.rules.scripted import World
from tests.unit.series.feeding import START, batch, layout, source
from tests.unit.series.shelf import Shelf

DAY = 86400.0
RULES = """
groups:
  - name: habits
    rules:
      - alert: FallsForADay
        expr: deriv(x[1d]) < 0
      - alert: LessThanYesterday
        expr: x < 0.9 * x offset 1d
      - alert: LowForAnHour
        expr: max_over_time(x[30m]) < 600
"""


def filled() -> tuple[Engine, float]:
    """x polled every ten minutes for two days, falling from 1,000 by one each time; the head keeps an hour."""
    head = Head(retention=3600.0, recent=3600.0)
    shelf = Shelf(head)
    shape, own = layout("x"), source(interval=600.0)
    at = START
    for step in range(289):
        at = START + 600 * step
        head.append([batch(own, at, shape, [1000.0 - step])])
    return Engine(head, shelf, horizon=30 * DAY), at


def test_they_are_judged_on_all_of_their_window() -> None:
    engine, at = filled()
    groups = parse_rules(RULES, "habits.yml", engine, default_interval=60.0)
    assert [rule.expression.is_long for rule in groups[0].rules] == [True, True, False]
    world = World()
    rules = RuleEngine(
        groups,
        expressions=engine,
        readability=world,
        ledger=world,
        recorder=world,
        clock=ManualClock(at),
        registry=CollectorRegistry(),
    )
    rules.evaluate_once(at)
    assert [(rule.health, rule.last_error) for rule in rules.groups[0].rules] == [("ok", "")] * 3
    firing = {alert.name: alert.value for alert in rules.active() if alert.state is AlertState.FIRING}
    assert firing == {"FallsForADay": pytest.approx(-1 / 600), "LessThanYesterday": 712.0}


def test_what_reaches_beyond_the_history_is_refused() -> None:
    engine, _ = filled()
    with pytest.raises(UnusableError, match="reaches 40d back, and samples are kept for 30d"):
        parse_rules(RULES.replace("[1d]", "[40d]"), "habits.yml", engine, default_interval=60.0)
    with pytest.raises(UnusableError, match="samples are kept for 1h"):
        parse_rules(RULES, "habits.yml", Engine(Head(retention=3600.0)), default_interval=60.0)
