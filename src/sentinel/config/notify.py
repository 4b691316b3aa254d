"""[route] and [[receiver]]: who is told what, in Alertmanager's words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from sentinel.config.document import Document, Path, Written
from sentinel.config.matchers import Matcher, parse_matchers
from sentinel.config.receivers import (
    LONGEST_SEND,
    AnyReceiver,
    NotifySettings,
    ReceiverSettings,
    split_smarthost,
)
from sentinel.config.receivers.mail import EmailSettings
from sentinel.config.receivers.web import WebhookSettings
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
NOBODY = "nobody"
"""The receiver of routes whose alerts nobody is told."""

_NOT_YET = ("group_by", "group_wait", "group_interval", "repeat_interval")
_NOT_YET_MUTING = ("mute_time_intervals", "active_time_intervals")


def _matcher_text(written: str) -> str:
    parse_matchers(written)
    return written


MatcherText = Annotated[str, AfterValidator(_matcher_text)]


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

    @model_validator(mode="before")
    @classmethod
    def _says_what_is_missing(cls, written: Any) -> Any:
        if not isinstance(written, dict):
            return written
        for key in _NOT_YET:
            if key in written:
                raise ValueError(
                    f"'{key}' is not supported yet: alerts are grouped by incident and told at once; remove it"
                )
        for key in _NOT_YET_MUTING:
            if key in written:
                raise ValueError(f"'{key}' is not supported yet: nothing can be muted by time; remove it")
        for key in ("match", "match_re"):
            if key in written:
                raise ValueError(f"'{key}' is Alertmanager's old form: write matchers = ['name=\"value\"']")
        return written

    def parsed(self) -> tuple[Matcher, ...]:
        return tuple(matcher for text in self.matchers for matcher in parse_matchers(text))


def routing_problems(
    document: Document, route: RouteSettings | None, receivers: tuple[AnyReceiver, ...]
) -> list[Problem]:
    """What is wrong between routes and receivers, each at its place in the configuration file."""
    problems = []
    names: set[str] = set()
    for index, receiver in enumerate(receivers):
        if receiver.name in names:
            text = f"receiver '{receiver.name}' is defined twice"
            problems.append(document.problem(("receiver", index, "name"), text, value=True))
        if receiver.name == NOBODY:
            text = "'nobody' stands for no receiver: choose another name"
            problems.append(document.problem(("receiver", index, "name"), text, value=True))
        names.add(receiver.name)
    if route is None:
        return problems
    if not route.receiver:
        problems.append(document.problem(("route",), "the top route needs a receiver"))
    if route.matchers:
        text = "the top route takes everything: put matchers into [[route.routes]]"
        problems.append(document.problem(("route", "matchers"), text))
    if route.continue_:
        problems.append(document.problem(("route", "continue"), "the top route has nothing to continue with"))
    for path, node in _walk(route, ("route",), 0):
        if len(path) > 2 * MAX_DEPTH:
            problems.append(document.problem(path, "routes are nested too deep"))
        if node.receiver and node.receiver not in names | {NOBODY}:
            text = f"unknown receiver '{node.receiver}'{did_you_mean(node.receiver, names)}"
            problems.append(document.problem((*path, "receiver"), text, value=True))
    return problems


def _walk(route: RouteSettings, path: Path, depth: int) -> Iterator[tuple[Path, RouteSettings]]:
    yield path, route
    if depth <= MAX_DEPTH:
        for index, child in enumerate(route.routes):
            yield from _walk(child, (*path, "routes", index), depth + 1)
