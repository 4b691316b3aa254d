"""The engine over scripted results: changes, restart, reload, recording, boundaries."""

from __future__ import annotations

import asyncio
import threading

from prometheus_client import CollectorRegistry

from sentinel.model.alert import Alert, AlertState
from sentinel.model.labels import Labels
from sentinel.promql.value import SeriesSet
from sentinel.rules.files import parse_rules
from sentinel.runtime.clock import ManualClock
from tests.unit.rules.scripted import START, ScriptedExpression, World, engine_of

HOT = """
groups:
  - name: heat
    interval: 60s
    rules:
      - alert: Hot
        expr: temperature
        for: 2m
        labels: {severity: warning, rack: 'r{{ $labels.row }}'}
        annotations: {summary: '{{ $labels.instance }} has {{ $value }}'}
"""
A = Labels(__name__="temperature", instance="a", row="1")
B = Labels(__name__="temperature", instance="b", row="2")


def states(alerts: list[Alert]) -> dict[str, str]:
    return {alert.labels["instance"]: str(alert.state) for alert in alerts}


def test_an_alert_goes_from_pending_to_firing_to_resolved_and_is_told_once_each() -> None:
    world = World()
    engine = engine_of(HOT, world)
    world.give("temperature", {A: 40.0})
    for minute in range(5):
        engine.evaluate_once(START + 60 * minute)
    assert world.take_changes() == [("inactive", "pending", ""), ("pending", "firing", "")]
    world.give("temperature", {})
    engine.evaluate_once(START + 300)
    assert [change.alert.resolved_at for change in world.changes] == [START + 300]
    assert world.take_changes() == [("firing", "inactive", "")]
    assert engine.active() == []


def test_labels_lose_the_metric_name_and_gain_the_rules_and_alertname() -> None:
    world = World()
    engine = engine_of(HOT, world)
    world.give("temperature", {A: 40.0})
    engine.evaluate_once(START)
    (alert,) = engine.active()
    assert alert.labels == Labels(alertname="Hot", instance="a", row="1", rack="r1", severity="warning")
    assert alert.fingerprint == alert.labels.fingerprint()
    assert alert.group == "test.yml;heat"


def test_annotations_follow_the_value() -> None:
    world = World()
    engine = engine_of(HOT, world)
    for minute, value in enumerate((40.0, 41.5)):
        world.give("temperature", {A: value})
        engine.evaluate_once(START + 60 * minute)
        assert engine.active()[0].annotations["summary"] == f"a has {value:g}"
        assert engine.active()[0].value == value


def test_alerts_come_and_go_beside_each_other() -> None:
    world = World()
    engine = engine_of(HOT, world)
    for minute, seen in enumerate(([A], [A, B], [B, A], [B], [B])):
        world.give("temperature", dict.fromkeys(seen, 1.0))
        engine.evaluate_once(START + 60 * minute)
    assert states(list(engine.active())) == {"b": "firing"}
    assert world.take_changes() == [
        ("inactive", "pending", ""),
        ("inactive", "pending", ""),
        ("pending", "firing", ""),
        ("pending", "firing", ""),
        ("firing", "inactive", ""),
    ]


def test_a_result_in_another_series_set_keeps_the_alerts() -> None:
    world = World()
    engine = engine_of(HOT, world)
    world.give("temperature", {A: 1.0})
    engine.evaluate_once(START)
    world.give("temperature", {B: 1.0, A: 2.0})
    engine.evaluate_once(START + 120)
    assert states(list(engine.active())) == {"a": "firing", "b": "pending"}


def test_unreadable_data_make_a_firing_alert_unknown_and_their_return_fires_it_again() -> None:
    world = World()
    engine = engine_of(HOT, world)
    world.give("temperature", {A: 40.0})
    for minute in range(3):
        engine.evaluate_once(START + 60 * minute)
    world.take_changes()
    world.give("temperature", {})
    world.unreadable.add("a")
    engine.evaluate_once(START + 180)
    engine.evaluate_once(START + 240)
    assert world.take_changes() == [("firing", "unknown", "unreadable")]
    world.unreadable.clear()
    world.give("temperature", {A: 42.0})
    engine.evaluate_once(START + 300)
    assert world.take_changes() == [("unknown", "firing", "readable again")]


