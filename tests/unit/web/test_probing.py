"""/probe: where it goes, and where nobody can send it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_network

import httpx
import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from sentinel.collect.collector import PollError
from sentinel.collect.probes.resolve import Policy
from sentinel.model.batch import Family, Layout, Reading
from sentinel.model.labels import Labels
from sentinel.model.target import Target
from sentinel.web.app import create_app
from sentinel.web.seams.collecting import ProbeRules
from tests.unit.web.fakes import Rooms

SHOP = Target("shop", "shop.example.org", url="https://shop.example.org/health")
HERE = Target("here", "127.0.0.1", 25)
PROBERS = {"http_2xx": "http", "tcp_connect": "tcp", "icmp": "icmp"}


@dataclass
class FakeProbing:
    networks: tuple[str, ...] = ()
    asked: list[tuple[str, str, int | None, str]] = field(default_factory=list)
    policies: list[Policy] = field(default_factory=list)
    fault: str = ""

    def rules(self) -> ProbeRules:
        return ProbeRules((SHOP, HERE), tuple(ip_network(one) for one in self.networks), PROBERS)

    async def probe(self, target: Target, module: str, /, *, policy: Policy, timeout: float) -> Reading:
        if self.fault:
            raise PollError("forbidden", self.fault)
        self.asked.append((module, target.host, target.port, target.url))
        self.policies.append(policy)
        layout = Layout.of([Labels({"__name__": "probe_success"})], {"probe_success": Family("gauge", "It.")})
        return Reading(layout, np.array([0.0]), reasons=("refused",))


@pytest.fixture
def services() -> FakeProbing:
    return FakeProbing()


@pytest.fixture
async def client(rooms: Rooms, services: FakeProbing) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(replace(rooms.faces(), probing=services), CollectorRegistry())
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:9788") as client:
        yield client


async def test_a_failed_probe_is_an_answer(client: httpx.AsyncClient) -> None:
    answer = await client.get("/probe", params={"target": SHOP.url})
    assert answer.status_code == 200
    assert "probe_success 0.0" in answer.text.splitlines()


async def test_a_probe_that_could_not_be_made_is_an_error(
    client: httpx.AsyncClient, services: FakeProbing
) -> None:
    services.fault = "the system forbids it"
    answer = await client.get("/probe?target=127.0.0.1&module=icmp")
    assert (answer.status_code, answer.text) == (500, "the probe could not be made: the system forbids it\n")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("module=http_2xx", 400),
        ("target=a&target=b", 400),
        ("target=127.0.0.1:25&module=nothing", 400),
        ("target=ftp://shop.example.org/&module=http_2xx", 400),
        ("target=https://user:word@shop.example.org/health", 400),
        ("target=https://shop.example.org/%0d%0aX:1%20", 400),
        ("target=https://shop.example.org/admin", 403),
        ("target=https://shop.example.org/health%23x", 400),
        ("target=shop.example.org:22&module=tcp_connect", 403),
        ("target=127.0.0.1:26&module=tcp_connect", 403),
        ("target=localhost:25&module=tcp_connect", 403),
        ("target=169.254.169.254", 403),
    ],
)
async def test_only_what_the_configuration_names_is_probed(
    client: httpx.AsyncClient, services: FakeProbing, query: str, status: int
) -> None:
    assert (await client.get(f"/probe?{query}")).status_code == status
    assert services.asked == []


async def test_targets_of_the_configuration_may_be_anywhere(
    client: httpx.AsyncClient, services: FakeProbing
) -> None:
    for query in (
        "target=127.0.0.1:25&module=tcp_connect",
        "target=SHOP.example.org.&module=icmp",
        "target=https://shop.example.org/health",
    ):
        assert (await client.get(f"/probe?{query}")).status_code == 200
    assert [one[1:] for one in services.asked] == [
        ("127.0.0.1", 25, ""),
        ("SHOP.example.org.", None, ""),
        ("shop.example.org", None, "https://shop.example.org/health"),
    ]
    assert services.policies[0](ip_address("127.0.0.1"))


async def test_names_are_held_to_the_networks_by_their_address(
    client: httpx.AsyncClient, services: FakeProbing
) -> None:
    services.networks = ("10.0.0.0/8", "0.0.0.0/0", "::/0")
    assert (await client.get("/probe?target=www.example.org/a?b=c")).status_code == 200
    assert services.asked == [("http_2xx", "www.example.org", None, "http://www.example.org/a?b=c")]
    (policy,) = services.policies
    for allowed in ("10.1.2.3", "203.0.113.9", "2001:4860::1"):
        assert policy(ip_address(allowed)), allowed
    for refused in (
        "127.0.0.1",
        "127.8.8.8",
        "::1",
        "169.254.169.254",
        "fe80::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "0.0.0.0",
        "100.100.100.200",
        "fd00:ec2::254",
        "224.0.0.1",
    ):
        assert not policy(ip_address(refused)), refused


async def test_a_network_leaves_others_out(client: httpx.AsyncClient, services: FakeProbing) -> None:
    services.networks = ("10.0.0.0/8",)
    assert (await client.get("/probe?target=10.1.2.3:80&module=tcp_connect")).status_code == 200
    assert (await client.get("/probe?target=192.168.1.1:80&module=tcp_connect")).status_code == 403
    assert not services.policies[0](ip_address("192.168.1.1"))
