"""One alert of a rule, followed from evaluation to evaluation."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sentinel.model.alert import Alert, AlertState
from sentinel.model.labels import EMPTY, Labels
from sentinel.rules.state import NOTHING, Standing


@dataclass(slots=True, eq=False)
class Track:
    """One alert that is not inactive."""

    labels: Labels
    source: Labels
    """The result's labels, with the metric name."""
    fingerprint: str
    standing: Standing = NOTHING
    value: float = 0.0
    seen_at: float | None = None
    held_until: float = -math.inf
    """Before that instant the expression's silence means nothing."""
    annotations: Labels = EMPTY
    annotated: tuple[float, float] | None = None
    """Value and instant that the annotations were expanded for."""

    def alert(
        self, group: str, standing: Standing, state: AlertState, resolved_at: float | None = None
    ) -> Alert:
        """The alert as others see it.

        Args:
            group: the identity of its rule's group.
            standing: what its instants are taken from.
        """
        return Alert(
            fingerprint=self.fingerprint,
            group=group,
            labels=self.labels,
            annotations=self.annotations,
            state=state,
            value=self.value,
            active_at=standing.active_at,
            fired_at=standing.fired_at,
            last_seen_at=self.seen_at,
            resolved_at=resolved_at,
        )