def test_an_unknown_alert_resolves_once_the_data_are_back_without_it() -> None:
    world = World()
    engine = engine_of(HOT, world)
    world.give("temperature", {A: 40.0})
    engine.evaluate_once(START)
    engine.evaluate_once(START + 120)
    world.give("temperature", {})
    world.unreadable.add("a")
    engine.evaluate_once(START + 180)
    world.unreadable.clear()
    engine.evaluate_once(START + 240)
    assert world.take_changes()[-1] == ("unknown", "inactive", "")


def test_a_window_is_given_time_to_fill_before_silence_counts() -> None:
    world = World()
    engine = engine_of(HOT.replace("expr: temperature", "expr: rate(errors[5m]) > 1"), world)
    text = "rate(errors[5m]) > 1"
    world.give(text, {A: 40.0})
    engine.evaluate_once(START)
    engine.evaluate_once(START + 120)
    world.give(text, {})
    world.unreadable.add("a")
    engine.evaluate_once(START + 180)
    world.unreadable.clear()
    engine.evaluate_once(START + 240)
    assert [str(alert.state) for alert in engine.active()] == ["unknown"]
    engine.evaluate_once(START + 480)
    assert engine.active() == []


def test_a_failed_evaluation_leaves_the_state_and_counts() -> None:
    world, registry = World(), CollectorRegistry()
    engine = engine_of(HOT, world, registry=registry)
    world.give("temperature", {A: 40.0})
    engine.evaluate_once(START)
    world.fail("temperature")
    engine.evaluate_once(START + 60)
    status = engine.groups[0].rules[0]
    assert (status.health, status.last_error) == ("err", "many-to-many matching")
    world.give("temperature", {A: 40.0})
    engine.evaluate_once(START + 120)
    assert states(list(engine.active())) == {"a": "firing"}
    assert engine.groups[0].rules[0].health == "ok"
    labels = {"rule_group": "test.yml;heat"}
    assert registry.get_sample_value("sentinel_rule_evaluation_failures_total", labels) == 1


def test_a_bug_in_one_rule_leaves_the_others_evaluated() -> None:
    world = World()
    text = HOT + "      - alert: Cold\n        expr: cold\n"
    engine = engine_of(text, world)
    world.fail("temperature", ZeroDivisionError())
    world.give("cold", {A: 1.0})
    engine.evaluate_once(START)
    assert [alert.name for alert in engine.active()] == ["Cold"]
    assert [rule.health for rule in engine.groups[0].rules] == ["err", "ok"]


def test_two_rows_that_become_one_alert_are_an_error_of_the_rule() -> None:
    world = World()
    engine = engine_of("groups: [{name: g, rules: [{alert: X, expr: x, labels: {row: one}}]}]", world)
    world.give("x", {Labels(instance="a", row="1"): 1.0, Labels(instance="a", row="2"): 1.0})
    engine.evaluate_once(START)
    assert "twice" in engine.groups[0].rules[0].last_error
    assert engine.active() == []


def test_a_scalar_is_one_alert_and_a_string_is_an_error() -> None:
    world = World()
    engine = engine_of("groups: [{name: g, rules: [{alert: X, expr: x}, {alert: Y, expr: y}]}]", world)
    world.give_value("x", 3.0)
    world.give_value("y", "text")
    engine.evaluate_once(START)
    assert [(alert.labels, alert.value) for alert in engine.active()] == [(Labels(alertname="X"), 3.0)]
    assert engine.groups[0].rules[1].health == "err"


def test_the_groups_limit_is_an_error_that_changes_nothing() -> None:
    world = World()
    engine = engine_of("groups: [{name: g, limit: 1, rules: [{alert: X, expr: x}]}]", world)
    world.give("x", {A: 1.0})
    engine.evaluate_once(START)
    world.give("x", {A: 1.0, B: 1.0})
    engine.evaluate_once(START + 15)
    engine.evaluate_once(START + 30)
    assert "limit" in engine.groups[0].rules[0].last_error
    assert states(list(engine.active())) == {"a": "firing"}


