"""What a request asks for, by its parameters.

Source: Alertmanager api/v2/api.go (parseFilter, getAlertsHandler), go-openapi/swag (ConvertBool). Of a parameter
that stands there several times the last one counts, but every `filter` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs

from starlette.requests import Request

from sentinel.config.matchers import Matcher, parse_matcher
from sentinel.model.pattern import Pattern
from sentinel.web.alertmanager.answers import RefusedError, said

MAX_FIELDS: Final = 200
MAX_FILTER: Final = 8192
"""Characters of a matcher."""
_TRUE: Final = frozenset(
    ("true", "1", "yes", "ok", "y", "on", "selected", "checked", "t", "enabled"),
)

Given = Mapping[str, list[str]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which alerts."""

    matchers: tuple[Matcher, ...] = ()
    receiver: Pattern | None = None
    active: bool = True
    silenced: bool = True
    inhibited: bool = True
    muted: bool = True
    """Groups whose route tells nothing at this time."""

    def names(self, receivers: Iterable[str]) -> bool:
        return self.receiver is None or any(self.receiver.matches(name) for name in receivers)


def given(request: Request) -> Given:
    """Raises: RefusedError."""
    try:
        return parse_qs(request.url.query, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        raise RefusedError(said(400, f"more than {MAX_FIELDS} parameters")) from None


def matchers(parameters: Given) -> tuple[Matcher, ...]:
    """Raises: RefusedError."""
    return tuple(_matcher(text) for text in parameters.get("filter", ()))


def wanted(parameters: Given) -> Wanted:
    """Raises: RefusedError."""
    found = matchers(parameters)
    receiver = None
    if text := parameters.get("receiver", [""])[-1]:
        try:
            receiver = Pattern.of(text, dot_is_any=False)
        except ValueError as error:
            raise RefusedError(said(400, f"failed to parse receiver param: {error}")) from None
    flags = {name: _flag(parameters, name) for name in ("active", "silenced", "inhibited", "muted")}
    return Wanted(found, receiver, **flags)


def _matcher(text: str) -> Matcher:
    if len(text) > MAX_FILTER:
        raise RefusedError(said(400, f"a filter is longer than {MAX_FILTER} characters"))
    try:
        return parse_matcher(text)
    except ValueError as error:
        why = str(error) if "regular expression" in str(error) else f"bad matcher format: {text}"
        raise RefusedError(said(400, why)) from None


def _flag(parameters: Given, name: str) -> bool:
    text = parameters.get(name, [""])[-1]
    return text.lower() in _TRUE if text else True
