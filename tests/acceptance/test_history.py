"""A daemon that is killed and started again goes on with what it had."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.daemon import Daemon, eventually
from tests.servers.debian import ROOT

RULES = """
groups:
  - name: acceptance
    rules:
      - alert: ManyPolls
        expr: count_over_time(up{job="tcp_connect"}[20s]) > 4
        for: 8s
"""


def looking_at_itself(folder: Path, rules: str = "", config: str = "") -> Daemon:
    """A daemon that probes its own port every second."""
    target = '[[target]]\nname = "itself"\naddress = "127.0.0.1:{port}"\nmodules = ["tcp_connect"]\n'
    daemon = Daemon(folder, config + target, rules)
    text = daemon.config.read_text().replace("{port}", str(daemon.port))
    daemon.config.write_text(text.replace(f"{ROOT}/collectors/ssh/", f"{ROOT}/collectors/probes/"))
    return daemon


async def graph(daemon: Daemon, start: float, end: float) -> dict[float, str]:
    """The polls' durations by second: values that no two polls share."""
    answer = await daemon.get(
        "/api/v1/query_range",
        query='sentinel_poll_duration_seconds{job="tcp_connect"}',
        start=start,
        end=end,
        step="1s",
    )
    found: list[dict[str, Any]] = answer.json()["data"]["result"]
    return {at: value for series in found for at, value in series["values"]}


async def pending_since(daemon: Daemon) -> tuple[str, str] | None:
    alerts = (await daemon.get("/api/v1/alerts")).json()["data"]["alerts"]
    return next(((one["state"], one["activeAt"]) for one in alerts), None)


@pytest.mark.parametrize("is_killed", [True, False])
async def test_a_restarted_daemon_keeps_its_graph_and_no_for_begins_anew(
    tmp_path: Path, is_killed: bool
) -> None:
    daemon = looking_at_itself(tmp_path, RULES)
    await daemon.start()
    try:
        pending = await eventually(lambda: pending_since(daemon), "the alert is pending")
        assert pending[0] == "pending"
        end = time.time()
        # A crash may cost what came since the last write, two seconds ago at most.
        await eventually(lambda: is_past(end + 4), "the journal has what was polled until then")
        before = await graph(daemon, end - 60, end)
        assert len(before) >= 4
        daemon.kill() if is_killed else daemon.stop()
        await daemon.start()
        after = await graph(daemon, end - 60, end)
        assert after == before
        state = await eventually(lambda: pending_since(daemon), "the alert is known again")
        assert state[1] == pending[1]

        async def is_firing() -> bool:
            return await pending_since(daemon) == ("firing", pending[1])

        await eventually(is_firing, "the alert fires, by the time at which it began", within=15)
    finally:
        daemon.kill()


async def is_past(at: float) -> bool:
    return time.time() > at


async def test_without_a_history_nothing_is_written(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, "[history]\ndisk = false\n")
    await daemon.start()
    try:
        assert not (tmp_path / "data" / "history").exists()
    finally:
        assert daemon.stop() == 0


async def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "history").write_text("in the way")
    daemon = Daemon(tmp_path, '[history]\nretention = "2d"\n')
    daemon.launch()

    async def is_told() -> bool:
        return "cannot keep samples in" in daemon.log.read_text()

    try:
        await eventually(is_told, "the folder is named")
        assert "config.toml" in daemon.log.read_text()
    finally:
        daemon.kill()
