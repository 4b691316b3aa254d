"""Sweeps by the calendar against real agents on several loopback addresses."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from sentinel.config.document import validated
from sentinel.config.settings import TargetSettings
from sentinel.config.toml import parse_toml
from sentinel.inventory.targets import TargetFile
from sentinel.promql.engine import Engine
from sentinel.reload import Configuration, Reloader, build
from sentinel.runtime.clock import SystemClock
from sentinel.series.head import Head
from sentinel.sweeps import Sweeps, triggers
from tests.acceptance.daemon import Daemon, eventually
from tests.servers.debian import ROOT, free_port
from tests.servers.snmpd import Snmpd

COMMON = """
[auth.wrong]
kind = "snmp"
community = "something-else"
[auth.right]
kind = "snmp"
[[target]]
name = "core"
address = "localhost9:PORT"
modules = ["system"]
auth = "right"
[discovery]
files = ["targets/*.toml"]
"""
SWEEP = """
[[discovery.sweeps]]
networks = ["127.79.0.0/28"]
exclude = ["127.79.0.7"]
file = "targets/found.toml"
auth = ["wrong", "right"]
rate = 1000
timeout = "500ms"
port = PORT
labels = {site = 'north "wing"'}
"""
CONFIG = f"""
[collect]
collectors = ["{ROOT}/collectors/snmp/*.yml"]
[rules]
files = []
"""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Agents at 127.79.0.3, .5, .7 and .9, all on this port."""
    number = free_port(socket.SOCK_DGRAM)
    names = {3: "dist1.example.org", 5: 'x"]\n[auth.public] ../$(reboot)', 7: "leave-me", 9: "core"}
    with ExitStack() as stack:
        for last, name in names.items():
            line = name.replace("\n", " ")
            stack.enter_context(Snmpd(host=f"127.79.0.{last}", port=number, name=line))
        yield number


