"""Templates: what is refused, where, and that they stay within bounds."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from sentinel.rules.template import ExpansionError, Struct, TemplateSyntaxError, parse_template

DATA = Struct({"Labels": {"a": "x" * 200}, "Value": 1.5})


def nothing(_: str) -> Sequence[Struct]:
    return ()


def expand(text: str) -> str:
    labels = DATA.fields["Labels"]
    return parse_template(text, ["$labels", "$value"]).expand(
        DATA, {"$labels": labels, "$value": 1.5}, nothing
    )


@pytest.mark.parametrize(
    ("text", "offset", "part"),
    [
        ("ab {{ $labls.x }}", 6, "did you mean '$labels'"),
        ("{{ humanise 1 }}", 3, "did you mean 'humanize'"),
        ("{{ if }}x{{ end }}", 6, "missing value"),
        ("{{ if true }}x", 3, "no {{end}}"),
        ("x{{ end }}", 4, "unexpected {{end}}"),
        ("{{ else }}", 3, "unexpected {{else}}"),
        ("x {{ .Labels.a", 2, "unclosed action"),
        ("{{/* x", 0, "unclosed comment"),
        ("{{ .Value 3 }}", 3, "can't give argument"),
        ("{{ humanize }}", 3, "wrong number of arguments"),
        ("{{ 1 | humanize 2 }}", 7, "wrong number of arguments"),
        ('{{ "a" | .Value }}', 9, "only a function"),
        ('{{ define "x" }}', 3, "not supported here"),
        ('{{ template "x" }}', 3, "not supported here"),
        ('{{ "abc }}', 3, "unterminated"),
        ("{{ $value # }}", 10, "unexpected '#'"),
        ("{{ }}", 0, "missing value"),
        ("{{ break }}", 3, "outside {{range}}"),
        ("{{ nosuch `x` }}", 3, "not known here"),
        ("{{ ( 1 }}", 3, "unclosed left parenthesis"),
        ("{{ if true }}{{ $x := 1 }}{{ end }}{{ $x }}", 38, "undefined variable"),
        ("{{ .a..b }}", 5, "unexpected '.'"),
        ("{{ nil }}", 3, "nil"),
        ("{{ '\\q' }}", 4, "unknown escape"),
        ("{{" + "(" * 60 + "1" + ")" * 60 + "}}", 52, "nested too deep"),
    ],
)
def test_mistakes_are_refused_at_their_place(text: str, offset: int, part: str) -> None:
    with pytest.raises(TemplateSyntaxError) as caught:
        parse_template(text, ["$labels", "$value"])
    assert caught.value.offset == offset
    assert part in caught.value.text


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("{{ .Labls.a }}", "no field Labls"),
        ("{{ $labels.a.b }}", "can't evaluate field b in type string"),
        ("{{ if gt $value 1 }}x{{ end }}", "incompatible types"),
        ("{{ humanize `x` }}", "not a number"),
        ("{{ toUpper 1 }}", "expected string"),
        ("{{ query `x` | first }}", "no elements"),
        ("{{ range 5 }}{{ end }}", "can't iterate"),
        ("{{ index `abc` 7 }}", "out of range"),
        ("{{ printf `%999d` 1 }}", "over 200"),
        ("{{ humanizeTimestamp 1e11 }}", "timestamps"),
        ("{{ match `(?=a)` `a` }}", "not a regular expression"),
    ],
)
def test_failures_at_run_time_say_what_is_wrong(text: str, part: str) -> None:
    with pytest.raises(ExpansionError) as caught:
        expand(text)
    assert part in str(caught.value)


def test_nothing_but_the_data_can_be_reached() -> None:
    for text in ("{{ .__class__ }}", "{{ $labels.__class__.x }}", "{{ .Labels.__len__.x }}", "{{ .fields }}"):
        with pytest.raises(ExpansionError):
            expand(text)
    assert expand("{{ $labels.__class__ }}") == ""


def test_the_work_of_an_expansion_is_bounded() -> None:
    doubling = "{{ $x := $labels.a }}" + "{{ $x = printf `%s%s` $x $x }}" * 30 + "{{ $x }}"
    with pytest.raises(ExpansionError, match="65536"):
        expand(doubling)
    samples = [Struct({"Labels": {}, "Value": 1.0})] * 1000
    loops = "{{ range query `a` }}{{ range query `a` }}x{{ end }}{{ end }}"
    with pytest.raises(ExpansionError, match="steps"):
        parse_template(loops).expand(DATA, {}, lambda _: samples)


def test_a_template_without_actions_is_a_constant() -> None:
    template = parse_template("plain }} text")
    assert template.constant == "plain }} text"
    assert template.reads == frozenset()


def test_a_template_knows_what_it_reads() -> None:
    template = parse_template("{{ $labels.a }}{{ if .Value }}{{ query `x` | first }}{{ end }}", ["$labels"])
    assert template.reads == {"$labels", "Value", "query"}


def test_functions_know_where_the_daemon_is_reached() -> None:
    """promtool 2.42 crashes on these two; Prometheus itself does not."""
    template = parse_template(
        "{{ externalURL }} {{ pathPrefix }}{{ urlQueryEscape `a b` }}", ["$externalURL"]
    )
    variables = {"$externalURL": "https://host:8443/way/in"}
    assert template.expand(Struct({}), variables, lambda _: []) == "https://host:8443/way/in /way/ina+b"


@pytest.mark.parametrize(
    "text", ["{{ slice `abc` 4 }}", "{{ slice `abc` 2 1 }}", "{{ slice 5 1 }}", "{{ slice `a` 0 1 1 }}"]
)
def test_a_slice_beyond_the_text_is_an_error(text: str) -> None:
    with pytest.raises(ExpansionError):
        parse_template(text).expand(Struct({}), {}, lambda _: [])
