"""[route] and [[receiver]]: who is told what, in Alertmanager's words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.utils import parseaddr
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator, model_validator

from sentinel.config.document import Document, Path, Written
from sentinel.config.matchers import Matcher, parse_matchers
from sentinel.config.secret import Secret
from sentinel.config.types import PositiveDuration
from sentinel.model.problem import Problem, did_you_mean

MAX_DEPTH = 20
LONGEST_SEND = 10.0
"""Seconds; no send may take longer, whatever the far side does."""

_NOT_YET = ("group_by", "group_wait", "group_interval", "repeat_interval")
_NOT_YET_MUTING = ("mute_time_intervals", "active_time_intervals")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OWN_HEADERS = ("content-type", "content-length", "idempotency-key", "host", "transfer-encoding")


def _matcher_text(written: str) -> str:
    parse_matchers(written)
    return written


MatcherText = Annotated[str, AfterValidator(_matcher_text)]


class RouteSettings(Written):
    """[route] and [[route.routes]]: the tree that an alert walks, as in Alertmanager."""

    receiver: str = Field(default="", max_length=200)
    """Receiver of what matches here; without it, that of the route above."""
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


class _Receiver(Written):
    name: str = Field(min_length=1, max_length=200)
    """Unique name, which routes refer to."""
    send_resolved: bool = True
    """Tell the recovery to those who were told the alert."""
    send_acknowledged: bool = False
    """Tell also that somebody has taken the incident on."""
    concurrency: int = Field(default=4, ge=1, le=100)
    """How many messages may be on their way at the same time; also bounds repeats after a crash."""
    timeout: PositiveDuration = LONGEST_SEND
    """How long the far side has to answer; at most 10s."""

    @field_validator("timeout")
    @classmethod
    def _is_short(cls, seconds: float) -> float:
        if seconds > LONGEST_SEND:
            raise ValueError("at most 10s")
        return seconds

    @field_validator("name")
    @classmethod
    def _is_one_line(cls, name: str) -> str:
        if not name.isprintable():
            raise ValueError("may not contain control characters")
        return name


class WebhookSettings(_Receiver):
    """A [[receiver]] of kind webhook: Alertmanager's payload version 4 by HTTP POST."""

    kind: Literal["webhook"]
    url: Secret
    """Where to post; a text or a secret, as it may carry a token."""
    headers: dict[str, Secret] = Field(default_factory=dict)
    """Further request headers, such as Authorization."""
    ca_file: str | None = None
    """PEM file of certificate authorities to trust in place of the system's."""

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: Secret) -> Secret:
        try:
            parts = urlsplit(url.reveal())
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable or not url.reveal().isprintable() or " " in url.reveal():
            raise ValueError("not an http:// or https:// address")
        return url

    @field_validator("headers")
    @classmethod
    def _are_safe(cls, headers: dict[str, Secret]) -> dict[str, Secret]:
        for name, value in headers.items():
            if not _HEADER_NAME.fullmatch(name):
                raise ValueError(f"not a header name: {name!r}")
            if name.lower() in _OWN_HEADERS:
                raise ValueError(f"the header {name} is set by Sentinel")
            if not value.reveal().isprintable() or not value.reveal().isascii():
                raise ValueError(f"the value of {name} must be plain text in one line")
        return headers


def _mail_address(written: str) -> str:
    _, address = parseaddr(written)
    user, at, host = address.rpartition("@")
    if not (user and at and host) or not written.isprintable() or not address.isascii() or " " in address:
        raise ValueError(f"not a mail address: {written!r}")
    return written


MailAddress = Annotated[str, AfterValidator(_mail_address)]


class EmailSettings(_Receiver):
    """A [[receiver]] of kind email: text and HTML, one thread per incident."""

    kind: Literal["email"]
    to: tuple[MailAddress, ...] = Field(min_length=1, max_length=100)
    """Who gets it, as a list of addresses."""
    from_: MailAddress = Field(alias="from")
    """Sender's address; may carry a name: "Sentinel <sentinel@example.org>"."""
    smarthost: str = Field(min_length=1, max_length=260)
    """Mail server as HOST:PORT (25 or 587 with starttls, 465 with tls)."""
    tls: Literal["starttls", "tls", "none"] = "starttls"
    """How the connection is protected; "none" only for a server on this machine or a trusted wire."""
    username: str = ""
    """User at the mail server, if it asks for one."""
    password: Secret | None = None
    """Password at the mail server."""
    ca_file: str | None = None
    """PEM file of certificate authorities to trust in place of the system's."""
    language: Literal["en", "zh-CN"] | None = None
    """Language of the message; without it [daemon] language."""

    @field_validator("smarthost")
    @classmethod
    def _is_host_and_port(cls, written: str) -> str:
        split_smarthost(written)
        return written

    @model_validator(mode="after")
    def _protects_the_password(self) -> Self:
        if bool(self.username) != bool(self.password):
            raise ValueError("username and password belong together")
        if self.password and self.tls == "none":
            raise ValueError('a password is not sent in the clear: use tls = "starttls" or "tls"')
        return self


ReceiverSettings = Annotated[WebhookSettings | EmailSettings, Field(discriminator="kind")]


def split_smarthost(written: str) -> tuple[str, int]:
    """Host and port of a mail server.

    Raises:
        ValueError: not HOST:PORT.
    """
    host, _, port = written.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or any(char.isspace() or char in "/@" for char in host) or not port.isdecimal():
        raise ValueError(f'not a mail server: {written!r} (write "mail.example.org:587")')
    if not 0 < int(port) <= 65535:
        raise ValueError(f"not a port: {port}")
    return host, int(port)


def routing_problems(
    document: Document, route: RouteSettings | None, receivers: tuple[WebhookSettings | EmailSettings, ...]
) -> list[Problem]:
    """What is wrong between routes and receivers, each at its place in the configuration file."""
    problems = []
    names: set[str] = set()
    for index, receiver in enumerate(receivers):
        if receiver.name in names:
            text = f"receiver '{receiver.name}' is defined twice"
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
        if node.receiver and node.receiver not in names:
            text = f"unknown receiver '{node.receiver}'{did_you_mean(node.receiver, names)}"
            problems.append(document.problem((*path, "receiver"), text, value=True))
    return problems


def _walk(route: RouteSettings, path: Path, depth: int) -> Iterator[tuple[Path, RouteSettings]]:
    yield path, route
    if depth <= MAX_DEPTH:
        for index, child in enumerate(route.routes):
            yield from _walk(child, (*path, "routes", index), depth + 1)
