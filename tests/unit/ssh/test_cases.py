"""Recorded texts of several distributions. collectors/cases/linux-*/SECTION.txt and what it must give."""

from __future__ import annotations

from pathlib import Path

import pytest

from sentinel.model.labels import Labels
from tests.servers.debian import ROOT
from tests.unit.ssh.reading import exposition, read

CASES = sorted((ROOT / "collectors/cases").glob("linux-*/*.txt"))


@pytest.mark.parametrize("case", CASES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_recorded_text_gives_the_recorded_series(case: Path) -> None:
    part = read(case.stem, case.read_bytes())
    assert exposition(part) == case.with_suffix(".expected").read_text()


@pytest.mark.parametrize("case", CASES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_text_cut_off_anywhere_loses_series_and_invents_none(case: Path) -> None:
    whole = case.read_bytes()
    known = set(read(case.stem, whole).shape.series)
    for end in range(0, len(whole), max(1, len(whole) // 60)):
        part = read(case.stem, whole[:end])
        invented = {labels for labels in part.shape.series if labels not in known}
        # A mount point, name or version that is itself cut is another one, and MemTotal without its kB is a count.
        assert {_name(labels) for labels in invented} <= {_name(labels) for labels in known}


def _name(labels: Labels) -> str:
    return labels.name.removesuffix("_bytes") if labels.name.startswith("node_memory_") else labels.name
