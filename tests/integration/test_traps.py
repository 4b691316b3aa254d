"""The trap receiver against net-snmp's senders, with every protection that version 3 has."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from prometheus_client import CollectorRegistry

from sentinel.collect.snmp import ber
from sentinel.collect.traps.notification import read_notification
from sentinel.collect.traps.receiver import Traps
from sentinel.collect.traps.secure import Opened, Question, RefusedError, Secure
from sentinel.config.auth import Auth, SnmpAuth
from sentinel.config.secret import Secret
from sentinel.config.traps import TrapsSettings
from sentinel.model.batch import Batch, Source
from sentinel.model.target import Target
from sentinel.runtime.clock import SystemClock
from sentinel.runtime.sockets import listen_datagrams
from tests.servers.debian import free_port
from tests.servers.snmptrap import COLD_START, LINK_DOWN, send

PASSWORD, PRIV_PASSWORD = "signing-secret", "hiding-secret"
ENGINE = b"\x80\x00\x00\x00\x05sentinel"
SENDER_ENGINE = "0x8000000001020304"
NET_SNMP = {"SHA224": "SHA-224", "SHA256": "SHA-256", "SHA384": "SHA-384", "SHA512": "SHA-512"}
NET_SNMP_PRIV = {"AES192": "AES-192", "AES256": "AES-256", "AES192C": "AES-192-C", "AES256C": "AES-256-C"}


@dataclass
class World:
    """What is around a receiver."""

    traps: Traps = field(init=False)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    port: int = 0
    counts: dict[str, float] = field(default_factory=dict)
    polled: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    judged: int = 0
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    def append(self, batches: Sequence[Batch]) -> None:
        for batch in batches:
            self.counts[batch.source.name] = float(batch.reading.values[0])
        self.heard.set()

    def forget(self, source: Source) -> None:
        self.counts.pop(source.name, None)

    async def poll_now(self, target: str, modules: tuple[str, ...]) -> None:
        self.polled.append((target, modules))

    def judge(self) -> None:
        self.judged += 1

    def outcome(self, name: str) -> float:
        return self.registry.get_sample_value("sentinel_trap_datagrams_total", {"outcome": name}) or 0.0

    async def until(self, name: str, count: float = 1) -> None:
        async with asyncio.timeout(5):
            while self.counts.get(name) != count:
                self.heard.clear()
                await self.heard.wait()

    async def send(self, *words: str, **options: object) -> subprocess.CompletedProcess[str]:
        return await asyncio.to_thread(send, self.port, *words, **options)  # type: ignore[arg-type]


@asynccontextmanager
async def receiving(*auths: SnmpAuth, settings: TrapsSettings | None = None) -> AsyncIterator[World]:
    world = World()
    clock = SystemClock()
    world.traps = Traps(world, world, world.judge, engine_id=ENGINE, clock=clock, registry=world.registry)
    named: dict[str, Auth] = {f"a{number}": auth for number, auth in enumerate(auths)}
    target = Target("sw1", "127.0.0.1", modules=("if_mib", "linux"), auths=tuple(named))
    world.traps.adopt(settings or TrapsSettings(), [target], named, ["if_mib"], interval=15.0)
    with listen_datagrams("127.0.0.1", 0, "") as channel:
        world.port = channel.getsockname()[1]
        task = asyncio.create_task(world.traps.run(channel))
        await asyncio.sleep(0)
        try:
            yield world
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def user(auth: str = "", priv: str = "") -> SnmpAuth:
    level = "authPriv" if priv else "authNoPriv" if auth else "noAuthNoPriv"
    written = {"kind": "snmp", "version": 3, "username": "sentry", "security_level": level}
    if auth:
        written |= {"auth_protocol": auth, "password": PASSWORD}
    if priv:
        written |= {"priv_protocol": priv, "priv_password": PRIV_PASSWORD}
    return SnmpAuth.model_validate(written)


def options(
    one: SnmpAuth,
    *,
    inform: bool = False,
    name: str = "sentry",
    password: str = PASSWORD,
    priv_password: str = PRIV_PASSWORD,
) -> tuple[str, ...]:
    """net-snmp's words for a user."""
    found = ["-l", one.security_level, "-u", name]
    if one.security_level != "noAuthNoPriv":
        found += ["-a", NET_SNMP.get(one.auth_protocol, one.auth_protocol), "-A", password]
    if one.security_level == "authPriv":
        found += ["-x", NET_SNMP_PRIV.get(one.priv_protocol, one.priv_protocol), "-X", priv_password]
    return (*found,) if inform else (*found, "-e", SENDER_ENGINE)


USERS = [
    user(),
    *(user(auth) for auth in ("MD5", "SHA", "SHA224", "SHA256", "SHA384", "SHA512")),
    *(user("SHA", priv) for priv in ("DES", "AES", "AES192", "AES256", "AES192C", "AES256C")),
    user("SHA512", "AES256"),
]


def named(one: SnmpAuth) -> str:
    return f"{one.security_level}-{one.auth_protocol}-{one.priv_protocol}"


@pytest.mark.parametrize("one", USERS, ids=named)
async def test_version_3_with_every_protection(one: SnmpAuth) -> None:
    async with receiving(one) as world:
        sent = await world.send(COLD_START, version="3", user=options(one))
        assert sent.returncode == 0, sent.stderr
        await world.until("sw1/traps coldStart")
        # Acknowledged: snmpinform ends with an error where no valid answer comes.
        sent = await world.send(COLD_START, version="3", user=options(one, inform=True), inform=True)
        assert sent.returncode == 0, sent.stderr
        await world.until("sw1/traps coldStart", 2)
    assert world.outcome("taken") == 2
    assert world.outcome("discovery") >= 1
    assert world.outcome("refused") == world.outcome("malformed") == 0


