"""[[inhibit]]: alerts that keep others from being told.

Source: Alertmanager config/config.go (InhibitRule) and docs/configuration.md (inhibit_rule).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import Field, model_validator

from sentinel.config.document import Written
from sentinel.config.grouping import LabelText, label_name
from sentinel.config.matchers import Matcher, MatcherText, parse_matchers

_OLD = ("source_match", "source_match_re", "target_match", "target_match_re")


class InhibitSettings(Written):
    """[[inhibit]]: while a source fires, nobody is told of its targets, as in Alertmanager."""

    name: str = Field(default="", max_length=200)
    """What explanations call it."""
    source_matchers: tuple[MatcherText, ...] = ()
    """What the labels of an alert must be to inhibit others, all of them."""
    target_matchers: tuple[MatcherText, ...] = ()
    """What the labels of an alert must be to be inhibited. Alerts that match both sides spare each other."""
    equal: tuple[LabelText, ...] = ()
    """Labels whose values must be the same in both; one that is missing in both is the same."""

    @model_validator(mode="before")
    @classmethod
    def _is_not_old(cls, written: Any) -> Any:
        for key in _OLD if isinstance(written, dict) else ():
            if key in written:
                new = key.removesuffix("_re") + "ers"
                raise ValueError(f"'{key}' is Alertmanager's old form: write {new} = ['name=\"value\"']")
        return written

    @property
    def source(self) -> tuple[Matcher, ...]:
        return _parsed(self.source_matchers)

    @property
    def target(self) -> tuple[Matcher, ...]:
        return _parsed(self.target_matchers)

    @property
    def equal_names(self) -> tuple[str, ...]:
        """Each label once, sorted."""
        return tuple(sorted({label_name(text) for text in self.equal}))


def _parsed(texts: Iterable[str]) -> tuple[Matcher, ...]:
    return tuple(matcher for text in texts for matcher in parse_matchers(text))
