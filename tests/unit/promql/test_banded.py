"""Windows without gaps take a shorter way: it must lead to the same place, whatever lies packed."""

from __future__ import annotations

import numpy as np
import pytest

from sentinel.model.batch import Batch, Layout, Reading, Source
from sentinel.model.labels import Labels
from sentinel.promql import Engine
from sentinel.promql.functions.banded import BANDED
from sentinel.promql.functions.over_time import OverTime
from sentinel.promql.value import Vector
from sentinel.series.head import Head

START = 1_700_000_000.0
INTERVAL = 15.0
KINDS = ("counter", "gauge", "constant", "sometimes_nan", "ends", "resets", "huge")
FUNCTIONS = [f"{name}(x[{{}}])" for name in BANDED if name != "predict_linear"] + [
    "predict_linear(x[{}], 600)"
]


class Fleet:
    """Sources with phases of their own; one misses polls, one stops, one starts late."""

    def __init__(self, seed: int) -> None:
        self.head = Head(retention=1800.0, recent=60.0)
        self.random = np.random.default_rng(seed)
        self.sources = [
            Source(f"h{number}", "m", Labels(instance=f"h{number}"), INTERVAL) for number in range(5)
        ]
        self.phases = [round(float(self.random.uniform(0, INTERVAL)), 3) for _ in self.sources]
        self.whole = Layout.of([Labels(__name__="x", kind=kind) for kind in KINDS])
        self.short = Layout.of([Labels(__name__="x", kind=kind) for kind in KINDS if kind != "ends"])

    def poll(self, tick: int) -> None:
        for number, source in enumerate(self.sources):
            misses = number == 1 and self.random.random() < 0.05
            if misses or (number == 2 and tick > 90) or (number == 3 and tick < 60):
                continue
            ends = number == 0 and 40 < tick % 100 < 60
            values = [
                7.0 * tick,
                float(self.random.normal(50, 10)),
                5.0,
                float("nan") if self.random.random() < 0.1 else 1.0,
                3.0,
                float(tick % 23),
                1e15 + tick,
            ]
            if ends:
                del values[KINDS.index("ends")]
            reading = Reading(self.short if ends else self.whole, np.array(values))
            at = round(START + self.phases[number] + tick * INTERVAL, 3)
            self.head.append([Batch(source, at, reading, up=True, duration=0.1)])


def answers(engine: Engine, text: str, at: float, *, is_short: bool) -> dict[Labels, float]:
    expression = engine.compile(text)
    node = expression._node
    assert isinstance(node, OverTime)
    assert node.banded is not None
    if not is_short:
        node.banded = None
    value = expression.instant(at)
    assert isinstance(value, Vector)
    return dict(value.samples())


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_both_ways_lead_to_the_same(seed: int) -> None:
    fleet = Fleet(seed)
    engine = Engine(fleet.head)
    # These keep their windows from look to look, and share them.
    spans = ("[5m]", "[5m] offset 4m", "[15m] offset 90s")
    kept = {
        text: engine.compile(text)
        for text in (function.replace("[{}]", span) for function in FUNCTIONS for span in spans)
    }
    for tick in range(160):
        fleet.poll(tick)
        if tick % 9 != 8 and tick not in (0, 1, 2):
            continue
        for window in ("45s", "2m", "5m", "15m", "30m"):
            at = round(START + tick * INTERVAL + float(fleet.random.uniform(-30, 20)), 3)
            for text in FUNCTIONS:
                short = answers(engine, text.format(window), at, is_short=True)
                long = answers(engine, text.format(window), at, is_short=False)
                assert short == pytest.approx(long, rel=1e-9, abs=1e-6, nan_ok=True), (text, window, tick)
        for text, expression in kept.items():
            value = expression.instant(at)
            assert isinstance(value, Vector)
            long = answers(engine, text, at, is_short=False)
            assert dict(value.samples()) == pytest.approx(long, rel=1e-9, abs=1e-6, nan_ok=True), text