def test_expressions_look_back_by_the_query_offset() -> None:
    world = World()
    engine = engine_of("groups: [{name: g, query_offset: 30s, rules: [{alert: X, expr: x}]}]", world)
    engine.evaluate_once(START)
    assert world.asked_at == [START - 30]


def test_a_label_made_of_the_value_makes_a_new_alert_each_time() -> None:
    world = World()
    engine = engine_of(
        "groups: [{name: g, rules: [{alert: X, expr: x, labels: {v: '{{ $value }}'}}]}]", world
    )
    for tick, value in enumerate((1.0, 2.0)):
        world.give("x", {A: value})
        engine.evaluate_once(START + 15 * tick)
    assert [alert.labels["v"] for alert in engine.active()] == ["2"]
    assert [change[1] for change in world.take_changes()] == ["firing", "firing", "inactive"]


def test_templates_may_query() -> None:
    world = World()
    text = """
groups:
  - name: g
    rules:
      - alert: X
        expr: x
        annotations:
          all: '{{ range query "others" }}{{ .Labels.instance }}={{ .Value }} {{ end }}'
          broken: '{{ query "others" | first | label "instance" }} {{ with query "none" }}{{ end }}{{ query "!!" }}'
"""
    registry = CollectorRegistry()
    engine = engine_of(text, world, registry=registry)
    world.give("x", {A: 1.0})
    world.give("others", {A: 1.0, B: 2.5})
    engine.evaluate_once(START)
    annotations = engine.active()[0].annotations
    assert annotations["all"] == "a=1 b=2.5 "
    assert annotations["broken"].startswith("<error expanding template: query '!!'")
    assert (registry.get_sample_value("sentinel_template_expansion_failures_total") or 0) >= 1


def test_alert_states_are_recorded_as_series() -> None:
    world = World()
    engine = engine_of(HOT, world)
    world.give("temperature", {A: 40.0})
    engine.evaluate_once(START)
    alert = engine.active()[0].labels
    pending = alert.updated({"__name__": "ALERTS", "alertstate": "pending"})
    firing = alert.updated({"__name__": "ALERTS", "alertstate": "firing"})
    since = alert.updated({"__name__": "ALERTS_FOR_STATE"})
    assert world.recorded() == {pending: 1.0, since: START}
    engine.evaluate_once(START + 120)
    assert world.recorded() == {pending: None, firing: 1.0, since: START}
    world.give("temperature", {})
    engine.evaluate_once(START + 180)
    assert world.recorded() == {pending: None, firing: None, since: None}


def test_recording_rules_store_their_result_under_their_name_with_their_labels() -> None:
    world = World()
    text = "groups: [{name: g, labels: {team: ops}, rules: [{record: 'a:b', expr: x, labels: {row: ''}}]}]"
    engine = engine_of(text, world)
    world.give("x", {A: 1.0, B: 2.0})
    engine.evaluate_once(START)
    world.give("x", {B: 3.0})
    engine.evaluate_once(START + 15)
    a = Labels(__name__="a:b", instance="a", team="ops")
    b = Labels(__name__="a:b", instance="b", team="ops")
    assert world.recorded() == {a: None, b: 3.0}
    assert all(not batch.source.labels for batch in world.batches)


def test_a_recording_rule_keeps_its_layout_while_its_series_stay() -> None:
    world = World()
    engine = engine_of("groups: [{name: g, rules: [{record: r, expr: x}]}]", world)
    for tick in range(3):
        world.give("x", {A: float(tick)})
        engine.evaluate_once(START + 15 * tick)
    assert len({id(batch.reading.layout) for batch in world.batches}) == 1


def test_results_are_stored_before_a_later_rule_of_the_group_reads_them() -> None:
    world = World()
    text = "groups: [{name: g, rules: [{record: r, expr: x}, {alert: Y, expr: y}, {alert: R, expr: r}]}]"
    engine = engine_of(text, world)
    world.give("x", {A: 1.0})
    stored_at: dict[str, int] = {}
    original = world.result

    def spying(name: str, at: float) -> object:
        stored_at[name] = len(world.batches)
        return original(name, at)

    world.result = spying  # type: ignore[method-assign,assignment]
    engine.evaluate_once(START)
    assert stored_at == {"x": 0, "y": 0, "r": 1}


