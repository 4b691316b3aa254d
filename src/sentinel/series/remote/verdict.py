"""What became of the samples of one request."""

from __future__ import annotations

from dataclasses import dataclass, field

from sentinel.model.labels import Labels

_LONGEST = 300


@dataclass(slots=True)
class Verdict:
    """Reasons are bounded words."""

    stored: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    """Samples by reason."""
    histograms: int = 0
    """Native histograms, which are left out."""
    examples: dict[str, str] = field(default_factory=dict)
    """One refused series for each reason."""

    def refuse(self, reason: str, count: int, labels: Labels, at: int | None = None) -> None:
        """
        Args:
            labels: of one of the series.
            at: milliseconds since 1970.
        """
        self.refused[reason] = self.refused.get(reason, 0) + count
        if reason not in self.examples:
            shown = str(labels)[:_LONGEST]
            self.examples[reason] = shown if at is None else f"{shown} at {at / 1000:.3f}"

    def __str__(self) -> str:
        """For the sender's log, one line."""
        return "; ".join(
            f"{count} {'sample' if count == 1 else 'samples'} refused: {reason} ({self.examples[reason]})"
            for reason, count in self.refused.items()
        )
