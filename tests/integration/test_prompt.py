"""Terminals of network devices over real SSH: prompts found, paging off or paged through, bad manners bounded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncssh
import pytest

from sentinel.collect.collector import PollError
from sentinel.collect.ssh.prompt.dialects import DIALECTS
from sentinel.collect.ssh.prompt.terminal import CommandError, Terminal
from tests.servers.prompt_device import Manners, PromptDevice

LONG = "".join(f"line {number} of the configuration\n" for number in range(95))
DEVICES = {
    "cisco_ios": Manners(
        "core-sw1#",
        "terminal length 0",
        {"show run": LONG, "show clock": "12:00:00 UTC\n"},
        banner="\n*** Authorized use only ***\nswitch>\n",
    ),
    "huawei_vrp": Manners(
        "<HW-Core-01>",
        "screen-length 0 temporary",
        {"show run": LONG, "show clock": "12:00:00 UTC\n"},
        more="  ---- More ----",
        erase="\x1b[42D" + " " * 42 + "\x1b[42D",
        banner="Info: The max number of VTY users is 5.\n",
        unknown="        ^\r\nError: Unrecognized command found at '^' position.\r\n",
    ),
    "h3c_comware": Manners(
        "<H3C>",
        "screen-length disable",
        {"show run": LONG, "show clock": "12:00:00 UTC\n"},
        more="---- More ----",
        erase="\x1b[16D                \x1b[16D",
        unknown="              ^\r\n % Unrecognized command found at '^' position.\r\n",
    ),
    "juniper_junos": Manners(
        "sentinel@mx-1> ",
        "set cli screen-length 0",
        {
            "show run": LONG,
            "show clock": "12:00:00 UTC\n",
            "set cli screen-width 0": "Screen width set to 0\n",
        },
        more="---(more)---",
        erase="\r\x1b[K",
        banner="--- JUNOS 21.4R3 Kernel 64-bit\n",
        unknown="          ^\r\nunknown command.\r\n",
        tail="\r\n{master:0}\r\n",
    ),
}


def _like(dialect: str, **changes: object) -> Manners:
    """The vendor's manners, with some changed; nothing is shared between tests."""
    usual = DEVICES[dialect]
    kept = {name: getattr(usual, name) for name in Manners.__dataclass_fields__ if name != "seen"}
    return Manners(**(kept | changes))


@asynccontextmanager
async def _terminal(manners: Manners, dialect: str, seconds: float = 20.0) -> AsyncIterator[Terminal]:
    async with PromptDevice(manners) as device:
        key = device.host_key.convert_to_public()
        connection = await asyncssh.connect(
            "127.0.0.1",
            device.port,
            username="sentinel",
            client_keys=[device.user_key],
            known_hosts=([key], [], []),
            config=None,
            agent_path=None,
        )
        try:
            terminal = await Terminal.open(connection, DIALECTS[dialect], _in(seconds))
            try:
                yield terminal
            finally:
                terminal.close()
        finally:
            connection.abort()
            await connection.wait_closed()


def _in(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


@pytest.mark.parametrize("slices", [0, 3])
@pytest.mark.parametrize("knows", [True, False])
@pytest.mark.parametrize("dialect", sorted(DEVICES))
async def test_a_long_answer_comes_whole(dialect: str, knows: bool, slices: int) -> None:
    usual = DEVICES[dialect].paging_off
    manners = _like(dialect, paging_off=usual if knows else "", slices=slices)
    async with _terminal(manners, dialect) as terminal:
        assert await terminal.run("show run", _in(20)) == LONG
        assert await terminal.run("show clock", _in(20)) == "12:00:00 UTC\n"
    assert manners.seen[: len(DIALECTS[dialect].quiet)] == list(DIALECTS[dialect].quiet)


@pytest.mark.parametrize("dialect", sorted(DEVICES))
async def test_a_command_that_the_device_does_not_know_fails_alone(dialect: str) -> None:
    async with _terminal(_like(dialect), dialect) as terminal:
        with pytest.raises(CommandError) as caught:
            await terminal.run("show nonsense", _in(10))
        assert caught.value.reason == "failed"
        assert await terminal.run("show clock", _in(10)) == "12:00:00 UTC\n"


async def test_a_command_that_hangs_ends_on_its_deadline() -> None:
    async with _terminal(_like("cisco_ios", ignores_after="show tech"), "cisco_ios") as terminal:
        with pytest.raises(CommandError) as caught:
            await terminal.run("show tech", _in(0.3))
        assert caught.value.reason == "stuck"


async def test_a_device_that_hangs_up_is_told_apart() -> None:
    async with _terminal(_like("cisco_ios", closes_after="reload"), "cisco_ios") as terminal:
        with pytest.raises(CommandError) as caught:
            await terminal.run("reload", _in(10))
        assert caught.value.reason == "closed"


async def test_a_flood_is_cut_off() -> None:
    flood = "x" * 1000 + "\n"
    manners = _like("cisco_ios", answers={"show flood": flood * 6000})
    async with _terminal(manners, "cisco_ios") as terminal:
        with pytest.raises(CommandError) as caught:
            await terminal.run("show flood", _in(20))
        assert caught.value.reason == "too_large"


async def test_a_device_of_another_dialect_says_what_it_shows() -> None:
    with pytest.raises(PollError) as caught:
        async with _terminal(_like("huawei_vrp"), "juniper_junos", seconds=1.0):
            pass
    assert caught.value.reason == "no_prompt"
    assert "<HW-Core-01>" in str(caught.value)