def test_alerts_over_recorded_series_go_unknown_with_what_those_are_made_of() -> None:
    world = World()
    asked: list[frozenset[str]] = []

    def readability(_: Labels, names: frozenset[str]) -> bool:
        asked.append(names)
        return True

    world.readability = readability  # type: ignore[method-assign,assignment]
    engine = engine_of("groups: [{name: g, rules: [{record: r, expr: raw}, {alert: R, expr: r}]}]", world)
    world.give("r", {A: 1.0})
    engine.evaluate_once(START)
    world.give("r", {})
    engine.evaluate_once(START + 15)
    assert asked == [frozenset({"raw"})]
    assert [str(alert.state) for alert in engine.active()] == ["unknown"]


# Restart


def restored(world: World, state: AlertState, active_at: float, **more: float) -> Alert:
    engine = engine_of(HOT, world)
    world.give("temperature", {A: 40.0})
    engine.evaluate_once(active_at)
    alert = engine.active()[0]
    world.take_changes()
    return Alert(
        alert.fingerprint,
        alert.group,
        alert.labels,
        alert.annotations,
        state,
        active_at=active_at,
        fired_at=more.get("fired_at"),
    )


def test_for_goes_on_over_a_restart() -> None:
    world = World()
    alert = restored(world, AlertState.PENDING, START - 100)
    engine = engine_of(HOT, world)
    engine.restore([alert], START)
    engine.evaluate_once(START + 20)
    assert world.take_changes() == [("pending", "firing", "")]
    assert engine.active()[0].active_at == START - 100


def test_a_restart_in_the_middle_of_for_is_as_if_it_had_not_happened() -> None:
    """Down from minute 6 to 8 of `for: 10m`, evaluated every minute: it fires at minute 10."""
    rules = HOT.replace("for: 2m", "for: 10m")
    world = World()
    before = engine_of(rules, world)
    world.give("temperature", {A: 40.0})
    for minute in range(6):
        before.evaluate_once(START + 60 * minute)
    kept = before.active()
    world.take_changes()
    after = engine_of(rules, world)
    after.restore(kept, START + 480, stopped_at=START + 360)
    fired = []
    for minute in range(8, 13):
        after.evaluate_once(START + 60 * minute)
        fired += [(minute, *change) for change in world.take_changes()]
    assert fired == [(10, "pending", "firing", "")]
    (alert,) = after.active()
    assert (alert.active_at, alert.fired_at) == (START, START + 600)


def test_for_begins_anew_after_a_long_outage() -> None:
    world = World()
    alert = restored(world, AlertState.PENDING, START - 5000)
    engine = engine_of(HOT, world)
    engine.restore([alert], START, stopped_at=START - 4000)
    engine.evaluate_once(START)
    assert world.take_changes() == [("pending", "inactive", "long outage"), ("inactive", "pending", "")]


def test_an_empty_head_right_after_a_restart_resolves_nothing() -> None:
    world = World()
    alert = restored(world, AlertState.FIRING, START - 1000, fired_at=START - 800)
    world.give("temperature", {})
    engine = engine_of(HOT, world, grace=60.0)
    engine.restore([alert], START)
    engine.evaluate_once(START + 15)
    engine.evaluate_once(START + 45)
    assert world.take_changes() == []
    assert engine.active()[0].fired_at == START - 800
    engine.evaluate_once(START + 60)
    assert world.take_changes() == [("firing", "inactive", "")]


def test_a_restored_alert_of_an_unreachable_target_becomes_unknown() -> None:
    world = World()
    alert = restored(world, AlertState.FIRING, START - 1000, fired_at=START - 800)
    world.give("temperature", {})
    world.unreadable.add("a")
    engine = engine_of(HOT, world)
    engine.restore([alert], START)
    engine.evaluate_once(START + 15)
    engine.evaluate_once(START + 1500)
    assert world.take_changes() == [("firing", "unknown", "unreadable")]


