"""Ways in: jump hosts, certificates, agents, questions for a password."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import asyncssh
import pytest

from sentinel.collect.collector import PollError
from sentinel.config.jump import JumpSettings
from sentinel.config.secret import Secret
from sentinel.model.target import Hop
from tests.integration.ssh_host import Polled, auth_of, polled, running_sshd
from tests.servers.debian import environment, program
from tests.servers.sshd import Sshd


@pytest.fixture
def server() -> Iterator[Sshd]:
    with running_sshd(has_certificates=True) as sshd:
        yield sshd


@pytest.fixture
def bastion() -> Iterator[Sshd]:
    with running_sshd() as sshd:
        yield sshd


def hop(server: Sshd, auth: str = "bastion") -> Hop:
    return Hop(server.host, server.port, auth)


async def refused(server: Sshd, **options: object) -> PollError:
    async with polled(server, **options) as host:  # type: ignore[arg-type]
        with pytest.raises(PollError) as error:
            await host.poll()
    return error.value


# Jump hosts


async def test_a_host_behind_a_jump_host_is_read_through_it(server: Sshd, bastion: Sshd) -> None:
    async with polled(server, auths={"bastion": auth_of(bastion)}, jump=(hop(bastion),)) as host:
        assert not (await host.poll()).reasons
        assert not (await host.poll()).reasons
        assert host.metric("sentinel_ssh_connections") == 2
    assert (bastion.logins, server.logins) == (1, 1)


async def test_the_auth_may_name_the_jump_host_and_its_own_key_is_used_there(server: Sshd) -> None:
    # One machine as its own jump host: user, key and known_hosts are the same.
    auth = auth_of(server, jump=(JumpSettings(address=server.address),))
    async with polled(server, auth=auth) as host:
        await host.poll()
    assert server.logins == 2


async def test_a_chain_of_jump_hosts_checks_each_with_its_own_auth(server: Sshd, bastion: Sshd) -> None:
    with running_sshd() as second:
        auths = {"bastion": auth_of(bastion), "second": auth_of(second)}
        way = (hop(bastion), hop(second, "second"))
        async with polled(server, auths=auths, jump=way) as host:
            await host.poll()
        assert (bastion.logins, second.logins, server.logins) == (1, 1, 1)
        # The second hop's key changes: nothing behind it is logged in to.
        second.change_host_key()
        error = await refused(server, auths=auths, jump=way)
    assert error.reason == "host_key_changed"
    assert "jump host" in error.text
    assert server.logins == 1


async def test_a_pinned_key_of_a_jump_host_decides_alone(server: Sshd, bastion: Sshd) -> None:
    auths = {"bastion": auth_of(bastion, known_hosts=None)}
    error = await refused(server, auths=auths, jump=(hop(bastion),))
    assert error.reason == "host_key"
    pinned = Hop(bastion.host, bastion.port, "bastion", bastion.fingerprint)
    async with polled(server, auths=auths, jump=(pinned,)) as host:
        await host.poll()


async def test_hosts_behind_one_jump_host_share_its_connection(server: Sshd, bastion: Sshd) -> None:
    auths = {"bastion": auth_of(bastion)}
    async with polled(server, auths=auths, jump=(hop(bastion),)) as host:
        more = [
            host.open(f"web{number}", host_key=f"{server.host_key_line} {number}", jump=(hop(bastion),))
            for number in range(5)
        ]
        for each in [host.collector, *more]:
            await each.poll(at=0.0, timeout=10.0)
        assert (bastion.logins, server.logins) == (1, 6)
        # The last that lets go of it closes it.
        for each in [host.collector, *more]:
            await each.close()
        assert host.metric("sentinel_ssh_connections") == 0


async def test_a_jump_host_that_came_back_is_used_again(server: Sshd, bastion: Sshd) -> None:
    async with polled(server, auths={"bastion": auth_of(bastion)}, jump=(hop(bastion),)) as host:
        await host.poll()
        bastion.drop_connections()
        assert not (await host.poll()).reasons
    assert bastion.logins == 2


async def test_a_dead_jump_host_is_asked_once_for_all_behind_it(server: Sshd, bastion: Sshd) -> None:
    auths = {"bastion": auth_of(bastion)}
    bastion.stop()
    async with polled(server, auths=auths, jump=(hop(bastion),)) as host:
        more = [host.open(f"web{number}", jump=(hop(bastion),), port=number + 1) for number in range(5)]
        for each in [host.collector, *more]:
            with pytest.raises(PollError) as error:
                await each.poll(at=0.0, timeout=10.0)
            assert error.value.reason == "refused"
            assert "jump host" in error.value.text
        assert host.metric("sentinel_ssh_connects_total", result="refused") == 1


async def test_a_host_that_its_jump_host_cannot_reach_is_unreachable(server: Sshd, bastion: Sshd) -> None:
    server.stop()
    error = await refused(server, auths={"bastion": auth_of(bastion)}, jump=(hop(bastion),))
    assert error.reason == "unreachable"


async def test_a_jump_host_whose_auth_is_missing_fails_the_poll(server: Sshd, bastion: Sshd) -> None:
    error = await refused(server, jump=(hop(bastion, "nobody"),))
    assert (error.reason, "nobody" in error.text) == ("auth", True)


# Certificates


async def test_a_user_certificate_lets_in_where_no_key_is_listed(server: Sshd) -> None:
    server.unauthorize()
    assert (await refused(server)).reason == "auth"
    auth = auth_of(server, certificate=Secret(server.user_certificate()))
    async with polled(server, auth=auth) as host:
        await host.poll()


async def test_a_user_certificate_for_somebody_else_is_refused_but_the_bare_key_is_tried(
    server: Sshd,
) -> None:
    auth = auth_of(server, certificate=Secret(server.user_certificate(principal="somebody")))
    async with polled(server, auth=auth) as host:
        await host.poll()
    server.unauthorize()
    assert (await refused(server, auth=auth)).reason == "auth"


async def test_a_certificate_of_another_key_is_named_as_such(server: Sshd) -> None:
    certificate = Secret(server.user_certificate())
    stranger = asyncssh.generate_private_key("ssh-ed25519").export_private_key("openssh").decode()
    auth = auth_of(server, key=Secret(stranger), certificate=certificate)
    error = await refused(server, auth=auth)
    assert (error.reason, "another key" in error.text) == ("auth", True)


async def test_a_host_certificate_is_accepted_by_its_authority(server: Sshd) -> None:
    server.known_hosts.write_text(f"@cert-authority [{server.host}]:{server.port} {server.authority_line}\n")
    async with polled(server) as host:
        await host.poll()


async def test_an_authority_for_other_hosts_and_a_revoked_one_are_refused(server: Sshd) -> None:
    server.known_hosts.write_text(f"@cert-authority *.example.org {server.authority_line}\n")
    assert (await refused(server)).reason == "host_key"
    where = f"[{server.host}]:{server.port}"
    server.known_hosts.write_text(
        f"@cert-authority {where} {server.authority_line}\n@revoked {where} {server.authority_line}\n"
    )
    assert (await refused(server)).reason == "host_key"
    assert server.logins == 0


# Agents


@contextmanager
def agent(folder: Path, *keys: Path) -> Iterator[str]:
    """A real ssh-agent that holds these keys; its socket."""
    path = folder / "agent"
    process = subprocess.Popen(
        [program("ssh-agent"), "-D", "-a", str(path)], env=environment(), stdout=subprocess.DEVNULL
    )
    try:
        while not path.exists():
            assert process.poll() is None
        for key in keys:
            more = environment() | {"SSH_AUTH_SOCK": str(path)}
            subprocess.run([program("ssh-add"), "-q", str(key)], env=more, check=True)
        yield str(path)
    finally:
        process.terminate()
        process.wait(10)


async def test_keys_of_an_agent_are_offered_where_the_auth_says_so(server: Sshd, tmp_path: Path) -> None:
    with agent(tmp_path, server.private_key_path) as path:
        async with polled(server, auth=auth_of(server, key=None, agent=path)) as host:
            before = len(os.listdir("/proc/self/fd"))
            await host.poll()
            # The connection to the host, and none to the agent.
            assert len(os.listdir("/proc/self/fd")) == before + 1


async def test_an_agent_is_not_asked_unless_the_auth_says_so(
    server: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = asyncssh.generate_private_key("ssh-ed25519").export_private_key("openssh").decode()
    with agent(tmp_path, server.private_key_path) as path:
        monkeypatch.setenv("SSH_AUTH_SOCK", path)
        assert (await refused(server, key=stranger)).reason == "auth"
        auth = auth_of(server, key=Secret(stranger), agent=True)
        async with polled(server, auth=auth) as host:
            await host.poll()


async def test_an_agent_that_is_not_there_is_named(server: Sshd, tmp_path: Path) -> None:
    auth = auth_of(server, key=None, agent=str(tmp_path / "none"))
    error = await refused(server, auth=auth)
    assert (error.reason, str(tmp_path / "none") in error.text) == ("auth", True)


# Questions for a password


_Challenge = tuple[str, str, str, Sequence[tuple[str, bool]]]


class _Asking(asyncssh.SSHServer):
    """Asks for the password, then, if told so, for something else."""

    def __init__(self, questions: list[str], answers: list[str]) -> None:
        self._questions, self._answers = list(questions), answers

    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return False

    def password_auth_supported(self) -> bool:
        return False

    def kbdint_auth_supported(self) -> bool:
        return True

    def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> _Challenge:
        return "", "Authorised use only", "en", [(self._questions.pop(0), False)]

    def validate_kbdint_response(self, username: str, responses: Sequence[str]) -> bool | _Challenge:
        self._answers.extend(responses)
        if self._questions:
            return "", "", "en", [(self._questions.pop(0), False)]
        return list(responses) == ["s3cret"]


@asynccontextmanager
async def asking(*questions: str) -> AsyncIterator[tuple[asyncssh.SSHAcceptor, asyncssh.SSHKey, list[str]]]:
    key, answers = asyncssh.generate_private_key("ssh-ed25519"), list[str]()

    acceptor = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=lambda: _Asking(list(questions), answers),
        server_host_keys=[key],
    )
    try:
        yield acceptor, key, answers
    finally:
        acceptor.close()
        await acceptor.wait_closed()


async def asked(host: Polled, acceptor: asyncssh.SSHAcceptor, key: asyncssh.SSHKey) -> str:
    """The poll's reason: `no_shell` once it is logged in, for the server runs nothing."""
    pinned = key.export_public_key("openssh").decode()
    collector = host.open("asking", port=acceptor.get_port(), host_key=pinned)
    with pytest.raises(PollError) as error:
        await collector.poll(at=0.0, timeout=10.0)
    return error.value.reason


async def test_a_question_for_the_password_is_answered_where_the_auth_says_so(server: Sshd) -> None:
    auth = auth_of(server, key=None, password=Secret("s3cret"), keyboard_interactive=True)
    async with asking("密码: ") as (acceptor, key, answers), polled(server, auth=auth) as host:
        assert await asked(host, acceptor, key) == "no_shell"
        assert answers == ["s3cret"]


async def test_no_question_is_answered_unless_the_auth_says_so(server: Sshd) -> None:
    auth = auth_of(server, key=None, password=Secret("s3cret"))
    async with asking("Password: ") as (acceptor, key, answers), polled(server, auth=auth) as host:
        assert await asked(host, acceptor, key) == "auth"
        assert not answers


async def test_a_second_question_gets_no_answer(server: Sshd) -> None:
    auth = auth_of(server, key=None, password=Secret("s3cret"), keyboard_interactive=True)
    async with asking("Password: ", "Code: ") as (acceptor, key, answers), polled(server, auth=auth) as host:
        assert await asked(host, acceptor, key) == "auth"
        assert answers == ["s3cret"]
