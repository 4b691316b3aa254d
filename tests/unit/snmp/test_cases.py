"""Every shipped module, replayed: a recorded walk must give the series that snmp_exporter makes of it.

collectors/cases/MODULE/walk.txt is the output of `snmpbulkwalk -On`, expected.prom what snmp_exporter 0.21 answered
for the same agent and module (without its own snmp_scrape_* metrics).
"""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from sentinel.collect.modules import load_modules
from sentinel.collect.snmp.modules import SnmpModule
from sentinel.model.labels import METRIC_NAME, Labels
from tests.unit.snmp.agent import Agent, read_walk, serving
from tests.unit.snmp.reading import opened

COLLECTORS = Path(__file__).parents[3] / "collectors"
CASES = sorted(path.parent for path in COLLECTORS.glob("cases/*/walk.txt"))


def shipped() -> dict[str, SnmpModule]:
    return dict(load_modules(sorted(COLLECTORS.glob("snmp/*.yml"))).snmp)


def test_every_shipped_module_has_a_case() -> None:
    assert set(shipped()) <= {case.name for case in CASES}


def test_every_module_file_names_the_source_of_its_oids() -> None:
    for file in COLLECTORS.glob("snmp/*.yml"):
        assert "# Source of the OIDs:" in file.read_text(), file


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_a_recorded_walk_gives_what_snmp_exporter_makes_of_it(case: Path, version: int) -> None:
    expected, types = {}, {}
    for family in text_string_to_metric_families((case / "expected.prom").read_text()):
        for sample in family.samples:
            # The parser adds _total to counters, which snmp_exporter's do not have.
            name = sample.name.removesuffix("_total") if family.type == "counter" else sample.name
            expected[Labels({METRIC_NAME: name} | sample.labels)] = sample.value
            types[name] = family.type, family.documentation
    module = shipped()[case.name]
    async with (
        serving(Agent(read_walk(case / "walk.txt"))) as agent,
        opened(module, agent.port, version=version) as one,
    ):
        for _ in range(3):
            reading = await one.poll(at=0, timeout=10)
            found = dict(zip(reading.layout.series, map(float, reading.values), strict=True))
            assert found == expected
            assert len(found) == len(reading.layout)
            assert not reading.unread
    families = reading.layout.families
    assert {name: (families[name].type, families[name].help) for name in types} == types
