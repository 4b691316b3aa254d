"""make test-faults: 10,000 alerts within 10 s, and what that does to the daemon.

Twice: each an incident of its own, told in groups by site; and 50 of each of 200 targets, told by incident as well.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table
from tests.faults.storm import ASKED, Damage, Storm, storm_run

from bench.form import OUT, machine

COMMITS = 15.0
MEMORY = 150.0
ANSWERS = 0.5


def main() -> int:
    parser = argparse.ArgumentParser(description="Send many alerts at once and measure the daemon.")
    parser.add_argument("--alerts", type=int, default=10_000)
    parser.add_argument("--within", type=float, default=10.0, help="seconds")
    parser.add_argument("--only", choices=("alone", "together"), help="one of the two runs")
    chosen = parser.parse_args()
    runs = {"alone": chosen.alerts, "together": chosen.alerts // 50}
    damages = {
        name: _run(
            Storm(chosen.alerts, targets, min(50, targets), chosen.within), with_incidents=name == "together"
        )
        for name, targets in runs.items()
        if chosen.only in (None, name)
    }
    return finish(damages, chosen.alerts)


def _run(storm: Storm, *, with_incidents: bool) -> Damage:
    with tempfile.TemporaryDirectory(prefix="sentinel-storm-") as folder:
        return asyncio.run(storm_run(Path(folder), storm, with_incidents=with_incidents))


def figures_of(damage: Damage) -> dict[str, float]:
    figures = {
        "alerts committed": damage.committed,
        "incidents": damage.incidents,
        "s until all were sent": damage.sent,
        "s from the first to the last commit": damage.commits,
        "requests that had to be sent again": damage.refused,
        "messages by site": damage.groups,
        "messages of one group, at most": damage.most_messages,
        "alerts in messages by site": damage.told,
        "MB when idle": damage.idle,
        "MB more at most": damage.grown,
        "s of lag of the event loop, at most": damage.lag,
        "s p99 of all answers": damage.slowest(0.99),
        "answers": sum(map(len, damage.answers.values())),
        "answers that failed": damage.failures.total(),
    }
    return figures | {f"s p99 of {path}": damage.slowest(0.99, path) for path in ASKED}


def misses(damage: Damage, alerts: int) -> list[str]:
    claims = {
        f"all {alerts} alerts are committed and told": damage.committed == damage.told == alerts,
        f"within {COMMITS:g} s": damage.commits <= COMMITS,
        "one message per group": damage.most_messages == 1,
        f"with {MEMORY:g} MB": damage.grown <= MEMORY,
        f"answers within {ANSWERS:g} s (p99)": damage.slowest(0.99) <= ANSWERS,
        f"all answers are good: {dict(damage.failures)}": not damage.failures,
    }
    return [claim for claim, holds in claims.items() if not holds]


def finish(damages: dict[str, Damage], alerts: int) -> int:
    found = {name: figures_of(damage) for name, damage in damages.items()}
    table = Table("", *found, title=f"{alerts} alerts at once", title_justify="left")
    for line in next(iter(found.values())):
        table.add_row(line, *(f"{figures[line]:.4g}" for figures in found.values()))
    console = Console()
    console.print(table)
    failures = [f"{name}: {claim}" for name, damage in damages.items() for claim in misses(damage, alerts)]
    for failure in failures:
        console.print(f"FAILED: {failure}", markup=False, soft_wrap=True)
    OUT.mkdir(exist_ok=True)
    content = {"ours": found, "failed": failures, "machine": machine()}
    (OUT / "storm.json").write_text(json.dumps(content, indent=2) + "\n")
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
