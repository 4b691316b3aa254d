"""make test-faults: kill the delivering process at random moments; nothing may be lost.

python -m bench.faults --kills 20 --alerts 100 --runs 3
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.faults.killing import Tally, kill_run

from bench.form import Figure, Report


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill delivery at random moments and count what that did.")
    parser.add_argument("--kills", type=int, default=20, help="kills per run")
    parser.add_argument("--alerts", type=int, default=100, help="alerts that fire and end again and again")
    parser.add_argument("--runs", type=int, default=3, help="at least 3")
    parser.add_argument("--seed", type=int, default=20261)
    chosen = parser.parse_args()
    tallies = [
        run(chosen.kills, chosen.alerts, chosen.seed + number) for number in range(max(3, chosen.runs))
    ]
    return finish(tallies, chosen.alerts)


def run(kills: int, alerts: int, seed: int) -> Tally:
    with tempfile.TemporaryDirectory(prefix="sentinel-faults-") as folder:
        return kill_run(Path(folder), kills=kills, alerts=alerts, seed=seed)


def finish(tallies: list[Tally], alerts: int) -> int:
    report = Report("faults")

    def figure(name: str, unit: str, values: list[float]) -> None:
        report.ours(name, Figure(tuple(values), unit))

    figure("lost or split", "per run", [len(tally.faults) for tally in tallies])
    figure("repeats", "per run", [tally.repeats for tally in tallies])
    figure("repeats allowed", "per run", [tally.bound for tally in tallies])
    figure("messages", "per run", [tally.messages for tally in tallies])
    figure("incidents", "per run", [tally.incidents for tally in tallies])
    figure("acknowledgements", "per run", [tally.acknowledged for tally in tallies])
    figure("time", "s per run", [tally.seconds for tally in tallies])
    faults = [fault for tally in tallies for fault in tally.faults]
    report.extra["faults"] = faults[:50]
    report.require(f"nothing lost, invented, split or out of order: {faults[:3]}", not faults)
    report.require(
        "repeats at most what was on its way", all(tally.repeats <= tally.bound for tally in tallies)
    )
    kills = sum(tally.kills for tally in tallies)
    messages = sum(tally.messages for tally in tallies)
    repeats = sum(tally.repeats for tally in tallies)
    allowed = sum(tally.bound for tally in tallies)
    return report.finish(
        f"faults: {kills} kill -9 while {alerts} alerts fired and ended: {messages} messages, "
        f"{len(faults)} lost or split, {repeats} repeated with the same key (at most {allowed} on their way)"
    )


if __name__ == "__main__":
    raise SystemExit(main())
