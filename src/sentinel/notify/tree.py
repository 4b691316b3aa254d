"""The routing tree: which receivers an alert goes to.

Source: Alertmanager dispatch/route.go (Route.Match): depth first; the first child that matches ends the
search among its siblings unless it says continue; a node none of whose children match has the alert itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from sentinel.config.matchers import Matcher
from sentinel.config.notify import RouteSettings


@dataclass(frozen=True, slots=True)
class Route:
    receiver: str
    matchers: tuple[Matcher, ...] = ()
    continues: bool = False
    routes: tuple[Route, ...] = ()

    @classmethod
    def of(cls, settings: RouteSettings, inherited: str = "") -> Route:
        receiver = settings.receiver or inherited
        below = tuple(cls.of(child, receiver) for child in settings.routes)
        return cls(receiver, settings.parsed(), settings.continue_, below)

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
