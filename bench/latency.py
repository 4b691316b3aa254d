"""From a poll that sees a fault to the webhook that tells of it: the whole daemon, a real snmpd, random moments."""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path

from tests.acceptance.latency import EVALUATION, POLL, TARGETS, measure, quantile

from bench.form import Figure, Report

MOST = 1.0
"""Seconds, p99."""
UNIT = "s"


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure how soon a fault is told.")
    parser.add_argument("--faults", type=int, default=100, help="each is told once for each target")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sentinel-latency-") as folder:
        found = asyncio.run(measure(Path(folder), chosen.faults, chosen.seed))
    report = Report("latency")
    report.ours("end of the poll to the webhook", Figure(tuple(found.told), UNIT))
    report.ours("beginning of the poll to the webhook", Figure(tuple(found.from_begin), UNIT))
    report.ours("fault to the webhook", Figure(tuple(found.from_fault), UNIT))
    p50, p99 = quantile(found.told, 0.5), quantile(found.told, 0.99)
    report.extra |= {
        "p50": p50,
        "p99": p99,
        "faults": chosen.faults,
        "targets": len(TARGETS),
        "poll interval": POLL,
        "rule interval": EVALUATION,
    }
    report.require(f"p99 under {MOST:g} s", p99 < MOST)
    return report.finish(
        f"latency: {len(found.told)} times from the end of the poll that sees the fault to the webhook: "
        f"p50 {p50:.3f} s, p99 {p99:.3f} s (polls every {POLL:g} s, rules every {EVALUATION:g} s)"
    )


if __name__ == "__main__":
    raise SystemExit(main())
