"""SNMP version 3 against net-snmp's agent and against pysnmp's: every signature with every encryption."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from prometheus_client import CollectorRegistry

from sentinel.collect.collector import PollError
from sentinel.config.auth import AuthProtocol, PrivProtocol, SnmpAuth
from tests.integration.test_snmp_snmpd import shipped
from tests.servers.pysnmp_agent import PysnmpAgent
from tests.servers.snmpd import Snmpd
from tests.unit.snmp.reading import module_of, opened, samples

AUTHS: tuple[AuthProtocol, ...] = get_args(AuthProtocol)
PRIVS: tuple[PrivProtocol, ...] = get_args(PrivProtocol)
PAIRS = [(auth, priv) for auth in AUTHS for priv in (*PRIVS, "")]
PASSWORD, PRIV_PASSWORD = "a password to sign with", "and one to encrypt with"

DESCRIPTION = module_of(
    """
modules:
  description:
    walk: [1.3.6.1.2.1.1.1, 1.3.6.1.2.1.1.3]
    timeout: 3s
    metrics:
      - {name: sysDescr, oid: 1.3.6.1.2.1.1.1, type: DisplayString}
      - {name: sysUpTime, oid: 1.3.6.1.2.1.1.3, type: gauge}
""",
    "description",
)

CONTACT = module_of(
    """
modules:
  contact:
    walk: [1.3.6.1.2.1.1]
    metrics:
      - {name: sysDescr, oid: 1.3.6.1.2.1.1.1, type: DisplayString}
      - {name: sysContact, oid: 1.3.6.1.2.1.1.4, type: DisplayString}
      - {name: sysName, oid: 1.3.6.1.2.1.1.5, type: DisplayString}
      - {name: sysLocation, oid: 1.3.6.1.2.1.1.6, type: DisplayString}
