"""What templates see of a message: the facts in the receiver's language, with every word made safe for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sentinel.incidents.book import one_line
from sentinel.model.durations import format_duration
from sentinel.notify.escape import Escape, as_it_is
from sentinel.notify.facts import AlertFacts, Facts
from sentinel.notify.texts import CALM, COLOURS, TEXTS, Language, digest_title, reason_in
from sentinel.rules.template import Struct

MAX_TITLE = 400
MAX_LABELS = 600
MAX_DESCRIPTION = 1000


@dataclass(frozen=True, slots=True)
class Teller:
    """How facts are told to one receiver."""

    receiver: str
    language: Language
    zone: ZoneInfo
    escape: Escape = as_it_is

    def story(self, facts: Facts) -> Struct:
        t = TEXTS[self.language]
        is_over = facts["event"] == "resolved"
        ended = facts["resolved_at"] if is_over else None
        listed = tuple(self._alert(alert) for alert in facts["alerts"])
        labels = [self._words(alert["labels"]) for alert in facts["alerts"]]
        annotations = [self._words(alert["annotations"]) for alert in facts["alerts"]]
        fields: dict[str, Any] = {
            "Receiver": self.escape(self.receiver),
            "Event": facts["event"],
            "Status": "resolved" if is_over else "firing",
            "Word": t.get(facts["event"], t["firing"]),
            "Incident": facts["incident"],
            "Grade": facts["grade"],
            "State": facts["state"],
            "Title": self._line(title_of(facts, self.language, self.zone), MAX_TITLE),
            "Target": self._line(facts["target"], 200),
            "Since": self._time(facts["opened_at"]),
            "Until": self._time(ended) if ended else "",
            "Lasted": format_duration(round(ended - facts["opened_at"])) if ended else "",
            "By": self._line(facts["resolved_by"] if is_over else facts["acknowledged_by"], 200),
            "Reason": self._line(reason_in(self.language, facts["reason"]), 200),
            "URL": page_of(facts),
            "ExternalURL": facts["external_url"],
            "GroupLabels": self._words(facts["grouping"]),
            "CommonLabels": common(labels),
            "CommonAnnotations": common(annotations),
            "Alerts": listed,
            **_by_status(listed),
            "Truncated": facts["truncated"],
            "Total": facts["total"],
            "Colour": colour_of(facts),
            "Language": self.language,
            "T": dict(t),
        }
        return Struct(fields)

    def _alert(self, alert: AlertFacts) -> Struct:
        labels, annotations = alert["labels"], alert["annotations"]
        shown = ", ".join(f"{name}={value}" for name, value in labels.items() if name != "alertname")
        title = annotations.get("summary") or labels.get("alertname", "")
        ended = alert["ends_at"]
        fields: dict[str, Any] = {
            "Status": alert["status"],
            "Word": TEXTS[self.language][alert["status"]],  # type: ignore[literal-required]
            "Unknown": alert["unknown"],
            "Title": self._line(title, 300),
            "Text": self._line(shown, MAX_LABELS),
            "Description": self._line(annotations.get("description", ""), MAX_DESCRIPTION),
            "Runbook": self._line(annotations.get("runbook_url", ""), 500),
            "Labels": self._words(labels),
            "Annotations": self._words(annotations),
            "StartsAt": self._time(alert["starts_at"]),
            "EndsAt": "" if ended is None else self._time(ended),
            "Fingerprint": alert["fingerprint"],
            "Value": "" if alert["value"] is None else f"{alert['value']:.10g}",
        }
        return Struct(fields)

    def _words(self, pairs: Mapping[str, str]) -> dict[str, str]:
        return {name: self._line(value, 1024) for name, value in pairs.items()}

    def _line(self, text: str, limit: int) -> str:
        return self.escape(one_line(text, limit))

    def _time(self, at: float) -> str:
        return datetime.fromtimestamp(at, self.zone).strftime("%Y-%m-%d %H:%M:%S %Z")


def shortened(story: Struct, alerts: int) -> Struct:
    """The story with so many of its alerts; the rest is counted."""
    listed = story.fields["Alerts"]
    assert isinstance(listed, tuple)
    truncated = story.fields["Truncated"]
    assert isinstance(truncated, int)
    kept = listed[:alerts]
    left_out = truncated + len(listed) - len(kept)
    return Struct({**story.fields, "Alerts": kept, **_by_status(kept), "Truncated": left_out})


def _by_status(alerts: tuple[Struct, ...]) -> dict[str, tuple[Struct, ...]]:
    return {
        word.capitalize(): tuple(alert for alert in alerts if alert.fields["Status"] == word)
        for word in ("firing", "resolved")
    }


def title_of(facts: Facts, language: Language, zone: ZoneInfo) -> str:
    digest = facts.get("digest")
    if digest is None:
        return facts["title"]
    since, now = (datetime.fromtimestamp(at, zone) for at in (digest["since"], facts["at"]))
    is_today = since.date() == now.date()
    return digest_title(
        language, facts["event"], digest, since.strftime("%H:%M" if is_today else "%Y-%m-%d %H:%M")
    )


def page_of(facts: Facts) -> str:
    """The incident's page."""
    return f"{facts['external_url']}/incidents/{facts['incident']}"


def colour_of(facts: Facts) -> str:
    return CALM if facts["event"] == "resolved" else COLOURS[facts["grade"]]


def common(sets: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """What all of them have, with the same value."""
    everything = list(sets)
    if not everything:
        return {}
    first, *others = everything
    return {name: value for name, value in first.items() if all(o.get(name) == value for o in others)}


def rfc3339(at: float) -> str:
    text = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
