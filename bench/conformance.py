"""Prometheus' own engine tests through the real head and engine: python -m bench.conformance DIR [--floor N].

The parser and runner of .test files is not part of this project; it is taken from beside the folder of test files
(DIR/../../tools/promqltest.py), else from beside the project (../shared/tools).
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from sentinel.model.batch import STALE, Batch, Layout, Reading, Source
from sentinel.model.labels import EMPTY, Labels
from sentinel.promql import Engine
from sentinel.promql.value import Vector
from sentinel.series.head import Head

Loaded = tuple[dict[str, str], list[tuple[int, Any]]]


def stored(series: list[Loaded], stale: object, *, retention: float | None = None) -> Head:
    """A head with these series (times in milliseconds, None: no sample).

    Each series is a source of its own, so that one may have a sample where another has none.
    """
    newest = max((times[-1][0] for _, times in series if times), default=0) / 1000
    kept = retention or newest + 3600.0
    head = Head(retention=kept, recent=kept)
    for number, (labels, points) in enumerate(series):
        steps = [b[0] - a[0] for a, b in pairwise(points)]
        interval = max(min(steps, default=60_000), 1) / 1000
        source = Source(f"series {number}", "load", EMPTY, interval)
        layout = Layout.of([Labels(labels)])
        batches = [
            Batch(
                source, at / 1000, Reading(layout, np.array([STALE if value is stale else value])), True, 0.0
            )
            for at, value in points
            if value is not None
        ]
        head.append(batches)
    return head


def adapter(stale: object) -> type:
    """What the runner calls `Engine`."""

    class Adapter:
        def __init__(self) -> None:
            self._series: dict[Labels, list[tuple[int, Any]]] = {}
            self._engine: Engine | None = None

        def load(self, series: list[Loaded]) -> None:
            for labels, points in series:
                known = dict(self._series.get(Labels(labels), []))
                known.update(points)
                self._series[Labels(labels)] = sorted(known.items())
            self._engine = None

        def engine(self) -> Engine:
            if self._engine is None:
                head = stored([(dict(labels), points) for labels, points in self._series.items()], stale)
                head.retention = float("inf")
                self._engine = Engine(head)
            return self._engine

        def instant(self, text: str, at: int) -> object:
            expression = self.engine().compile(text, allow_range=True)
            if expression.is_range:
                return [
                    (dict(track.labels), _points(track.times, track.values))
                    for track in expression.matrix(at / 1000)
                ]
            value = expression.instant(at / 1000)
            if isinstance(value, Vector):
                return [(dict(labels), number) for labels, number in value.samples()]
            return value

        def range(self, text: str, start: int, end: int, step: int) -> object:
            tracks = self.engine().compile(text).range(start / 1000, end / 1000, step / 1000)
            return [(dict(track.labels), _points(track.times, track.values)) for track in tracks]

    return Adapter


def _points(times: Any, values: Any) -> list[tuple[int, float]]:
    return [(round(at * 1000), float(value)) for at, value in zip(times, values, strict=True)]


def runner(folder: Path) -> Any | None:
    """The module that reads .test files, or None where it is missing."""
    shared = Path(__file__).resolve().parents[2] / "shared"
    places = [above / "tools" / "promqltest.py" for above in (folder.resolve().parent.parent, shared)]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        return None
    spec = importlib.util.spec_from_file_location("promqltest", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["promqltest"] = module
    spec.loader.exec_module(module)
    return module


def judge(folder: Path, say: Callable[[str], None], only: str = "") -> Counter[str]:
    module = runner(folder)
    if module is None:
        raise SystemExit(f"missing: {folder.resolve().parent.parent / 'tools' / 'promqltest.py'}")
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for path in sorted(folder.glob("*.test")):
        if only and only not in path.name:
            continue
        here: Counter[str] = Counter()
        for case, status, detail in module.run(path.read_text(), adapter(module.STALE)):
            here[status.split(":")[0]] += 1
            if status.startswith("skip:"):
                reasons[status.removeprefix("skip:")] += 1
            if status == "fail":
                say(f"{path.name}:{case.line}: {case.expr}\n    {detail}")
        say(f"{path.name}: {here['pass']} passed, {here['fail']} failed, {here['skip']} skipped")
        counts.update(here)
    for reason, number in reasons.most_common():
        say(f"skipped: {number} × {reason}")
    return counts


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--floor", type=int, help="pass when at least that many cases do")
    arguments.add_argument("--only", default="", help="only files with this in their name")
    chosen = arguments.parse_args()
    if not any(chosen.folder.glob("*.test")):
        print(f"no .test files in {chosen.folder}")
        return 1
    counts = judge(chosen.folder, print, chosen.only)
    print(f"{counts['pass']} passed, {counts['fail']} failed, {counts['skip']} skipped")
    if chosen.floor is not None:
        return 0 if counts["pass"] >= chosen.floor else 1
    return 1 if counts["fail"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
