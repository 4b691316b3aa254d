"""Accounts that may run nothing but a module's commands, and such that may have no shell."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from sentinel.collect.ssh.modules import SshModule
from sentinel.collect.ssh.restrict import forced_command
from tests.integration.ssh_host import (
    PROC,
    UNAME,
    command_lines,
    figures,
    module,
    polled,
    running_sshd,
    shipped,
)
from tests.servers.debian import environment, program
from tests.servers.sshd import Sshd


@pytest.fixture
def server() -> Iterator[Sshd]:
    with running_sshd() as sshd:
        yield sshd


def hold(server: Sshd, *modules: SshModule) -> None:
    """The server's key may only run the script for these modules."""
    path = server.folder / "sentinel-read"
    path.write_text(forced_command(modules, server.username))
    path.chmod(0o755)
    server.authorize(f'restrict,command="{path}"')


async def test_a_restricted_account_gives_what_a_free_one_does(server: Sshd) -> None:
    async with polled(server) as host:
        free = await host.poll()
    hold(server, shipped()["linux"])
    async with polled(server) as host:
        first, second = await host.poll(), await host.poll()
        assert host.metric("sentinel_ssh_shells_total") == 1
    assert not first.reasons
    assert {labels.name for labels in first.layout.series} == {labels.name for labels in free.layout.series}
    assert second.layout is first.layout
    assert server.logins == 2


async def test_a_command_that_changed_since_is_missing_and_not_run(server: Sshd) -> None:
    before = module(("proc", "proc", PROC, ""), ("uname", "uname", UNAME, ""))
    hold(server, before["test"])
    after = module(("proc", "proc", f"{PROC}; touch {server.folder}/ran", ""), ("uname", "uname", UNAME, ""))
    async with polled(server, after, name="test") as host:
        reading = await host.poll()
    assert reading.reasons == ("missing",)
    assert any(name.startswith("node_uname_info") for name in figures(reading))
    assert not (server.folder / "ran").exists()


async def test_what_got_stuck_in_a_restricted_account_loses_only_itself(server: Sshd) -> None:
    modules = module(
        ("proc", "proc", PROC, ""),
        ("filesystem", "filesystem", "sleep 654", "timeout: 300ms"),
        ("uname", "uname", UNAME, ""),
    )
    hold(server, modules["test"])
    async with polled(server, modules, name="test") as host:
        reading = await host.poll()
        again = await host.poll()
    assert reading.reasons == again.reasons == ("stuck",)
    assert "node_load1{}" in figures(again)
    assert not any("sleep 654" in command for command in command_lines(server))


@pytest.mark.parametrize(
    "sent",
    [
        "touch RAN\n",
        "sentinel_mark=aa\nsentinel_begin\nsentinel_run touch RAN\n",
        "sentinel_mark=$(touch RAN)\nsentinel_begin\n",
        "sentinel_mark=aa\nsentinel_run `touch RAN`\n",
        "sentinel_mark=aa; touch RAN\nsentinel_begin\n",
        "sentinel_run sentinel_cleaning;touch RAN\n",
    ],
)
async def test_whoever_has_the_key_runs_nothing_else(server: Sshd, sent: str) -> None:
    hold(server, shipped()["linux"])
    ran = server.folder / "ran"
    for arguments in ([], ["exec /bin/sh"], [f"touch {ran}"]):
        ssh(server, sent.replace("RAN", str(ran)), *arguments)
    assert not ran.exists()


def ssh(server: Sshd, text: str, *command: str) -> None:
    subprocess.run(
        [
            program("ssh"),
            "-F", "none",
            "-i", str(server.private_key_path),
            "-o", f"UserKnownHostsFile={server.known_hosts}",
            "-o", "BatchMode=yes",
            "-p", str(server.port),
            f"{server.username}@{server.host}",
            *command,
        ],
        input=text.encode(),
        env=environment(),
        capture_output=True,
        timeout=20,
        check=False,
    )  # fmt: skip


async def test_a_key_that_forces_a_filter_for_single_commands_is_read_by_commands(server: Sshd) -> None:
    # As sites have it: no shells, everything else by the word.
    guard = server.folder / "guard"
    guard.write_text(
        '#!/bin/sh\ncase "$SSH_ORIGINAL_COMMAND" in "exec /bin/sh") echo no shell; exit 1 ;; esac\n'
        'exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"\n'
    )
    guard.chmod(0o755)
    server.authorize(f'restrict,command="{guard}"')
    async with polled(server) as host:
        first, second = await host.poll(), await host.poll()
        assert host.metric("sentinel_ssh_shells_total") == 1
    assert not first.reasons
    assert second.layout is first.layout
    assert server.logins == 1
