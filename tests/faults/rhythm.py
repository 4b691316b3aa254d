"""Alerts that fire and end by the clock alone, so that anybody knows when each should have been firing."""

from __future__ import annotations

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

    def is_firing(self, number: int, at: float) -> bool:
        period = self.period(number)
        return (at + _offset(number)) % period < period / 2

    @staticmethod
    def group_of(number: int) -> str:
        """Its rule group's name."""
        return f"rhythm{number % GROUPS}"

    def rules(self) -> str:
        """The rule file."""
        lines = ["groups:"]
        for group in range(GROUPS):
            lines += [f"  - name: {self.group_of(group)}", "    rules:"]
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
