"""make test-faults: a hundred thousand spoilt SNMP answers; polls end as declared, and memory stays flat.

python -m bench.snmp_fuzz --answers 100000
"""

from __future__ import annotations

import argparse
import asyncio
from collections import Counter

from tests.faults.spoiling import DEADLINE, Spoilt, spoil_polls, spoil_version_3

from bench.form import Figure, Report

RUNS = 3
FLAT = 10.0
"""MB by which the memory may grow."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Poll an agent that sends spoilt answers.")
    parser.add_argument("--answers", type=int, default=100_000, help="answers in all runs together")
    parser.add_argument("--seed", type=int, default=20261)
    chosen = parser.parse_args()
    each = chosen.answers // RUNS + 1
    runs = [asyncio.run(spoil_polls(each, chosen.seed + number)) for number in range(RUNS)]
    believed = spoil_version_3(chosen.answers // 4, chosen.seed)
    return finish(runs, believed)


def finish(runs: list[Spoilt], believed: int) -> int:
    report = Report("snmp_fuzz")
    report.ours("answers", Figure(tuple(run.answers for run in runs), "per run"))
    report.ours("slowest poll", Figure(tuple(run.slowest for run in runs), "s"))
    report.ours("memory grown", Figure(tuple(run.grown for run in runs), "MB"))
    polls: Counter[str] = sum((run.polls for run in runs), Counter())
    report.extra["polls"] = dict(polls)
    report.require("nothing is waited for at the end", not any(run.waiting for run in runs))
    report.require(
        f"every poll ends within {DEADLINE * 2:g} s", all(run.slowest < DEADLINE * 2 for run in runs)
    )
    report.require(f"memory grows by less than {FLAT:g} MB", all(run.grown < FLAT for run in runs[1:]))
    report.require("no spoilt answer of version 3 is believed", not believed)
    answers = sum(run.answers for run in runs)
    ends = ", ".join(f"{count} {reason}" for reason, count in polls.most_common())
    return report.finish(f"snmp_fuzz: {answers} answers, two of three spoilt; polls: {ends}; no other error")


if __name__ == "__main__":
    raise SystemExit(main())
