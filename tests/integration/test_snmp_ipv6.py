"""Every version over IPv6, against a real snmpd that listens on ::1 alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sentinel.collect.collector import PollError
from sentinel.config.auth import SnmpAuth
from tests.integration.test_snmp_by_pysnmp import community, poll, stable
from tests.integration.test_snmp_snmpd import shipped
from tests.integration.test_snmp_v3 import DESCRIPTION, snmpd_users, user
from tests.servers.snmpd import Snmpd

HOST = "::1"
AUTHS = {
    "v1": community(1, "own"),
    "v2c": community(2, "own"),
    "noAuthNoPriv": user(),
    "authNoPriv": user("SHA"),
    "MD5 and DES": user("MD5", "DES"),
    "SHA and AES": user("SHA", "AES"),
    "SHA512 and AES256C": user("SHA512", "AES256C"),
}


@pytest.fixture(scope="module")
def agent() -> Iterator[Snmpd]:
    with Snmpd(host=HOST, config="\n".join(snmpd_users())) as running:
        running.interfaces("lo", "eth0", "eth1")
        yield running


@pytest.fixture(scope="module")
def beside() -> Iterator[Snmpd]:
    with Snmpd() as running:
        running.interfaces("lo", "eth0", "eth1")
        yield running


@pytest.mark.parametrize("name", AUTHS)
@pytest.mark.parametrize("engine", ["own", "pysnmp"])
async def test_tables_read_the_same_as_over_ipv4(agent: Snmpd, beside: Snmpd, name: str, engine: str) -> None:
    module = shipped("if_mib")
    version = 1 if name == "v1" else 2
    expected = stable(await poll(module, beside.port, community(version, "own")))
    auth = AUTHS[name].model_copy(update={"engine": engine})
    assert stable(await poll(module, agent.port, auth, host=HOST)) == expected


@pytest.mark.parametrize(
    "auth", [user("SHA", "AES"), user("SHA", "AES", engine="pysnmp")], ids=["own", "pysnmp"]
)
async def test_errors_are_told_apart_over_ipv6_too(agent: Snmpd, auth: SnmpAuth) -> None:
    wrong = auth.model_copy(update={"username": "nobody"})
    with pytest.raises(PollError, match=r"\[::1\]:\d+ does not know the user") as caught:
        await poll(DESCRIPTION, agent.port, wrong, host=HOST)
    assert caught.value.reason == "auth"
    agent.stop()
    try:
        with pytest.raises(PollError) as caught:
            await poll(DESCRIPTION, agent.port, auth, host=HOST, timeout=5)
        assert caught.value.reason == "refused"
    finally:
        agent.start()
