"""How long it takes from a poll that sees a fault to the webhook that tells of it, on the whole daemon.

A real snmpd's link goes down at random moments; several targets are that agent under different names, each polled
on a phase of its own, so that each fault is seen and told several times.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.acceptance.daemon import Daemon, eventually
from tests.servers.sinks import Post, WebhookSink
from tests.servers.snmpd import Snmpd

POLL = 1.0
EVALUATION = 0.25
TARGETS = ("sw1", "sw2", "sw3", "sw4")
RULES = f"""
groups:
  - name: latency
    interval: {EVALUATION * 1000:.0f}ms
    rules:
      - alert: InterfaceDown
        expr: ifAdminStatus == 1 and ifOperStatus == 2
"""


@dataclass(slots=True)
class Latencies:
    """Seconds, one for each time that a target was seen with the fault."""

    told: list[float] = field(default_factory=list)
    """From the end of the poll to the arrival of the POST."""
    from_begin: list[float] = field(default_factory=list)
    """The same from the beginning of the poll."""
    from_fault: list[float] = field(default_factory=list)
    """The same from the fault itself."""


def quantile(values: Sequence[float], share: float) -> float:
    found = sorted(values)
    return found[min(int(len(found) * share), len(found) - 1)]


def config_of(switch: Snmpd, hook: WebhookSink) -> str:
    targets = "".join(
        f'[[target]]\nname = "{name}"\naddress = "{switch.address}"\nmodules = ["if_mib"]\n'
        for name in TARGETS
    )
    return f"""
{targets}
[notify]
flapping = {{times = 0}}
[route]
receiver = "hook"
group_wait = "0s"
[[receiver]]
name = "hook"
kind = "webhook"
url = "{hook.url}"
"""


async def measure(folder: Path, faults: int, seed: int = 1) -> Latencies:
    """Take the link down so often."""
    dice, found = random.Random(seed), Latencies()
    hook = WebhookSink()
    async with AsyncExitStack() as stack:
        switch = stack.enter_context(Snmpd())
        switch.interfaces("lo", "ge-0/0/1")
        await stack.enter_async_context(hook.serve())
        daemon = Daemon(folder, config_of(switch, hook), RULES)
        stack.callback(daemon.kill)
        await daemon.start()
        await eventually(lambda: _are_up(daemon), "all targets are polled")
        for _ in range(faults):
            await asyncio.sleep(dice.uniform(0, POLL))
            await _one_fault(daemon, switch, hook, found)
        assert daemon.stop() == 0
    return found


async def _one_fault(daemon: Daemon, switch: Snmpd, hook: WebhookSink, found: Latencies) -> None:
    hook.posts.clear()
    before = time.time()
    switch.link(2, up=False)
    posts = await hook.until(lambda posts: len(posts) >= len(TARGETS), within=30)
    spent = time.time() - before
    arrived = {_target(post): post.at for post in posts}
    assert set(arrived) == set(TARGETS), arrived
    for name in TARGETS:
        begin, duration = await _poll_that_saw(daemon, name, within=spent + 2 * POLL)
        found.told.append(arrived[name] - begin - duration)
        found.from_begin.append(arrived[name] - begin)
        found.from_fault.append(arrived[name] - before)
    switch.link(2, up=True)
    await hook.until(lambda posts: len(posts) >= 2 * len(TARGETS), within=30)


async def _poll_that_saw(daemon: Daemon, name: str, *, within: float) -> tuple[float, float]:
    """When it began, Unix seconds, and how long it took."""
    window = f"[{within + POLL:.0f}s]"
    (status,) = await daemon.query(f'ifOperStatus{{instance="{name}",ifName="ge-0/0/1"}}{window}')
    ups = [float(at) for at, value in status["values"] if value == "1"]
    begin = min(float(at) for at, value in status["values"] if value == "2" and float(at) > max(ups))
    (durations,) = await daemon.query(f'sentinel_poll_duration_seconds{{instance="{name}"}}{window}')
    return begin, next(float(value) for at, value in durations["values"] if float(at) == begin)


async def _are_up(daemon: Daemon) -> bool:
    return len(await daemon.query('ifOperStatus{ifName="ge-0/0/1"} == 1')) == len(TARGETS)


def _target(post: Post) -> str:
    return str(post.json["alerts"][0]["labels"]["instance"])
