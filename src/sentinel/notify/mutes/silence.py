"""A silence, or a maintenance window: whom it concerns, when, who said so and why."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sentinel.config.matchers import Matcher, Operator
from sentinel.notify.mutes.recurrence import Recurrence, Window


class Kind(StrEnum):
    SILENCE = "silence"
    MAINTENANCE = "maintenance"

    @property
    def words(self) -> str:
        """For people."""
        return "maintenance window" if self is Kind.MAINTENANCE else "silence"


class State(StrEnum):
    """As Alertmanager's; what recurs is pending between its windows."""

    PENDING = "pending"
    ACTIVE = "active"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Silence:
    """One row. Instants are Unix seconds."""

    id: str
    """A UUID, as Alertmanager's."""
    kind: Kind
    matchers: tuple[Matcher, ...]
    """All of them have to match."""
    targets: tuple[str, ...]
    """Of a maintenance window; none: whatever matches."""
    with_dependants: bool
    """Targets that can only be reached through these are in the window too."""
    starts_at: float
    ends_at: float
    """Of the first window, where it recurs."""
    recurrence: Recurrence | None
    over_at: float | None
    """From when on it mutes nothing any more: its end, or that of the last window; None: it recurs without end."""
    created_by: str
    comment: str
    change: str
    """Reference of the change that a maintenance window is for."""
    created_at: float
    updated_at: float
    reminded_at: float | None = None
    """When people were reminded that it ends soon."""
    ended_told_at: float | None = None
    """Up to when its ends have been told."""

    def window(self, at: float) -> Window:
        """The window that an instant is in, or else the next; the last one where there is no next."""
        if self.recurrence is None:
            return Window(self.starts_at, self.ends_at)
        over = math.inf if self.over_at is None else self.over_at
        found = self.recurrence.at_or_after(min(at, math.nextafter(over, -math.inf)))
        if found is None or found.start >= over:
            found = self.recurrence.last_before(over if at >= over else at)
        if found is None:  # expired before its first window
            return Window(over, over)
        return Window(found.start, min(found.end, over))

    def windows(self, at: float, most: int) -> list[Window]:
        """The window that an instant is in, and those to come."""
        found: list[Window] = []
        while len(found) < most:
            window = self.window(found[-1].end if found else at)
            if window.end <= (found[-1].end if found else at):
                break
            found.append(window)
        return found

    def last_end(self, at: float) -> float | None:
        """When a window of it ended last; None: none has."""
        if self.recurrence is None or (self.over_at is not None and self.over_at <= at):
            return self.over_at if self.over_at is not None and self.over_at <= at else None
        before = self.recurrence.last_before(at)
        return before.end if before is not None else None

    def state(self, at: float) -> State:
        if self.over_at is not None and at >= self.over_at:
            return State.EXPIRED
        return State.ACTIVE if self.window(at).holds(at) else State.PENDING


@dataclass(frozen=True, slots=True)
class Draft:
    """What somebody asks for."""

    matchers: tuple[Matcher, ...]
    ends_at: float
    starts_at: float | None = None
    """None: now."""
    comment: str = ""
    created_by: str = ""
    """Empty: whoever asks."""
    id: str = ""
    """Of the one that is edited."""
    kind: Kind = Kind.SILENCE
    rule: str = ""
    """How it recurs, see CalendarRule.parse; empty: it does not."""
    zone: str = "UTC"
    """By whose clocks it recurs, an IANA name."""
    targets: tuple[str, ...] = ()
    with_dependants: bool = True
    change: str = ""


def written_matchers(matchers: Iterable[Matcher]) -> list[dict[str, Any]]:
    """In the JSON form of Alertmanager's API v2."""
    return [
        {
            "name": matcher.name,
            "value": matcher.value,
            "isRegex": matcher.operator in ("=~", "!~"),
            "isEqual": matcher.operator in ("=", "=~"),
        }
        for matcher in matchers
    ]


def read_matchers(written: Sequence[Mapping[str, Any]]) -> tuple[Matcher, ...]:
    """From the JSON form of Alertmanager's API v2, where isEqual may be missing and is true then.

    Raises:
        ValueError: one is not such a form, or its regular expression cannot be used.
    """
    found = []
    for number, item in enumerate(written):
        name, value = item.get("name"), item.get("value")
        is_regex, is_equal = item.get("isRegex", False), item.get("isEqual", True)
        if is_equal is None:
            is_equal = True
        if not (isinstance(name, str) and isinstance(value, str)):
            raise ValueError(f"matcher {number}: name and value have to be texts")
        if not (isinstance(is_regex, bool) and isinstance(is_equal, bool)):
            raise ValueError(f"matcher {number}: isRegex and isEqual have to be true or false")
        try:
            found.append(Matcher.of(name, operator(is_regex=is_regex, is_equal=is_equal), value))
        except ValueError as error:
            raise ValueError(f"matcher {number}: {error}") from None
    return tuple(found)


def operator(*, is_regex: bool, is_equal: bool) -> Operator:
    if is_regex:
        return "=~" if is_equal else "!~"
    return "=" if is_equal else "!="
