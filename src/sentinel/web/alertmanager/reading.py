"""Bodies of requests: JSON of known shape becomes values, or a refusal as Alertmanager words it.

Source: Alertmanager api/v2/models (Validate of postableAlert, postableSilence and matcher, in that order of
fields), go-openapi/strfmt (ParseDateTime, and a uri is what url.ParseRequestURI takes).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from sentinel.config.matchers import Matcher
from sentinel.incidents.received.posted import Posted
from sentinel.notify.mutes.silence import Draft, read_matchers
from sentinel.web.alertmanager.answers import (
    TOO_FEW,
    WRONG_FORM,
    RefusedError,
    coded,
    required,
    said,
    unreadable,
)
from sentinel.web.formats import MAX_INSTANT

_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?", re.ASCII)
_URI = re.compile(r"(?:[a-zA-Z][a-zA-Z0-9+.-]*:|/)[^\x00-\x1f\x7f]*")
ZERO: Final = datetime(1, 1, 1, tzinfo=UTC).timestamp()
"""Go's zero time: not given."""


def read_alerts(body: bytes) -> Sequence[Posted]:
    """
    Raises:
        RefusedError: nothing of it can be taken.
    """
    if not body:
        raise required("alerts")
    items = _json(body, "alerts")
    if items is None:
        return ()
    if not isinstance(items, list):
        raise unreadable("alerts", "it is not a list of alerts")
    _check_types(items)
    return [_alert(item, number) for number, item in enumerate(items)]


def read_silence(body: bytes) -> Draft:
    """
    Raises:
        RefusedError: it is no silence.
    """
    if not body:
        raise required("silence")
    given = _json(body, "silence")
    if given is None:
        given = {}
    if not isinstance(given, dict):
        raise unreadable("silence", "it is not an object")
    for name in ("id", "comment", "createdBy", "startsAt", "endsAt"):
        _expect(given, name, str, "silence")
    _expect(given, "matchers", list, "silence")
    starts_at, ends_at = (_instant(given.get(name), "silence") for name in ("startsAt", "endsAt"))
    _check_matcher_types(given.get("matchers") or ())
    for name in ("comment", "createdBy", "endsAt"):
        if given.get(name) is None:
            raise required(name)
    _check_matchers(given.get("matchers"))
    if given.get("startsAt") is None:
        raise required("startsAt")
    matchers = _matchers(given["matchers"])
    return Draft(
        matchers,
        ends_at if ends_at is not None else ZERO,
        starts_at if starts_at is not None and starts_at > 0 else None,
        comment=given["comment"],
        created_by=given["createdBy"],
        id=given.get("id") or "",
    )


def _matchers(items: Sequence[Mapping[str, Any]]) -> tuple[Matcher, ...]:
    """In Alertmanager's words where they cannot be used."""
    for number, item in enumerate(items):
        if not item["name"]:
            text = f'silence invalid: invalid label matcher {number}: invalid label name ""'
            raise RefusedError(said(400, text))
    try:
        found = read_matchers(items)
    except ValueError as error:
        raise RefusedError(said(400, f"silence invalid: invalid label {error}")) from None
    if all(one.operator in ("=", "=~") and one.matches({}) for one in found):
        text = "silence invalid: at least one matcher must not match the empty string"
        raise RefusedError(said(400, text))
    return found


def _json(body: bytes, what: str) -> Any:
    """What is not UTF-8 is replaced, as Go does."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        try:
            body.decode()
        except UnicodeDecodeError:
            return _json(body.decode("utf-8", "replace").encode(), what)
        raise unreadable(what, f"it is not JSON: {error}") from None


def _check_types(items: Sequence[Any]) -> None:
    for item in items:
        if not isinstance(item, dict):
            raise unreadable("alerts", "an alert is not an object")
        for name in ("labels", "annotations"):
            _expect(item, name, dict, "alerts")
            for value in (item.get(name) or {}).values():
                if value is not None and not isinstance(value, str):
                    raise unreadable("alerts", f"a value of {name} is not a text")
        for name in ("startsAt", "endsAt", "generatorURL"):
            _expect(item, name, str, "alerts")


def _alert(item: Mapping[str, Any], number: int) -> Posted:
    starts_at, ends_at = (_instant(item.get(name), "alerts") for name in ("startsAt", "endsAt"))
    url = item.get("generatorURL") or ""
    if url and not _URI.fullmatch(url):
        text = f'{number}.generatorURL in body must be of type uri: "{url[:200]}"'
        raise RefusedError(coded(422, text, WRONG_FORM))
    if item.get("labels") is None:
        raise required(f"{number}.labels")
    return Posted(
        _texts(item["labels"]),
        _texts(item.get("annotations") or {}),
        starts_at,
        ends_at,
        url,
    )


def _texts(given: Mapping[str, str | None]) -> Mapping[str, str]:
    return {name: value or "" for name, value in given.items()}


def _expect(given: Mapping[str, Any], name: str, kind: type, what: str) -> None:
    value = given.get(name)
    if value is not None and not isinstance(value, kind):
        words = {str: "a text", list: "a list", dict: "an object", bool: "true or false"}
        raise unreadable(what, f"{name} is not {words[kind]}")


def _check_matcher_types(items: Sequence[Any]) -> None:
    for item in items:
        if not isinstance(item, dict):
            raise unreadable("silence", "a matcher is not an object")
        for name, kind in (("name", str), ("value", str), ("isRegex", bool), ("isEqual", bool)):
            _expect(item, name, kind, "silence")


def _check_matchers(items: Sequence[Mapping[str, Any]] | None) -> None:
    if items is None:
        raise required("matchers")
    if not items:
        raise RefusedError(coded(422, "matchers in body should have at least 1 items", TOO_FEW))
    for number, item in enumerate(items):
        for name in ("isRegex", "name", "value"):
            if item.get(name) is None:
                raise required(f"matchers.{number}.{name}")


def _instant(text: str | None, what: str) -> float | None:
    """Unix seconds; None: not given, which Go's zero time says too. Without an offset it is UTC."""
    if not text:
        return None
    try:
        if not _INSTANT.fullmatch(text):
            raise ValueError
        moment = datetime.fromisoformat(text)
        at = (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise unreadable(what, f'parsing time "{text[:100]}" as "2006-01-02 15:04:05" failed') from None
    return None if at == ZERO else max(-MAX_INSTANT, min(at, MAX_INSTANT))
