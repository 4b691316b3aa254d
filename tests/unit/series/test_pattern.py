from __future__ import annotations

import time

import pytest

from sentinel.series.pattern import Pattern


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
        ("^a$", ["a"], ["ba"]),
        ("", [""], ["a"]),
        ("tmpfs|fuse.*|(squash|over)fs", ["fuse.lxcfs", "overlayfs"[:4] + "fs"], ["ext4"]),
    ],
)
def test_a_pattern_matches_the_whole_value(pattern: str, matching: list[str], other: list[str]) -> None:
    compiled = Pattern.of(pattern)
    assert [value for value in matching if not compiled.matches(value)] == []
    assert [value for value in other if compiled.matches(value)] == []


@pytest.mark.parametrize("pattern", ["(a+)+", "(a|a)*b(x*)*", "(.*)*", "((a*)b*)*", "(.+.)*", "(a*){20}"])
def test_a_pattern_that_could_take_exponential_time_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="exponential"):
        Pattern.of(pattern)


@pytest.mark.parametrize("pattern", ["(?=a)", r"(a)\1", "(", "[z-a]", "a" * 2000])
def test_what_is_not_understood_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="regular expression|look-around|back references"):
        Pattern.of(pattern)


def test_a_pattern_with_many_open_repeats_is_not_tried_on_long_values() -> None:
    pattern = Pattern.of(".*a.*b.*c.*d.*e")
    assert pattern.matches("xaxbxcxdxe")
    started = time.process_time()
    with pytest.raises(ValueError, match="too long"):
        pattern.matches("abcd" * 1000)
    assert time.process_time() - started < 1
