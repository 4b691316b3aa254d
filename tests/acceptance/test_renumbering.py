"""A device that deals its interface numbers anew while the daemon is down: two lives of the whole daemon."""

from __future__ import annotations

import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.acceptance.daemon import Daemon, eventually
from tests.unit.snmp.agent import serving
from tests.unit.snmp.test_interfaces import NEW, OLD, Switch

RULES = """
groups:
  - name: ports
    rules:
      - alert: PortDown
        expr: ifAdminStatus == 1 and ifOperStatus == 2
"""


def written(daemon: Daemon) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(daemon.folder / "data/sentinel.db")) as connection:
        return connection.execute("SELECT agent, numbers FROM interfaces").fetchall()


async def shown(daemon: Daemon) -> dict[str, tuple[str, str]]:
    """ifName → number in the label, and number that the device has."""
    return {
        one["metric"]["ifName"]: (one["metric"]["ifIndex"], one["value"][1])
        for one in await daemon.query("ifIndex")
    }


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
async def test_series_and_alerts_go_on_when_interfaces_are_renumbered_while_the_daemon_is_down(
    tmp_path: Path, end: signal.Signals
) -> None:
    switch = Switch(OLD, down=frozenset(("eth1",)))
    switch.pass_time(1)
    async with serving(switch.agent):
        config = (
            f'[[target]]\nname = "sw1"\naddress = "127.0.0.1:{switch.agent.port}"\nmodules = ["if_mib"]\n'
        )
        daemon = Daemon(tmp_path, config, RULES)
        try:
            await daemon.start()
            assert await eventually(lambda: shown(daemon), "polled") == {
                name: (str(number), str(number)) for name, number in OLD.items()
            }

            async def is_written() -> bool:
                return bool(written(daemon))

            async def incidents() -> list[tuple[int, str]]:
                found = (await daemon.get("/api/sentinel/v1/incidents")).json()
                return [(one["id"], one["state"]) for one in found]

            await eventually(is_written, "the numbers are in the database")
            (incident,) = await eventually(incidents, "the incident is open")
            if end is signal.SIGKILL:
                daemon.kill()
            else:
                assert daemon.stop() == 0
            switch.restart(NEW)
            switch.pass_time(1)
            await daemon.start()

            async def is_polled_again() -> bool:
                # Until then the samples from before the end are shown.
                return await shown(daemon) == {
                    "eth0": ("2", "3"),
                    "eth1": ("3", "4"),
                    "eth2": ("4", "5"),
                    "eth3": ("5", "2"),
                }

            await eventually(is_polled_again, "polled again")

            # So many polls that nothing is still waiting for its first one.
            polled = 'ALERTS and on() count_over_time(ifIndex{ifName="eth3"}[1m]) > 5'
            (alert,) = await eventually(lambda: daemon.query(polled), "the rules have judged the new life")
            assert (alert["metric"]["ifIndex"], alert["metric"]["alertstate"]) == ("3", "firing")
            assert await incidents() == [incident]
            assert [agent for agent, _ in written(daemon)] == [f"127.0.0.1:{switch.agent.port}"]
        finally:
            daemon.kill()
