"""/snmp: what it polls, for whom, and how it says no."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from ipaddress import ip_network

import httpx
import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from sentinel.collect.collector import PollError
from sentinel.collect.snmp.on_demand import Scrape
from sentinel.model.batch import Family, Layout, Reading
from sentinel.model.labels import Labels
from sentinel.model.target import Target
from sentinel.web.app import create_app
from sentinel.web.seams.collecting import OnDemandRules
from tests.unit.web.fakes import Rooms

SWITCH = Target("switch", "switch.example.org", 1161, auths=("branch",))
ROUTER = Target("router", "2001:db8::1")


def scrape(name: str, value: float, *unread: str) -> Scrape:
    layout = Layout.of([Labels({"__name__": name, "ifIndex": "1"})], {name: Family("gauge", "A number.")})
    reading = Reading(layout, np.array([value]), frozenset(unread), ("timeout",) if unread else ())
    return Scrape(reading, 0.25, packets=4, retries=1, values=30)


@dataclass
class FakeOnDemand:
    answers: dict[str, Scrape | PollError] = field(
        default_factory=lambda: {"if_mib": scrape("ifMtu", 1500), "ups": scrape("upsVoltage", 230)}
    )
    networks: tuple[str, ...] = ()
    asked: list[tuple[str, str, int | None, tuple[str, ...], str]] = field(default_factory=list)
    patience: list[float] = field(default_factory=list)

    def rules(self) -> OnDemandRules:
        networks = tuple(ip_network(one) for one in self.networks)
        return OnDemandRules((SWITCH, ROUTER), networks, self.answers.keys(), ("public_v2", "branch"))

    async def scrape(self, target: Target, module: str, /, *, context: str, timeout: float) -> Scrape:
        self.asked.append((module, target.host, target.port, target.auths, context))
        self.patience.append(timeout)
        answer = self.answers[module]
        if isinstance(answer, PollError):
            raise answer
        return answer


@pytest.fixture
def devices() -> FakeOnDemand:
    return FakeOnDemand()


@pytest.fixture
async def client(rooms: Rooms, devices: FakeOnDemand) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(replace(rooms.faces(), on_demand=devices), CollectorRegistry())
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:9788") as client:
        yield client


async def test_a_poll_is_answered_without_labels_of_ours(client: httpx.AsyncClient) -> None:
    answer = await client.get("/snmp?target=switch.example.org:1161")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.text.splitlines()
    assert lines[:3] == ["# HELP ifMtu A number.", "# TYPE ifMtu gauge", 'ifMtu{ifIndex="1"} 1500.0']
    assert [line for line in lines[3:] if not line.startswith("#")] == [
        'snmp_scrape_duration_seconds{module="if_mib"} 0.25',
        'snmp_scrape_packets_retried{module="if_mib"} 1.0',
        'snmp_scrape_packets_sent{module="if_mib"} 4.0',
        'snmp_scrape_pdus_returned{module="if_mib"} 30.0',
        'snmp_scrape_walk_duration_seconds{module="if_mib"} 0.25',
    ]


@pytest.mark.parametrize(
    "modules", ["module=if_mib,ups", "module=if_mib&module=ups", "module=ups,if_mib,ups"]
)
async def test_several_modules_answer_together(client: httpx.AsyncClient, modules: str) -> None:
    answer = await client.get(f"/snmp?target=switch.example.org:1161&{modules}")
    assert 'ifMtu{ifIndex="1"} 1500.0' in answer.text
    assert 'upsVoltage{ifIndex="1"} 230.0' in answer.text
    assert 'snmp_scrape_pdus_returned{module="ups"} 30.0' in answer.text


async def test_a_target_is_asked_with_its_own_auth_unless_another_is_named(
    client: httpx.AsyncClient, devices: FakeOnDemand
) -> None:
    await client.get("/snmp?target=SWITCH.example.org.:1161")
    await client.get("/snmp?target=switch.example.org:1161&auth=public_v2&snmp_context=vlan-5")
    await client.get("/snmp?target=[2001:0db8:0::1]:161")
    assert devices.asked == [
        ("if_mib", "SWITCH.example.org.", 1161, ("branch",), ""),
        ("if_mib", "switch.example.org", 1161, ("public_v2",), "vlan-5"),
        ("if_mib", "2001:0db8:0::1", 161, ("public_v2",), ""),
    ]


@pytest.mark.parametrize(
    ("query", "status", "text"),
    [
        ("", 400, "'target' parameter must be specified once"),
        ("target=", 400, "'target' parameter must be specified once"),
        ("target=a&target=b", 400, "'target' parameter must be specified once"),
        ("target=2001:db8::1&module=nothing", 400, "Unknown module 'nothing'"),
        ("target=2001:db8::1&module=ups,nothing", 400, "Unknown module 'nothing'"),
        ("target=2001:db8::1&auth=nobody", 400, "Unknown auth 'nobody'"),
        ("target=2001:db8::1&auth=a&auth=b", 400, "'auth' parameter must only be specified once"),
        ("target=-oProxyCommand", 400, "target: not a host name or IP address: '-oProxyCommand'"),
        ("target=http://169.254.169.254/", 400, "target: not a port"),
        ("target=10.0.0.1", 403, "10.0.0.1 is neither the address of a target nor in a network of"),
        ("target=switch.example.org", 403, "switch.example.org is neither"),
        ("target=switch", 403, "switch is neither"),
    ],
)
async def test_what_cannot_be_answered_is_refused_before_anything_is_sent(
    client: httpx.AsyncClient, devices: FakeOnDemand, query: str, status: int, text: str
) -> None:
    answer = await client.get(f"/snmp?{query}")
    assert (answer.status_code, answer.text.startswith(text)) == (status, True), answer.text
    assert not devices.asked


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("10.1.2.3", 200),
        ("10.1.2.3:161", 200),
        ("10.1.2.3:1161", 200),
        ("10.1.2.3:53", 403),
        ("[2001:db8:5::7]", 200),
        ("11.1.2.3", 403),
        ("[::ffff:10.1.2.3]", 403),
        ("10.1.2.3.example.org", 403),
        ("167838211", 403),
        ("localhost", 403),
        ("127.0.0.1", 403),
    ],
)
async def test_only_listed_networks_are_polled_beside_targets(
    client: httpx.AsyncClient, devices: FakeOnDemand, target: str, status: int
) -> None:
    devices.networks = ("10.0.0.0/8", "2001:db8:5::/48")
    assert (await client.get("/snmp", params={"target": target})).status_code == status
    assert len(devices.asked) == (status == 200)


async def test_a_poll_that_fails_is_an_error_of_ours_with_its_reason(
    client: httpx.AsyncClient, devices: FakeOnDemand
) -> None:
    devices.answers["if_mib"] = PollError("timeout", "no answer from switch:161 within 10s")
    answer = await client.get("/snmp?target=2001:db8::1")
    assert answer.status_code == 500
    assert answer.text == (
        "An error has occurred while serving metrics:\n\nno answer from switch:161 within 10s\n"
    )


async def test_a_poll_that_read_only_a_part_fails_as_snmp_exporters_does(
    client: httpx.AsyncClient, devices: FakeOnDemand
) -> None:
    devices.answers["if_mib"] = scrape("ifMtu", 1500, "ifSpeed")
    answer = await client.get("/snmp?target=2001:db8::1")
    assert answer.status_code == 500
    assert "module if_mib: ifSpeed could not be read (timeout)" in answer.text


@pytest.mark.parametrize(
    ("said", "least", "most"), [("10", 9, 9.5), ("1000", 119, 120), ("0.1", 0.1, 0.5), ("x", 19, 20)]
)
async def test_a_poll_ends_before_prometheus_gives_up(
    client: httpx.AsyncClient, devices: FakeOnDemand, said: str, least: float, most: float
) -> None:
    headers = {"X-Prometheus-Scrape-Timeout-Seconds": said}
    await client.get("/snmp?target=2001:db8::1", headers=headers)
    assert least <= devices.patience[0] <= most


async def test_prometheus_may_ask_under_any_name_and_gets_it_compressed(client: httpx.AsyncClient) -> None:
    headers = {"Host": "sentinel.internal:9788", "Accept-Encoding": "gzip"}
    answer = await client.get("/snmp?target=2001:db8::1", headers=headers)
    assert answer.headers["content-encoding"] == "gzip"
    assert "ifMtu" in answer.text
