"""Recorded texts of the shipped probes, and of the programs that they run, on several systems."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.servers.debian import ROOT
from tests.unit.ssh.probe_cases import PROBES, exposition, modules, printed, read, systems, texts


def _name(case: Path) -> str:
    return f"{case.parent.name}-{case.name.removesuffix('.txt')}"


@pytest.mark.parametrize("case", texts(), ids=_name)
def test_the_recorded_text_gives_the_recorded_series(case: Path) -> None:
    assert exposition(read(case, case.read_bytes())) == case.with_suffix(".expected").read_text()


@pytest.mark.parametrize("shell", ["dash", "bash"])
@pytest.mark.parametrize("case", systems(), ids=_name)
def test_what_the_programs_print_gives_the_recorded_series(case: Path, shell: str, tmp_path: Path) -> None:
    assert exposition(read(case, printed(case, tmp_path, shell))) == (case / "expected").read_text()


@pytest.mark.parametrize("case", texts(), ids=_name)
def test_a_text_cut_off_anywhere_invents_no_metric(case: Path) -> None:
    whole = case.read_bytes()
    known = read(case, whole).shape.names
    for end in range(0, len(whole), max(1, len(whole) // 60)):
        assert read(case, whole[:end]).shape.names <= known


def test_every_section_of_every_probe_has_cases_of_two_systems() -> None:
    found = [(case.parent.name, case.name.partition(".")[0]) for case in (*texts(), *systems())]
    sections = [(name, section.name) for name in PROBES for section in modules()[name].sections]
    assert [section for section in sections if found.count(section) < 2] == []


def test_every_shipped_probe_is_here() -> None:
    others = {"linux", "network_cli"}
    assert {path.stem for path in (ROOT / "collectors/ssh").glob("*.yml")} - others == set(PROBES)


def test_commands_hold_no_carriage_return_and_wait_no_longer_than_a_poll() -> None:
    for module in modules().values():
        for section in module.sections:
            assert section.timeout <= 9, (module.name, section.name)
            assert "\r" not in section.command
