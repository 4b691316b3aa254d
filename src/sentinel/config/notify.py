"""[route] and [[receiver]]: who is told what, in Alertmanager's words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import Field, model_validator

from sentinel.config.document import Document, Path, Written
from sentinel.config.grouping import GroupByTexts, Options, Time
from sentinel.config.intervals import TimeIntervalSettings
from sentinel.config.matchers import Matcher, MatcherText, parse_matchers
from sentinel.config.receivers import (
    LONGEST_SEND,
    AnyReceiver,
    NotifySettings,
    ReceiverSettings,
    split_smarthost,
)
from sentinel.config.receivers.mail import EmailSettings
from sentinel.config.receivers.web import WebhookSettings
from sentinel.config.types import PositiveDuration
from sentinel.model.problem import Problem, did_you_mean

__all__ = [
    "LONGEST_SEND",
    "NOBODY",
    "AnyReceiver",
    "EmailSettings",
    "NotifySettings",
    "ReceiverSettings",
    "RouteSettings",
    "WebhookSettings",
    "routing_problems",
    "split_smarthost",
]

MAX_DEPTH = 20
RESOLVE_TIMEOUT = 300.0
"""Seconds for which a received alert without an end is believed where nothing is written, as in Alertmanager."""
NOBODY = "nobody"
"""The receiver of routes whose alerts nobody is told."""


class RouteSettings(Written):
    """[route] and [[route.routes]]: the tree that an alert walks, as in Alertmanager."""

    receiver: str = Field(default="", max_length=200)
    """Receiver of what matches here; without it, that of the route above. "nobody": nobody is told."""
    matchers: tuple[MatcherText, ...] = ()
    """What an alert's labels must be, all of them: 'severity="critical"', 'job=~"if_.*"'."""
    continue_: bool = Field(default=False, alias="continue")
    """Look at the following routes too after this one has matched."""
    routes: tuple[RouteSettings, ...] = ()
    """Routes below: the first that matches takes the alert; if none does, this one has it."""

    group_by: GroupByTexts = None
    """Labels whose values put alerts into one message; `[]`: all into one; `["..."]`: each by itself;
    `["incident"]`: by incident. Without it as the route above, at the top by incident."""
    group_wait: Time = None
    """From a group's first alert to its first message. Without it as the route above; no route says it: 30s, with
    groups by incident at once."""
    group_interval: Time = None
    """From a message to the next one about what is new in the group. Without it as the route above; no route says
    it: 5m, with groups by incident at once."""
    repeat_interval: Time = None
    """After this the same is told again. Without it as the route above; no route says it: 4h, with groups by
    incident never, which is also what 0s means."""
    resolve_timeout: PositiveDuration | None = None
    """At the top only: how long an alert that others send without an end is believed; 5m."""
    mute_time_intervals: tuple[str, ...] = ()
    """Names of [[time_interval]] in which this route tells nobody. Not handed down to routes below."""
    active_time_intervals: tuple[str, ...] = ()
    """Names of [[time_interval]]; outside of them this route tells nobody. Not handed down to routes below."""

    @model_validator(mode="before")
    @classmethod
    def _is_not_old(cls, written: Any) -> Any:
        if not isinstance(written, dict):
            return written
        for key in ("match", "match_re"):
            if key in written:
                raise ValueError(f"'{key}' is Alertmanager's old form: write matchers = ['name=\"value\"']")
        return written

    def parsed(self) -> tuple[Matcher, ...]:
        return tuple(matcher for text in self.matchers for matcher in parse_matchers(text))

    def options(self, above: Options) -> Options:
        """How it groups, below a route that groups like that."""
        return above.below(self.group_by, self.group_wait, self.group_interval, self.repeat_interval)


def routing_problems(
    document: Document,
    route: RouteSettings | None,
    receivers: tuple[AnyReceiver, ...],
    intervals: tuple[TimeIntervalSettings, ...] = (),
) -> list[Problem]:
    """What is wrong between routes, receivers and time intervals, each at its place in the configuration file."""
    names = {receiver.name for receiver in receivers} | {NOBODY}
    problems = [
        *_receiver_names(document, receivers),
        *_fallbacks(document, receivers),
        *_interval_names(document, intervals),
    ]
    if route is None:
        return problems
    problems += _top(document, route)
    times = {interval.name for interval in intervals}
    for path, node, options in _walk(route, ("route",), Options()):
        if len(path) > 2 * MAX_DEPTH:
            problems.append(document.problem(path, "routes are nested too deep"))
        if node.receiver and node.receiver not in names:
            text = f"unknown receiver '{node.receiver}'{did_you_mean(node.receiver, names)}"
            problems.append(document.problem((*path, "receiver"), text, value=True))
        if node.resolve_timeout is not None and node is not route:
            text = "resolve_timeout belongs to the top route: it is for all alerts"
            problems.append(document.problem((*path, "resolve_timeout"), text))
        problems += _times(document, path, node, times)
        problems += _groups(document, path, node, options)
    return problems


