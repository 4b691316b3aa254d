"""What a fleet measures over days, made piece by piece: a mix of what devices and servers count and gauge."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sentinel.model.batch import Floats, Layout, Source
from sentinel.model.labels import Labels

PORTS: Final = 10
KINDS: Final = (
    "octets_total",  # fast counters, of many speeds, with the time of day
    "packets_total",
    "busy_seconds_total",  # hundredths of a second
    "errors_total",  # counters that rarely move
    "idle_total",  # counters that never do
    "memory_bytes",  # whole pages
    "temperature",  # tenths
    "latency_seconds",  # every digit is noise
    "speed",  # constants
    "oper_status",  # 1, now and then 2
)
START: Final = 1_700_006_400.0
"""A quarter of a day begins."""


def layout() -> Layout:
    return Layout.of(
        Labels(__name__=f"mix_{kind}", ifIndex=str(port), ifName=f"GigabitEthernet0/{port}")
        for kind in KINDS
        for port in range(PORTS)
    )


def sources(series: int, interval: float) -> list[Source]:
    return [
        Source(f"sw{n}", "mix", Labels(instance=f"sw{n}.example.org", job="mix", site=f"s{n % 10}"), interval)
        for n in range(max(series // (PORTS * len(KINDS)), 1))
    ]


class Mix:
    """`pieces` gives values [poll, source, series] one stretch of polls after the other."""

    def __init__(self, count: int, interval: float, seed: int = 3) -> None:
        """
        Args:
            count: sources.
        """
        self._rng = np.random.default_rng(seed)
        self._interval = interval
        self._width = count * PORTS
        rng, width = self._rng, self._width
        self._speed = 10 ** rng.uniform(1, 8, (3, width))
        self._phase = rng.uniform(0, 2 * np.pi, width)
        self._idle = rng.random(width) < 0.3
        self._level = [
            rng.integers(0, 1 << 40, width).astype(np.float64),
            rng.integers(0, 1 << 30, width).astype(np.float64),
            rng.uniform(0, 1e6, width),
            rng.integers(0, 500, width).astype(np.float64),
            rng.integers(0, 500, width).astype(np.float64),
            rng.integers(1 << 18, 1 << 21, width).astype(np.float64),
            rng.uniform(30, 60, width),
            rng.uniform(0.001, 0.2, width),
            rng.choice([1e8, 1e9, 1e10], width),
            np.ones(width),
        ]

    def pieces(self, polls: int, size: int) -> Iterator[Floats]:
        for first in range(0, polls, size):
            yield self._piece(np.arange(first, min(first + size, polls)))

    def _piece(self, polls: NDArray[np.int64]) -> Floats:
        rng, shape, level = self._rng, (len(polls), self._width), self._level
        day = 1 + 0.6 * np.sin(polls[:, None] * self._interval / 86400 * 2 * np.pi + self._phase)
        busy = np.where(self._idle, rng.random(shape) < 0.02, 1.0)

        def counted(place: int, rise: Floats) -> Floats:
            series = level[place] + np.cumsum(rise, axis=0)
            level[place] = series[-1]
            return series

        def walked(place: int, step: float) -> Floats:
            return counted(place, rng.normal(0, step, shape))

        made = [
            np.floor(counted(0, rng.gamma(4, 0.25, shape) * self._speed[0] * self._interval * day * busy)),
            np.floor(
                counted(1, rng.gamma(4, 0.25, shape) * self._speed[1] / 500 * self._interval * day * busy)
            ),
            counted(2, rng.gamma(2, 0.1, shape) * self._interval / 2).round(2),
            counted(3, (rng.random(shape) < 0.002) * rng.uniform(1, 20, shape).round()),
            np.broadcast_to(level[4], shape),
            walked(5, 300.0).round() * 4096,
            walked(6, 0.05).round(1),
            np.abs(level[7] + rng.normal(0, 0.01, shape)),
            np.broadcast_to(level[8], shape),
            np.where(rng.random(shape) < 0.0005, 2.0, 1.0),
        ]
        stacked = np.stack([kind.reshape(len(polls), -1, PORTS) for kind in made], axis=2)
        values: Floats = np.ascontiguousarray(stacked.reshape(len(polls), -1, len(KINDS) * PORTS))
        return values
