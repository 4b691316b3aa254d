"""What the alerts of all rules share, and what they ask of the rest of the daemon."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sentinel.model.labels import EMPTY, Labels
from sentinel.rules.seams import Readability
from sentinel.rules.template import Struct


@dataclass(frozen=True, slots=True, eq=False)
class Surroundings:
    """What every rule shares."""

    readability: Readability
    query: Callable[[str, float], Sequence[Struct]]
    """Evaluates an expression for a template."""
    external_labels: Labels = EMPTY
    external_url: str = ""
    grace: float = 60.0
    """Seconds after a restart in which alerts that are not returned stay as they were."""
    on_failure: Callable[[str], None] = lambda _: None
    """Told of every template expansion that failed."""
    is_removed: Callable[[Labels], bool] = lambda _: False
    """Whether the target that labels name is no longer watched."""
    is_waiting: Callable[[Labels], bool] = lambda _: False
    """Whether something that could feed an alert with these labels has yet to be polled for the first time."""
