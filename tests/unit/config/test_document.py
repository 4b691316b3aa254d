"""Every problem in what people write is found at once, at its line and column."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.config.auth import Auth
from sentinel.config.document import Written, validated
from sentinel.config.toml import parse_toml
from sentinel.config.yaml import parse_yaml
from sentinel.model.problem import UnusableError


class Item(Written):
    name: str
    port: int = 1


class Whole(Written):
    auth: dict[str, Auth] = {}
    item: list[Item] = []


def _problems(text: str, *, kind: str = "toml") -> list[str]:
    with pytest.raises(UnusableError) as caught:
        validated(Whole, parse_toml(text, "c") if kind == "toml" else parse_yaml(text, "c"))
    return [str(problem) for problem in caught.value.problems]


def test_all_problems_of_a_toml_file_come_at_once() -> None:
    assert _problems(
        '[auth.b]\nkind = "snmp"\ncomunity = "y"\n[[item]]\nname = "q"\n  prot=3\n[[item]]\nport = "x"\n'
    ) == [
        "c:3:1: unknown key 'comunity' (did you mean 'community'?)",
        "c:6:3: unknown key 'prot' (did you mean 'port'?)",
        "c:7:3: 'name' is missing",
        "c:8:9: port: Input should be a valid integer, unable to parse string as an integer",
    ]


def test_suggestions_come_from_the_kind_that_is_meant() -> None:
    assert _problems('[auth.a]\nkind = "ssh"\nusername = "x"\npasword = "y"\n')[0] == (
        "c:4:1: unknown key 'pasword' (did you mean 'password'?)"
    )


def test_an_object_that_does_not_hold_together_is_named() -> None:
    assert _problems('[auth.a]\nkind = "ssh"\nusername = "x"\n') == ["c:1:2: a: needs key, agent or password"]


def test_columns_count_characters_not_bytes() -> None:
    assert _problems('item = [{name = "ü"}, {nam = "é"}]') == [
        "c:1:24: unknown key 'nam' (did you mean 'name'?)",
    ]


@pytest.mark.parametrize(
    ("text", "place"),
    [("a = 1\nb = \n", "c:2:5"), ("a = [\n", "c:2:1"), ("a = 1\na = 2\n", "c:2:6"), ("= 1", "c:1:1")],
)
def test_broken_toml_is_located(text: str, place: str) -> None:
    assert _problems(text)[0].startswith(f"{place}: not TOML: ")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("item:\n  - port: 1\n", "c:2:5: 'name' is missing"),
        ("item:\n  - name: x\n    name: y\n", "c:3:5: key 'name' is given twice"),
        ("item: [\n", "c:2:1: not YAML: did not find expected node content"),
        ("item: &a [*a]\n", "c:1:7: aliases are not supported here: write the value out"),
        ("item: \t- x\n", "c:1:8: not YAML: block sequence entries are not allowed in this context"),
    ],
)
def test_problems_of_yaml_are_located(text: str, problem: str) -> None:
    assert problem in _problems(text, kind="yaml")


def test_yaml_that_explodes_is_refused() -> None:
    rows = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40)]
    assert any("aliases" in problem for problem in _problems("\n".join(rows), kind="yaml"))


def test_deep_yaml_is_refused() -> None:
    assert _problems("[" * 5000 + "]" * 5000, kind="yaml")


def test_places_inside_a_value_are_exact() -> None:
    text = "item:\n  - name: abc + bad\n  - name: 'abc + bad'\n  - name: |\n      abc +\n      bad\n"
    document = parse_yaml(text, "c")
    assert str(document.problem_in(("item", 0, "name"), "abc + bad", 6, "here")) == "c:2:17: here"
    assert str(document.problem_in(("item", 1, "name"), "abc + bad", 6, "here")) == "c:3:18: here"
    assert str(document.problem_in(("item", 2, "name"), "abc +\nbad\n", 6, "here")) == "c:6:7: here"


@given(st.text(max_size=200))
def test_any_text_parses_or_is_unusable(text: str) -> None:
    for parse in (parse_toml, parse_yaml):
        try:
            parse(text, "c")
        except UnusableError as error:
            assert error.problems
