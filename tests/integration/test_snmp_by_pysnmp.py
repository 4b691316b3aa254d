"""engine = "pysnmp": the same series, errors and deadlines as with our own engine, against real agents."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from sentinel.collect.collector import Collector, PollError
from sentinel.collect.snmp import ber
from sentinel.collect.snmp.driver import SnmpDriver
from sentinel.collect.snmp.modules import SnmpModule
from sentinel.collect.snmp.pysnmp_collector import PysnmpCollector
from sentinel.config.auth import SnmpAuth
from sentinel.config.secret import Secret
from sentinel.model.batch import Reading
from sentinel.model.target import Target
from sentinel.runtime.clock import SystemClock
from tests.integration.test_snmp_snmpd import shipped
from tests.integration.test_snmp_v3 import AUTHS, CONTACT, DESCRIPTION, PRIVS, WRONG, snmpd_users, user
from tests.servers.pysnmp_agent import PysnmpAgent
from tests.servers.snmpd import Snmpd
from tests.unit.snmp.agent import Agent, Request, Value, integer, response, serving, text, varbind
from tests.unit.snmp.reading import module_of, samples

CLOCKS = ("sysUpTime", "hrSystemUptime", "hrSystemDate", "sysORUpTime")
"""What differs between two polls."""


def community(version: int = 2, engine: str = "pysnmp", name: str = "public") -> SnmpAuth:
    written = {"kind": "snmp", "version": version, "community": Secret(name), "engine": engine}
    return SnmpAuth.model_validate(written)


@asynccontextmanager
async def opened(
    module: SnmpModule, port: int, auth: SnmpAuth, *, host: str = "127.0.0.1", count: int = 1
) -> AsyncIterator[list[Collector]]:
    driver = SnmpDriver({module.name: module}, {"a": auth}, clock=SystemClock(), registry=CollectorRegistry())
    target = Target("device", host, port, auths=("a",))
    collectors = [driver.open(target, module.name) for _ in range(count)]
    try:
        yield collectors
    finally:
        for collector in collectors:
            await collector.close()
        await driver.close()


async def poll(
    module: SnmpModule, port: int, auth: SnmpAuth, *, timeout: float = 15, host: str = "127.0.0.1"
) -> Reading:
    async with opened(module, port, auth, host=host) as (collector,):
        return await collector.poll(at=0, timeout=timeout)


def stable(reading: Reading) -> dict[str, float]:
    assert not reading.unread
    return {name: value for name, value in samples(reading).items() if not name.startswith(CLOCKS)}


@pytest.fixture(scope="module")
def agent() -> Iterator[Snmpd]:
    with Snmpd(config="\n".join(snmpd_users())) as running:
        running.interfaces("lo", "eth0", "eth1")
        yield running


@pytest.mark.parametrize("name", ["if_mib", "system", "ip"])
@pytest.mark.parametrize("version", [1, 2, 3])
async def test_both_engines_give_the_same_series(agent: Snmpd, name: str, version: int) -> None:
    module = shipped(name)
    auth = user("SHA256", "AES256") if version == 3 else community(version, "own")
    own = await poll(module, agent.port, auth)
    found = await poll(module, agent.port, auth.model_copy(update={"engine": "pysnmp"}))
    assert stable(found) == stable(own)
    assert found.layout.families == own.layout.families
    assert len(found.layout) > 5


@pytest.mark.parametrize("auth", AUTHS)
async def test_every_signature_reads_through_pysnmp(agent: Snmpd, auth: str) -> None:
    expected = samples(await poll(CONTACT, agent.port, community()))
    assert len(expected) == 4
    for priv in (PRIVS[AUTHS.index(auth) % len(PRIVS)], ""):
        chosen = user(auth, priv, engine="pysnmp")
        assert samples(await poll(CONTACT, agent.port, chosen)) == expected


async def test_what_only_pysnmp_encrypts_is_read() -> None:
    """Triple DES (draft-reeder-snmpv3-usm-3desede-00), which older routers offer."""
    with PysnmpAgent(
        [("u-SHA-3DES", "SHA", "a password to sign with", "3DES", "and one to encrypt with")]
    ) as peer:
        auth = user("SHA", "3DES", engine="pysnmp")
        found = samples(await poll(DESCRIPTION, peer.port, auth))
    assert any("PySNMP" in series for series in found)
    with pytest.raises(ValueError, match='3DES needs engine = "pysnmp"'):
        user("SHA", "3DES")


@pytest.mark.parametrize("wrong", [name for name in WRONG if not name.startswith("priv")])
async def test_what_is_wrong_with_the_user_is_named(agent: Snmpd, wrong: str) -> None:
    change, text = WRONG[wrong]
    with pytest.raises(PollError, match=text) as caught:
        await poll(DESCRIPTION, agent.port, user("SHA", "AES", engine="pysnmp", **change), timeout=5)
    assert caught.value.reason == "auth"


async def test_a_wrong_key_of_encryption_ends_on_the_deadline(agent: Snmpd) -> None:
    began = time.monotonic()
    auth = user("SHA", "AES", engine="pysnmp", priv_password="a wrong one")
    with pytest.raises(PollError) as caught:
        await poll(DESCRIPTION, agent.port, auth, timeout=1)
    assert caught.value.reason == "timeout"
    assert time.monotonic() - began < 2


async def test_a_wrong_community_looks_like_silence_and_says_so(agent: Snmpd) -> None:
    with pytest.raises(PollError, match="is the community right") as caught:
        await poll(shipped("if_mib"), agent.port, community(name="secret-guess"), timeout=1)
    assert caught.value.reason == "timeout"
    assert "secret-guess" not in caught.value.text


async def test_less_protection_than_the_view_asks_for_is_named(agent: Snmpd) -> None:
    auth = user("SHA", "AES", security_level="noAuthNoPriv", engine="pysnmp")
    with pytest.raises(PollError, match=r"authorizationError.*security_level") as caught:
        await poll(DESCRIPTION, agent.port, auth)
    assert caught.value.reason == "error_status"


@pytest.mark.parametrize("version", [2, 3])
async def test_an_agent_that_stops_and_returns_is_read_again(version: int) -> None:
    with Snmpd(config="\n".join(snmpd_users()), remembers=True) as running:
        running.interfaces("lo", "eth0")
        auth = user("SHA", "AES", engine="pysnmp") if version == 3 else community()
        async with opened(shipped("if_mib"), running.port, auth) as (collector,):
            before = await collector.poll(at=0, timeout=10)
            running.stop()
            began = time.monotonic()
            with pytest.raises(PollError) as caught:
                await collector.poll(at=0, timeout=8)
            assert caught.value.reason == "refused"
            assert time.monotonic() - began < 4
            running.start()
            after = await collector.poll(at=0, timeout=10)
            assert after.layout is before.layout
            assert not after.unread


async def test_polls_of_several_targets_of_an_auth_go_on_side_by_side(agent: Snmpd) -> None:
    async with opened(CONTACT, agent.port, user("SHA", "AES", engine="pysnmp"), count=5) as collectors:
        readings = await asyncio.gather(*(one.poll(at=0, timeout=15) for one in collectors))
    assert len({frozenset(samples(reading)) for reading in readings}) == 1
    assert all(isinstance(one, PysnmpCollector) for one in collectors)


TABLE = module_of(
    """
