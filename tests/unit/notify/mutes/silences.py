"""Silences for tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sentinel.config.matchers import parse_matchers
from sentinel.notify.mutes.drafts import silence_of
from sentinel.notify.mutes.silence import Draft, Silence

NOW = 1_700_000_000.0


def draft(text: str, **values: Any) -> Draft:
    """For an hour from now on."""
    given: dict[str, Any] = {"ends_at": NOW + 3600, "comment": "a drill", "created_by": "li.wei"} | values
    return Draft(parse_matchers(text) if text else (), **given)


def silence(id_: str, text: str, at: float = NOW, **values: Any) -> Silence:
    return replace(silence_of(draft(text, **values), at, "li.wei", None), id=id_)
