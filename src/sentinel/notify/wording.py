"""The texts of one receiver: shipped ones, or the operator's own, always within the service's bounds."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.resources import files

from sentinel.notify.facts import Facts
from sentinel.notify.story import Teller, shortened
from sentinel.rules.template import ExpansionError, Struct, Template, parse_template

log = logging.getLogger(__name__)

SHIPPED: Mapping[str, Mapping[str, str]] = {
    "email": {"subject": "subject", "text": "", "html": ""},
    "wecom": {"text": "wecom"},
    "dingtalk": {"title": "title", "text": "markdown"},
    "feishu": {"title": "title", "text": "feishu"},
    "slack": {"title": "title", "text": "slack"},
    "teams": {"title": "title", "text": "markdown"},
    "telegram": {"text": "telegram"},
    "pagerduty": {"summary": "line"},
    "opsgenie": {"message": "line", "description": "plain"},
    "sms": {"text": "sms"},
    "syslog": {"text": "line"},
    "apprise": {"title": "title", "body": "plain"},
    "webhook": {},
    "command": {},
    "alertmanager": {},
}
"""For each kind its texts, and the shipped template of each: templates/NAME.tmpl. Empty: written in code."""

_FEWER = (50, 20, 10, 5, 3, 1, 0)
"""How many alerts a text tells when all of them are too many."""

_TELLS_ALERTS = frozenset({"Alerts", "Firing", "Resolved", "Truncated", "."})

Measure = Callable[[str], int]


def size_in_bytes(text: str) -> int:
    return len(text.encode())


class Wording:
    """
    Args:
        own: the operator's templates by name, parsed.
    """

    def __init__(self, kind: str, teller: Teller, own: Mapping[str, Template] | None = None) -> None:
        self._teller = teller
        self._own = dict(own or {})
        self._shipped = {name: shipped(file) for name, file in SHIPPED[kind].items() if file}
        self._is_broken = False

    def has_own(self, name: str) -> bool:
        return name in self._own

    def text(self, name: str, facts: Facts, *, limit: int, measure: Measure = len) -> str:
        """One text of a message, with as many alerts as fit; what is still too long is cut.

        A template of the operator's that fails, or says nothing, does not cost the message: the shipped one
        takes its place.
        """
        own = self._own.get(name)
        if own is not None:
            try:
                if told := self._fitting(own, facts, limit, measure):
                    return told
            except ExpansionError as error:
                self._complain(name, error)
        if name not in self._shipped:
            return ""
        return self._fitting(self._shipped[name], facts, limit, measure)

    def _fitting(self, template: Template, facts: Facts, limit: int, measure: Measure) -> str:
        count = len(facts["alerts"])
        text, failure = "", None
        story = self._teller.story(facts)
        for alerts in (count, *(fewer for fewer in _FEWER if fewer < count)):
            try:
                text = expanded(template, shortened(story, alerts)).strip()
            except ExpansionError as error:  # perhaps only too many
                failure = error
                continue
            if text and measure(text) <= limit:
                return text
            if not template.reads & _TELLS_ALERTS:
                break
        if not text and failure is not None:
            raise failure
        return cut(text, limit, measure)

    def _complain(self, name: str, error: ExpansionError) -> None:
        """Once: the same template fails with every message."""
        if self._is_broken:
            return
        self._is_broken = True
        facts = {"receiver": self._teller.receiver, "template": name, "reason": str(error)}
        log.error("template fails, the shipped text is sent", extra={"facts": facts})


def expanded(template: Template, story: Struct) -> str:
    """
    Raises:
        ExpansionError: a field that there is not, a wrong type, or more work than the bounds allow.
    """
    return template.expand(story, {"$externalURL": story.fields["ExternalURL"]}, _no_queries)


def cut(text: str, limit: int, measure: Measure = len) -> str:
    """The longest beginning that fits, with an ellipsis."""
    if measure(text) <= limit:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if measure(text[:middle] + "…") <= limit:
            low = middle
        else:
            high = middle - 1
    return text[:low] + "…"


@cache
def shipped(file: str) -> Template:
    text = files("sentinel.notify").joinpath("templates", f"{file}.tmpl").read_text(encoding="utf-8")
    return parse_template(text, ("$externalURL",))


def names_of(kind: str) -> Sequence[str]:
    """What may be written in `templates` of a receiver of this kind."""
    return tuple(SHIPPED[kind])


def _no_queries(expression: str) -> Sequence[Struct]:
    raise ExpansionError("messages cannot query: what they tell is committed with the incident")
