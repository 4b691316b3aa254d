"""Reading a host's output in one go gives what asyncssh's own reading gives, also where things get rough."""

from __future__ import annotations

from collections.abc import Iterator

import asyncssh
import pytest
from asyncssh.encryption import GCMEncryption

from sentinel.collect.ssh import receive
from sentinel.collect.ssh.session import Session
from tests.integration.ssh_host import PROC, UNAME, Polled, figures, module, polled, running_sshd
from tests.servers.debian import ROOT
from tests.servers.sshd import Sshd

LONG = "head -c 3000000 /dev/zero | tr '\\0' x"
BYTES = 3_000_000


@pytest.fixture
def server() -> Iterator[Sshd]:
    with running_sshd() as sshd:
        yield sshd


def connection_of(host: Polled) -> asyncssh.SSHClientConnection:
    (session,) = host.driver._sessions.values()
    connection = session._link._connection
    assert connection is not None
    return connection


def is_fast(host: Polled) -> bool:
    (session,) = host.driver._sessions.values()
    assert isinstance(session, Session)
    assert session._channel is not None
    return session._channel.is_fast


def test_the_pinned_asyncssh_is_one_that_was_tested() -> None:
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    assert f"asyncssh=={asyncssh.__version__}" in pins
    assert asyncssh.__version__ in receive.TESTED


async def test_both_ways_give_the_same(server: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    async with polled(server) as host:
        fast = await host.poll()
        assert is_fast(host)
    monkeypatch.setattr(receive, "TESTED", frozenset())
    async with polled(server) as host:
        plain = await host.poll()
        assert not is_fast(host)
    assert fast.layout.series == plain.layout.series
    assert fast.reasons == plain.reasons == ()


async def test_long_output_is_whole_in_several_windows(server: Sshd) -> None:
    modules = module(("proc", "proc", f"{PROC}; {LONG}", ""), ("uname", "uname", UNAME, ""))
    async with polled(server, modules, name="test") as host:
        for count in (1, 2):
            assert "node_load1{}" in figures(await host.poll())
            assert count * BYTES < host.metric("sentinel_ssh_received_bytes_total") < count * (BYTES + 50_000)


async def test_keys_that_are_exchanged_anew_in_the_middle_do_no_harm() -> None:
    modules = module(("proc", "proc", f"{PROC}; {LONG}", ""), ("uname", "uname", UNAME, ""))
    with running_sshd(algorithms="RekeyLimit 100K") as server:
        async with polled(server, modules, name="test") as host:
            for _ in range(3):
                reading = await host.poll()
                assert "node_load1{}" in figures(reading)
                assert not reading.reasons
            assert is_fast(host)
        assert server.logins == 1


async def test_what_does_not_decrypt_ends_the_connection(server: Sshd) -> None:
    async with polled(server) as host:
        await host.poll()
        connection = connection_of(host)
        encryption = connection._recv_encryption
        assert isinstance(encryption, GCMEncryption)
        encryption._cipher._update_iv()
        # The next answer fails its check, so the connection is given up and made anew.
        assert not (await host.poll()).reasons
        assert connection.is_closed()
    assert server.logins == 2
