"""What the sender hands to a receiver, and what it gets back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from sentinel.notify.facts import Facts


@dataclass(frozen=True, slots=True)
class Delivery:
    """One row of the outbox, about to be sent."""

    id: int
    key: str
    """Idempotency key: the same in every attempt."""
    incident: int
    receiver: str
    event: str
    facts: Facts
    recipients: Mapping[str, str] = field(default_factory=dict)
    """Recipients settled by earlier attempts: accepted or refused."""
    queue: str = ""
    """Of the outbox."""


class Result(StrEnum):
    DELIVERED = "delivered"
    RETRY = "retry"
    REFUSED = "refused"
    """The far side will never take this message."""


@dataclass(frozen=True, slots=True)
class Outcome:
    result: Result
    detail: str = ""
    """One line for people: what the far side answered."""
    retry_after: float | None = None
    """Seconds the far side asked to wait before anything more is sent to it."""
    is_unwell: bool = False
    """The failure is the receiver's, not this message's: others need not be tried now."""
    recipients: Mapping[str, str] = field(default_factory=dict)
    """Recipients settled by now: accepted or refused; the rest is tried again."""
    refused: tuple[str, ...] = ()
    """Recipients refused for good this time, each with the reason."""


class Receiver(Protocol):
    """A channel to people. `send` takes as long as it takes: the sender keeps the deadline."""

    @property
    def kind(self) -> str: ...

    @property
    def timeout(self) -> float:
        """Seconds that one send may take in all."""
        ...

    @property
    def concurrency(self) -> int:
        """How many messages may be on their way to it at the same time."""
        ...

    async def send(self, delivery: Delivery) -> Outcome: ...

    async def close(self) -> None: ...
