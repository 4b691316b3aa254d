"""What the web asks about the daemon itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sentinel.model.problem import Problem

Reload = Callable[[], Awaitable[Sequence[Problem]]]
"""Read the whole configuration again. Empty: it is in force; otherwise nothing has changed."""


@dataclass(frozen=True, slots=True)
class Vitals:
    """How the daemon itself does."""

    started_at: float
    rules_at: float | None = None
    """Unix seconds of the last rule tick; None before the first."""
    polls_per_second: float = 0.0
    """Mean over the last minute."""
    outbox_waiting: int = 0
    """Messages that still have to reach somebody."""
    outbox_dead: int = 0
    """Messages given up."""


class Health(Protocol):
    """Whether the daemon works."""

    def sick(self) -> Sequence[str]:
        """Why it should be restarted; empty when healthy."""
        ...

    def unready(self) -> Sequence[str]:
        """Why it cannot do its work now; empty when ready."""
        ...

    def vitals(self) -> Vitals: ...


class Tokens(Protocol):
    """API tokens."""

    async def verify(self, text: str, /, *, sends: bool = False) -> str | None:
        """Name of the valid operator token with that text.

        Args:
            sends: it is for handing in samples: a sender's token will do, and a revoked one may for some seconds.
        """
        ...
