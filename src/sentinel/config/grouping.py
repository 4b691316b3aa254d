"""How a route puts alerts together: group_by and the three times, with what a route inherits.

Source: Alertmanager dispatch/route.go (NewRoute, DefaultRouteOpts) and config/config.go (Route.UnmarshalYAML).
Grouping by incident is Sentinel's own: it tells at once and repeats nothing, unless times are written. An empty
group_by is one group here, at every route; below the top an Alertmanager takes it for one that is not there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator

from sentinel.config.types import Duration

LONGEST = 292 * 365 * 86400.0
"""Seconds that a group may wait at most, as in Alertmanager."""

_PLAIN = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


class Whole(StrEnum):
    """Groups that no label names are written for; each is the word that stands in group_by."""

    ALL = "..."
    """By all labels: an alert is a group of its own."""
    INCIDENT = "incident"
    """By the incident that an alert belongs to."""


ALL, INCIDENT = Whole.ALL, Whole.INCIDENT

GroupBy = tuple[str, ...] | Whole
"""Label names, none for a single group of everything; or one of the words."""


def label_name(written: str) -> str:
    """A label's name; one in double quotes may be any text.

    Raises:
        ValueError: it is none.
    """
    if len(written) > 2 and written.startswith('"') and written.endswith('"'):
        return written[1:-1]
    if not _PLAIN.fullmatch(written):
        raise ValueError(
            f"not a label name: {written!r} (letters, digits and _, not starting with a digit; others as '\"…\"')"
        )
    return written


def label_text(name: str) -> str:
    """What label_name reads back as this name, whatever words group_by knows."""
    return name if _PLAIN.fullmatch(name) and name != INCIDENT else f'"{name}"'


def read_group_by(written: Iterable[str]) -> GroupBy:
    """
    Raises:
        ValueError: what is wrong.
    """
    texts = tuple(written)
    for word in Whole:
        if word in texts:
            if set(texts) != {word.value}:
                hint = "; the label of this name is '\"incident\"'" if word is INCIDENT else ""
                raise ValueError(f"'{word}' stands alone, without label names{hint}")
            return word
    names = tuple(label_name(text) for text in texts)
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"the label '{twice}' stands there twice")
    return names


def _is_group_by(written: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if written is not None:
        read_group_by(written)
    return written


def _is_label(written: str) -> str:
    label_name(written)
    return written


def _is_short(seconds: float | None) -> float | None:
    if seconds is not None and seconds > LONGEST:
        raise ValueError("at most 292y")
    return seconds


GroupByTexts = Annotated[tuple[str, ...] | None, AfterValidator(_is_group_by)]
LabelText = Annotated[str, AfterValidator(_is_label)]
Time = Annotated[Duration | None, AfterValidator(_is_short)]


@dataclass(frozen=True, slots=True)
class Options:
    """What holds at a route; times are seconds, None where neither it nor a route above says."""

    by: GroupBy = INCIDENT
    group_wait: float | None = None
    group_interval: float | None = None
    repeat_interval: float | None = None

    def below(
        self,
        group_by: Iterable[str] | None,
        group_wait: float | None,
        group_interval: float | None,
        repeat_interval: float | None,
    ) -> Options:
        """The same for a route below, which may say otherwise."""
        return Options(
            self.by if group_by is None else read_group_by(group_by),
            self.group_wait if group_wait is None else group_wait,
            self.group_interval if group_interval is None else group_interval,
            self.repeat_interval if repeat_interval is None else repeat_interval,
        )

    @property
    def wait(self) -> float:
        """Seconds from a group's first alert to its first message."""
        return self._or(self.group_wait, 30.0)

    @property
    def interval(self) -> float:
        """Seconds from a message to the next one about what is new in the group."""
        return self._or(self.group_interval, 300.0)

    @property
    def repeat(self) -> float:
        """Seconds after which the same is told again; 0: never."""
        return self._or(self.repeat_interval, 4 * 3600.0)

    def impossible(self) -> Iterable[str]:
        """The keys whose time cannot be nothing with groups like these."""
        if self.by is INCIDENT:
            return ()
        times = (("group_interval", self.interval), ("repeat_interval", self.repeat))
        return [key for key, seconds in times if seconds == 0]

    def _or(self, said: float | None, default: float) -> float:
        if said is not None:
            return said
        return 0.0 if self.by is INCIDENT else default
