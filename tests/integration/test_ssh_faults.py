"""What a host may do wrong: each costs what it touches, and nothing else."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import psutil
import pytest

from sentinel.collect.collector import Collector, PollError
from tests.integration.ssh_host import PROC, UNAME, command_lines, figures, module, polled, running_sshd
from tests.servers.sshd import Sshd


@pytest.fixture
def server() -> Iterator[Sshd]:
    with running_sshd() as sshd:
        yield sshd


async def until(is_so: Callable[[], bool]) -> None:
    """Waits for a real process."""
    deadline = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def runs(server: Sshd, word: str) -> bool:
    """Whether a session runs a command with that in it."""
    return any(word in line for line in command_lines(server))


async def test_a_stuck_section_loses_only_itself(server: Sshd) -> None:
    modules = module(
        ("proc", "proc", PROC, ""),
        ("filesystem", "filesystem", "sleep 987", "timeout: 300ms"),
        ("uname", "uname", UNAME, ""),
    )
    async with polled(server, modules, name="test") as host:
        reading = await host.poll()
        found = figures(reading)
        assert "node_load1{}" in found
        assert any(name.startswith("node_uname_info") for name in found)
        assert found['node_scrape_collector_success{collector="filesystem"}'] == 0
        assert found['node_scrape_collector_success{collector="uname"}'] == 1
        assert "node_filesystem_avail_bytes" in reading.unread
        assert reading.reasons == ("stuck",)
        # It is left alone for a while, and still said to be unread.
        started = time.monotonic()
        again = await host.poll()
        assert time.monotonic() - started < 0.3
        assert "node_filesystem_avail_bytes" in again.unread
        assert again.layout is reading.layout
    assert server.logins == 1


@pytest.mark.parametrize("is_forced", [False, True])
async def test_what_got_stuck_is_ended_on_the_host_too(server: Sshd, is_forced: bool) -> None:
    if is_forced:  # sshd takes no signals for such a session
        server.authorize('command="/bin/sh"')
    silent = server.folder / "silent"
    os.mkfifo(silent)
    modules = module(
        ("proc", "proc", PROC, ""),
        ("filesystem", "filesystem", f"(cat {silent}) | cat", "timeout: 300ms"),
        ("uname", "uname", UNAME, ""),
    )
    async with polled(server, modules, name="test") as host:
        reading = await host.poll()
        assert reading.reasons == ("stuck",)
        assert any(labels.name == "node_uname_info" for labels in reading.layout.series)
        await until(lambda: not runs(server, str(silent)))
        # One shell is left, and it goes on.
        await until(lambda: sum("/bin/sh" in line for line in command_lines(server)) <= 1)
        again = await host.poll()
        assert again.layout is reading.layout
        assert host.metric("sentinel_ssh_shells_total") == 2
    assert server.logins == 1


async def test_a_host_without_the_usual_tools_gives_what_it_can(server: Sshd) -> None:
    for name in ("date", "getconf", "systemctl"):
        server.fake(name, "exit 127")
    async with polled(server) as host:
        reading = await host.poll()
    found = figures(reading)
    assert found['node_scrape_collector_success{collector="uname"}'] == 1
    assert found['node_scrape_collector_success{collector="filesystem"}'] == 1
    assert any(name.startswith("node_filesystem_avail_bytes") for name in found)


async def test_a_section_whose_input_another_could_not_print_fails_with_it(server: Sshd) -> None:
    server.fake("head", "exit 127")
    async with polled(server) as host:
        found = figures(await host.poll())
    assert found['node_scrape_collector_success{collector="uname"}'] == 1
    assert found['node_scrape_collector_success{collector="filesystem"}'] == 0
    assert not any(name.startswith("node_filesystem_") for name in found)


async def test_a_stopped_server_costs_its_own_polls_and_is_read_again_when_it_goes_on(server: Sshd) -> None:
    modules = module(("uname", "uname", UNAME, ""))
    async with polled(server, modules, name="test") as host:
        await host.poll()
        stopped = server.sessions()
        for process in stopped:
            process.suspend()
        started = time.monotonic()
        with pytest.raises(PollError) as error:
            await host.poll(timeout=2.0)
        assert error.value.reason == "timeout"
        assert time.monotonic() - started < 2.5
        for process in stopped:
            with suppress(psutil.NoSuchProcess):
                process.resume()
        reading = await host.poll()
    assert not reading.reasons


async def test_a_server_that_takes_connections_and_says_nothing_costs_a_socket(server: Sshd) -> None:
    with socket.create_server(("127.0.0.1", 0)) as tarpit:
        async with polled(server) as host:
            silent = [
                host.open(
                    f"tarpit{number}",
                    port=tarpit.getsockname()[1],
                    host_key=f"{server.host_key_line} {number}",
                )
                for number in range(60)
            ]
            async with asyncio.TaskGroup() as group:
                waiting = [group.create_task(refusal(each)) for each in silent]
                await asyncio.sleep(0)
                started = time.monotonic()
                assert not (await host.poll()).reasons
                assert time.monotonic() - started < 2.0
            assert {task.result() for task in waiting} == {"timeout"}


async def refusal(collector: Collector) -> str:
    """Why a poll of two seconds fails."""
    with pytest.raises(PollError) as error:
        await collector.poll(at=0.0, timeout=2.0)
    return error.value.reason


async def test_a_section_that_ends_the_shell_loses_only_itself(server: Sshd) -> None:
    modules = module(("proc", "proc", "kill -9 $$", ""), ("uname", "uname", UNAME, ""))
    async with polled(server, modules, name="test") as host:
        reading = await host.poll()
    assert reading.reasons == ("closed",)
    assert "node_load1" in reading.unread
    assert any(labels.name == "node_uname_info" for labels in reading.layout.series)


async def test_an_unbalanced_quote_loses_only_its_section(server: Sshd) -> None:
    modules = module(("proc", "proc", "echo 'open", "timeout: 300ms"), ("uname", "uname", UNAME, ""))
    async with polled(server, modules, name="test") as host:
        reading = await host.poll()
    assert any(labels.name == "node_uname_info" for labels in reading.layout.series)
    assert "node_load1" in reading.unread


async def test_a_flood_is_cut_off_with_bounded_memory(server: Sshd) -> None:
    modules = module(
        ("proc", "proc", "head -c 10485760 /dev/zero", ""),
        ("uname", "uname", UNAME, ""),
    )
    async with polled(server, modules, name="test") as host:
        reading = await host.poll()
        assert host.metric("sentinel_ssh_received_bytes_total") < 10 * 1024 * 1024
    assert reading.reasons == ("too_large",)
    assert any(labels.name == "node_uname_info" for labels in reading.layout.series)


async def test_a_missing_command_is_named_as_such(server: Sshd) -> None:
    modules = module(("proc", "proc", "no-such-command", ""), ("uname", "uname", UNAME, ""))
    async with polled(server, modules, name="test") as host:
        reading = await host.poll()
    assert reading.reasons == ("missing",)


async def test_a_connection_cut_in_the_middle_costs_one_section_and_comes_back(server: Sshd) -> None:
    modules = module(
        ("proc", "proc", PROC, ""), ("filesystem", "filesystem", "sleep 4", ""), ("uname", "uname", UNAME, "")
    )
    async with polled(server, modules, name="test") as host:
        async with asyncio.TaskGroup() as group:
            poll = group.create_task(host.poll())
            await until(lambda: runs(server, "sleep 4"))
            server.drop_connections()
        reading = poll.result()
        assert reading.reasons == ("closed",)
        names = {labels.name for labels in reading.layout.series}
        assert {"node_load1", "node_uname_info"} <= names
        assert server.logins == 2


async def test_a_connection_that_died_between_polls_costs_nothing(server: Sshd) -> None:
    async with polled(server) as host:
        before = await host.poll()
        server.drop_connections()
        after = await host.poll()
    assert after.layout is before.layout
    assert not after.reasons
    assert server.logins == 2


async def test_a_host_that_disappears_is_refused_and_comes_back(server: Sshd) -> None:
    async with polled(server) as host:
        before = await host.poll()
        server.stop()
        with pytest.raises(PollError) as error:
            await host.poll()
        assert error.value.reason == "refused"
        server.start()

        async def returned() -> bool:
            try:
                return (await host.poll()).layout is before.layout
            except PollError:
                return False

        deadline = time.monotonic() + 10
        while not await returned():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)


async def test_a_poll_that_is_cancelled_leaves_the_session_usable(server: Sshd) -> None:
    modules = module(("proc", "proc", "sleep 0.5; " + PROC, ""))
    async with polled(server, modules, name="test") as host:
        poll = asyncio.ensure_future(host.poll())
        await until(lambda: runs(server, "sleep 0.5"))
        poll.cancel()
        with pytest.raises(asyncio.CancelledError):
            await poll
        assert "node_load1{}" in figures(await host.poll())


async def test_login_chatter_and_banners_are_ignored() -> None:
    with running_sshd(banner="Authorised use only\n\x1b[31m$(id)\n") as server:
        async with polled(server) as host:
            reading = await host.poll()
    assert not reading.reasons


async def test_a_host_that_forbids_shells_is_read_by_commands() -> None:
    wrapper = (
        '/bin/sh -c \'case "$SSH_ORIGINAL_COMMAND" in "exec /bin/sh") echo no shell; exit 1;; esac;'
        ' eval "$SSH_ORIGINAL_COMMAND"\''
    )
    with running_sshd(force_command=wrapper) as server:
        async with polled(server) as host:
            first = await host.poll()
            second = await host.poll()
        assert server.logins == 1
    assert not first.reasons
    assert second.layout is first.layout


async def test_a_host_that_forbids_everything_says_so() -> None:
    with running_sshd(force_command="/bin/false") as server:
        async with polled(server) as host:
            with pytest.raises(PollError) as error:
                await host.poll()
    assert error.value.reason == "no_shell"
