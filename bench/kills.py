"""make test-faults: `kill -9` of the whole daemon at random moments while alerts fire and end to webhooks and mail.

python -m bench.kills --kills 200 --alerts 1000
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table
from tests.faults.daemon_killing import CONCURRENCY, RECEIVERS, kill_daemons
from tests.faults.forking import ForkedDaemon
from tests.faults.judging import Verdict, judge
from tests.faults.rhythm import Rhythm

from bench.form import OUT, machine

DRAIN = 900.0
"""Seconds in which everything has to be told after the last kill."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill the daemon at random moments and count what that did.")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--alerts", type=int, default=1000, help="alerts that fire and end again and again")
    parser.add_argument("--seed", type=int, default=20261122)
    chosen = parser.parse_args()
    rhythm = Rhythm(chosen.alerts, shortest=160, longest=320)
    with tempfile.TemporaryDirectory(prefix="sentinel-kills-") as folder:
        verdict = asyncio.run(run(Path(folder), rhythm, chosen.kills, chosen.seed))
    return finish(verdict)


async def run(folder: Path, rhythm: Rhythm, kills: int, seed: int) -> Verdict:
    found = await kill_daemons(folder, rhythm, kills=kills, seed=seed, drain=DRAIN, make=ForkedDaemon)
    return judge(found)


def finish(verdict: Verdict) -> int:
    figures = {
        "kills": verdict.kills,
        "alerts": verdict.alerts,
        "incidents": verdict.incidents,
        "evaluated while firing, so to be told": verdict.watched,
        "webhook posts by incident": verdict.posts,
        "mails by incident": verdict.mails,
        "webhook posts by group": verdict.groups,
        "lost": len(verdict.lost),
        "split": len(verdict.split),
        "otherwise wrong": len(verdict.wrong),
        "repeats, all with the same key": verdict.repeats,
        "repeats allowed": verdict.bound,
        "most repeats of a receiver after one kill": verdict.most,
        f"on their way at a kill ({len(RECEIVERS)} receivers)": CONCURRENCY,
        "seconds": round(verdict.seconds),
    }
    table = Table(title="kill -9 of the whole daemon", title_justify="left", show_header=False)
    for name, value in figures.items():
        table.add_row(name, str(value))
    console = Console()
    console.print(table)
    for fault in verdict.faults[:20]:
        console.print(f"FAILED: {fault}", markup=False, soft_wrap=True)
    OUT.mkdir(exist_ok=True)
    content = {"ours": figures, "faults": verdict.faults[:200], "machine": machine()}
    (OUT / "kills.json").write_text(json.dumps(content, indent=2) + "\n")
    return 1 if verdict.faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