def test_a_restored_alert_waits_for_the_first_poll_however_short_the_grace() -> None:
    world = World()
    alert = restored(world, AlertState.FIRING, START - 1000, fired_at=START - 800)
    world.give("temperature", {})
    world.waiting.add("a")
    engine = engine_of(HOT, world, grace=0.0)
    engine.restore([alert], START)
    engine.evaluate_once(START + 15)
    engine.evaluate_once(START + 300)
    assert world.take_changes() == []
    world.waiting.clear()
    engine.evaluate_once(START + 315)
    assert world.take_changes() == [("firing", "inactive", "")]


def test_a_restored_alert_that_still_holds_is_not_told_again() -> None:
    world = World()
    alert = restored(world, AlertState.FIRING, START - 1000, fired_at=START - 800)
    engine = engine_of(HOT, world)
    engine.restore([alert], START)
    engine.evaluate_once(START + 15)
    assert world.take_changes() == []
    assert states(list(engine.active())) == {"a": "firing"}


def test_restored_alerts_without_their_rule_end() -> None:
    world = World()
    alert = restored(world, AlertState.FIRING, START - 1000)
    engine = engine_of(HOT.replace("Hot", "Warm"), world)
    engine.restore([alert], START)
    assert world.take_changes() == [("firing", "inactive", "rule removed")]


def test_restored_alerts_follow_their_group_into_another_file() -> None:
    world = World()
    alert = restored(world, AlertState.FIRING, START - 1000)
    engine = engine_of(HOT, world)
    engine.restore([Alert("f", "elsewhere.yml;heat", alert.labels, state=AlertState.FIRING)], START)
    assert world.take_changes() == []
    assert len(engine.active()) == 1


# Reload


def test_a_reload_that_polls_a_target_anew_resolves_nothing() -> None:
    world = World()
    engine = engine_of("groups: [{name: g, rules: [{alert: Hot, expr: 'rate(temperature[1m])'}]}]", world)
    world.give("rate(temperature[1m])", {A: 40.0})
    engine.evaluate_once(START)
    world.take_changes()
    world.give("rate(temperature[1m])", {})
    world.waiting.add("a")
    engine.evaluate_once(START + 15)
    world.waiting.clear()
    engine.evaluate_once(START + 30)
    assert world.take_changes() == [], "the window has one sample so far"
    engine.evaluate_once(START + 300)
    assert world.take_changes() == [("firing", "inactive", "")]


def test_a_reload_keeps_the_alerts_of_rules_that_stay() -> None:
    world = World()
    engine = engine_of(HOT, world)
    world.give("temperature", {A: 40.0})
    engine.evaluate_once(START)
    text = HOT.replace("has {{", "is at {{") + "      - alert: New\n        expr: new\n"
    engine.replace(parse_rules(text, "test.yml", world, default_interval=15.0))
    engine.evaluate_once(START + 120)
    assert world.take_changes() == [("inactive", "pending", ""), ("pending", "firing", "")]
    assert engine.active()[0].annotations["summary"] == "a is at 40"


def test_a_reload_ends_the_alerts_and_series_of_rules_that_go() -> None:
    world = World()
    engine = engine_of(HOT, world)
    world.give("temperature", {A: 40.0})
    engine.evaluate_once(START)
    engine.evaluate_once(START + 120)
    world.take_changes()
    source = world.batches[-1].source
    engine.replace(parse_rules(HOT.replace("for: 2m", "for: 3m"), "test.yml", world, default_interval=15.0))
    assert world.take_changes() == [("firing", "inactive", "rule removed")]
    assert world.batches[-1].source == source
    assert len(world.batches[-1].reading.layout) == 0


def test_alerts_of_removed_targets_end_with_that_reason() -> None:
    world = World()
    engine = engine_of(HOT, world)
    world.give("temperature", {A: 40.0, B: 40.0})
    engine.evaluate_once(START)
    engine.evaluate_once(START + 120)
    world.take_changes()
    engine.retain({"b"})
    assert world.take_changes() == []
    world.give("temperature", {})
    engine.evaluate_once(START + 180)
    assert sorted(world.take_changes()) == [
        ("firing", "inactive", ""),
        ("firing", "inactive", "target removed"),
    ]


