"""Module files: the shipped one loads, and mistakes are told with their place."""

from __future__ import annotations

import pytest

from sentinel.collect.ssh.modules import parse_modules
from sentinel.config.yaml import parse_yaml
from sentinel.model.problem import UnusableError
from tests.servers.debian import ROOT

GOOD = """modules:
  mine:
    sections:
      - name: uname
        parser: uname
        every: 10m
        command: uname -a
"""


def problems(text: str) -> list[str]:
    with pytest.raises(UnusableError) as error:
        parse_modules(parse_yaml(text, "mine.yml"))
    return [str(problem) for problem in error.value.problems]


def test_the_shipped_module_loads() -> None:
    path = ROOT / "collectors/ssh/linux.yml"
    linux = parse_modules(parse_yaml(path.read_text(), str(path)))["linux"]
    assert [section.name for section in linux.sections][:2] == ["proc", "filesystem"]


def test_durations_are_seconds() -> None:
    (section,) = parse_modules(parse_yaml(GOOD, "mine.yml"))["mine"].sections
    assert (section.every, section.timeout) == (600, 5)


def test_an_equal_file_gives_equal_modules() -> None:
    assert parse_modules(parse_yaml(GOOD, "a")) == parse_modules(parse_yaml(GOOD, "b"))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "parser: uname",
            "parser: unam",
            "mine.yml:5:17: parser: unknown parser 'unam' (did you mean 'uname'?)",
        ),
        ("every:", "evry:", "mine.yml:6:9: unknown key 'evry' (did you mean 'every'?)"),
        ("10m", "often", "mine.yml:6:16: every: not a duration"),
        ("uname -a", '""', "mine.yml:7:19: command: is empty"),
        ("name: uname", "name: U name", "mine.yml:4:15: name: use small letters"),
        ("        command: uname -a\n", "", "mine.yml:4:9: 'command' is missing"),
        (
            "        parser: uname\n",
            "        parser: uname\n        input: {section: prco, file: /a}\n",
            "mine.yml:6:26: there is no section 'prco' above this one",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place(old: str, new: str, told: str) -> None:
    (problem,) = problems(GOOD.replace(old, new, 1))
    assert problem.startswith(told)


def test_a_section_given_twice_is_told() -> None:
    twice = GOOD + "      - name: uname\n        parser: systemd\n        command: true\n"
    assert problems(twice) == ["mine.yml:8:15: section 'uname' is given twice"]
