"""Regular expressions match as RE2 does, and never run long."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.model.pattern import Pattern


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("a|b", ["a", "b"], ["ab", "", "a\n"]),
        ("foo.*", ["foo", "foo\nbar"], ["xfoo"]),
        ("(?i)ab", ["AB", "ab"], ["abc"]),
        ("x((?i)y|z)w", ["xyw", "xYw", "xZw"], ["XYw", "xyW"]),
        ("[[:alpha:]]+", ["abc"], ["ab1", ""]),
        (r"([a-z]+\.)*[a-z]+", ["www.example.org", "a"], ["www..org"]),
        (r"\d{1,3}(\.\d{1,3}){3}", ["10.0.0.1"], ["10.0.0"]),
        (r"\pL+", ["äöü", "机房"], ["1"]),
        ("^a$", ["a"], ["ba", "a\n"]),
        (r"a\z", ["a"], ["a\n"]),
        ("", [""], ["a"]),
    ],
)
def test_a_pattern_matches_the_whole_value(pattern: str, matching: list[str], other: list[str]) -> None:
    compiled = Pattern.of(pattern)
    assert [value for value in matching if not compiled.matches(value)] == []
    assert [value for value in other if compiled.matches(value)] == []


@pytest.mark.parametrize(
    "pattern", ["(?=a)", r"(a)\1", "(", "[z-a]", "x**", "a" * 5000, "((a{100}){100}){100}"]
)
def test_what_is_not_understood_or_too_large_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="regular expression"):
        Pattern.of(pattern)


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "(.*)*x", ".*a.*b.*c.*d.*e"])
def test_no_pattern_runs_long(pattern: str) -> None:
    started = time.process_time()
    Pattern.of(pattern).matches("a" * 100_000)
    assert time.process_time() - started < 4


@pytest.mark.parametrize(
    ("pattern", "value", "template", "expanded"),
    [
        ("(.*):(.*)", "web1:9100", "$1", "web1"),
        ("(.*):(.*)", "web1:9100", "${2}-x-$1", "9100-x-web1"),
        ("(?P<host>.*):.*", "web1:9100", "$host", "web1"),
        ("(a)(b)?", "a", "[$2]$$$9", "[]$"),
        ("(.*):(.*)", "web1", "$1", None),
    ],
)
def test_references_are_filled_in_as_go_does(
    pattern: str, value: str, template: str, expanded: str | None
) -> None:
    assert Pattern.of(pattern).expanded(value, template) == expanded


def test_every_match_is_replaced() -> None:
    assert Pattern.of("[0-9]+").replaced_in("ge-0/1/22", "<$0>") == "ge-<0>/<1>/<22>"


@given(st.text(), st.text())
def test_any_texts_compile_and_match_or_are_refused(pattern: str, value: str) -> None:
    try:
        compiled = Pattern.of(pattern)
    except ValueError:
        return
    compiled.matches(value + "\ud800")
    compiled.occurs_in(value)