def test_unknown_alerts_of_removed_targets_end_at_once() -> None:
    world = World()
    alert = restored(world, AlertState.FIRING, START - 1000)
    engine = engine_of(HOT, world)
    engine.restore([alert], START)
    engine.retain({"b"})
    assert world.take_changes() == [("firing", "inactive", "target removed")]


def test_a_clock_step_fires_nothing_early() -> None:
    world = World()
    engine = engine_of(HOT, world)
    world.give("temperature", {A: 40.0})
    engine.evaluate_once(START)
    engine.shift(3600.0)
    engine.evaluate_once(START + 3660)
    assert states(list(engine.active())) == {"a": "pending"}
    engine.evaluate_once(START + 3720)
    assert states(list(engine.active())) == {"a": "firing"}


def test_a_clock_that_is_set_back_neither_stops_the_rules_nor_delays_what_is_due() -> None:
    world = World()
    engine = engine_of(HOT, world)
    world.give("temperature", {A: 40.0})
    engine.evaluate_once(START)
    engine.evaluate_once(START + 60)
    engine.shift(-7200.0)
    engine.evaluate_once(START - 7200 + 120)
    assert states(list(engine.active())) == {"a": "firing"}
    assert [change.alert.active_at for change in world.changes] == [START, START - 7200]
    world.give("temperature", {})
    engine.evaluate_once(START - 7200 + 180)
    assert engine.active() == []


async def test_ticks_go_on_after_the_clock_was_set_back() -> None:
    clock = ManualClock(START)
    world = World()
    engine = engine_of(HOT, world, clock=clock)
    task = asyncio.ensure_future(engine.run())
    await clock.advance(130)
    before = len(world.asked_at)
    engine.shift(-7200.0)
    clock.step(-7200.0)
    await clock.advance(180)
    assert len(world.asked_at) == before + 3
    assert world.asked_at[-1] < START
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


# The loop


async def test_groups_are_evaluated_at_their_interval_on_their_phase() -> None:
    world, clock = World(), ManualClock(START)
    engine = engine_of(HOT, world, clock=clock)
    task = asyncio.ensure_future(engine.run())
    await clock.advance(300)
    steps = [after - before for before, after in zip(world.asked_at, world.asked_at[1:], strict=False)]
    assert len(world.asked_at) == 5
    assert all(abs(step - 60) < 1e-3 for step in steps)
    assert world.asked_at[0] - START < 10
    assert engine.last_tick >= clock.monotonic() - 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_an_overrun_skips_ticks_and_keeps_the_phase() -> None:
    world, clock, registry = World(), ManualClock(START), CollectorRegistry()
    engine = engine_of(HOT, world, clock=clock, registry=registry)
    original = world.result

    def slow(text: str, at: float) -> object:
        if len(world.asked_at) == 1:
            clock._move(150.0)
        return original(text, at)

    world.result = slow  # type: ignore[method-assign,assignment]
    task = asyncio.ensure_future(engine.run())
    await clock.advance(400)
    first = world.asked_at[0]
    assert [round(at - first) for at in world.asked_at[:4]] == [0, 60, 240, 300]
    labels = {"rule_group": "test.yml;heat"}
    assert registry.get_sample_value("sentinel_rule_group_iterations_missed_total", labels) == 2
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_rule_that_reads_the_history_is_evaluated_in_a_thread() -> None:
    clock = ManualClock(START)
    world = World()
    world.long.add("temperature")
    engine = engine_of(HOT.replace("for: 2m", "for: 0s"), world, clock=clock)
    world.give("temperature", {A: 40.0})
    async with asyncio.TaskGroup() as group:
        loop = group.create_task(engine.run())
        await clock.advance(60.0)
        async with asyncio.timeout(10):
            while not world.changes:
                await asyncio.sleep(0)
        loop.cancel()
    assert world.take_changes() == [("inactive", "firing", "")]
    ((status,),) = (one.rules for one in engine.groups)
    assert status.health == "ok"
    expression = status.rule.expression
    assert isinstance(expression, ScriptedExpression)
    assert expression.threads
    assert threading.get_ident() not in expression.threads


