"""PagerDuty events, version 2: one alert there for each incident here, by its dedup_key.

Source: PagerDuty developer documentation, "Send an event" and "PD-CEF": summary 1024 and dedup_key 255
characters, severity critical, error, warning or info; 202 taken, 400 not an event, 429 too often, 5xx later.
"""

from __future__ import annotations

from typing import Any

from sentinel.config.receivers.pagers import PagerdutySettings
from sentinel.incidents.book import one_line
from sentinel.notify.facts import Facts
from sentinel.notify.receiver import Delivery, Outcome
from sentinel.notify.receivers.identity import identity_of
from sentinel.notify.receivers.posting import Posting
from sentinel.notify.story import page_of, rfc3339
from sentinel.notify.surroundings import Surroundings

ACTIONS = {"firing": "trigger", "acknowledged": "acknowledge", "resolved": "resolve"}
SEVERITIES = {"I": "critical", "II": "error", "III": "warning", "IV": "info"}
MAX_SUMMARY = 1024
MAX_LISTED = 20


class Pagerduty(Posting):
    kind = "pagerduty"

    def __init__(self, settings: PagerdutySettings, around: Surroundings) -> None:
        self._key = settings.routing_key.reveal()
        self._url = settings.url
        super().__init__(settings, around, url=self._url, secrets=[self._key])

    async def post(self, delivery: Delivery) -> Outcome:
        facts = delivery.facts
        event: dict[str, Any] = {
            "routing_key": self._key,
            "event_action": ACTIONS.get(delivery.event, "trigger"),
            "dedup_key": identity_of(facts),
        }
        if event["event_action"] == "trigger":
            event |= {
                "payload": self._payload(facts),
                "client": "Sentinel",
                "client_url": page_of(facts),
                "links": _links(facts),
            }
        answer = await self.http.post_json(self._url, event)
        return self.judged(answer)

    def _payload(self, facts: Facts) -> dict[str, Any]:
        details = {
            "incident": page_of(facts),
            "grade": facts["grade"],
            "alerts": [
                {"status": alert["status"], "labels": alert["labels"], "annotations": alert["annotations"]}
                for alert in facts["alerts"][:MAX_LISTED]
            ],
            "total": facts["total"],
        }
        return {
            "summary": self.wording.text("summary", facts, limit=MAX_SUMMARY),
            "source": facts["target"] or "sentinel",
            "severity": SEVERITIES[facts["grade"]],
            "timestamp": rfc3339(facts["opened_at"]),
            "component": facts["target"],
            "class": one_line(facts["grouping"].get("alertname", ""), 255),
            "custom_details": details,
        }


def _links(facts: Facts) -> list[dict[str, str]]:
    runbooks = dict.fromkeys(alert["annotations"].get("runbook_url", "") for alert in facts["alerts"])
    return [
        {"href": url, "text": "Runbook"}
        for url in list(runbooks)[:MAX_LISTED]
        if url.startswith(("http://", "https://"))
    ]
