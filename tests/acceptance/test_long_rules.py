"""Rules over the history, in the running daemon."""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.daemon import Daemon, eventually

RULES = """
groups:
  - name: history
    interval: 1s
    rules:
      - record: seen:polls:count2d
        expr: count_over_time(up{job="local"}[2d])
      - alert: ThereIsNoYesterday
        expr: up{job="local"} unless up{job="local"} offset 1d
        labels: {severity: info}
"""


async def test_a_rule_may_look_back_further_than_memory(tmp_path: Path) -> None:
    config = '[[target]]\nname = "here"\naddress = "localhost"\nmodules = ["local"]\n'
    daemon = Daemon(tmp_path, config, RULES)
    await daemon.start()
    try:
        await eventually(lambda: daemon.query("seen:polls:count2d > 2"), "polls counted over two days")
        await eventually(lambda: daemon.query('ALERTS{alertname="ThereIsNoYesterday"}'), "the alert")
        groups = (await daemon.get("/api/v1/rules")).json()["data"]["groups"]
        assert [rule["health"] for rule in groups[0]["rules"]] == ["ok", "ok"]
    finally:
        daemon.kill()
