"""Beside Debian's snmp_exporter: the same snmp.yml and the same agents must give the same series.

Both read one file in the older format, which 0.21 takes: a module of our own with every kind of index and metric
that it knows, and every shipped module. /snmp answers for Sentinel, a real process for snmp_exporter.

| differs | why |
|---|---|
| `ifAlias=""` there, no label here | a label with an empty value does not exist; Prometheus drops it |
| `snmp_scrape_*` | 0.21 has no label `module` and no packets; today's snmp_exporter answers as Sentinel does |
| `snmp_scrape_pdus_returned` | Sentinel asks for the columns that metrics need, not for whole subtrees |
| text that is not UTF-8, two rows with equal labels | a failed scrape there |
| looked-up `InetAddress` and `LldpPortId` | 0.21 garbles them (fixed later); not in the file |
| `scale`, `offset`, `extends`, written dates, display hints, filters | 0.21 does not know them; not in the file |
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from sentinel.collect.drivers import Drivers
from sentinel.collect.modules import Modules, load_modules
from sentinel.collect.snmp.format import COMBINED_TYPES
from sentinel.collect.snmp.modules import SnmpModule
from sentinel.collect.snmp.on_demand import Scrape
from sentinel.model.labels import METRIC_NAME, Labels
from sentinel.model.target import Target
from sentinel.runtime.clock import SystemClock
from sentinel.web.app import create_app
from sentinel.web.seams.collecting import OnDemandRules
from tests.servers.debian import ROOT
from tests.servers.snmp_exporter import SnmpExporter
from tests.servers.snmpd import Snmpd
from tests.unit.snmp.agent import Agent, Value, read_walk, serving
from tests.unit.web.fakes import Rooms

CASES = {path.parent.name: path for path in sorted(ROOT.glob("collectors/cases/*/walk.txt"))}
EVERY_KIND = Path(__file__).parent / "every_kind.yml"
SHIPPED = load_modules(sorted(ROOT.glob("collectors/snmp/*.yml"))).snmp

Series = dict[Labels, float]


def older_format(modules: Collection[SnmpModule]) -> dict[str, Any]:
    """The modules as snmp_exporter 0.21 reads them."""
    return {
        one.name: {
            "walk": list(one.walk),
            "get": list(one.get),
            "max_repetitions": one.max_repetitions or 25,
            "timeout": "2s",
            "metrics": [_older_metric(metric.model_dump(exclude_defaults=True)) for metric in one.metrics],
        }
        for one in modules
    }


def _older_metric(written: dict[str, Any]) -> dict[str, Any]:
    for key in ("scale", "offset", "display_hint"):
        written.pop(key, None)
    written["lookups"] = [one for one in written.get("lookups", ()) if one.get("type") not in COMBINED_TYPES]
    for lookup in written["lookups"]:
        for key in ("enum_values", "display_hint"):
            lookup.pop(key, None)
        lookup.setdefault("labels", ())
    for extracts in written.get("regex_extracts", {}).values():
        for extract in extracts:
            extract["regex"] = extract["regex"]["text"]
    plain: dict[str, Any] = yaml.safe_load(yaml.safe_dump(_lists(written)))
    return plain


def _lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lists(inner) for key, inner in value.items()}
    return [_lists(inner) for inner in value] if isinstance(value, list | tuple) else value


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The one file that both read."""
    file = tmp_path_factory.mktemp("exporter") / "snmp.yml"
    file.write_text(EVERY_KIND.read_text() + yaml.safe_dump(older_format(SHIPPED.values())))
    return file


@pytest.fixture(scope="module")
def exporter(config: Path) -> Iterator[SnmpExporter]:
    with SnmpExporter(config, config.with_suffix(".log")) as running:
        yield running


@dataclass
class Ours:
    """Sentinel's on-demand polls of anything on loopback."""

    drivers: Drivers
    modules: Modules
    targets: tuple[Target, ...] = ()

    def rules(self) -> OnDemandRules:
        return OnDemandRules(self.targets, modules=self.modules.snmp.keys())

    async def scrape(self, target: Target, module: str, /, *, context: str, timeout: float) -> Scrape:
        return await self.drivers.scrape(target, module, context=context, timeout=timeout)


@dataclass
class Sentinel:
    """Sentinel's /snmp, for the targets that it is asked for."""

    client: httpx.AsyncClient
    polls: Ours

    async def snmp(self, query: str) -> tuple[int, str]:
        ports = re.findall(r"target=127\.0\.0\.1:(\d+)", query)
        self.polls.targets = tuple(Target(port, "127.0.0.1", int(port)) for port in ports)
        answer = await self.client.get(f"/snmp?{query}")
        return answer.status_code, answer.text


@pytest.fixture
async def sentinel(config: Path) -> AsyncIterator[Sentinel]:
    modules, clock = load_modules([config]), SystemClock()
    drivers = Drivers(clock, CollectorRegistry())
    drivers.adopt(modules, {})
    faces = Rooms(clock=clock).faces()
    polls = Ours(drivers, modules)
    app = create_app(replace(faces, on_demand=polls), CollectorRegistry())
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:9788") as client:
        yield Sentinel(client, polls)
    await drivers.close()


