"""The routing tree of an Alertmanager as Sentinel's.

One receiver of an Alertmanager may be several of Sentinel's. A route to such a one becomes a route with a route
below for each, which all go on to the next.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from sentinel.config.alertmanager.source import Source
from sentinel.config.alertmanager.toml_text import Table, lines_of
from sentinel.config.document import Path
from sentinel.config.grouping import ALL, LONGEST, label_text, read_group_by
from sentinel.config.matchers import Matcher, Operator, parse_matchers
from sentinel.config.notify import NOBODY
from sentinel.model.durations import parse_duration
from sentinel.model.problem import Problem, did_you_mean

MAX_ROUTES = 10_000
"""Routes that one file may become; a tree that goes on and on at every step could become any number."""


@dataclass(slots=True)
class Node:
    receiver: str
    matchers: tuple[Matcher, ...] = ()
    continues: bool = False
    routes: list[Node] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    groups: dict[str, Any] = field(default_factory=dict)
    """group_by and times, which routes below inherit."""
    closings: dict[str, list[str]] = field(default_factory=dict)
    """Names of time intervals, which they do not."""

    def lines(self, header: str = "route", *, is_top: bool = True) -> Iterator[str]:
        values: dict[str, Any] = {}
        if self.matchers:
            values["matchers"] = [str(matcher) for matcher in self.matchers]
        values["receiver"] = self.receiver
        if self.continues:
            values["continue"] = True
        values |= self.groups | self.closings
        yield from lines_of(f"[{header}]" if is_top else f"[[{header}]]", Table(values, self.comments))
        for route in self.routes:
            yield from route.lines(f"{header}.routes", is_top=False)


class Routes:
    """
    Args:
        channels: Sentinel's receivers by the name of the Alertmanager's.
        intervals: names of time intervals.
    """

    def __init__(
        self, source: Source, channels: Mapping[str, Sequence[str]], intervals: Collection[str] = ()
    ) -> None:
        self._source = source
        self._channels = channels
        self._intervals = intervals
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
        if not self._channels.get(name):
            comments.append(source.note((*path, "receiver"), f"'{name}' has no counterpart: nobody is told"))
        below = [self.node(one, name) for one in source.items((*path, "routes"))]
        continues = source.truth((*path, "continue"), False)
        matchers, problems = matchers_at(source, path, "match", "match_re", "matchers")
        self.problems += problems
        node = Node(
            channels[0], matchers, continues, below, comments, self._groups(path), self._closings(path)
        )
        return several(node, channels) if len(channels) > 1 else node

    def _groups(self, path: Path) -> dict[str, Any]:
        """An empty group_by is the one of the route above in an Alertmanager, and a single group at the top."""
        is_top = len(path) == 1
        texts = [self._source.text(one) for one in self._source.items((*path, "group_by"))]
        found: dict[str, Any] = {}
        if texts or is_top:
            found["group_by"] = self._group_by((*path, "group_by"), texts)
        for key in ("group_wait", "group_interval", "repeat_interval"):
            written = self._source.at((*path, key))
            if written is not None:
                found[key] = str(written)
                self._time((*path, key), str(written))
        return found

    def _group_by(self, path: Path, texts: Sequence[str]) -> list[str]:
        if set(texts) == {ALL.value}:
            return [ALL.value]
        written = [text if text == ALL else label_text(text) for text in texts]
        try:
            read_group_by(written)
        except ValueError as error:
            self._problem(path, str(error))
        return written

    def time(self, path: Path) -> None:
        """Look a duration over that stands elsewhere than at a route, if it stands there."""
        if text := self._source.text(path):
            self._time(path, text)

    def _time(self, path: Path, text: str) -> None:
        try:
            seconds = parse_duration(text)
        except ValueError as error:
            self._problem(path, str(error))
            return
        if seconds > LONGEST:
            self._problem(path, "at most 292y")
        if not seconds and path[-1] != "group_wait":
            self._problem(path, f"{path[-1]} cannot be nothing")

    def _closings(self, path: Path) -> dict[str, list[str]]:
        found = {}
        for key in ("mute_time_intervals", "active_time_intervals"):
            places = self._source.items((*path, key))
            if places and len(path) == 1:
                self._problem((*path, key), f"the top route may not have {key}")
            for place in places:
                name = self._source.text(place)
                if name not in self._intervals:
                    hint = did_you_mean(name, self._intervals)
                    self._problem(place, f"unknown time interval '{name}'{hint}")
            if places:
                found[key] = [self._source.text(place) for place in places]
        return found

    def _problem(self, path: Path, text: str) -> None:
        self.problems.append(self._source.document.problem(path, text, value=True))


def matchers_at(
    source: Source, path: Path, exact: str, expressions: str, texts: str
) -> tuple[tuple[Matcher, ...], list[Problem]]:
    """The matchers below a path, of the old keys and of the new one, and what is wrong with them."""
    found: list[Matcher] = []
    problems: list[Problem] = []

    def add(where: Path, parse: Callable[[str], Iterable[Matcher]]) -> None:
        try:
            found.extend(parse(source.text(where)))
        except ValueError as error:
            problems.append(source.document.problem(where, str(error), value=True))

    operators: tuple[tuple[str, Operator], ...] = ((exact, "="), (expressions, "=~"))
    for key, operator in operators:
        for name in source.keys((*path, key)):
            add((*path, key, name), partial(_old, name, operator))
    written = source.at((*path, texts))
    for where in [(*path, texts)] if isinstance(written, str) else source.items((*path, texts)):
        add(where, parse_matchers)
    return tuple(found), problems


def _old(name: str, operator: Operator, value: str) -> tuple[Matcher, ...]:
    return (Matcher.of(name, operator, value),)


def several(node: Node, channels: Sequence[str]) -> Node:
    """A route that tells several receivers if none below has the alert.

    A route below that goes on is put together with those after it, so that what it has does not come to the end.
    What these take from it are groups of their own.
    """
    routes = []
    for index, child in enumerate(node.routes):
        if not child.continues:
            routes.append(child)
            continue
        bare = replace(child, matchers=(), continues=True)
        routes.append(Node(child.receiver, child.matchers, False, [bare, *node.routes[index + 1 :]]))
    last = len(channels) - 1
    # What is not handed down has to stand where the alerts end.
    told = [Node(name, continues=index < last, closings=node.closings) for index, name in enumerate(channels)]
    return replace(node, routes=routes + told, closings={})


def size(node: Node, budget: int = MAX_ROUTES) -> int:
    """How many routes there are, counted up to the budget."""
    count = 1
    for route in node.routes:
        if count > budget:
            break
        count += size(route, budget - count)
    return count
