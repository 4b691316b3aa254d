"""Inhibition decides as Alertmanager's words say: by hand, and against a rule-by-rule reference."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentinel.config.inhibition import InhibitSettings
from sentinel.model.alert import Alert, AlertState
from sentinel.model.labels import Labels
from sentinel.notify.inhibition import Inhibitor

CRITICAL = {
    "name": "critical",
    "source_matchers": ['severity="critical"'],
    "target_matchers": ['severity=~"warning|info"'],
    "equal": ["alertname", "site"],
}


def alert(**labels: str) -> Alert:
    of = Labels(labels)
    return Alert(of.fingerprint(), "g", of, state=AlertState.FIRING)


def inhibitor(*rules: dict[str, Any], firing: Iterable[Alert] = ()) -> Inhibitor:
    found = Inhibitor([InhibitSettings.model_validate(rule) for rule in rules])
    for one in firing:
        found.add(one)
    return found


def test_a_firing_source_inhibits_targets_with_equal_labels() -> None:
    source = alert(alertname="Down", severity="critical", site="a")
    found = inhibitor(CRITICAL, firing=[source])
    warning = {"alertname": "Down", "severity": "warning", "site": "a", "x": "y"}
    assert found.inhibitors_of(warning) == (source.fingerprint,)
    assert [one.rule.name for one in found.inhibitions(warning)] == ["critical"]
    assert found.inhibitors_of(warning | {"site": "b"}) == ()
    assert found.inhibitors_of(warning | {"severity": "none"}) == ()
    found.remove(source)
    assert found.inhibitors_of(warning) == ()


def test_a_label_that_is_missing_equals_an_empty_one() -> None:
    source = alert(alertname="Down", severity="critical")
    found = inhibitor(CRITICAL, firing=[source])
    assert found.inhibitors_of({"alertname": "Down", "severity": "info"}) == (source.fingerprint,)
    assert found.inhibitors_of({"alertname": "Down", "severity": "info", "site": ""}) == (source.fingerprint,)
    assert found.inhibitors_of({"alertname": "Down", "severity": "info", "site": "a"}) == ()


def test_alerts_that_match_both_sides_spare_each_other_and_themselves() -> None:
    """A source of one side alone inhibits them all the same; and both sides inhibit what is only a target."""
    rule = {"source_matchers": ['job=~"a|b"'], "target_matchers": ['job=~"b|c"']}
    a, b1, b2, c = alert(job="a"), alert(job="b", n="1"), alert(job="b", n="2"), alert(job="c")
    found = inhibitor(rule, firing=[b1, b2, c])
    assert found.inhibitors_of(b1.labels) == found.inhibitors_of(b2.labels) == ()
    assert found.inhibitors_of(c.labels) == (b1.fingerprint,)
    found.add(a)
    assert found.inhibitors_of(b1.labels) == (a.fingerprint,)
    assert found.inhibitors_of(c.labels) == (a.fingerprint,)
    assert found.inhibitors_of(a.labels) == ()


def test_a_rule_without_matchers_inhibits_nothing() -> None:
    one, other = alert(a="1"), alert(a="2")
    assert inhibitor({}, firing=[one, other]).inhibitors_of(one.labels) == ()


def test_several_rules_name_each_source_once() -> None:
    source = alert(alertname="Down", severity="critical")
    rules = [CRITICAL, CRITICAL | {"equal": []}]
    found = inhibitor(*rules, firing=[source])
    warning = {"alertname": "Down", "severity": "warning"}
    assert found.inhibitors_of(warning) == (source.fingerprint,)
    assert len(list(found.inhibitions(warning))) == 2


def test_adding_twice_and_removing_twice_changes_nothing() -> None:
    source = alert(alertname="Down", severity="critical")
    found = inhibitor(CRITICAL, firing=[source, source])
    found.remove(source)
    found.remove(source)
    assert found.inhibitors_of({"alertname": "Down", "severity": "warning"}) == ()
    assert not any(found._sources)


LABELS = st.dictionaries(st.sampled_from("xyz"), st.sampled_from(["", "a", "b"])).map(Labels)
MATCHERS = st.builds(
    lambda name, operator, value: f'{name}{operator}"{value}"',
    st.sampled_from("xyz"),
    st.sampled_from(["=", "!=", "=~", "!~"]),
    st.sampled_from(["", "a", "b", "a|b", ".+"]),
)
RULES = st.fixed_dictionaries(
    {
        "source_matchers": st.lists(MATCHERS, max_size=2),
        "target_matchers": st.lists(MATCHERS, max_size=2),
        "equal": st.lists(st.sampled_from("xyz"), max_size=2),
    }
)


def inhibits(rule: InhibitSettings, source: Mapping[str, str], target: Mapping[str, str]) -> bool:
    """Whether one alert inhibits the other, rule text by rule text."""

    def is_source(labels: Mapping[str, str]) -> bool:
        return all(matcher.matches(labels) for matcher in rule.source)

    def is_target(labels: Mapping[str, str]) -> bool:
        return all(matcher.matches(labels) for matcher in rule.target)

    if not is_source(source) or not is_target(target):
        return False
    if is_source(target) and is_target(source):
        return False
    return all(source.get(name, "") == target.get(name, "") for name in rule.equal)


@settings(max_examples=500, deadline=None, derandomize=True)
@given(
    rules=st.lists(RULES, max_size=4),
    steps=st.lists(st.tuples(st.booleans(), LABELS), max_size=12),
    targets=st.lists(LABELS, min_size=1, max_size=4),
)
def test_generated_rules_inhibit_as_their_words_say(
    rules: list[dict[str, Any]], steps: list[tuple[bool, Labels]], targets: list[Labels]
) -> None:
    written = [InhibitSettings.model_validate(rule) for rule in rules]
    found, firing = Inhibitor(written), dict[str, Labels]()
    for is_firing, labels in steps:
        one = alert(**labels)
        if is_firing:
            found.add(one)
            firing[one.fingerprint] = labels
        else:
            found.remove(one)
            firing.pop(one.fingerprint, None)
    for target in [*targets, *firing.values()]:
        told = {(inhibition.rule.equal, inhibition.source) for inhibition in found.inhibitions(target)}
        for rule in written:
            expected = [print_ for print_, source in firing.items() if inhibits(rule, source, target)]
            given_ = [source for equal, source in told if equal == rule.equal_names and source in expected]
            assert bool(given_) == bool(expected)
        every = {
            print_ for rule in written for print_, source in firing.items() if inhibits(rule, source, target)
        }
        assert set(found.inhibitors_of(target)) <= every
        assert bool(found.inhibitors_of(target)) == bool(every)


@pytest.mark.parametrize("equal", [["site"], []])
def test_ten_thousand_alerts_and_fifty_rules_are_cheap(equal: list[str]) -> None:
    """Adding, asking and removing looks at a few rules and at no list of alerts, also where all are sources."""
    rules = [
        {
            "source_matchers": [f'alertname="Down{number}"', 'severity="critical"'],
            "target_matchers": ['severity="warning"', f'team=~"t{number}|all"'],
            "equal": equal,
        }
        for number in range(50)
    ]
    sources = [
        alert(alertname=f"Down{n % 50}", severity="critical", site=str(n // 50), n=str(n))
        for n in range(10_000)
    ]
    targets = [
        alert(severity="warning", team=f"t{n % 50}", site=str(n // 50), n=str(n)) for n in range(10_000)
    ]
    began = time.process_time()
    found = inhibitor(*rules, firing=[*sources, *targets])
    asked = [found.inhibitors_of(one.labels) for one in targets]
    for one in sources:
        found.remove(one)
    took = time.process_time() - began
    assert all(len(one) == 1 for one in asked)
    assert not any(found._sources)
    assert took < 8.0
