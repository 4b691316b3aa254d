"""The routing tree of an Alertmanager as Sentinel's.

One receiver of an Alertmanager may be several of Sentinel's. A route to such a one becomes a route with a route
below for each, which all go on to the next.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sentinel.config.alertmanager.source import Source
from sentinel.config.alertmanager.toml_text import Table, lines_of
from sentinel.config.document import Path
from sentinel.config.matchers import Matcher, parse_matchers
from sentinel.config.notify import NOBODY
from sentinel.model.problem import Problem, did_you_mean

MAX_ROUTES = 10_000
"""Routes that one file may become; a tree that goes on and on at every step could become any number."""

_NOT_YET = {
    "group_by": "alerts are grouped by incident, one per alert name and target",
    "group_wait": "the first message goes at once",
    "group_interval": "further alerts of an incident are told at once",
    "repeat_interval": "messages are not repeated yet",
    "mute_time_intervals": "not supported yet: this route tells at any time",
    "active_time_intervals": "not supported yet: this route tells at any time",
}


@dataclass(slots=True)
class Node:
    receiver: str
    matchers: tuple[Matcher, ...] = ()
    continues: bool = False
    routes: list[Node] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)

    def lines(self, header: str = "route", *, is_top: bool = True) -> Iterator[str]:
        values: dict[str, Any] = {}
        if self.matchers:
            values["matchers"] = [str(matcher) for matcher in self.matchers]
        values["receiver"] = self.receiver
        if self.continues:
            values["continue"] = True
        yield from lines_of(f"[{header}]" if is_top else f"[[{header}]]", Table(values, self.comments))
        for route in self.routes:
            yield from route.lines(f"{header}.routes", is_top=False)


class Routes:
    """
    Args:
        channels: Sentinel's receivers by the name of the Alertmanager's.
    """

    def __init__(self, source: Source, channels: Mapping[str, Sequence[str]]) -> None:
        self._source = source
        self._channels = channels
        self.problems: list[Problem] = []

    def node(self, path: Path, inherited: str = "") -> Node:
        """The route at a path with everything below it."""
        source = self._source
        name = source.text((*path, "receiver")) or inherited
        if name not in self._channels:
            known = list(self._channels)
            text = f"unknown receiver '{name}'{did_you_mean(name, known)}" if name else "no receiver"
            self.problems.append(source.document.problem((*path, "receiver"), text))
        channels = self._channels.get(name) or (NOBODY,)
        comments: list[str] = []
        source.unsupported(comments, path, _NOT_YET)
        if not self._channels.get(name):
            comments.append(source.note((*path, "receiver"), f"'{name}' has no counterpart: nobody is told"))
        below = [self.node(one, name) for one in source.items((*path, "routes"))]
        continues = source.truth((*path, "continue"), False)
        node = Node(channels[0], self._matchers(path), continues, below, comments)
        return several(node, channels) if len(channels) > 1 else node

    def _matchers(self, path: Path) -> tuple[Matcher, ...]:
        found: list[Matcher] = []
        for key, operator in (("match", "="), ("match_re", "=~")):
            for name in self._source.keys((*path, key)):
                where = (*path, key, name)
                found += self._parsed(where, lambda n=name, o=operator, w=where: self._old(n, o, w))
        written = self._source.at((*path, "matchers"))
        texts = [(*path, "matchers")] if isinstance(written, str) else self._source.items((*path, "matchers"))
        for where in texts:
            found += self._parsed(where, lambda w=where: parse_matchers(self._source.text(w)))
        return tuple(found)

    def _old(self, name: str, operator: Any, where: Path) -> tuple[Matcher, ...]:
        return (Matcher.of(name, operator, self._source.text(where)),)

    def _parsed(self, where: Path, parse: Any) -> Sequence[Matcher]:
        try:
            found: Sequence[Matcher] = parse()
        except ValueError as error:
            self.problems.append(self._source.document.problem(where, str(error), value=True))
            return ()
        return found


def several(node: Node, channels: Sequence[str]) -> Node:
    """A route that tells several receivers if none below has the alert.

    A route below that goes on is put together with those after it, so that what it has does not come to the end.
    """
    routes = []
    for index, child in enumerate(node.routes):
        if not child.continues:
            routes.append(child)
            continue
        bare = Node(child.receiver, (), True, child.routes, child.comments)
        routes.append(Node(child.receiver, child.matchers, False, [bare, *node.routes[index + 1 :]]))
    last = len(channels) - 1
    told = [Node(name, continues=index < last) for index, name in enumerate(channels)]
    return Node(node.receiver, node.matchers, node.continues, routes + told, node.comments)


def size(node: Node, budget: int = MAX_ROUTES) -> int:
    """How many routes there are, counted up to the budget."""
    count = 1
    for route in node.routes:
        if count > budget:
            break
        count += size(route, budget - count)
    return count