class Site:
    """Sweeps over a configuration, with the reloader of the daemon."""

    def __init__(self, folder: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.file = folder, folder / "targets/found.toml"
        (folder / "targets").mkdir()
        self.text = (CONFIG + COMMON + SWEEP).replace("PORT", str(port))
        self.config = folder / "config.toml"
        self.config.write_text(self.text)
        self.registry, self.clock = CollectorRegistry(), SystemClock()
        self.engine = Engine(Head())
        self.swapped: list[Configuration] = []
        running = build(self.config, self.engine)
        self.reloader = Reloader(running, self.engine, CollectorRegistry(), self.clock, self.swapped.append)
        self.sweeps = Sweeps(
            self.clock, self.registry, lambda: self.reloader.running, self.reloader.reread_targets
        )
        self._resolve_here(monkeypatch)

    def _resolve_here(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A name server that knows localhost9."""
        whole = socket.getaddrinfo

        def getaddrinfo(host: Any, *words: Any, **more: Any) -> Any:
            return whole("127.79.0.9" if host == "localhost9" else host, *words, **more)

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    async def sweep(self) -> None:
        await self.sweeps.sweep(self.reloader.running.settings.discovery.sweeps[0])

    def written(self) -> list[TargetSettings]:
        return list(validated(TargetFile, parse_toml(self.file.read_text(), "found")).target)

    def figure(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(
            f"sentinel_sweep_{name}", {"sweep": "targets/found.toml", **labels}
        )

    @property
    def targets(self) -> list[str]:
        return [target.name for target in self.reloader.running.targets]


@pytest.fixture
def site(tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> Site:
    return Site(tmp_path, port, monkeypatch)


async def test_what_is_new_becomes_a_target_at_once(site: Site, port: int) -> None:
    await site.sweep()
    assert [(one.name, one.address, one.auth, one.labels) for one in site.written()] == [
        ("dist1.example.org", f"127.79.0.3:{port}", "right", {"site": 'north "wing"'}),
        ("x-auth.public-..-reboot", f"127.79.0.5:{port}", "right", {"site": 'north "wing"'}),
    ]
    assert site.targets == ["core", "dist1.example.org", "x-auth.public-..-reboot"]
    assert [len(one.targets) for one in site.swapped] == [3]
    counts = {state: site.figure("devices", state=state) for state in ("new", "known", "same device")}
    assert counts == {"new": 2, "known": 1, "same device": 0}
    assert site.figure("targets_added_total") == 2
    assert abs((site.figure("last_success_timestamp_seconds") or 0) - site.clock.now()) < 60


async def test_a_second_sweep_adds_nothing_and_removes_nothing(site: Site, port: int) -> None:
    await site.sweep()
    gone = f'\n# by hand\n[[target]]\nname = "gone"\naddress = "127.79.0.12:{port}"\nmodules = ["system"]\n'
    text = site.file.read_text() + gone
    site.file.write_text(text)
    await site.sweep()
    assert site.file.read_text() == text
    assert site.figure("devices", state="known") == 3
    assert site.figure("devices", state="new") == 0
    assert site.figure("targets_added_total") == 2


async def test_a_target_written_by_hand_since_the_last_reload_is_not_added_again(
    site: Site, port: int
) -> None:
    by_hand = f'[[target]]\nname = "mine"\naddress = "127.79.0.3:{port}"\nmodules = ["system"]\n'
    site.file.write_text(by_hand)
    await site.sweep()
    assert [one.name for one in site.written()] == ["mine", "x-auth.public-..-reboot"]
    assert site.targets == ["core", "mine", "x-auth.public-..-reboot"]


async def test_what_waits_for_a_reload_goes_on_waiting(site: Site) -> None:
    site.config.write_text(site.text + '[daemon]\nlanguage = "xx"\n')
    await site.sweep()
    assert len(site.targets) == 3
    assert site.reloader.running.settings.daemon.language == "en"


@pytest.mark.parametrize("text", ["[[target]]\nname = \n", "[daemon]\n", "\xff"])
async def test_a_file_that_does_not_parse_is_left_alone(
    site: Site, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    content = text.encode("latin-1")
    site.file.write_bytes(content)
    with caplog.at_level(logging.ERROR):
        await site.sweep()
    assert site.file.read_bytes() == content
    assert site.figure("failures_total") == 1
    assert site.targets == ["core"]
    (record,) = [record for record in caplog.records if record.message == "sweep failed"]
    assert str(site.file) in record.facts["problem"]  # type: ignore[attr-defined]


async def test_a_file_that_cannot_be_written_is_told_and_the_next_sweep_makes_up_for_it(site: Site) -> None:
    (site.folder / "targets").rename(site.folder / "away")
    await site.sweep()
    assert site.figure("failures_total") == 1
    assert site.figure("last_success_timestamp_seconds") is None
    (site.folder / "away").rename(site.folder / "targets")
    await site.sweep()
    assert len(site.written()) == 2


async def test_targets_that_another_file_refuses_leave_the_old_ones_running(site: Site) -> None:
    (site.folder / "targets/other.toml").write_text('[[target]]\nname = "x"\n')
    await site.sweep()
    assert site.targets == ["core"]
    assert site.figure("failures_total") == 1
    (site.folder / "targets/other.toml").unlink()
    assert await site.reloader.reread_targets() == ()
    assert len(site.targets) == 3


async def test_a_sweep_that_a_reload_has_taken_away_writes_nothing(site: Site) -> None:
    sweep = site.reloader.running.settings.discovery.sweeps[0]
    site.config.write_text(site.text.partition("[[discovery.sweeps]]")[0])
    assert await site.reloader.reload() == ()
    await site.sweeps.sweep(sweep)
    assert not site.file.exists()


def test_sweeps_come_at_their_times_and_days_in_the_daemons_zone(site: Site) -> None:
    sweep = site.reloader.running.settings.discovery.sweeps[0]
    chosen = sweep.model_copy(update={"at": ("04:00", "16:30:15"), "days": ("sat", "mon")})
    start = datetime(2026, 7, 3, tzinfo=UTC)  # a Friday
    times = []
    for trigger in triggers(chosen, "Asia/Shanghai"):
        at = trigger.get_next_fire_time(None, start)
        times += [at, trigger.get_next_fire_time(at, at + timedelta(seconds=1))]
    assert [time.astimezone(UTC).isoformat() for time in times] == [
        "2026-07-03T20:00:00+00:00",
        "2026-07-05T20:00:00+00:00",
        "2026-07-04T08:30:15+00:00",
        "2026-07-06T08:30:15+00:00",
    ]


async def test_the_calendar_follows_a_reload(site: Site) -> None:
    task = asyncio.create_task(site.sweeps.run())

    async def has_begun() -> bool:
        return site.figure("failures_total") == 0

    async def is_forgotten() -> bool:
        return site.figure("failures_total") is None

    await eventually(has_begun, "the sweep is planned")
    site.config.write_text(site.text.partition("[[discovery.sweeps]]")[0])
    assert await site.reloader.reload() == ()
    site.sweeps.adopt()
    await eventually(is_forgotten, "the sweep is gone")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_the_daemon_sweeps_at_its_time_and_polls_what_it_found(tmp_path: Path, port: int) -> None:
    (tmp_path / "targets").mkdir()
    daemon = Daemon(tmp_path, COMMON.replace("localhost9", "127.79.0.9").replace("PORT", str(port)))
    try:
        await daemon.start()
        soon = (datetime.now(UTC) + timedelta(seconds=4)).strftime("%H:%M:%S")
        sweep = f'{SWEEP.replace("PORT", str(port))}at = "{soon}"\n'
        daemon.config.write_text(daemon.config.read_text() + sweep)
        daemon.hang_up()

        async def are_polled() -> bool:
            found = await daemon.query('up{job="if_mib",site=~"north.*"} == 1')
            return {one["metric"]["instance"] for one in found} >= {
                "dist1.example.org",
                "x-auth.public-..-reboot",
            }

        await eventually(are_polled, "the found devices are polled")
        (added,) = await eventually(
            lambda: daemon.query("sentinel_sweep_targets_added_total == 2"), "counted", within=40
        )
        assert added["metric"]["sweep"] == "targets/found.toml"
        check = await asyncio.to_thread(daemon.command, "check", "--config", str(daemon.config))
        assert check.returncode == 0, check.stderr
    finally:
        daemon.kill()