modules:
  table:
    walk: [1.3.6.1.4.1.99999.1]
    timeout: 1s
    retries: 0
    metrics:
      - {name: a, oid: 1.3.6.1.4.1.99999.1.1, type: gauge, indexes: [{labelname: i, type: Integer}]}
      - {name: b, oid: 1.3.6.1.4.1.99999.1.2, type: gauge, indexes: [{labelname: i, type: Integer}]}
"""
)
ROWS: dict[str, Value] = {
    f"1.3.6.1.4.1.99999.1.{column}.{row}": integer(10 * column + row)
    for column in (1, 2)
    for row in (1, 2, 3)
}
B = ber.encode_oid("1.3.6.1.4.1.99999.1.2")


@pytest.mark.parametrize("wait", [1.0, 60.0])
async def test_what_was_read_before_the_deadline_is_kept_and_the_rest_named(wait: float) -> None:
    """Also where the deadline comes before the module would have given up."""
    silent = Agent(ROWS, bend=lambda request: () if request.oids[0].startswith(B) else None)
    began = time.monotonic()
    async with serving(silent):
        reading = await poll(replace(TABLE, timeout=wait), silent.port, community(), timeout=3)
    assert time.monotonic() - began < 4
    assert samples(reading) == {'a{i="1"}': 11, 'a{i="2"}': 12, 'a{i="3"}': 13}
    assert reading.unread == {"b"}
    assert reading.reasons == ("timeout",)


async def test_a_table_that_never_ends_is_ended() -> None:
    def same(request: Request) -> list[bytes] | None:
        if not request.oids[0].startswith(B):
            return None
        return [response(request, [varbind(B + b"\x01", integer(1))] * 3)]

    async with serving(Agent(ROWS, bend=same)) as endless:
        reading = await poll(TABLE, endless.port, community(), timeout=5)
    assert reading.reasons == ("not_increasing",)


@pytest.mark.parametrize("junk", [b"", b"\x30", b"\x30\x80\x00\x00", b"junk" * 100, bytes(1400)])
async def test_datagrams_that_are_no_answer_cost_no_more_than_the_deadline(junk: bytes) -> None:
    async with serving(Agent(ROWS, bend=lambda request: [junk])) as hostile:
        began = time.monotonic()
        with pytest.raises(PollError) as caught:
            await poll(TABLE, hostile.port, community(), timeout=2)
    assert caught.value.reason in {"timeout", "malformed"}
    assert time.monotonic() - began < 3


async def test_giant_texts_are_bounded() -> None:
    module = module_of(
        "modules: {table: {walk: [1.3.6.1.4.1.99999.2],"
        " metrics: [{name: t, oid: 1.3.6.1.4.1.99999.2.1, type: DisplayString}]}}"
    )
    async with serving(Agent({"1.3.6.1.4.1.99999.2.1.0": text("x" * 60_000)})) as giant:
        (series,) = (await poll(module, giant.port, community())).layout.series
    assert len(series["t"]) == 1024


def test_pysnmp_is_imported_only_where_it_is_asked_for() -> None:
    code = "import sys, sentinel.app; print('pysnmp' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"
