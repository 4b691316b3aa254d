"""The routing tree: which receivers an alert goes to.

Source: Alertmanager dispatch/route.go (Route.Match): depth first; the first child that matches ends the
search among its siblings unless it says continue; a node none of whose children match has the alert itself.
Route.Key and Route.ID of the same file make the names of a route's groups.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from sentinel.config.grouping import ALL, INCIDENT, GroupBy, Options
from sentinel.config.matchers import Matcher
from sentinel.config.notify import RouteSettings
from sentinel.model.labels import quote

__all__ = ["ALL", "INCIDENT", "GroupBy", "Grouping", "Route", "Step", "Turn"]

_OPERATORS = ("=", "!=", "=~", "!~")
_RESERVED = frozenset("{}!=~,\\\"'`")


@dataclass(frozen=True, slots=True)
class Grouping:
    """How a route tells the alerts that it takes, all that it inherits included. Times are seconds."""

    by: GroupBy = INCIDENT
    """Label names, ALL or INCIDENT."""
    wait: float = 0.0
    """From a group's first alert to its first message."""
    interval: float = 0.0
    """From a message to the next one about what is new in the group."""
    repeat: float = 0.0
    """After this the same is told again; 0: never."""
    mute: tuple[str, ...] = ()
    """Names of time intervals in which nobody is told."""
    active: tuple[str, ...] = ()
    """Names of time intervals outside of which nobody is told; none: told at any time."""
    key: str = "{}"
    """Alertmanager's Route.Key: the matchers from the top down; routes may share it."""
    id: str = "{}"
    """Alertmanager's Route.ID: the same with positions; no two routes of a tree share it."""


@dataclass(frozen=True, slots=True)
class Route:
    receiver: str
    matchers: tuple[Matcher, ...] = ()
    continues: bool = False
    routes: tuple[Route, ...] = ()
    grouping: Grouping = Grouping()

    @classmethod
    def of(cls, settings: RouteSettings) -> Route:
        """The whole tree, from its top."""
        text = matchers_text(settings.parsed())
        return cls._of(settings, settings.receiver, settings.options(Options()), (text, text))

    @classmethod
    def _of(cls, settings: RouteSettings, receiver: str, options: Options, names: tuple[str, str]) -> Route:
        """
        Args:
            names: its key and its id.
        """
        below = []
        for position, child in enumerate(settings.routes):
            text = matchers_text(child.parsed())
            own = (f"{names[0]}/{text}", f"{names[1]}/{text}/{position}")
            below.append(cls._of(child, child.receiver or receiver, child.options(options), own))
        muting = (settings.mute_time_intervals, settings.active_time_intervals)
        times = (options.wait, options.interval, options.repeat)
        grouping = Grouping(options.by, *times, *muting, *names)
        return cls(receiver, settings.parsed(), settings.continue_, tuple(below), grouping)

    def match(self, labels: Mapping[str, str]) -> list[Route]:
        """The routes that take an alert with these labels; empty if this one does not match."""
        if not all(matcher.matches(labels) for matcher in self.matchers):
            return []
        found: list[Route] = []
        for child in self.routes:
            below = child.match(labels)
            found += below
            if below and not child.continues:
                break
        return found or [self]

    def receivers(self, labels: Mapping[str, str]) -> tuple[str, ...]:
        """Each receiver once, in the order of the tree."""
        return tuple(dict.fromkeys(route.receiver for route in self.match(labels)))

    def walk(self, labels: Mapping[str, str]) -> Step:
        """The way of an alert with these labels, with every route that is looked at or not."""
        missed = tuple(matcher for matcher in self.matchers if not matcher.matches(labels))
        if missed:
            return Step(self, Turn.REFUSES, missed, tuple(child.skipped() for child in self.routes))
        below: list[Step] = []
        is_over = False
        for child in self.routes:
            below.append(child.skipped() if is_over else child.walk(labels))
            is_over = is_over or (below[-1].has_it and not child.continues)
        turn = Turn.PASSES if any(step.has_it for step in below) else Turn.TAKES
        return Step(self, turn, (), tuple(below))

    def skipped(self) -> Step:
        return Step(self, Turn.SKIPPED, (), tuple(child.skipped() for child in self.routes))


class Turn(StrEnum):
    """What becomes of an alert at a route."""

    TAKES = "takes"
    """It matches, and no route below does: its receiver gets the alert."""
    PASSES = "passes"
    """It matches, and routes below have the alert."""
    REFUSES = "refuses"
    SKIPPED = "skipped"
    """Not looked at: the route above refuses, or a route before it has the alert."""


@dataclass(frozen=True, slots=True)
class Step:
    """One route on the way of an alert."""

    route: Route
    turn: Turn
    missed: tuple[Matcher, ...]
    """Matchers that the alert does not satisfy."""
    below: tuple[Step, ...]

    @property
    def has_it(self) -> bool:
        return self.turn in (Turn.TAKES, Turn.PASSES)

    @property
    def receivers(self) -> tuple[str, ...]:
        """Each receiver once, in the order of the tree."""
        if self.turn is Turn.TAKES:
            return (self.route.receiver,)
        return tuple(dict.fromkeys(name for step in self.below for name in step.receivers))


def matchers_text(matchers: Iterable[Matcher]) -> str:
    """Matchers in Alertmanager's order and notation: {a="b",c=~"d.*"}."""
    ordered = sorted(matchers, key=lambda one: (one.name, one.value, _OPERATORS.index(one.operator)))
    return "{" + ",".join(map(_text, ordered)) + "}"


def _text(matcher: Matcher) -> str:
    is_reserved = any(char in _RESERVED or char.isspace() for char in matcher.name)
    name = quote(matcher.name) if is_reserved else matcher.name
    return f"{name}{matcher.operator}{quote(matcher.value)}"
