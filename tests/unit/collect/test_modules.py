"""All module files together: names, auths, and which module fits which device."""

from __future__ import annotations

from pathlib import Path

import pytest

from sentinel.collect.modules import load_modules
from sentinel.model.problem import UnusableError
from tests.unit.snmp.test_modules import BASES, GOOD, VENDOR


def written(folder: Path, **files: str) -> list[Path]:
    paths = []
    for name, text in files.items():
        path = folder / f"{name}.yml"
        path.write_text(text)
        paths.append(path)
    return paths


def problems(files: list[Path]) -> list[str]:
    with pytest.raises(UnusableError) as caught:
        load_modules(files)
    return [str(problem) for problem in caught.value.problems]


def test_modules_extend_those_of_other_files(tmp_path: Path) -> None:
    found = load_modules(written(tmp_path, base=BASES, vendor=VENDOR))
    assert [metric.name for metric in found.snmp["vendor"].metrics] == ["a", "b", "c"]
    assert found.kinds == {"local": "local", "base": "snmp", "vendor": "snmp"}


def test_auths_of_files_are_known_by_name_and_may_stand_twice(tmp_path: Path) -> None:
    again = GOOD.replace("ups:", "other:")
    found = load_modules(written(tmp_path, first=GOOD, second=again))
    assert found.auths["branch"].auth.community.reveal() == "branch-office"


def test_different_auths_of_one_name_are_a_problem(tmp_path: Path) -> None:
    first, second = written(tmp_path, a=GOOD, b="auths:\n  branch:\n    community: other\n")
    assert problems([first, second]) == [f"{second}:2:3: auth 'branch' is declared differently in {first}"]


def test_a_name_may_be_given_once_in_files_of_both_formats(tmp_path: Path) -> None:
    first, second = written(tmp_path, a="ups: {walk: [1.3.6.1]}\nlocal: {walk: [1.3.6.1]}\n", b=GOOD)
    assert f"{second}:13:3: module 'ups' is already declared in {first}" in problems([first, second])
    assert f"{first}:2:1: module 'local' is built in: choose another name" in problems([first, second])


IDENTIFY = """
modules:
  any: {walk: [1.3.6.1.2.1.2], identify: {sys_object_id: [1.3.6.1.4.1]}}
  cisco: {extends: [any], identify: {sys_object_id: [.1.3.6.1.4.1.9]}}
  asa: {extends: [cisco], identify: {sys_object_id: [1.3.6.1.4.1.9.1.669, 1.3.6.1.4.1.9.1.670]}}
  cpu: {walk: [1.3.6.1.4.1.9.9.109], identify: {sys_object_id: [1.3.6.1.4.1.9]}}
  linux: {walk: [1.3.6.1.2.1.25], identify: {sys_object_id: [1.3.6.1.4.1.8072.3.2.10], sys_descr: ["^Linux "]}}
"""


@pytest.mark.parametrize(
    ("sys_object_id", "sys_descr", "modules"),
    [
        ("1.3.6.1.4.1.9.1.670", "Cisco Adaptive Security Appliance", ("asa", "cpu")),
        (".1.3.6.1.4.1.9.1.1208", "Cisco IOS", ("cisco", "cpu")),
        ("1.3.6.1.4.1.99.1", "something", ("any",)),
        ("1.3.6.1.4.1.8072.3.2.10", "Linux host 6.1", ("linux", "any")),
        ("1.3.6.1.4.1.4413", "Linux switch 4.4", ("any", "linux")),
        ("1.3.6.1.4", "", ()),
        ("", "", ()),
    ],
)
def test_a_device_gets_the_modules_that_fit_it_closest_first(
    tmp_path: Path, sys_object_id: str, sys_descr: str, modules: tuple[str, ...]
) -> None:
    found = load_modules(written(tmp_path, identify=IDENTIFY))
    assert found.identify(sys_object_id, sys_descr) == modules
