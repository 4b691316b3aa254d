"""Who is let in, and by whom Sentinel lets itself be answered."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from asyncssh import generate_private_key

from sentinel.collect.collector import PollError
from tests.integration.ssh_host import polled, running_sshd
from tests.servers.sshd import Sshd


@pytest.fixture
def server() -> Iterator[Sshd]:
    with running_sshd() as sshd:
        yield sshd


async def refused(server: Sshd, **options: str | None) -> PollError:
    async with polled(server, **options) as host:  # type: ignore[arg-type]
        with pytest.raises(PollError) as error:
            await host.poll()
    return error.value


async def test_an_unknown_host_key_is_refused_and_the_error_says_how_to_accept_it(server: Sshd) -> None:
    server.known_hosts.write_text("")
    error = await refused(server)
    assert error.reason == "host_key"
    assert server.address in error.text
    assert f'host_key = "{server.fingerprint}"' in error.text
    assert server.logins == 0
    line = error.text.split(f"{server.known_hosts}: ")[1]
    server.known_hosts.write_text(line + "\n")
    async with polled(server) as host:
        await host.poll()


async def test_a_line_added_to_known_hosts_counts_at_once(server: Sshd) -> None:
    server.known_hosts.write_text("")
    async with polled(server) as host:
        with pytest.raises(PollError):
            await host.poll()
        server.write_known_hosts()
        await host.poll()


async def test_without_known_hosts_and_host_key_nothing_is_accepted(server: Sshd) -> None:
    error = await refused(server, known_hosts=None)
    assert error.reason == "host_key"
    assert server.logins == 0


async def test_a_changed_host_key_is_refused_under_its_own_reason(server: Sshd) -> None:
    old = server.fingerprint
    async with polled(server) as host:
        await host.poll()
    server.change_host_key()
    error = await refused(server)
    assert error.reason == "host_key_changed"
    assert error.text.count(old) == 1
    assert server.fingerprint in error.text
    error = await refused(server, host_key=old)
    assert error.reason == "host_key_changed"
    assert server.logins == 1


@pytest.mark.parametrize("form", ["fingerprint", "line", "known_hosts line"])
async def test_a_pinned_key_lets_in_without_known_hosts(server: Sshd, form: str) -> None:
    pinned = {
        "fingerprint": server.fingerprint,
        "line": server.host_key_line + " comment",
        "known_hosts line": server.known_hosts.read_text().strip(),
    }[form]
    async with polled(server, host_key=pinned, known_hosts=None) as host:
        await host.poll()


async def test_hashed_known_hosts_are_understood(server: Sshd) -> None:
    server.write_known_hosts(hashed=True)
    assert server.known_hosts.read_text().startswith("|1|")
    async with polled(server) as host:
        await host.poll()


async def test_a_revoked_key_is_refused(server: Sshd) -> None:
    line = server.known_hosts.read_text()
    server.known_hosts.write_text(line + "@revoked " + line)
    error = await refused(server)
    assert error.reason == "host_key"
    assert "revoked" in error.text


async def test_a_wrong_key_is_an_auth_error_and_not_tried_again_at_once(server: Sshd) -> None:
    stranger = generate_private_key("ssh-ed25519").export_private_key("openssh").decode()
    async with polled(server, key=stranger) as host:
        for _ in range(3):
            with pytest.raises(PollError) as error:
                await host.poll()
            assert error.value.reason == "auth"
            assert stranger[40:80] not in error.value.text
        assert host.metric("sentinel_ssh_connects_total", result="auth") == 1
    assert server.logins == 0


async def test_a_key_that_is_none_is_an_auth_error(server: Sshd) -> None:
    error = await refused(server, key="not a key")
    assert error.reason == "auth"
    assert "not a private key" in error.text


async def test_chacha20_is_not_spoken() -> None:
    with running_sshd(algorithms="Ciphers chacha20-poly1305@openssh.com") as server:
        error = await refused(server)
    # On a busy machine the server has hung up before its list of ciphers was read.
    assert error.reason in ("negotiation", "closed")


async def test_aes_gcm_and_curve25519_come_first(server: Sshd) -> None:
    async with polled(server) as host:
        await host.poll()
        (session,) = host.driver._sessions.values()
        assert session._link._connection is not None
        assert session._link._connection.get_extra_info("send_cipher") == "aes128-gcm@openssh.com"
