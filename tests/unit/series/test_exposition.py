from __future__ import annotations

import math
import subprocess

import pytest
from prometheus_client.parser import text_string_to_metric_families

from sentinel.model.batch import STALE, Family
from sentinel.series.head import Head
from sentinel.series.index.matcher import Matcher, MatchOperator
from sentinel.series.text.exposition import render
from tests.servers import debian
from tests.unit.series.feeding import START, batch, down, fill, layout, named, rule_source, source

AWKWARD = 'a "quoted" \\ back\nslash é'


def filled() -> Head:
    head = Head()
    families = {
        "ifHCInOctets": Family("counter", "Octets received.\nSecond line \\ with a backslash"),
        "load": Family("gauge", "Load."),
        "latency_seconds": Family("histogram", "Latency."),
    }
    shape = layout(
        {"__name__": "ifHCInOctets", "ifName": "Gi0/1"},
        {"__name__": "load", "text": AWKWARD},
        {"__name__": "latency_seconds_bucket", "le": "1"},
        {"__name__": "latency_seconds_bucket", "le": "+Inf"},
        "latency_seconds_sum",
        "latency_seconds_count",
        {"__name__": "unheard_of", "kind": "nan"},
        {"__name__": "unheard_of", "kind": "plus"},
        {"__name__": "unheard_of", "kind": "minus"},
        "ended",
        families=families,
    )
    values = [1e10, 0.25, 3, 5, 4.5, 5, math.nan, math.inf, -math.inf, STALE]
    fill(head, source(), shape, [values])
    return head


def parsed(text: bytes) -> dict[str, float]:
    return {
        f"{sample.name}{sorted(sample.labels.items())}": sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_what_is_rendered_reads_back_as_the_same_samples() -> None:
    found = parsed(render(filled(), START))
    own = [("instance", "sw1"), ("job", "if_mib")]
    # The parser gives counters the suffix that OpenMetrics wants.
    assert found[f"ifHCInOctets_total{sorted([('ifName', 'Gi0/1'), *own])}"] == 1e10
    assert found[f"load{sorted([('text', AWKWARD), *own])}"] == 0.25
    assert found[f"latency_seconds_bucket{sorted([('le', '+Inf'), *own])}"] == 5
    assert math.isnan(found[f"unheard_of{sorted([('kind', 'nan'), *own])}"])
    assert found[f"unheard_of{sorted([('kind', 'plus'), *own])}"] == math.inf
    assert found[f"unheard_of{sorted([('kind', 'minus'), *own])}"] == -math.inf
    assert found[f"up{own}"] == 1
    assert not any(name.startswith("ended") for name in found)


def test_each_family_has_its_type_and_help_once_and_before_its_samples() -> None:
    text = render(filled(), START).decode()
    assert text.count("# TYPE latency_seconds histogram\n") == 1
    assert text.count("# TYPE ") == len({line for line in text.splitlines() if line.startswith("# TYPE ")})
    assert "# HELP ifHCInOctets Octets received.\\nSecond line \\\\ with a backslash\n" in text
    assert text.index("# TYPE load gauge") < text.index("load{")


def test_promtool_accepts_the_text() -> None:
    answer = subprocess.run(
        [debian.program("promtool"), "check", "metrics"],
        input=render(filled(), START),
        capture_output=True,
        env=debian.environment(),
        check=False,
    )
    # 3: it could be read, and promtool has advice about names (those of snmp_exporter, for one).
    assert answer.returncode in (0, 3), answer.stderr.decode()
    assert b"error while linting" not in answer.stderr


def test_old_and_ended_series_are_left_out() -> None:
    head = filled()
    assert render(head, START + 301) == b""
    head.append([down(source(), START + 15)])
    assert sorted(parsed(render(head, START + 15))) == sorted(
        f"{name}{[('instance', 'sw1'), ('job', 'if_mib')]}"
        for name in ("up", "sentinel_poll_duration_seconds", "sentinel_poll_samples")
    )


def test_matchers_choose_series_and_each_goes_out_once() -> None:
    head = filled()
    load = named("load")
    anything = (Matcher("instance", MatchOperator.EQUAL, "sw1"), Matcher("text", MatchOperator.NOT_EQUAL, ""))
    assert len(parsed(render(head, START, [load]))) == 1
    assert render(head, START, [load, anything]).count(b"\nload{") == 1
    assert render(head, START, [named("nothing")]) == b""


def test_the_daemons_own_series_can_be_left_out() -> None:
    head = filled()
    fill(head, source("here", module="sentinel"), layout("sentinel_alerts"), [[1.0]])
    assert b"sentinel_alerts" in render(head, START)
    text = render(head, START, skip_own=True)
    assert b'job="sentinel"' not in text
    assert b"ifHCInOctets" in text


def test_a_series_that_joins_later_is_rendered() -> None:
    head = Head()
    fill(head, rule_source(), layout({"__name__": "a:b", "x": "1"}), [[1.0]])
    assert render(head, START) == b'a:b{x="1"} 1.0\n'
    head.append(
        [batch(rule_source("other"), START, layout({"__name__": "a:b", "x": "2"}, "bare"), [2.0, 3.0])]
    )
    assert render(head, START) == b'a:b{x="1"} 1.0\na:b{x="2"} 2.0\nbare 3.0\n'


@pytest.mark.parametrize(
    "value", [0.0, -0.0, 1.0, 0.1, 1e-300, 1.7976931348623157e308, 5e-324, 123456789012345680.0]
)
def test_numbers_keep_all_their_digits(value: float) -> None:
    head = Head()
    fill(head, rule_source(), layout("x"), [[value]])
    assert parsed(render(head, START)) == {"x[]": value}