def _receiver_names(document: Document, receivers: Iterable[AnyReceiver]) -> Iterator[Problem]:
    names: set[str] = set()
    for index, receiver in enumerate(receivers):
        if receiver.name in names:
            text = f"receiver '{receiver.name}' is defined twice"
            yield document.problem(("receiver", index, "name"), text, value=True)
        if receiver.name == NOBODY:
            text = "'nobody' stands for no receiver: choose another name"
            yield document.problem(("receiver", index, "name"), text, value=True)
        names.add(receiver.name)


def _fallbacks(document: Document, receivers: Iterable[AnyReceiver]) -> Iterator[Problem]:
    """Names that lead nowhere or round in a circle, and ends that a fallback would never hear of."""
    known = {receiver.name: receiver for receiver in receivers}
    for index, receiver in enumerate(receivers):
        if not receiver.fallback:
            continue
        way = [receiver.name]
        while (following := known.get(way[-1])) and following.fallback and following.fallback not in way:
            way.append(following.fallback)
        text = ""
        if receiver.fallback == receiver.name:
            text = f"'{receiver.name}' cannot be its own fallback"
        elif receiver.fallback not in known:
            others = known.keys() - {receiver.name}
            text = f"unknown receiver '{receiver.fallback}'{did_you_mean(receiver.fallback, others)}"
        elif following and following.fallback == receiver.name:
            text = f"fallbacks lead round in a circle: {' → '.join([*way, receiver.name])}"
        elif known[receiver.fallback].send_resolved and not receiver.send_resolved:
            text = (
                f"'{receiver.name}' is told no recoveries, so '{receiver.fallback}' would never hear the end of "
                "what it is told in its place: set send_resolved of both alike"
            )
        if text:
            yield document.problem(("receiver", index, "fallback"), text, value=True)


def _interval_names(document: Document, intervals: Iterable[TimeIntervalSettings]) -> Iterator[Problem]:
    names: set[str] = set()
    for index, interval in enumerate(intervals):
        if interval.name in names:
            text = f"time interval '{interval.name}' is defined twice"
            yield document.problem(("time_interval", index, "name"), text, value=True)
        names.add(interval.name)


def _top(document: Document, route: RouteSettings) -> Iterator[Problem]:
    if not route.receiver:
        yield document.problem(("route",), "the top route needs a receiver")
    if route.matchers:
        text = "the top route takes everything: put matchers into [[route.routes]]"
        yield document.problem(("route", "matchers"), text)
    if route.continue_:
        yield document.problem(("route", "continue"), "the top route has nothing to continue with")
    for key in ("mute_time_intervals", "active_time_intervals"):
        if getattr(route, key):
            text = f"the top route takes everything at any time: put {key} into [[route.routes]]"
            yield document.problem(("route", key), text)


def _times(document: Document, path: Path, node: RouteSettings, known: Iterable[str]) -> Iterator[Problem]:
    for key in ("mute_time_intervals", "active_time_intervals"):
        for index, name in enumerate(getattr(node, key)):
            if name not in known:
                text = f"unknown time interval '{name}'{did_you_mean(name, known)}"
                yield document.problem((*path, key, index), text, value=True)


def _groups(document: Document, path: Path, node: RouteSettings, options: Options) -> Iterator[Problem]:
    for key in options.impossible():
        if getattr(node, key) is not None:
            text = f"{key} cannot be nothing where alerts are grouped by labels"
            yield document.problem((*path, key), text, value=True)
        elif node.group_by is not None:
            text = f"groups by labels need a {key}: the route above says 0s"
            yield document.problem((*path, "group_by"), text, value=True)


def _walk(
    route: RouteSettings, path: Path, above: Options, depth: int = 0
) -> Iterator[tuple[Path, RouteSettings, Options]]:
    options = route.options(above)
    yield path, route, options
    if depth <= MAX_DEPTH:
        for index, child in enumerate(route.routes):
            yield from _walk(child, (*path, "routes", index), options, depth + 1)