""",
    "contact",
)


def user(auth: str = "", priv: str = "", **more: Any) -> SnmpAuth:
    """The user that both agents know for this pair."""
    level = "authPriv" if priv else "authNoPriv" if auth else "noAuthNoPriv"
    written = {"kind": "snmp", "version": 3, "username": f"u-{auth}-{priv}", "security_level": level}
    if auth:
        written |= {"auth_protocol": auth, "password": PASSWORD}
    if priv:
        written |= {"priv_protocol": priv, "priv_password": PRIV_PASSWORD}
    return SnmpAuth.model_validate(written | more)


def snmpd_users() -> Iterator[str]:
    """Lines of snmpd.conf; net-snmp writes SHA-256 and AES-192, but AES192C."""
    for auth, priv in [*PAIRS, ("", "")]:
        sign = (
            f'{auth[:3]}-{auth[3:]} "{PASSWORD}"' if len(auth) > 3 else f'{auth} "{PASSWORD}"' if auth else ""
        )
        cipher = f"AES-{priv[3:]}" if priv in ("AES192", "AES256") else priv
        encrypt = f'{cipher} "{PRIV_PASSWORD}"' if priv else ""
        yield f"createUser u-{auth}-{priv} {sign} {encrypt}"
        yield f"rouser u-{auth}-{priv} {'priv' if priv else 'auth' if auth else 'noauth'}"


@pytest.fixture(scope="module")
def agent() -> Iterator[Snmpd]:
    with Snmpd(config="\n".join(snmpd_users())) as running:
        running.interfaces("lo", "eth0", "eth1")
        yield running


@pytest.fixture(scope="module")
def peer() -> Iterator[PysnmpAgent]:
    users = [
        (f"u-{auth}-{priv}", auth, PASSWORD if auth else "", priv, PRIV_PASSWORD if priv else "")
        for auth, priv in [*PAIRS, ("", "")]
    ]
    with PysnmpAgent(users) as running:
        yield running


@pytest.mark.parametrize(("auth", "priv"), [*PAIRS, ("", "")])
async def test_every_pair_reads_the_same_as_version_2(agent: Snmpd, auth: str, priv: str) -> None:
    async with opened(CONTACT, agent.port) as plain:
        expected = samples(await plain.poll(at=0, timeout=10))
    assert len(expected) == 4
    async with opened(CONTACT, agent.port, auth=user(auth, priv)) as collector:
        for _ in range(3):
            assert samples(await collector.poll(at=0, timeout=10)) == expected


@pytest.mark.parametrize(
    ("auth", "priv"), [("MD5", "DES"), ("SHA", "AES"), ("SHA512", "AES256"), ("SHA256", "")]
)
async def test_tables_read_the_same_as_in_version_2(agent: Snmpd, auth: str, priv: str) -> None:
    module = shipped("if_mib")
    async with opened(module, agent.port) as plain:
        expected = samples(await plain.poll(at=0, timeout=10))
    async with opened(module, agent.port, auth=user(auth, priv)) as collector:
        for _ in range(3):
            reading = await collector.poll(at=0, timeout=10)
            assert samples(reading) == expected
            assert not reading.unread


@pytest.mark.parametrize(("auth", "priv"), [*PAIRS, ("", "")])
async def test_every_pair_reads_pysnmps_agent(peer: PysnmpAgent, auth: str, priv: str) -> None:
    async with opened(DESCRIPTION, peer.port, auth=user(auth, priv)) as collector:
        for _ in range(2):
            found = samples(await collector.poll(at=0, timeout=10))
    assert len(found) == 2
    assert any("PySNMP" in series for series in found)


WRONG = {
    "user": ({"username": "nobody"}, "does not know the user"),
    "password": ({"password": "a wrong password"}, "signed wrongly: check password and auth_protocol"),
    "auth_protocol": ({"auth_protocol": "SHA512"}, "signed wrongly: check password and auth_protocol"),
    "priv_password": ({"priv_password": "a wrong one"}, "cannot decrypt requests: check priv_password"),
    "priv_protocol": ({"priv_protocol": "AES256"}, "cannot decrypt requests: check priv_password"),
    # net-snmp reports the level; pysnmp says nothing to what it cannot decrypt.
    "level": ({"username": "u-SHA-"}, "does not offer this security_level|cannot decrypt.* security_level"),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("server", ["snmpd", "pysnmp"])
async def test_what_is_wrong_with_the_user_is_named(
    agent: Snmpd, peer: PysnmpAgent, server: str, wrong: str
) -> None:
    change, text = WRONG[wrong]
    port = agent.port if server == "snmpd" else peer.port
    async with opened(DESCRIPTION, port, auth=user("SHA", "AES", **change)) as collector:
        for _ in range(2):
            with pytest.raises(PollError, match=text) as caught:
                await collector.poll(at=0, timeout=8)
            assert caught.value.reason == "auth"
            assert "password to sign" not in caught.value.text


@pytest.mark.parametrize("level", ["authNoPriv", "noAuthNoPriv"])
async def test_less_protection_than_the_view_asks_for_is_named(agent: Snmpd, level: str) -> None:
    async with opened(DESCRIPTION, agent.port, auth=user("SHA", "AES", security_level=level)) as collector:
        with pytest.raises(PollError, match=r"authorizationError.*security_level"):
            await collector.poll(at=0, timeout=8)


async def test_a_wrong_password_is_not_taken_for_a_silent_agent() -> None:
    """Told at once: no time-out is waited for."""
    with Snmpd(config="\n".join(snmpd_users())) as running:
        async with opened(DESCRIPTION, running.port, auth=user("SHA", password="a wrong one")) as collector:
            for _ in range(3):
                with pytest.raises(PollError, match="password"):
                    await collector.poll(at=0, timeout=0.5)


async def reports(registry: CollectorRegistry, kind: str) -> float:
    return registry.get_sample_value("sentinel_snmp_reports_total", {"report": kind}) or 0


@pytest.mark.parametrize("priv", ["AES", ""])
async def test_an_agent_that_restarted_is_read_by_the_next_poll(priv: str) -> None:
    registry = CollectorRegistry()
    with Snmpd(config="\n".join(snmpd_users()), remembers=True) as running:
        running.interfaces("lo", "eth0")
        async with opened(shipped("if_mib"), running.port, auth=user("SHA", priv), registry=registry) as one:
            before = await one.poll(at=0, timeout=10)
            running.stop()
            with pytest.raises(PollError) as caught:
                await one.poll(at=0, timeout=2)
            assert caught.value.reason == "refused"
            running.start()
            after = await one.poll(at=0, timeout=10)
            assert after.layout is before.layout
            assert not after.unread
    assert await reports(registry, "not_in_time_window") >= 1


async def test_an_agent_that_forgot_its_name_is_met_anew() -> None:
    registry = CollectorRegistry()
    with Snmpd(config="\n".join(snmpd_users())) as running:
        running.interfaces("lo", "eth0")
        async with opened(
            shipped("if_mib"), running.port, auth=user("SHA256", "AES"), registry=registry
        ) as one:
            before = await one.poll(at=0, timeout=10)
            met = await reports(registry, "unknown_engine")
            running.stop()
            running.start()
            assert (await one.poll(at=0, timeout=10)).layout is before.layout
    assert await reports(registry, "unknown_engine") > met


async def test_known_rows_cost_no_walk_and_no_discovery_in_version_3_either(agent: Snmpd) -> None:
    registry = CollectorRegistry()
    async with opened(shipped("if_mib"), agent.port, auth=user("SHA", "AES"), registry=registry) as collector:
        await collector.poll(at=0, timeout=10)
        met = await reports(registry, "unknown_engine")
        layouts = {(await collector.poll(at=0, timeout=10)).layout for _ in range(5)}
    assert len(layouts) == 1
    assert registry.get_sample_value("sentinel_snmp_walks_total") == 1
    assert await reports(registry, "unknown_engine") == met


async def test_two_modules_of_a_device_meet_it_once(agent: Snmpd) -> None:
    async with opened(DESCRIPTION, agent.port, auth=user("SHA", "AES")) as first:
        await first.poll(at=0, timeout=10)
        second = type(first)("127.0.0.1", agent.port, first._access, first._plan, first._shared)
        metrics = first._shared.metrics.reports.labels("unknown_engine")
        met = metrics._value.get()
        await second.poll(at=0, timeout=10)
        assert metrics._value.get() == met
