"""The routing tree: which receivers an alert goes to.

Source: Alertmanager dispatch/route.go (Route.Match): depth first; the first child that matches ends the
search among its siblings unless it says continue; a node none of whose children match has the alert itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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
