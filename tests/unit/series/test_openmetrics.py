"""OpenMetrics: what the reference parser takes, with the names and labels that the text format has."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.parser import text_string_to_metric_families as parse_text

from sentinel.model.batch import STALE, Family
from sentinel.series.head import Head
from sentinel.series.index.matcher import Matcher, MatchOperator
from sentinel.series.text.exposition import Style, parts, render
from sentinel.series.text.openmetrics import END
from tests.unit.series.feeding import START, fill, layout, rule_source, source
from tests.unit.series.test_exposition import AWKWARD, filled

OPEN = Style(is_openmetrics=True)
OWN = (("instance", "sw1"), ("job", "if_mib"))


def opened(head: Head, at: float = START, *, style: Style = OPEN) -> bytes:
    return b"".join(parts(head, at, style=style)) + END


def read(text: bytes) -> dict[str, Any]:
    families = text_string_to_metric_families(text.decode())  # type: ignore[no-untyped-call]
    return {family.name: family for family in families}


def samples(families: dict[str, Any]) -> dict[tuple[Any, ...], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families.values()
        for sample in family.samples
    }


def histogram(*groups: tuple[str, list[tuple[str, float]], float, float]) -> Head:
    """One histogram; (who, buckets, count, sum)."""
    shapes: list[dict[str, str]] = []
    values: list[float] = []
    for who, buckets, count, total in groups:
        shapes += [{"__name__": "h_bucket", "who": who, "le": bound} for bound, _ in buckets]
        values += [value for _, value in buckets]
        shapes += [{"__name__": "h_sum", "who": who}, {"__name__": "h_count", "who": who}]
        values += [total, count]
    head = Head()
    fill(head, rule_source(), layout(*shapes, families={"h": Family("histogram", "H.")}), [values])
    return head


def test_the_reference_parser_finds_every_sample_under_its_name() -> None:
    families = read(opened(filled()))
    found = samples(families)
    assert found["load", tuple(sorted([("text", AWKWARD), *OWN]))] == 0.25
    assert found["up", OWN] == 1
    assert found["latency_seconds_count", OWN] == 5
    assert families["latency_seconds"].type == "histogram"
    assert families["load"].type == "gauge"
    assert not any(name.startswith("ended") for name, _ in found)


def test_a_counter_with_a_name_of_its_own_keeps_it() -> None:
    families = read(opened(filled()))
    assert families["ifHCInOctets"].type == "unknown"
    assert ("ifHCInOctets", tuple(sorted([("ifName", "Gi0/1"), *OWN]))) in samples(families)


def test_units_and_totals() -> None:
    head = Head()
    families = {
        "cpu_seconds_total": Family("counter", 'CPU "time".\nAll of it.', "seconds"),
        "fell_total": Family("counter"),
        "size_bytes": Family("gauge", "", "bytes"),
    }
    fill(head, rule_source(), layout(*families, families=families), [[1.5, -1.0, 2.0]])
    text = opened(head)
    assert b"# TYPE cpu_seconds counter\n" in text
    assert b"# UNIT size_bytes bytes\n" in text
    assert b'# HELP cpu_seconds CPU \\"time\\".\\nAll of it.\n' in text
    found = read(text)
    assert found["cpu_seconds"].unit == "seconds" or b"# UNIT cpu_seconds seconds\n" in text
    assert found["fell_total"].type == "unknown", "a counter never falls below zero"
    assert text.endswith(b"# EOF\n")


def test_the_lines_of_histograms_stand_together_series_by_series() -> None:
    head = histogram(
        ("a", [("0.5", 1), ("1", 2), ("+Inf", 4)], 4, 10.0),
        ("b", [("+Inf", 4), ("0.5", 0), ("1", 2)], 4, 3.0),
    )
    text = opened(head).decode()
    assert read(text.encode())["h"].type == "histogram"
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert [line.split("{")[0] for line in lines] == ["h_bucket"] * 3 + ["h_count", "h_sum"] + [
        "h_bucket"
    ] * 3 + [
        "h_count",
        "h_sum",
    ]
    assert 'le="1"' in text, "bounds stay as they are: they are labels"


@pytest.mark.parametrize(
    "group",
    [
        ("a", [("0.5", 1.0)], 1.0, 1.0),
        ("a", [("0.5", 3.0), ("+Inf", 2.0)], 2.0, 1.0),
        ("a", [("0.5", 1.0), ("+Inf", 2.0)], 3.0, 1.0),
        ("a", [("x", 1.0), ("+Inf", 2.0)], 2.0, 1.0),
        ("a", [("0.5", 1.0), ("inf", 2.0)], 2.0, 1.0),
        ("a", [("0.5", math.nan), ("+Inf", 2.0)], 2.0, 1.0),
        ("a", [("0.5", 1.0), ("+Inf", STALE)], 2.0, 1.0),
        ("a", [("0.5", 1.0), ("0.50", 1.0), ("+Inf", 2.0)], 2.0, 1.0),
        ("a", [("0.5", 1.0), ("+Inf", 2.0)], STALE, 1.0),
        ("a", [("0.5", 1.0), ("+Inf", 2.0)], 2.0, STALE),
    ],
)
def test_a_histogram_that_is_none_goes_out_all_the_same(
    group: tuple[str, list[tuple[str, float]], float, float],
) -> None:
    head = histogram(group)
    families = read(opened(head))
    assert {family.type for family in families.values()} == {"unknown"}
    plain = {
        (sample.name, tuple(sorted(sample.labels.items())))
        for family in parse_text(render(head, START).decode())
        for sample in family.samples
    }
    assert set(samples(families)) == plain


def test_summaries() -> None:
    head = Head()
    shape = layout(
        {"__name__": "s", "quantile": "0.5", "x": "1"},
        {"__name__": "s", "quantile": "0.5", "x": "2"},
        {"__name__": "s", "quantile": "0.9", "x": "1"},
        {"__name__": "s_sum", "x": "1"},
        {"__name__": "s_count", "x": "1"},
        families={"s": Family("summary")},
    )
    fill(head, rule_source(), shape, [[1.0, 2.0, math.nan, 4.0, 5.0]])
    families = read(opened(head))
    assert families["s"].type == "summary"
    assert len(families["s"].samples) == 5


@pytest.mark.parametrize("is_openmetrics", [False, True])
def test_samples_can_carry_the_instants_of_their_polls(is_openmetrics: bool) -> None:
    head = Head()
    fill(head, source("a"), layout("x"), [[1.0]], start=START - 7.25)
    fill(head, source("b"), layout("x"), [[2.0]], start=START - 299)
    style = Style(is_openmetrics=is_openmetrics, has_timestamps=True)
    text = opened(head, style=style) if is_openmetrics else b"".join(parts(head, START, style=style))
    parser = text_string_to_metric_families if is_openmetrics else parse_text
    times = {
        sample.labels["instance"]: float(str(sample.timestamp))
        for family in parser(text.decode())
        for sample in family.samples
        if sample.name == "x"
    }
    assert times == {"a": START - 7.25, "b": START - 299}


def test_several_matchers_with_timestamps_pick_each_series_once() -> None:
    head = filled()
    matchers = [
        (Matcher("__name__", MatchOperator.MATCH, "load|up"),),
        (Matcher("instance", MatchOperator.EQUAL, "sw1"), Matcher("__name__", MatchOperator.MATCH, "l.*")),
    ]
    for style in (Style(), Style(has_timestamps=True), OPEN, Style(is_openmetrics=True, has_timestamps=True)):
        text = b"".join(parts(head, START, matchers, style=style))
        assert text.count(b"\nload{") == 1
        assert text.count(b"latency_seconds_count{") == 1
        if style.is_openmetrics:
            assert read(text + END)["latency_seconds"].type == "histogram"


def test_much_comes_in_small_parts() -> None:
    head = Head()
    fill(head, source(), layout(*({"__name__": "x", "i": str(i)} for i in range(30_000))), [[1.0] * 30_000])
    for _ in range(2):
        found = list(parts(head, START))
        assert max(len(part) for part in found) < 600_000
        assert b"".join(found).count(b"\nx{") == 30_000


_VALUES = st.floats(allow_nan=True, allow_infinity=True)
_NAMES = st.sampled_from(
    ["a", "a_total", "b_bucket", "b_sum", "b_count", "b", "c_info", "d_created", "e:f", "9g"]
)
_KINDS = st.sampled_from(["counter", "gauge", "histogram", "summary", "unknown"])


def test_a_counter_beside_a_gauge_of_its_short_name() -> None:
    head = Head()
    families = {"a": Family("gauge"), "a_total": Family("counter")}
    fill(head, rule_source(), layout("a", "a_total", families=families), [[1.0, 2.0]])
    assert set(read(opened(head))) == {"a", "a_total"}


@given(
    st.lists(st.tuples(_NAMES, st.sampled_from(["", "1", "+Inf", "0.5", AWKWARD]), _VALUES), max_size=12),
    st.dictionaries(_NAMES, _KINDS, max_size=6),
)
def test_whatever_is_in_the_head_both_forms_tell_the_same(
    series: list[tuple[str, str, float]], kinds: dict[str, Any]
) -> None:
    shapes = {(name, label): value for name, label, value in series}
    head = Head()
    families = {name: Family(kind, "Help.", "") for name, kind in kinds.items()}
    shape = layout(*({"__name__": name, "le": label} for name, label in shapes), families=families)
    fill(head, rule_source(), shape, [list(shapes.values())])
    plain, text = render(head, START).decode(), opened(head).decode()

    def lines(written: str) -> list[str]:
        return sorted(line for line in written.splitlines() if not line.startswith("#"))

    assert lines(plain) == lines(text)
    assert text.endswith("# EOF\n")
    read(text.encode())
