"""What is drawn of an expression, and when it may be asked about one target alone."""

from __future__ import annotations

import pytest

from sentinel.notify.chart.subject import Subject, belongs, narrowed, subject_of
from sentinel.promql.engine import Engine
from sentinel.promql.text.source import parse
from sentinel.rules.files import load_rules
from sentinel.rules.rule import AlertingRule
from sentinel.series.head import Head
from tests.servers.debian import ROOT


@pytest.mark.parametrize(
    ("text", "expression", "threshold"),
    [
        ("up == 0", "up", 0),
        ("  (a / b) * 100 > 90 ", "(a / b) * 100", 90),
        ("(x < 5)", "x", 5),
        ("((x)) < 5", "((x))", 5),
        ("x > bool 5", "x", 5),
        ("0.9 < x{a='> 5'}", "x{a='> 5'}", 0.9),
        ("time() - x > 36 * 3600", "time() - x", 129600),
        ("x < -1", "x", -1),
        ("x > (90 / 100)", "x", 0.9),
        ("x > 10e6 and on (instance) y == 1", "x", 10e6),
        ("x > 1 unless y > 2 or z", "x", 1),
        ("a > b", "a", None),
        ("rate(x[5m])", "rate(x[5m])", None),
        ("absent(up)", "absent(up)", None),
        ("sum(x > 5)", "sum(x > 5)", None),
        ("x # > 4\n > 5", "x", 5),
        ("x > 1 / 0", "x", None),
        ("", "", None),
        ("'unterminated", "'unterminated", None),
    ],
)
def test_the_side_that_changes_is_drawn(text: str, expression: str, threshold: float | None) -> None:
    assert subject_of(text) == Subject(expression, threshold)


@pytest.mark.parametrize(
    ("text", "about"),
    [
        ("up", 'up{instance="w"}'),
        ("up{}", 'up{instance="w"}'),
        ('up{job="a"}', 'up{instance="w",job="a"}'),
        ('{__name__="up"}', '{instance="w",__name__="up"}'),
        (
            "rate(x[5m]) * 8 / ignoring (job) y",
            'rate(x{instance="w"}[5m]) * 8 / ignoring (job) y{instance="w"}',
        ),
        (
            "1 - avg by (instance) (rate(c{mode='idle'}[5m]))",
            "1 - avg by (instance) (rate(c{instance=\"w\",mode='idle'}[5m]))",
        ),
        ("sum without (cpu) (c)", 'sum without (cpu) (c{instance="w"})'),
        (
            "a / on (instance) group_left (role) b",
            'a{instance="w"} / on (instance) group_left (role) b{instance="w"}',
        ),
        (
            "max_over_time(rate(x[1m])[1h:5m] offset 5m)",
            'max_over_time(rate(x{instance="w"}[1m])[1h:5m] offset 5m)',
        ),
        ("time() - x", 'time() - x{instance="w"}'),
        ("sum(x)", None),
        ("topk(3, x)", None),
        ("count_values by (instance) ('v', x)", None),
        ("x / on () group_left () sum(y)", None),
        ("x / ignoring (instance) y", None),
        ("x / on (job) y", None),
        ("absent(x)", None),
        ("x / scalar(y)", None),
        ("label_replace(x, 'instance', '$1', 'host', '(.*)')", None),
        ("sum without (instance) (x)", None),
        ("x >", None),
    ],
)
def test_an_expression_about_one_target(text: str, about: str | None) -> None:
    assert narrowed(text, "w") == about


def test_names_of_targets_cannot_leave_their_quotes() -> None:
    name = 'w"} or on () vector(1) # \\ \n 告警'
    found = narrowed("up", name)
    assert found is not None
    (matcher,) = [one for one in parse(found).tree.matchers.matchers if one.name == "instance"]
    assert matcher.value == name


def test_every_shipped_rule_has_something_to_draw() -> None:
    engine, count, about = Engine(Head(), horizon=1e7), 0, 0
    for group in load_rules(sorted((ROOT / "rules").glob("*.yml")), engine, default_interval=15.0):
        for rule in group.rules:
            if not isinstance(rule, AlertingRule):
                continue
            subject = subject_of(rule.expression.text)
            engine.compile(subject.expression, within_head=False)
            found = narrowed(subject.expression, "web1")
            if found is not None:
                engine.compile(found, within_head=False)
                about += 1
            count += 1
    assert count > 90
    assert about > 0.7 * count


def test_series_of_an_alert() -> None:
    alert = {"alertname": "Full", "instance": "w", "mountpoint": "/", "severity": "critical"}
    own = frozenset(["severity"])
    assert belongs({"__name__": "x", "instance": "w", "mountpoint": "/"}, alert, own)
    assert belongs({"instance": "w", "device": "sda"}, alert, own)  # dropped on the way to the alert
    assert belongs({"instance": "w", "severity": "of the device"}, alert, own)
    assert not belongs({"instance": "w", "mountpoint": "/srv"}, alert, own)
    assert not belongs({"instance": "v"}, alert, own)
