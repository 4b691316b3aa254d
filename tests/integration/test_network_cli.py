"""The shipped modules for devices' command lines, polled whole: driver, session, terminal and reading."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry

from sentinel.collect.collector import Collector, PollError
from sentinel.collect.ssh.driver import SshDriver
from sentinel.collect.ssh.modules import parse_modules
from sentinel.config.auth import SshAuth
from sentinel.config.secret import Secret
from sentinel.config.yaml import parse_yaml
from sentinel.model.batch import Reading
from sentinel.model.target import Target
from sentinel.runtime.clock import SystemClock
from tests.servers.debian import ROOT
from tests.servers.prompt_device import Manners, PromptDevice

FILE = ROOT / "collectors/ssh/network_cli.yml"
MODULES = parse_modules(parse_yaml(FILE.read_text(), str(FILE)))

CASES = {
    "cisco_cli": (
        "sw-1>",
        "terminal length 0",
        {
            "show ntp status": "Clock is synchronized, stratum 3, reference is 10.0.0.1\nnominal\n",
            "show version": "Cisco IOS Software, C2960X Software (C2960X-M), Version 15.2(7)E4, RELEASE\n"
            + "filler\n" * 60,
        },
        {"device_ntp_synchronized": 1.0, "device_ntp_stratum": 3.0, "15.2(7)E4": 1.0},
    ),
    "huawei_cli": (
        "<CE-1>",
        "screen-length 0 temporary",
        {
            "display ntp-service status": " clock status: unsynchronized\n clock stratum: 16\n reference: none\n",
            "display version": "Huawei Versatile Routing Platform Software\n"
            "VRP (R) software, Version 8.180 (CE6850EI V200R005C10SPC800)\n",
        },
        {
            "device_ntp_synchronized": 0.0,
            "device_ntp_stratum": 16.0,
            "8.180 (CE6850EI V200R005C10SPC800)": 1.0,
        },
    ),
    "h3c_cli": (
        "<S6800>",
        "screen-length disable",
        {
            "display ntp-service status": " Clock status: synchronized\n Clock stratum: 5\n System peer: ::1\n",
            "display version": "H3C Comware Software, Version 7.1.070, Release 6710\nCopyright (c)\n",
        },
        {"device_ntp_synchronized": 1.0, "device_ntp_stratum": 5.0, "7.1.070, Release 6710": 1.0},
    ),
    "juniper_cli": (
        "ops@mx-1>",
        "set cli screen-length 0",
        {
            "set cli screen-width 0": "Screen width set to 0\n",
            "show ntp status no-resolve": 'status=0644 leap_none, sync_ntp,\nprocessor="amd64", stratum=3,\n',
            "show version": "Hostname: mx-1\nModel: mx204\nJunos: 21.4R3.15\n",
        },
        {"device_ntp_synchronized": 1.0, "device_ntp_stratum": 3.0, "21.4R3.15": 1.0},
    ),
}


@asynccontextmanager
async def _opened(device: PromptDevice, module: str) -> AsyncIterator[Collector]:
    key = device.user_key.export_private_key().decode()
    auth = SshAuth(kind="ssh", username="ops", key=Secret(key))
    driver = SshDriver(MODULES, {"key": auth}, clock=SystemClock(), registry=CollectorRegistry())
    pinned = device.host_key.export_public_key().decode()
    target = Target("device", "127.0.0.1", device.port, (module,), ("key",), host_key=pinned)
    collector = driver.open(target, module)
    try:
        yield collector
    finally:
        await collector.close()
        await driver.close()


def _found(reading: Reading) -> dict[str, float]:
    series = zip(reading.layout.series, reading.values.tolist(), strict=True)
    return {labels.get("version", labels.name): value for labels, value in series}


@pytest.mark.parametrize("module", sorted(CASES))
async def test_a_device_is_read_through_its_prompt(module: str) -> None:
    prompt, paging_off, answers, expected = CASES[module]
    manners = Manners(prompt, paging_off, answers)
    async with PromptDevice(manners) as device, _opened(device, module) as collector:
        for _ in range(2):
            reading = await collector.poll(at=0.0, timeout=10.0)
            assert not reading.reasons
            assert _found(reading) == expected
    # The second poll finds nothing due but the first section: the terminal stayed open for it.
    assert manners.seen.count(paging_off) == 1


async def test_a_command_that_is_not_allowed_leaves_the_rest() -> None:
    prompt, paging_off, answers, _ = CASES["cisco_cli"]
    manners = Manners(prompt, paging_off, {"show version": answers["show version"]})
    async with PromptDevice(manners) as device, _opened(device, "cisco_cli") as collector:
        reading = await collector.poll(at=0.0, timeout=10.0)
    assert reading.reasons == ("failed",)
    assert reading.unread == {"device_ntp_synchronized", "device_ntp_stratum"}
    assert _found(reading) == {"15.2(7)E4": 1.0}


async def test_a_command_that_hangs_loses_only_itself() -> None:
    prompt, paging_off, answers, _ = CASES["cisco_cli"]
    manners = Manners(prompt, paging_off, answers, ignores_after="show ntp status")
    async with PromptDevice(manners) as device, _opened(device, "cisco_cli") as collector:
        reading = await collector.poll(at=0.0, timeout=12.0)
    assert reading.reasons == ("stuck",)
    assert _found(reading) == {"15.2(7)E4": 1.0}
    assert manners.seen.count(paging_off) == 2


async def test_a_host_without_such_a_prompt_says_what_it_shows() -> None:
    manners = Manners("$ ", "", {})
    async with PromptDevice(manners) as device, _opened(device, "huawei_cli") as collector:
        with pytest.raises(PollError) as caught:
            await collector.poll(at=0.0, timeout=2.0)
    assert caught.value.reason == "no_prompt"
    assert "'$'" in caught.value.text


async def test_a_device_that_is_gone_is_told() -> None:
    device = PromptDevice(Manners("x>", "", {}))
    async with device, _opened(device, "cisco_cli") as collector:
        assert device._server is not None
        device._server.close()
        with pytest.raises(PollError) as caught:
            await collector.poll(at=0.0, timeout=2.0)
    assert caught.value.reason == "refused"