def test_a_rule_that_cannot_read_the_history_fails_alone() -> None:
    world = World()
    world.long.add("temperature")
    engine = engine_of(HOT, world)
    world.fail("temperature")
    engine.evaluate_once(START)
    ((status,),) = (one.rules for one in engine.groups)
    assert (status.health, status.last_error) == ("err", "many-to-many matching")
    world.give("temperature", {A: 40.0})
    engine.evaluate_once(START + 60)
    assert world.take_changes() == [("inactive", "pending", "")]


async def test_after_a_pause_of_the_machine_only_the_newest_tick_is_evaluated() -> None:
    world, clock, registry = World(), ManualClock(START), CollectorRegistry()
    engine = engine_of(HOT, world, clock=clock, registry=registry)
    task = asyncio.ensure_future(engine.run())
    await clock.advance(70)
    first = world.asked_at[0]
    clock._move(600.0)
    await clock.advance(60)
    assert [round(at - first) for at in world.asked_at] == [0, 60, 660, 720]
    labels = {"rule_group": "test.yml;heat"}
    assert registry.get_sample_value("sentinel_rule_group_iterations_missed_total", labels) == 9
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_reload_takes_effect_while_the_loop_runs() -> None:
    world, clock = World(), ManualClock(START)
    engine = engine_of(HOT, world, clock=clock)
    task = asyncio.ensure_future(engine.run())
    await clock.advance(70)
    phase = world.asked_at[-1]
    text = HOT.replace("expr: temperature", "expr: humidity")
    engine.replace(parse_rules(text, "test.yml", world, default_interval=15.0))
    world.asked_at.clear()
    await clock.advance(120)
    assert [round(at - phase) for at in world.asked_at] == [60, 120]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_an_evaluation_that_is_asked_for_comes_at_once_and_leaves_the_ticks_alone() -> None:
    world, clock = World(), ManualClock(START)
    engine = engine_of(HOT, world, clock=clock)
    task = asyncio.ensure_future(engine.run())
    await clock.advance(15)
    first = world.asked_at[0]
    world.give("temperature", {A: 40.0})
    asked_at = clock.now()
    engine.evaluate_soon()
    await clock.advance(0.01)
    assert world.asked_at == [first, asked_at]
    assert states(list(engine.active())) == {"a": "pending"}
    await clock.advance(120)
    assert [round(at - first) for at in world.asked_at if at != asked_at] == [0, 60, 120]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_evaluations_are_asked_for_at_most_once_a_second() -> None:
    world, clock = World(), ManualClock(START)
    engine = engine_of(HOT, world, clock=clock)
    task = asyncio.ensure_future(engine.run())
    await clock.advance(15)
    world.asked_at.clear()
    for _ in range(100):
        engine.evaluate_soon()
        await clock.advance(0.03)
    await clock.advance(5)
    assert 3 <= len(world.asked_at) <= 5
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_reload_ends_what_was_asked_for_and_later_ones_are_heard() -> None:
    world, clock = World(), ManualClock(START)
    engine = engine_of(HOT, world, clock=clock)
    task = asyncio.ensure_future(engine.run())
    await clock.advance(15)
    text = HOT.replace("expr: temperature", "expr: humidity")
    engine.evaluate_soon()
    engine.replace(parse_rules(text, "test.yml", world, default_interval=15.0))
    await clock.advance(2)
    world.asked_at.clear()
    engine.evaluate_soon()
    await clock.advance(0.01)
    assert len(world.asked_at) == 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_a_tick_without_changes_costs_no_labels() -> None:
    world = World()
    engine = engine_of(HOT, world)
    many = {Labels(__name__="temperature", instance=f"h{number}", row="1"): 1.0 for number in range(50)}
    world.give("temperature", many)
    for tick in range(3):
        engine.evaluate_once(START + 120 * tick)
    series = world.result("temperature", START).series  # type: ignore[union-attr]
    assert isinstance(series, SeriesSet)
    layout = world.batches[-1].reading
    engine.evaluate_once(START + 480)
    assert world.batches[-1].reading is layout
