"""Short ways to send remote write requests to an intake."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence

from prometheus_client import CollectorRegistry

from sentinel.config.intake import IntakeSettings
from sentinel.model.batch import Batch, Source
from sentinel.model.labels import Labels
from sentinel.promql import Engine
from sentinel.runtime.clock import ManualClock
from sentinel.series.head import Head
from sentinel.series.remote import wire
from sentinel.series.remote.intake import Intake
from sentinel.series.remote.metrics import IntakeMetrics
from sentinel.series.remote.verdict import Verdict
from tests.unit.series.feeding import named

START = 1_700_000_000.0
Sample = tuple[Mapping[str, str] | str, float, float]
"""Labels (or the metric's name), value, Unix seconds."""


def varint(number: int) -> bytes:
    parts = bytearray()
    number &= (1 << 64) - 1
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])


def message(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + varint(len(content)) + content


def sample_of(value: float, at: float, *, with_zero: bool = False) -> bytes:
    """As Prometheus encodes it: value 0 is left out."""
    bits = struct.pack("<d", value)
    shown = b"\x09" + bits if with_zero or bits != bytes(8) else b""
    return message(2, shown + b"\x10" + varint(round(at * 1000)))


def series_of(labels: Mapping[str, str], *samples: tuple[float, float], with_zero: bool = False) -> bytes:
    names = b"".join(
        message(1, message(1, name.encode()) + message(2, value.encode())) for name, value in labels.items()
    )
    return message(1, names + b"".join(sample_of(value, at, with_zero=with_zero) for value, at in samples))


def labelled(given: Mapping[str, str] | str) -> dict[str, str]:
    own = {"__name__": given, "instance": "web1", "job": "node"} if isinstance(given, str) else dict(given)
    return dict(sorted(own.items()))


def body_of(samples: Iterable[Sample], *, with_zero: bool = False) -> bytes:
    return wire.compressed(
        b"".join(
            series_of(labelled(labels), (value, at), with_zero=with_zero) for labels, value, at in samples
        )
    )


class Taken:
    """A head with an intake, and what a listener hears."""

    def __init__(
        self,
        *,
        retention: float = 3600.0,
        max_series: int = 1000,
        head: Head | None = None,
        clock: ManualClock | None = None,
    ) -> None:
        self.clock = clock or ManualClock(START)
        self.head = head or Head(retention=retention, lag=720.0)
        self.registry = CollectorRegistry()
        settings = IntakeSettings(enabled=True, max_series=max_series)
        metrics = IntakeMetrics(self.registry)
        self.intake = Intake(settings, self.head, retention=retention, clock=self.clock, metrics=metrics)
        self.batches: list[Batch] = []
        self.forgotten: list[Source] = []
        self.head.listen(self)
        self.intake.resume()

    def append(self, batches: Sequence[Batch]) -> None:
        self.batches += batches

    def forget(self, source: Source) -> None:
        self.forgotten.append(source)

    @property
    def sources(self) -> int:
        return len(self.intake.cohorts)

    async def send(self, *samples: Sample, sender: str = "me", with_zero: bool = False) -> Verdict:
        return await self.intake.take(body_of(samples, with_zero=with_zero), sender)

    async def wait(self, seconds: float) -> None:
        """Let the time pass with the intake at work; the clock stands there afterwards."""
        for _ in range(round(seconds * 2)):
            self.clock._move(0.5)
            await self.intake.hand_on()

    def samples(self, name: str) -> dict[str, list[tuple[float, float]]]:
        """Everything of the last hour, by series: instant and value."""
        selection = self.head.select(named(name))
        now = self.clock.now()
        found: dict[str, list[tuple[float, float]]] = {}
        row = 0
        for piece in selection.pieces:
            samples = piece.samples(now - 3600, now + 60)
            for column, count in enumerate(samples.count.tolist()):
                times, values = samples.times[:count, column], samples.values[:count, column]
                label = str(selection.table[row])
                if count:
                    assert label not in found
                    found[label] = list(zip(times.tolist(), values.tolist(), strict=True))
                row += 1
        return found

    def now(self, text: str) -> dict[str, float]:
        value = Engine(self.head).compile(text).instant(self.clock.now())
        return {str(labels): number for labels, number in value.samples()}  # type: ignore[union-attr]


def instance(name: str) -> Labels:
    return Labels(instance=name, job="node", alertname="x")
