"""Rules over the real head and query engine: what an unreadable device does to its alerts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from prometheus_client import CollectorRegistry

from sentinel.model.alert import AlertChange
from sentinel.model.batch import Batch, Layout, Reading, Source
from sentinel.model.labels import Labels
from sentinel.promql.engine import Engine
from sentinel.rules.engine import RuleEngine
from sentinel.rules.files import load_rules, parse_rules
from sentinel.runtime.clock import ManualClock
from sentinel.series.head import Head
from tests.servers.debian import ROOT

START = 1_700_000_000.0
INTERVAL = 30.0
SWITCH = Source("sw1", "if_mib", Labels(instance="sw1", job="if_mib"), INTERVAL)
PORT = {"ifIndex": "3", "ifName": "Gi0/3"}
LAYOUT = Layout.of(
    Labels(__name__=name, **PORT) for name in ("ifAdminStatus", "ifOperStatus", "ifInErrors", "ifOutErrors")
)
NETWORK = ROOT / "rules" / "network.yml"


class Lab:
    """One switch, the shipped network rules, and a clock that moves a poll at a time."""

    def __init__(self, rules: str = "") -> None:
        self.head = Head(retention=7200.0)
        self.queries = Engine(self.head)
        self.changes: list[AlertChange] = []
        self.at = START
        groups = (
            parse_rules(rules, "test.yml", self.queries, default_interval=INTERVAL)
            if rules
            else load_rules([NETWORK], self.queries, default_interval=INTERVAL)
        )
        self.rules = RuleEngine(
            groups,
            expressions=self.queries,
            readability=self.head,
            ledger=self,
            recorder=self.head,
            clock=ManualClock(START),
            registry=CollectorRegistry(),
        )

    def submit(self, changes: Sequence[AlertChange]) -> None:
        self.changes.extend(changes)

    def poll(self, *values: float, times: int = 1) -> list[str]:
        """Polls (no values: the device is silent) with an evaluation after each; the changes they gave."""
        before = len(self.changes)
        for _ in range(times):
            self.at += INTERVAL
            if values:
                reading = Reading(LAYOUT, np.array(values))
                batch = Batch(SWITCH, self.at, reading, up=True, duration=0.1)
            else:
                batch = Batch.down(SWITCH, at=self.at, duration=10.0, reason="timeout")
            self.head.append([batch])
            self.rules.evaluate_once(self.at + 1)
        return [f"{change.alert.name} {change.alert.state}" for change in self.changes[before:]]


def test_a_lost_link_fires_with_the_poll_that_sees_it_and_ends_with_the_one_that_sees_it_back() -> None:
    lab = Lab()
    assert lab.poll(1, 1, 0, 0, times=5) == []
    assert lab.poll(1, 2, 0, 0) == ["InterfaceDown firing"]
    assert lab.poll(1, 2, 0, 0, times=200) == []
    assert lab.poll(1, 1, 0, 0) == ["InterfaceDown inactive"]


def test_a_silent_device_makes_its_firing_alerts_unknown_and_they_go_on_after_it() -> None:
    lab = Lab()
    lab.poll(1, 1, 0, 0, times=5)
    lab.poll(1, 2, 0, 0)
    assert lab.poll(times=3) == ["DeviceDown pending", "InterfaceDown unknown", "DeviceDown firing"]
    assert lab.poll(times=30) == []
    assert sorted(lab.poll(1, 2, 0, 0)) == ["DeviceDown inactive", "InterfaceDown firing"]


def test_a_link_that_came_back_while_the_device_was_silent_is_resolved_once() -> None:
    lab = Lab()
    lab.poll(1, 1, 0, 0, times=5)
    lab.poll(1, 2, 0, 0)
    lab.poll(times=3)
    changes = lab.poll(1, 1, 0, 0, times=40)
    assert changes.count("InterfaceDown inactive") == 1
    assert "InterfaceDown firing" not in changes


ERRORS = """
groups:
  - name: g
    rules:
      - {record: 'errors:rate5m', expr: 'rate(ifInErrors[5m])'}
      - {alert: Errors, expr: 'errors:rate5m > 1', for: 1m}
"""


def test_alerts_over_recording_rules_go_unknown_and_return_once_the_window_has_filled() -> None:
    lab = Lab(ERRORS)
    for poll in range(12):
        lab.poll(1, 1, 60.0 * poll, 0)
    lab.changes.clear()
    assert lab.poll(times=20) == ["Errors unknown"]
    changes = [change for poll in range(10) for change in lab.poll(1, 1, 5000.0 + 60 * poll, 0)]
    assert changes == ["Errors firing"]


def test_for_goes_on_over_a_restart_with_an_empty_head() -> None:
    lab = Lab(ERRORS.replace("for: 1m", "for: 10m"))
    for poll in range(14):
        lab.poll(1, 1, 60.0 * poll, 0)
    (pending,) = lab.rules.active()
    again = Lab(ERRORS.replace("for: 1m", "for: 10m"))
    again.at = lab.at + 120
    again.rules.restore([pending], again.at)
    fired_at = None
    for poll in range(20):
        if again.poll(1, 1, 2000 + 60.0 * poll, 0) == ["Errors firing"]:
            fired_at = again.at
    assert fired_at is not None
    assert abs(fired_at - (pending.active_at + 600)) <= INTERVAL + 1
