"""Matchers in Alertmanager's syntax."""

from __future__ import annotations

import pytest

from sentinel.config.matchers import parse_matchers


@pytest.mark.parametrize(
    ("text", "labels", "matches"),
    [
        ('severity="critical"', {"severity": "critical"}, True),
        ("severity=critical", {"severity": "warning"}, False),
        ('site!="a"', {}, True),
        ('site=""', {}, True),
        ('job=~"if_.*"', {"job": "if_mib"}, True),
        ('job=~"if"', {"job": "if_mib"}, False),
        ('job!~"if_.*"', {"job": "if_mib"}, False),
        ('job=~".*"', {}, True),
        ('{a="1", b!="2"}', {"a": "1", "b": "3"}, True),
        ('a="1",b="2",', {"a": "1", "b": "3"}, False),
        ('a="x\\"y"', {"a": 'x"y'}, True),
        ('a=~"x.y"', {"a": "x\ny"}, False),
        ('a=~"x(?s:.)y"', {"a": "x\ny"}, True),
        ('a="x\\ty"', {"a": "x\\ty"}, True),
        ('a="x\\ny"', {"a": "x\ny"}, True),
        ("a=foo bar=~{x", {"a": "foo bar=~{x"}, True),
        ("a=", {}, True),
        ("a='b'", {"a": "'b'"}, True),
        ("a=~\\d+|中.", {"a": "中文"}, True),
        ('"site name"="x\\ty"', {"site name": "x\ty"}, True),
        ("{}", {}, True),
    ],
)
def test_matchers_match_whole_values(text: str, labels: dict[str, str], matches: bool) -> None:
    assert all(matcher.matches(labels) for matcher in parse_matchers(text)) is matches


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty matcher"),
        ("severity", "not a matcher"),
        ('="x"', "not a matcher"),
        ('a="b" c="d"', "comma"),
        ('{a="b"', "closing brace"),
        ("a=~x{2}", "opening brace"),
        ('a=b"c', "double quote inside"),
        ("a=b,,c=d", "not a matcher"),
        ('a=~"["', "not a regular expression"),
        ('a=~"(?=x)"', "not a regular expression"),
        ('a=~"(x)\\\\1"', "not a regular expression"),
        ('a="b', "closing quote is missing"),
        ('a=~"' + "x" * 5001 + '"', "longer than"),
    ],
)
def test_what_is_not_a_matcher_is_refused_with_a_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_matchers(text)


@pytest.mark.parametrize("text", ['a=~"x\\"y|z"', '"a \\" b"!="\\\\n\\n"', "a=\\t", 'a="x\\\\"'])
def test_matchers_print_as_they_are_read(text: str) -> None:
    (matcher,) = parse_matchers(text)
    assert parse_matchers(str(matcher)) == (matcher,)
