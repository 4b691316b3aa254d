"""What rules may expect to find: metrics, their types and how often they are polled."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field

MADE_BY_RULES = ("ALERTS", "ALERTS_FOR_STATE")


@dataclass(frozen=True, slots=True)
class Known:
    """Nothing is said about metrics while none are known."""

    metrics: Mapping[str, str] = field(default_factory=dict)
    """Type by name: counter, gauge or an empty text."""
    interval: float = 0.0
    """Seconds between polls; 0: not known."""

    def type_of(self, name: str) -> str:
        return self.metrics.get(name, "")

    def meant_by(self, name: str) -> str:
        """The metric that a name nearly is; empty where the name is known or like nothing known."""
        if not self.metrics or name in self.metrics or name in MADE_BY_RULES:
            return ""
        close = difflib.get_close_matches(name, self.metrics, n=1, cutoff=0.9)
        # One more word is another metric, not a slip: node_load1 and node_load15, x and x_total.
        return close[0] if close and not (close[0].startswith(name) or name.startswith(close[0])) else ""
