"""Alerts that fire and end by the clock alone, so that anybody knows when each should have been firing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

GROUPS = 10
"""Rule groups, each on a phase of its own."""


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Each alert fires for the first half of its period."""

    alerts: int
    shortest: int
    """Seconds of the shortest period."""
    longest: int
    sites: int = 20
    """Alert N carries site="sS" with S = N modulo this."""

    @property
    def numbers(self) -> range:
        return range(self.alerts)

    def period(self, number: int) -> int:
        """Seconds; even."""
        spread = (self.longest - self.shortest) // 2 + 1
        return self.shortest + number * 7919 % spread * 2

    def stretch(self, number: int, at: float) -> int:
        """The period that an instant falls into."""
        return int((at + _offset(number)) // self.period(number))

    def firing(self, number: int, since: float, until: float) -> Iterator[tuple[float, float]]:
        """From when to when it fires within a span; Unix seconds."""
        period = self.period(number)
        for stretch in range(self.stretch(number, since), self.stretch(number, until) + 1):
            begin = stretch * period - _offset(number)
            first, last = max(begin, since), min(begin + period / 2, until)
            if first < last:
                yield first, last

    def rules(self) -> str:
        """The rule file."""
        lines = ["groups:"]
        for group in range(GROUPS):
            lines += [f"  - name: rhythm{group}", "    rules:"]
            for number in self.numbers[group::GROUPS]:
                period = self.period(number)
                lines += [
                    "      - alert: Rhythm",
                    f"        expr: (vector(time() + {_offset(number)}) % {period}) < {period // 2}",
                    f'        labels: {{number: "{number}", site: s{number % self.sites}}}',
                ]
        return "\n".join(lines) + "\n"


def _offset(number: int) -> int:
    return number * 7
