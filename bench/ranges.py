"""Range queries beside a real Prometheus with the same samples in its head: python -m bench.ranges.

CPU time of one query over 360 steps of 15 s, from the expression to the JSON of the answer; Prometheus' figure is
that of its process. And how long the event loop is held while queries over 100,000 series run beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson

from bench.fleet import INTERVAL, Fleet, fleet
from bench.form import Figure, Report, measure
from bench.queries import process_cpu_ms
from bench.rules import prometheus
from bench.rules_data import push
from sentinel.model.batch import Layout
from sentinel.promql import Engine
from sentinel.promql.evaluation import Matrix
from sentinel.promql.service import LIMITS, QueryService, Question
from sentinel.runtime.clock import SystemClock
from sentinel.series.head import Head
from sentinel.web.answers import matrix_items, pieces_of

UNIT: Final = "ms CPU a query"
STEPS: Final = 360
BEFORE: Final = 80
"""Polls before the first step."""
PER_HOST: Final = 9
"""Series of each of the metrics below."""
METRICS: Final = ("ifHCInOctets", "ifHCOutOctets")
QUERIES: Final = {
    "selector": "ifHCInOctets",
    "rate": "rate(ifHCInOctets[5m])",
    "sum of rates": "sum by (job) (rate(ifHCInOctets[5m]))",
    "ratio": "ifHCInOctets / ifHCOutOctets",
    "average": "avg_over_time(ifHCInOctets[5m])",
    "maximum": "max by (site) (max_over_time(ifHCInOctets[5m]))",
    "subquery": "max_over_time(rate(ifHCInOctets[5m])[10m:1m])",
}
LEAST: Final = 1.0
"""Not slower than Prometheus in any of them."""
LONGEST: Final = 0.05
"""Seconds that the event loop may be held."""
BESIDE: Final = (
    "sum by (job) (rate(node_cpu_seconds_total[5m]))",
    'count by (instance) ({__name__=~"node_.*|if.*"} >= 0)',
    "node_filesystem_avail_bytes / node_filesystem_size_bytes",
)


def narrowed(data: Fleet) -> Fleet:
    """With the two metrics that are asked for, counters that never fall: what rates make of those that do has
    changed since Debian's Prometheus."""
    chosen = [n for n, labels in enumerate(data.layout.series) if labels.name in METRICS]
    layout = Layout.of([data.layout.series[n] for n in chosen])
    values = data.values[:, :, chosen]
    values[1:] = values[0] + np.cumsum(np.maximum(np.diff(values, axis=0), 0), axis=0).round(3)
    return replace(data, layout=layout, values=np.ascontiguousarray(values))


def head_of(data: Fleet, *, retention: float) -> Head:
    head = Head(retention=retention)
    for poll in range(len(data.times)):
        head.append(data.batches(poll))
    return head


def asked(base: str, query: str, start: float, end: float) -> bytes:
    given = urllib.parse.urlencode({"query": query, "start": start, "end": end, "step": INTERVAL})
    with urllib.request.urlopen(f"{base}/api/v1/query_range?{given}", timeout=300) as reply:
        body: bytes = reply.read()
        return body


def answered(engine: Engine, query: str, start: float, end: float) -> bytes:
    evaluation = engine.compile(query).over(start, end, INTERVAL)
    for _ in evaluation.take():
        pass
    return b"".join(pieces_of(matrix_items(evaluation.matrix(), 0), "matrix", {}))


def same(ours: bytes, theirs: bytes) -> bool:
    """The same series with the same values."""
    a, b = (_points(orjson.loads(body)["data"]["result"]) for body in (ours, theirs))
    return a.keys() == b.keys() and all(
        len(a[key]) == len(b[key]) and np.allclose(a[key], b[key], rtol=1e-9) for key in a
    )


def _points(result: list[Any]) -> dict[str, Any]:
    return {
        str(sorted(one["metric"].items())): np.array([float(value) for _, value in one["values"]])
        for one in result
    }


def compare(report: Report, folder: Path, series: int, repeat: int) -> None:
    data = narrowed(fleet(series // PER_HOST * 101, seconds=(STEPS + BEFORE) * INTERVAL, end=time.time()))
    engine = Engine(head_of(data, retention=7200.0), limits=LIMITS)
    # Half a second off the polls of most hosts, and never on the edge of a window.
    end = data.end - 0.0005
    start = end - (STEPS - 1) * INTERVAL
    with prometheus(folder) as store:
        push(data, store.write_url)
        for name, query in QUERIES.items():
            own = f"{name}, {len(data.sources) * PER_HOST} series"
            figure = measure(partial(answered, engine, query, start, end), repeat=repeat, unit=UNIT)
            report.ours(own, figure)
            if not same(answered(engine, query, start, end), asked(store.base, query, start, end)):
                report.require(f"the same answer to {query}", holds=False)
            runs = []
            for _ in range(repeat):
                before = process_cpu_ms(store.pid)
                asked(store.base, query, start, end)
                runs.append(process_cpu_ms(store.pid) - before)
            peer = f"prometheus, {own}"
            report.peer(peer, Figure(tuple(runs), UNIT), against=own)
            ratio = report.ratio(peer)
            report.require(f"{own}: not slower than Prometheus", ratio is not None and ratio >= LEAST)


async def longest_pauses(head: Head, start: float, end: float) -> list[float]:
    """For each of the queries beside, the longest time for which the event loop was held while it ran, in ms."""
    found: list[float] = []
    with closing(QueryService(Engine(head), SystemClock())) as service:
        for query in BESIDE:
            pauses: list[float] = []

            async def tick(pauses: list[float] = pauses) -> None:
                while True:
                    before = time.perf_counter()
                    await asyncio.sleep(0.001)
                    pauses.append(time.perf_counter() - before - 0.001)

            async with asyncio.TaskGroup() as group:
                ticking = group.create_task(tick())
                reply = await service.ask(Question(query, start, end, INTERVAL), threading.Event())
                assert isinstance(reply.answer, Matrix)
                ticking.cancel()
            found.append(1000 * max(pauses))
    return found


def beside(report: Report, series: int) -> None:
    data = fleet(series)
    head = head_of(data, retention=3600.0)
    pauses = asyncio.run(longest_pauses(head, data.end - 3000, data.end))
    name = f"longest hold of the event loop, {head.series} series"
    report.ours(name, Figure(tuple(pauses), "ms"))
    report.require(f"{name}: at most {1000 * LONGEST:.0f} ms", max(pauses) <= 1000 * LONGEST)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--repeat", type=int, default=3)
    arguments.add_argument("--large", type=int, default=10_000)
    chosen = arguments.parse_args()
    report = Report("ranges")
    beside(report, 100_000)
    with tempfile.TemporaryDirectory(prefix="ranges-", dir="/tmp") as name:
        for size in (1_000, chosen.large):
            folder = Path(name, str(size))
            folder.mkdir()
            compare(report, folder, size, max(chosen.repeat, 3))
    return report.finish()


if __name__ == "__main__":
    raise SystemExit(main())
