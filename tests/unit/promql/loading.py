"""A head filled from the notation of unit tests."""

from __future__ import annotations

import numpy as np

from sentinel.model.batch import Batch, Layout, Reading, Source
from sentinel.model.labels import EMPTY
from sentinel.promql import Engine
from sentinel.promql.value import Vector
from sentinel.rules.notation import parse_series, parse_values
from sentinel.series.head import Head

KEPT = 100_000.0


def loaded(step: float, **series: str) -> Engine:
    """Of series by text: loaded(60, **{'x{a="b"}': "1 2 3"}), the first sample at 0."""
    return loaded_all(step, series)


def loaded_all(step: float, series: dict[str, str]) -> Engine:
    head = Head(retention=KEPT, recent=KEPT)
    for number, (name, written) in enumerate(series.items()):
        source = Source(f"series {number}", "test", EMPTY, step)
        layout = Layout((parse_series(name),))
        head.append(
            [
                Batch(source, place * step, Reading(layout, np.array([value])), up=True, duration=0.0)
                for place, value in enumerate(parse_values(written))
                if value is not None
            ]
        )
    return Engine(head)


def asked(engine: Engine, text: str, at: float) -> dict[str, float]:
    """Values by label text, without the bookkeeping series of the head."""
    value = engine.compile(text).instant(at)
    assert isinstance(value, Vector)
    return {str(labels): number for labels, number in value.samples()}


def ranged(engine: Engine, text: str, start: float, end: float, step: float) -> dict[str, list[float]]:
    tracks = engine.compile(text).range(start, end, step)
    return {str(track.labels): track.values.tolist() for track in tracks}
