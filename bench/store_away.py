"""make test-faults: a store of remote write is stopped for a minute; every sample has to arrive once.

python -m bench.store_away --seconds 60
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path
from typing import get_args

from tests.integration.store_away import SERIES, Kind, Told, store_away

from bench.form import Figure, Report


async def both(seconds: float, folder: Path) -> list[Told]:
    """Both stores at the same time."""
    kinds: tuple[Kind, ...] = get_args(Kind)
    for kind in kinds:
        (folder / kind).mkdir()
    return await asyncio.gather(*(store_away(kind, folder / kind, seconds) for kind in kinds))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="store-away-") as folder:
        found = asyncio.run(both(chosen.seconds, Path(folder)))
    report = Report("store_away")
    for kind, told in zip(get_args(Kind), found, strict=True):
        lost = sum(told.polls - count for count in told.counts if count < told.polls)
        report.ours(f"{kind}: caught up", Figure((told.seconds,) * 3, "s after its return"))
        report.ours(f"{kind}: waited", Figure((float(told.waited),) * 3, "bytes on disk"))
        report.extra[kind] = {
            "polls": told.polls,
            "series": SERIES,
            "samples of a series": sorted(told.counts),
        }
        report.require(
            f"{kind}: every sample once ({lost:g} lost of a series)", told.counts == {float(told.polls)}
        )
        report.require(f"{kind}: the values that were sent", told.wrong_sums == 0)
    polls = ", ".join(str(told.polls) for told in found)
    return report.finish(
        f"store_away: {chosen.seconds:g} s away; {polls} polls of {SERIES} series, each once"
    )


if __name__ == "__main__":
    raise SystemExit(main())