@pytest.mark.parametrize(
    "wrong",
    [
        options(user("SHA", "AES"), password="guessed-secret"),
        options(user("SHA", "AES"), priv_password="guessed-secret"),
        options(user("SHA", "AES"), name="nobody"),
        options(user("MD5", "AES")),
        options(user("SHA")),
        options(user()),
    ],
    ids=["password", "priv password", "user", "protocol", "not encrypted", "not signed"],
)
@pytest.mark.parametrize("inform", [False, True], ids=["trap", "inform"])
async def test_version_3_is_refused_without_the_users_proof(wrong: tuple[str, ...], inform: bool) -> None:
    async with receiving(user("SHA", "AES")) as world:
        proof = wrong[:-2] if inform else wrong
        sent = await world.send(COLD_START, version="3", user=proof, inform=inform)
        assert (sent.returncode != 0) is inform
        async with asyncio.timeout(5):
            while not world.outcome("refused") + world.outcome("malformed"):
                await asyncio.sleep(0.01)
    assert not world.counts
    assert world.outcome("taken") == 0


async def test_a_trap_of_version_3_that_is_sent_again_later_is_refused() -> None:
    one = user("SHA", "AES")
    async with receiving(one) as world:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tap:
            tap.bind(("127.0.0.1", 0))
            await asyncio.to_thread(
                send, tap.getsockname()[1], COLD_START, version="3", user=(*options(one), "-Z", "7,1000")
            )
            recorded = tap.recv(65535)
            await world.send(COLD_START, version="3", user=(*options(one), "-Z", "7,2000"))
            await world.until("sw1/traps coldStart")
            tap.sendto(recorded, ("127.0.0.1", world.port))
            async with asyncio.timeout(5):
                while not world.outcome("refused"):
                    await asyncio.sleep(0.01)
    assert world.counts == {"sw1/traps coldStart": 1.0}


@pytest.mark.parametrize("one", [user(), user("SHA256"), user("SHA", "DES"), user("MD5", "AES")], ids=named)
def test_bent_messages_of_version_3_raise_only_what_is_declared(one: SnmpAuth) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tap:
        tap.bind(("127.0.0.1", 0))
        port = tap.getsockname()[1]
        send(port, COLD_START, version="3", user=options(one))
        recorded = [tap.recv(65535)]
        hasty = (*options(one, inform=True), "-r", "0", "-t", "0.1")
        send(port, COLD_START, version="3", user=hasty, inform=True)
        recorded.append(tap.recv(65535))
    chance = random.Random(7)
    secure = Secure(ENGINE, 1_700_000_000.0, lambda: 1000.0)
    assert isinstance(secure.open(recorded[0], [one]), Opened)
    assert isinstance(secure.open(recorded[1], [one]), Question)
    for _ in range(10_000):
        data = bytearray(chance.choice(recorded))
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        if chance.random() < 0.3:
            del data[chance.randrange(len(data)) :]
        with contextlib.suppress(ber.MalformedError, RefusedError):
            opened = secure.open(bytes(data), [one])
            if isinstance(opened, Opened):
                read_notification(opened.pdu)


@pytest.mark.parametrize("version", ["1", "2c"])
async def test_a_user_of_version_3_is_not_reached_with_a_community(version: str) -> None:
    async with receiving(user("SHA", "AES")) as world:
        await world.send(COLD_START, version=version)
        async with asyncio.timeout(5):
            while not world.outcome("refused"):
                await asyncio.sleep(0.01)
    assert not world.counts


async def test_a_change_is_polled_at_once_over_snmp_alone_and_judged() -> None:
    async with receiving(SnmpAuth(kind="snmp", community=Secret("public"))) as world:
        await world.send(LINK_DOWN)
        await world.until("sw1/traps linkDown")
        async with asyncio.timeout(5):
            while world.judged < 2:
                await asyncio.sleep(0.01)
    assert world.polled == [("sw1", ("if_mib",))]


async def test_an_inform_that_comes_twice_is_answered_twice_and_counted_once() -> None:
    from tests.unit.traps.datagrams import inform

    async with receiving(SnmpAuth(kind="snmp", community=Secret("public"))) as world:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
            device.settimeout(5)
            for _ in range(2):
                device.sendto(inform(number=99), ("127.0.0.1", world.port))
                assert await asyncio.to_thread(device.recv, 65535)
        await world.until("sw1/traps linkDown")
    assert (world.outcome("taken"), world.outcome("repeated")) == (1, 1)


async def test_systemd_passes_the_socket() -> None:
    """As sentinel-traps.socket does: the daemon needs no privilege for port 162."""
    from tests.servers.debian import environment, program

    port = free_port(socket.SOCK_DGRAM)
    script = (
        "from sentinel.runtime.sockets import passed_datagram_sockets as passed\n"
        "(one,) = passed(); one.setblocking(True); print(one.getsockname()[1], one.recv(100).decode())"
    )
    activate = await asyncio.create_subprocess_exec(
        program("systemd-socket-activate"),
        *("--datagram", f"--listen=127.0.0.1:{port}", "--fdname=traps", sys.executable, "-c", script),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=environment(),
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:

        async def knock() -> None:
            while True:
                device.sendto(b"hello", ("127.0.0.1", port))
                await asyncio.sleep(0.05)

        knocking = asyncio.create_task(knock())
        try:
            async with asyncio.timeout(30):
                out, _ = await activate.communicate()
        finally:
            knocking.cancel()
            if activate.returncode is None:
                activate.kill()
                await activate.wait()
    assert out.decode().split() == [str(port), "hello"]