@dataclass(frozen=True)
class Answer:
    series: Series
    types: dict[str, str]

    @classmethod
    def of(cls, text: str) -> Answer:
        found: Series = {}
        types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
        # The parser renames counters without _total; as gauges all keep their names.
        plain = re.sub(r"^(# TYPE \S+) \S+$", r"\1 gauge", text, flags=re.MULTILINE)
        for family in text_string_to_metric_families(plain):
            for sample in family.samples:
                if not sample.name.startswith("snmp_scrape_"):
                    labels = Labels({METRIC_NAME: sample.name} | sample.labels)
                    assert labels not in found
                    found[labels] = sample.value
        return cls(found, {name: kind for name, kind in types.items() if not name.startswith("snmp_scrape_")})


def differences(expected: Answer, mine: Answer) -> list[str]:
    """Series, values and types that are not the same."""
    found = [
        f"{labels}: {expected.series.get(labels)} there, {mine.series.get(labels)} here"
        for labels in {**expected.series, **mine.series}
        if expected.series.get(labels) != mine.series.get(labels)
    ]
    return found + [f"{name}: {kind}" for name, kind in expected.types.items() ^ mine.types.items()]


async def theirs(exporter: SnmpExporter, query: str) -> Answer:
    status, text = await asyncio.to_thread(exporter.snmp, query)
    assert status == 200, text
    return Answer.of(text)


async def ours(sentinel: Sentinel, query: str) -> Answer:
    status, text = await sentinel.snmp(query)
    assert status == 200, text
    return Answer.of(text)


@asynccontextmanager
async def recorded(name: str) -> AsyncIterator[str]:
    async with serving(Agent(read_walk(CASES[name]))) as agent:
        yield f"target=127.0.0.1:{agent.port}"


@pytest.mark.parametrize("case", sorted(set(SHIPPED) & set(CASES)))
async def test_recorded_devices_give_the_same_series(
    case: str, exporter: SnmpExporter, sentinel: Sentinel
) -> None:
    async with recorded(case) as target:
        expected = await theirs(exporter, f"{target}&module={case}")
        for _ in range(2):
            different = differences(expected, await ours(sentinel, f"{target}&module={case}"))
            assert not different, "\n".join(different)
    assert expected.series


async def test_every_kind_of_index_and_metric_gives_the_same_series(
    exporter: SnmpExporter, sentinel: Sentinel
) -> None:
    async with serving(Agent(every_kind_of_row())) as agent:
        query = f"target=127.0.0.1:{agent.port}&module=every_kind"
        expected = await theirs(exporter, query)
        for _ in range(2):
            different = differences(expected, await ours(sentinel, query))
            assert not different, "\n".join(different)
    wanted = set(re.findall(r"- name: (\w+)", EVERY_KIND.read_text()))
    seen = {labels.name for labels in expected.series}
    assert {name for name in wanted if not any(one.startswith(name) for one in seen)} == set()


@pytest.mark.parametrize("module", ["system", "if_mib", "host_resources", "ucd_snmp", "ip"])
async def test_a_real_agent_gives_the_same_series_between_two_polls_of_snmp_exporter(
    module: str, exporter: SnmpExporter, sentinel: Sentinel
) -> None:
    with Snmpd() as agent:
        agent.interfaces("lo", "eth0", "eth1")
        query = f"target={agent.address}&module={module}"
        for attempt in range(10):
            before, mine = await theirs(exporter, query), await ours(sentinel, query)
            after = await theirs(exporter, query)
            # Processes of the machine come and go; a quiet moment is what counts.
            if before.series.keys() == after.series.keys() == mine.series.keys() or attempt == 9:
                break
        assert before.series.keys() == mine.series.keys() == after.series.keys()
        assert mine.types == before.types
        odd = {
            str(labels): (before.series[labels], value, after.series[labels])
            for labels, value in mine.series.items()
            if mine.types.get(labels.name) == "counter"
            and not before.series[labels] <= value <= after.series[labels]
        }
        assert odd == {}
        steady = [labels for labels in mine.series if before.series[labels] == after.series[labels]]
        assert len(steady) > 0.5 * len(mine.series)
        moved = {str(one) for one in steady if mine.series[one] != before.series[one]}
        assert len(moved) <= 0.02 * len(steady), moved


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("module=system", 400),
        ("target=127.0.0.1:1&target=127.0.0.1:2", 400),
        ("target=127.0.0.1:9&module=nothing", 400),
        ("target=127.0.0.1:9&module=quick", 500),
    ],
)
async def test_errors_have_snmp_exporters_status(
    query: str, status: int, exporter: SnmpExporter, sentinel: Sentinel
) -> None:
    said = await asyncio.to_thread(exporter.snmp, query)
    mine = await sentinel.snmp(query)
    assert (said[0], mine[0]) == (status, status)
    if status == 400:
        assert mine[1] == said[1]
    else:
        assert all(
            text.startswith("An error has occurred while serving metrics:\n\n") for _, text in (said, mine)
        )


def every_kind_of_row() -> dict[str, Value]:
    """Rows for every_kind.yml; its comments say which column is what."""
    return read_walk(EVERY_KIND.with_suffix(".txt"))
